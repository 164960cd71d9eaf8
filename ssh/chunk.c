/* SPDX-License-Identifier: MIT */
/* Input that waits for the program. Chunks have a least size, so that a peer which sends single bytes costs no
 * more memory than its window says. */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/chan_priv.h"

#define CHUNK_BYTES 4096

static struct ssh_chunk *chunk_add(struct ssh_chan *ch, size_t n)
{
	size_t size = MAX(sizeof(struct ssh_chunk) + n, (size_t)CHUNK_BYTES);
	struct ssh_chunk *k = ssh_alloc(ch->c, size);

	if (!k)
		return NULL;
	*k = (struct ssh_chunk){ .cap = (uint32_t)(size - sizeof(*k)) };
	if (ch->last)
		ch->last->next = k;
	else
		ch->first = k;
	ch->last = k;
	return k;
}

static void chunk_free(struct ssh_chan *ch, struct ssh_chunk *k)
{
	/* it may be a password typed ahead */
	secure_zero(k->data, k->tail);
	ssh_free(ch->c, k, sizeof(*k) + k->cap);
}

int ssh_chunks_add(struct ssh_chan *ch, const uint8_t *p, size_t n)
{
	while (n > 0) {
		struct ssh_chunk *k = ch->last;
		size_t some;

		if (!k || k->tail == k->cap)
			k = chunk_add(ch, n);
		if (!k)
			return -ENOMEM;
		some = MIN(n, (size_t)(k->cap - k->tail));
		memcpy(k->data + k->tail, p, some);
		k->tail += (uint32_t)some;
		ch->waiting += some;
		p += some;
		n -= some;
	}
	return 0;
}

void ssh_chunks_take(struct ssh_chan *ch, size_t n)
{
	ch->waiting -= n;
	while (n > 0 && ch->first) {
		struct ssh_chunk *k = ch->first;
		size_t some = MIN(n, (size_t)(k->tail - k->head));

		k->head += (uint32_t)some;
		n -= some;
		if (k->head < k->tail)
			break;
		ch->first = k->next;
		if (!ch->first)
			ch->last = NULL;
		chunk_free(ch, k);
	}
}

void ssh_chunks_free(struct ssh_chan *ch)
{
	while (ch->first) {
		struct ssh_chunk *k = ch->first;

		ch->first = k->next;
		chunk_free(ch, k);
	}
	ch->last = NULL;
	ch->waiting = 0;
}
