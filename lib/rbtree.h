/* SPDX-License-Identifier: MIT */
/* Red-black trees, nodes embedded in the elements, optionally augmented: `update` recomputes a node's summary from
 * itself and its two children and says whether it changed. The caller locks. */
#ifndef TERN_LIB_RBTREE_H
#define TERN_LIB_RBTREE_H

#include "lib/types.h"

struct rb_node {
	struct rb_node *parent; /* NULL for the root; itself when not in a tree */
	struct rb_node *left;
	struct rb_node *right;
	bool red;
};

struct rb_root {
	struct rb_node *node;
	struct rb_node *leftmost; /* the first in order, or NULL */
	void (*update)(
		struct rb_node *n); /* may be NULL; recompute n's summary from its children */
};

static inline void rb_init(struct rb_root *r, void (*update)(struct rb_node *))
{
	r->node = NULL;
	r->leftmost = NULL;
	r->update = update;
}

static inline void rb_node_init(struct rb_node *n)
{
	n->parent = n;
	n->left = NULL;
	n->right = NULL;
	n->red = false;
}

static inline bool rb_linked(const struct rb_node *n)
{
	return n->parent != n;
}

/* Insert; less(a, b) orders; equals go after those already there. */
void rb_insert(struct rb_root *r, struct rb_node *n,
	       bool (*less)(const struct rb_node *, const struct rb_node *));
/* Remove; n is left unlinked. */
void rb_erase(struct rb_root *r, struct rb_node *n);
struct rb_node *rb_first(const struct rb_root *r);
struct rb_node *rb_last(const struct rb_root *r);
struct rb_node *rb_next(const struct rb_node *n);
struct rb_node *rb_prev(const struct rb_node *n);
/* A key of n changed its summary but not its place: recompute up to the root. */
void rb_update_path(struct rb_root *r, struct rb_node *n);
/* Check colours, order and links: debug images. */
bool rb_check(const struct rb_root *r,
	      bool (*less)(const struct rb_node *, const struct rb_node *));

#define rb_entry(ptr, type, member) container_of(ptr, type, member)

#endif
