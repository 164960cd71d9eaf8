/* SPDX-License-Identifier: MIT */
/* Red-black trees by the textbook's rules: the root is black, a red node has black children, and every path from a
 * node down to a NULL link passes the same number of black nodes. NULL counts as black.
 *
 * Summaries (root->update) are kept right by recomputing from the lowest place that changed up to the root after
 * the shape is final; a rotation recomputes the two nodes it turned. */
#include "lib/rbtree.h"

static bool is_red(const struct rb_node *n)
{
	return n && n->red;
}

/* Recompute n alone. */
static void update_one(struct rb_root *r, struct rb_node *n)
{
	if (r->update)
		r->update(n);
}

void rb_update_path(struct rb_root *r, struct rb_node *n)
{
	if (!r->update)
		return;
	for (; n; n = n->parent)
		r->update(n);
}

/* The link that points at n: its parent's, or the root's. */
static struct rb_node **link_to(struct rb_root *r, struct rb_node *n)
{
	if (!n->parent)
		return &r->node;
	return n->parent->left == n ? &n->parent->left : &n->parent->right;
}

/* Turn n down to the left (its right child takes its place), or to the right. */
static void rotate(struct rb_root *r, struct rb_node *n, bool left)
{
	struct rb_node *up = left ? n->right : n->left;
	struct rb_node *inner = left ? up->left : up->right;

	*link_to(r, n) = up;
	up->parent = n->parent;
	n->parent = up;
	if (inner)
		inner->parent = n;
	if (left) {
		n->right = inner;
		up->left = n;
	} else {
		n->left = inner;
		up->right = n;
	}
	update_one(r, n);
	update_one(r, up);
}

/* n is red and may be the child of a red node: the only rule that can be broken. */
static void insert_repair(struct rb_root *r, struct rb_node *n)
{
	while (is_red(n->parent)) {
		struct rb_node *p = n->parent;
		struct rb_node *g = p->parent;
		bool left = p == g->left;
		struct rb_node *uncle = left ? g->right : g->left;

		if (is_red(uncle)) {
			p->red = false;
			uncle->red = false;
			g->red = true;
			n = g;
			continue;
		}
		if (n == (left ? p->right : p->left)) {
			rotate(r, p, left);
			p = n;
		}
		p->red = false;
		g->red = true;
		rotate(r, g, !left);
		break;
	}
	r->node->red = false;
}

void rb_insert(struct rb_root *r, struct rb_node *n,
	       bool (*less)(const struct rb_node *, const struct rb_node *))
{
	struct rb_node **link = &r->node;
	struct rb_node *parent = NULL;
	bool first = true;

	while (*link) {
		parent = *link;
		if (less(n, parent)) {
			link = &parent->left;
		} else {
			link = &parent->right;
			first = false;
		}
	}
	n->parent = parent;
	n->left = NULL;
	n->right = NULL;
	n->red = true;
	*link = n;
	if (first)
		r->leftmost = n;
	rb_update_path(r, n);
	insert_repair(r, n);
}

/* The subtree at n (perhaps NULL), child of p, lacks one black node on all its paths. */
static void erase_repair(struct rb_root *r, struct rb_node *n, struct rb_node *p)
{
	while (p && !is_red(n)) {
		bool left = n == p->left;
		struct rb_node *s = left ? p->right : p->left;
		struct rb_node *near, *far;

		if (s->red) {
			s->red = false;
			p->red = true;
			rotate(r, p, left);
			s = left ? p->right : p->left;
		}
		near = left ? s->left : s->right;
		far = left ? s->right : s->left;
		if (!is_red(near) && !is_red(far)) {
			s->red = true;
			n = p;
			p = n->parent;
			continue;
		}
		if (!is_red(far)) {
			near->red = false;
			s->red = true;
			rotate(r, s, !left);
			far = s;
			s = near;
		}
		s->red = p->red;
		p->red = false;
		far->red = false;
		rotate(r, p, left);
		break;
	}
	if (n)
		n->red = false;
}

/* Put child (perhaps NULL) in the place of n. */
static void replace(struct rb_root *r, struct rb_node *n, struct rb_node *child)
{
	*link_to(r, n) = child;
	if (child)
		child->parent = n->parent;
}

void rb_erase(struct rb_root *r, struct rb_node *n)
{
	struct rb_node *child, *parent;
	bool red = n->red;

	if (r->leftmost == n)
		r->leftmost = rb_next(n);
	if (n->left && n->right) {
		struct rb_node *next = n->right;

		while (next->left)
			next = next->left;
		red = next->red;
		child = next->right;
		parent = next->parent == n ? next : next->parent;
		if (next->parent != n) {
			replace(r, next, child);
			next->right = n->right;
			next->right->parent = next;
		}
		replace(r, n, next);
		next->left = n->left;
		next->left->parent = next;
		next->red = n->red;
	} else {
		child = n->left ? n->left : n->right;
		parent = n->parent;
		replace(r, n, child);
	}
	rb_update_path(r, parent);
	if (!red)
		erase_repair(r, child, parent);
	rb_node_init(n);
}

struct rb_node *rb_first(const struct rb_root *r)
{
	return r->leftmost;
}

struct rb_node *rb_last(const struct rb_root *r)
{
	struct rb_node *n = r->node;

	while (n && n->right)
		n = n->right;
	return n;
}

struct rb_node *rb_next(const struct rb_node *n)
{
	if (n->right) {
		n = n->right;
		while (n->left)
			n = n->left;
		return (struct rb_node *)n;
	}
	while (n->parent && n == n->parent->right)
		n = n->parent;
	return n->parent;
}

struct rb_node *rb_prev(const struct rb_node *n)
{
	if (n->left) {
		n = n->left;
		while (n->right)
			n = n->right;
		return (struct rb_node *)n;
	}
	while (n->parent && n == n->parent->left)
		n = n->parent;
	return n->parent;
}
