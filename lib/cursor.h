/* SPDX-License-Identifier: MIT */
/* Checked cursors over bytes: rd reads hostile input, wr builds messages. Both are sticky: the first step past
 * the end sets bad, and from then on reads give zeros and writes do nothing. So parsing is straight-line code
 * with one test at its end. Numbers are big-endian, strings have a 32-bit length before them (RFC 4251 s5). */
#ifndef TERN_LIB_CURSOR_H
#define TERN_LIB_CURSOR_H

#include "lib/types.h"

/* Bytes that belong to somebody else. */
struct bytes {
	const uint8_t *p;
	size_t n;
};

/* Take n bytes off the front. */
static inline void bytes_skip(struct bytes *b, size_t n)
{
	b->p += n;
	b->n -= n;
}

static inline bool bytes_is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

struct rd {
	const uint8_t *p;
	size_t left;
	bool bad;
};

struct wr {
	uint8_t *p;
	size_t len;
	size_t cap;
	bool bad;
};

#define BYTES_LIT(s)                                                                               \
	((struct bytes){ (const uint8_t *)(s), sizeof(s) - 1 }) /* s is a string literal */

static inline struct rd rd_over(const void *p, size_t n)
{
	return (struct rd){ p, n, false };
}

static inline struct rd rd_bytes_of(struct bytes b)
{
	return rd_over(b.p, b.n);
}

static inline struct wr wr_over(void *p, size_t cap)
{
	return (struct wr){ p, 0, cap, false };
}

uint8_t rd_u8(struct rd *r);
/* Any value but 0 is true (RFC 4251 s5). */
bool rd_bool(struct rd *r);
uint32_t rd_u32(struct rd *r);
/* The next n bytes; empty if there are fewer. */
struct bytes rd_take(struct rd *r, size_t n);
/* A string: 32-bit length and that many bytes. */
struct bytes rd_string(struct rd *r);
/* An mpint that must be positive and in its shortest form: its magnitude without the leading zero. */
struct bytes rd_mpint(struct rd *r);
/* 0 if all was well and nothing is left over; else -EPROTO. */
int rd_finish(const struct rd *r) __must_check;

void wr_u8(struct wr *w, uint8_t v);
void wr_bool(struct wr *w, bool v);
void wr_u32(struct wr *w, uint32_t v);
void wr_put(struct wr *w, const void *p, size_t n);
void wr_string(struct wr *w, const void *p, size_t n);
void wr_bytes(struct wr *w, struct bytes b);
void wr_cstring(struct wr *w, const char *s);
/* A non-negative mpint from its big-endian magnitude, leading zeros dropped. */
void wr_mpint(struct wr *w, const uint8_t *p, size_t n);
/* A string whose length is not known yet: wr_string_end(w, wr_string_begin(w)) around its contents. */
size_t wr_string_begin(struct wr *w);
void wr_string_end(struct wr *w, size_t mark);

/* What comes before the next c is taken off b, and that c with it; without one, all. */
struct bytes bytes_until(struct bytes *b, char c);
/* The next line is taken off text, its end ("\n" or "\r\n") is not in it. False when there is none. */
bool bytes_line(struct bytes *text, struct bytes *line);
void bytes_skip_blanks(struct bytes *b);
bool bytes_equal(struct bytes a, struct bytes b);
bool bytes_is(struct bytes b, const char *s);

uint32_t load_be32(const void *p);
void store_be32(void *p, uint32_t v);

#endif
