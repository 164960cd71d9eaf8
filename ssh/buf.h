/* SPDX-License-Identifier: MIT */
/* A byte queue of a connection that grows on demand and is given back when idle: [head, tail) is in use. */
#ifndef TERN_SSH_BUF_H
#define TERN_SSH_BUF_H

#include "lib/types.h"

struct ssh_conn;

struct ssh_buf {
	uint8_t *p;
	size_t cap;
	size_t head;
	size_t tail;
};

static inline size_t ssh_buf_used(const struct ssh_buf *b)
{
	return b->tail - b->head;
}

/* Make room for n bytes after tail, moving or growing. 0 or -ENOMEM. */
int ssh_buf_reserve(struct ssh_conn *c, struct ssh_buf *b, size_t n) __must_check;
/* Take n bytes from the front. */
void ssh_buf_consume(struct ssh_buf *b, size_t n);
/* Go down to the least size, which is kept, so that a connection at rest can always take and send a small message.
 * b is empty. Without memory for the small buffer the large one stays. */
void ssh_buf_trim(struct ssh_conn *c, struct ssh_buf *b);
/* Is there something to trim? */
bool ssh_buf_is_large(const struct ssh_buf *b);
/* Give the memory back, wiped. */
void ssh_buf_release(struct ssh_conn *c, struct ssh_buf *b);

#endif
