/* SPDX-License-Identifier: MIT */
#include "lib/rbtree.h"

static bool is_red(const struct rb_node *n)
{
	return n && n->red;
}

/* Black nodes from n down to a NULL link, or -1 if a rule is broken. A tree of n nodes is at most 2 log n deep. */
static int check_node(const struct rb_node *n,
		      bool (*less)(const struct rb_node *, const struct rb_node *))
{
	int l, rr;

	if (!n)
		return 0;
	if ((n->left && (n->left->parent != n || less(n, n->left))) ||
	    (n->right && (n->right->parent != n || less(n->right, n))))
		return -1;
	if (n->red && (is_red(n->left) || is_red(n->right)))
		return -1;
	l = check_node(n->left, less);
	rr = check_node(n->right, less);
	if (l < 0 || l != rr)
		return -1;
	return l + !n->red;
}

bool rb_check(const struct rb_root *r, bool (*less)(const struct rb_node *, const struct rb_node *))
{
	const struct rb_node *n = r->node;

	if (!n)
		return !r->leftmost;
	if (n->red || n->parent || check_node(n, less) < 0)
		return false;
	while (n->left)
		n = n->left;
	return r->leftmost == n;
}
