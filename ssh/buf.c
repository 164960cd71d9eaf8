/* SPDX-License-Identifier: MIT */
#include "ssh/buf.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/conn_priv.h"

#define BUF_WORK 4096 /* the least that is taken for work */
#define BUF_REST 768  /* kept at rest: room for any message but much data */

int ssh_buf_reserve(struct ssh_conn *c, struct ssh_buf *b, size_t n)
{
	size_t used = ssh_buf_used(b), cap = MAX(b->cap, (size_t)BUF_WORK);
	uint8_t *p;

	if (b->cap - b->tail >= n)
		return 0;
	if (b->cap - used >= n) {
		memmove(b->p, b->p + b->head, used);
		b->head = 0;
		b->tail = used;
		return 0;
	}
	while (cap - used < n)
		cap *= 2;
	p = ssh_alloc(c, cap);
	if (!p)
		return -ENOMEM;
	if (b->p) {
		memcpy(p, b->p + b->head, used);
		/* what has been consumed may lie behind the tail */
		secure_zero(b->p, b->cap);
		ssh_free(c, b->p, b->cap);
	}
	*b = (struct ssh_buf){ .p = p, .cap = cap, .tail = used };
	return 0;
}

void ssh_buf_consume(struct ssh_buf *b, size_t n)
{
	b->head += n;
	if (b->head == b->tail)
		b->head = b->tail = 0;
}

bool ssh_buf_is_large(const struct ssh_buf *b)
{
	return b->cap > BUF_REST;
}

void ssh_buf_trim(struct ssh_conn *c, struct ssh_buf *b)
{
	struct ssh_buf small = { .p = ssh_alloc(c, BUF_REST), .cap = BUF_REST };

	if (!small.p)
		return;
	ssh_buf_release(c, b);
	*b = small;
}

void ssh_buf_release(struct ssh_conn *c, struct ssh_buf *b)
{
	if (!b->p)
		return;
	secure_zero(b->p, b->cap);
	ssh_free(c, b->p, b->cap);
	*b = (struct ssh_buf){ 0 };
}
