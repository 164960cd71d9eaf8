/* SPDX-License-Identifier: MIT */
#include "lib/cursor.h"
#include "lib/errno.h"
#include "lib/string.h"

uint32_t load_be32(const void *p)
{
	const uint8_t *b = p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

void store_be32(void *p, uint32_t v)
{
	uint8_t *b = p;

	b[0] = (uint8_t)(v >> 24);
	b[1] = (uint8_t)(v >> 16);
	b[2] = (uint8_t)(v >> 8);
	b[3] = (uint8_t)v;
}

struct bytes rd_take(struct rd *r, size_t n)
{
	struct bytes b = { r->p, n };

	if (r->bad || n > r->left) {
		r->bad = true;
		return (struct bytes){ r->p, 0 };
	}
	if (n > 0)
		r->p += n;
	r->left -= n;
	return b;
}

uint8_t rd_u8(struct rd *r)
{
	struct bytes b = rd_take(r, 1);

	return b.n == 1 ? b.p[0] : 0;
}

bool rd_bool(struct rd *r)
{
	return rd_u8(r) != 0;
}

uint32_t rd_u32(struct rd *r)
{
	struct bytes b = rd_take(r, 4);

	return b.n == 4 ? load_be32(b.p) : 0;
}

struct bytes rd_string(struct rd *r)
{
	return rd_take(r, rd_u32(r));
}

struct bytes rd_mpint(struct rd *r)
{
	struct bytes b = rd_string(r);

	if (b.n == 0 || (b.p[0] & 0x80) || (b.p[0] == 0 && (b.n == 1 || !(b.p[1] & 0x80)))) {
		r->bad = true;
		return (struct bytes){ b.p, 0 };
	}
	if (b.p[0] == 0) {
		b.p++;
		b.n--;
	}
	return b;
}

int rd_finish(const struct rd *r)
{
	return r->bad || r->left > 0 ? -EPROTO : 0;
}

/* Room for n more bytes, or NULL. */
static uint8_t *wr_room(struct wr *w, size_t n)
{
	if (w->bad || n > w->cap - w->len) {
		w->bad = true;
		return NULL;
	}
	w->len += n;
	return w->p + w->len - n;
}

void wr_u8(struct wr *w, uint8_t v)
{
	wr_put(w, &v, 1);
}

void wr_bool(struct wr *w, bool v)
{
	wr_u8(w, v ? 1 : 0);
}

void wr_u32(struct wr *w, uint32_t v)
{
	uint8_t *at = wr_room(w, 4);

	if (at)
		store_be32(at, v);
}

void wr_put(struct wr *w, const void *p, size_t n)
{
	uint8_t *at = wr_room(w, n);

	if (at && n > 0)
		memcpy(at, p, n);
}

void wr_string(struct wr *w, const void *p, size_t n)
{
	wr_u32(w, (uint32_t)n);
	wr_put(w, p, n);
}

void wr_bytes(struct wr *w, struct bytes b)
{
	wr_string(w, b.p, b.n);
}

void wr_cstring(struct wr *w, const char *s)
{
	wr_string(w, s, strlen(s));
}

void wr_mpint(struct wr *w, const uint8_t *p, size_t n)
{
	bool sign;

	while (n > 0 && *p == 0) {
		p++;
		n--;
	}
	sign = n > 0 && (*p & 0x80);
	wr_u32(w, (uint32_t)n + (sign ? 1 : 0));
	if (sign)
		wr_u8(w, 0);
	wr_put(w, p, n);
}

size_t wr_string_begin(struct wr *w)
{
	wr_u32(w, 0);
	return w->len;
}

void wr_string_end(struct wr *w, size_t mark)
{
	if (!w->bad)
		store_be32(w->p + mark - 4, (uint32_t)(w->len - mark));
}

struct bytes bytes_until(struct bytes *b, char c)
{
	const uint8_t *end = b->n > 0 ? memchr(b->p, c, b->n) : NULL;
	struct bytes found = { b->p, end ? (size_t)(end - b->p) : b->n };

	bytes_skip(b, found.n + (end != NULL));
	return found;
}

bool bytes_line(struct bytes *text, struct bytes *line)
{
	if (text->n == 0)
		return false;
	*line = bytes_until(text, '\n');
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return true;
}

void bytes_skip_blanks(struct bytes *b)
{
	while (b->n > 0 && bytes_is_blank(*b->p))
		bytes_skip(b, 1);
}

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool bytes_is(struct bytes b, const char *s)
{
	return b.n == strlen(s) && memcmp(b.p, s, b.n) == 0;
}
