/* SPDX-License-Identifier: MIT */
/* I-PGIX-1: a node but the root is never empty; count is its number of non-NULL slots. */
#include "fs/page_index.h"
#include "kernel/core/panic.h"
#include "lib/errno.h"
#include "mm/phys/slab.h"

enum { SHIFT = 6, WAYS = 1 << SHIFT, HEIGHT_MAX = 11 };

struct page_node {
	unsigned count;
	void *slot[WAYS]; /* nodes; pages at the lowest level */
};

static bool covers(unsigned height, uint64_t number)
{
	return height * SHIFT >= 64 || number >> (height * SHIFT) == 0;
}

static unsigned slot_of(uint64_t number, unsigned level)
{
	return number >> (level * SHIFT) & (WAYS - 1);
}

struct page *page_index_get(const struct page_index *ix, uint64_t number)
{
	void *p = ix->root;

	if (!p || !covers(ix->height, number))
		return NULL;
	for (unsigned level = ix->height; p && level-- > 0;)
		p = ((struct page_node *)p)->slot[slot_of(number, level)];
	return p;
}

/* Put new roots on top until number is covered; on none, one that covers it. */
static int grow(struct page_index *ix, uint64_t number)
{
	struct page_node *n;

	while (!ix->root || !covers(ix->height, number)) {
		n = kzalloc(sizeof(*n));
		if (!n)
			return -ENOMEM;
		do
			ix->height++;
		while (!ix->root && !covers(ix->height, number));
		if (ix->root) {
			n->slot[0] = ix->root;
			n->count = 1;
		}
		ix->root = n;
	}
	return 0;
}

/* Free the empty nodes on the way to number, lowest first; and the root. */
static void prune(struct page_index *ix, uint64_t number)
{
	struct page_node *way[HEIGHT_MAX];
	struct page_node *n = ix->root;
	unsigned level = ix->height, depth = 0;

	while (n && level > 0) {
		way[depth++] = n;
		level--;
		n = level > 0 ? n->slot[slot_of(number, level)] : NULL;
	}
	while (depth > 0 && way[depth - 1]->count == 0) {
		kfree(way[--depth]);
		if (depth == 0) {
			ix->root = NULL;
			ix->height = 0;
			return;
		}
		way[depth - 1]->slot[slot_of(number, ix->height - depth)] = NULL;
		way[depth - 1]->count--;
	}
}

int page_index_insert(struct page_index *ix, uint64_t number, struct page *p)
{
	struct page_node *n, *below;
	int err = grow(ix, number);

	if (err)
		goto fail;
	n = ix->root;
	for (unsigned level = ix->height - 1; level > 0; level--) {
		below = n->slot[slot_of(number, level)];
		if (!below) {
			below = kzalloc(sizeof(*below));
			if (!below) {
				err = -ENOMEM;
				goto fail;
			}
			n->slot[slot_of(number, level)] = below;
			n->count++;
		}
		n = below;
	}
	ASSERT(!n->slot[slot_of(number, 0)]);
	n->slot[slot_of(number, 0)] = p;
	n->count++;
	return 0;

fail:
	prune(ix, number);
	return err;
}

/* The lowest number >= from that is present below n, which covers `level` digits and starts at base. */
static bool find_from(const struct page_node *n, unsigned level, uint64_t base, uint64_t from,
		      uint64_t *number)
{
	unsigned first = from > base ? slot_of(from, level - 1) : 0;

	for (unsigned i = first; i < WAYS; i++) {
		uint64_t at = base + ((uint64_t)i << ((level - 1) * SHIFT));

		if (!n->slot[i])
			continue;
		if (level == 1) {
			*number = at;
			return true;
		}
		if (find_from(n->slot[i], level - 1, at, MAX(from, at), number))
			return true;
	}
	return false;
}

bool page_index_next(const struct page_index *ix, uint64_t from, uint64_t *number)
{
	return ix->root && covers(ix->height, from) &&
	       find_from(ix->root, ix->height, 0, from, number);
}

struct page *page_index_take(struct page_index *ix, uint64_t from, uint64_t end, uint64_t *number)
{
	struct page_node *n = ix->root;
	struct page *p;

	if (!page_index_next(ix, from, number) || *number >= end)
		return NULL;
	for (unsigned level = ix->height - 1; level > 0; level--)
		n = n->slot[slot_of(*number, level)];
	p = n->slot[slot_of(*number, 0)];
	n->slot[slot_of(*number, 0)] = NULL;
	n->count--;
	prune(ix, *number);
	return p;
}
