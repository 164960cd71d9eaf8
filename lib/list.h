/* SPDX-License-Identifier: MIT */
/* Doubly linked circular lists, the links embedded in the elements. An unlinked link points at itself,
 * so linked or not can be asked, and a second removal is harmless. The caller locks; whether a list is empty may be looked
 * at without: that word is read and stored whole. */
#ifndef TERN_LIB_LIST_H
#define TERN_LIB_LIST_H

#include "lib/types.h"

struct list_head {
	struct list_head *next;
	struct list_head *prev;
};

#define LIST_HEAD_INIT(name)                                                                       \
	{                                                                                          \
		&(name), &(name)                                                                   \
	}

static inline void list_init(struct list_head *l)
{
	WRITE_ONCE(l->next, l);
	l->prev = l;
}

static inline bool list_empty(const struct list_head *l)
{
	return READ_ONCE(l->next) == l;
}

/* Is this link on some list? Only for links set up by list_init() or list_del(). */
static inline bool list_linked(const struct list_head *l)
{
	return READ_ONCE(l->next) != l;
}

static inline void list_insert_between(struct list_head *l, struct list_head *prev,
				       struct list_head *next)
{
	WRITE_ONCE(l->next, next);
	l->prev = prev;
	next->prev = l;
	WRITE_ONCE(prev->next, l);
}

static inline void list_push_front(struct list_head *l, struct list_head *head)
{
	list_insert_between(l, head, head->next);
}

static inline void list_push_back(struct list_head *l, struct list_head *head)
{
	list_insert_between(l, head->prev, head);
}

static inline void list_del(struct list_head *l)
{
	l->next->prev = l->prev;
	WRITE_ONCE(l->prev->next, l->next);
	list_init(l);
}

/* Move all of from to the end of to; from is left empty. */
static inline void list_splice_back(struct list_head *from, struct list_head *to)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	WRITE_ONCE(to->prev->next, from->next);
	WRITE_ONCE(from->prev->next, to);
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(ptr, type, member)  container_of(ptr, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_last(head, type, member)  list_entry((head)->prev, type, member)
#define list_first_or_null(head, type, member)                                                     \
	(list_empty(head) ? NULL : list_first(head, type, member))

/* The link of pos, by arithmetic: at the end of a list pos is no element, nor aligned as one. */
#define list_link_of(pos, member)                                                                  \
	((struct list_head *)((char *)(pos) + offsetof(__typeof__(*(pos)), member)))

#define list_for_each(pos, head, member)                                                           \
	for ((pos) = list_entry((head)->next, __typeof__(*(pos)), member);                         \
	     list_link_of(pos, member) != (head);                                                  \
	     (pos) = list_entry((pos)->member.next, __typeof__(*(pos)), member))

/* As list_for_each, but the body may remove pos. */
#define list_for_each_safe(pos, tmp, head, member)                                                 \
	for ((pos) = list_entry((head)->next, __typeof__(*(pos)), member),                         \
	    (tmp) = list_entry((pos)->member.next, __typeof__(*(pos)), member);                    \
	     list_link_of(pos, member) != (head); (pos) = (tmp),                                   \
	    (tmp) = list_entry(list_link_of(tmp, member)->next, __typeof__(*(tmp)), member))

#endif
