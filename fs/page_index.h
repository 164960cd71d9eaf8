/* SPDX-License-Identifier: MIT */
/* Pages of one file by number: a radix tree of 64-way nodes, as high as the largest number needs, so a sparse file
 * costs what it holds. The caller locks. */
#ifndef TERN_FS_PAGE_INDEX_H
#define TERN_FS_PAGE_INDEX_H

#include "lib/types.h"

struct page;
struct page_node;

struct page_index {
	struct page_node *root; /* NULL: empty */
	unsigned height;	/* 64^height numbers are covered */
};

/* The page at number, or NULL. No reference is taken. */
struct page *page_index_get(const struct page_index *ix, uint64_t number);
/* Nothing may be there. 0, or -ENOMEM with nothing changed. Allocates (atomic context allowed). */
int page_index_insert(struct page_index *ix, uint64_t number, struct page *p) __must_check;
/* The first number >= from where there is a page. */
bool page_index_next(const struct page_index *ix, uint64_t from, uint64_t *number);
/* Take out the first page at from <= number < end: it and *number, or NULL when there is none. Frees nodes left empty. */
struct page *page_index_take(struct page_index *ix, uint64_t from, uint64_t end, uint64_t *number);

#endif
