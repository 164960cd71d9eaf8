/* SPDX-License-Identifier: MIT */
/* sources: lib/rbtree.c lib/rbtree_check.c */
/* The tree against a plain array, with a summary (subtree sum and size) checked throughout. */
#include "tests/host/test.h"
#include "lib/rbtree.h"

struct item {
	struct rb_node node;
	unsigned key;
	unsigned count; /* nodes in the subtree */
	bool in;
};

#define ITEMS 200

static struct item *item_of(const struct rb_node *n)
{
	return rb_entry(n, struct item, node);
}

static bool item_less(const struct rb_node *a, const struct rb_node *b)
{
	return item_of(a)->key < item_of(b)->key;
}

static unsigned count_of(const struct rb_node *n)
{
	return n ? item_of(n)->count : 0;
}

static void item_update(struct rb_node *n)
{
	item_of(n)->count = 1 + count_of(n->left) + count_of(n->right);
}

static bool summaries_right(const struct rb_node *n)
{
	if (!n)
		return true;
	return count_of(n) == 1 + count_of(n->left) + count_of(n->right) &&
	       summaries_right(n->left) && summaries_right(n->right);
}

TEST(rbtree_random)
{
	static struct item items[ITEMS];
	struct rb_root root;
	unsigned in = 0;

	rb_init(&root, item_update);
	for (unsigned i = 0; i < ITEMS; i++)
		rb_node_init(&items[i].node);
	for (long op = 0; op < 20000L * test_scale; op++) {
		struct item *it = &items[test_below(ITEMS)];

		if (it->in) {
			rb_erase(&root, &it->node);
			in--;
		} else {
			it->key = (unsigned)test_below(64);
			rb_insert(&root, &it->node, item_less);
			in++;
		}
		it->in = !it->in;
		CHECK_EQ(rb_linked(&it->node) || root.node == &it->node, it->in);
		CHECK(rb_check(&root, item_less));
		CHECK(summaries_right(root.node));
		CHECK_EQ(count_of(root.node), in);
	}
}

TEST(rbtree_order)
{
	static struct item items[ITEMS];
	struct rb_root root;
	const struct rb_node *n;
	unsigned seen = 0;

	rb_init(&root, NULL);
	CHECK(!rb_first(&root) && !rb_last(&root));
	for (unsigned i = 0; i < ITEMS; i++) {
		items[i].key = (unsigned)test_below(16);
		items[i].count = i;
		rb_insert(&root, &items[i].node, item_less);
	}
	for (n = rb_first(&root); n; n = rb_next(n), seen++) {
		const struct rb_node *next = rb_next(n);

		if (!next) {
			CHECK(n == rb_last(&root));
			continue;
		}
		CHECK(rb_prev(next) == n);
		CHECK(!item_less(next, n));
		/* equals stay in the order of insertion */
		if (item_of(n)->key == item_of(next)->key)
			CHECK(item_of(n)->count < item_of(next)->count);
	}
	CHECK_EQ(seen, ITEMS);
}

TEST(rbtree_check_notices)
{
	struct item a = { .key = 1 }, b = { .key = 2 };
	struct rb_root root;

	rb_init(&root, NULL);
	rb_insert(&root, &a.node, item_less);
	rb_insert(&root, &b.node, item_less);
	CHECK(rb_check(&root, item_less));
	b.key = 0;
	CHECK(!rb_check(&root, item_less));
	b.key = 2;
	root.leftmost = &b.node;
	CHECK(!rb_check(&root, item_less));
}
