/* SPDX-License-Identifier: MIT */
/* Formatting into a buffer, and parsing of numbers. A sink counts everything and stores what fits. */
#include "lib/fmt.h"

#include "lib/errno.h"
#include "lib/string.h"

struct sink {
	char *buf;
	size_t size;
	size_t len;
};

/* One conversion, as parsed from the format. */
struct conv {
	bool left;
	bool zero;
	bool alt;
	bool has_precision;
	int width;
	int precision;
	int longs; /* 1: l, 2: ll; z counts as l */
	char kind;
};

static void put(struct sink *s, char c)
{
	if (s->len + 1 < s->size)
		s->buf[s->len] = c;
	s->len++;
}

static void put_repeat(struct sink *s, char c, int n)
{
	while (n-- > 0)
		put(s, c);
}

static void put_padded(struct sink *s, const struct conv *c, const char *text, int len)
{
	if (!c->left)
		put_repeat(s, ' ', c->width - len);
	for (int i = 0; i < len; i++)
		put(s, text[i]);
	if (c->left)
		put_repeat(s, ' ', c->width - len);
}

static void put_number(struct sink *s, const struct conv *c, uint64_t v, const char *prefix)
{
	const char *digits = c->kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	unsigned base = c->kind == 'd' || c->kind == 'i' || c->kind == 'u' ? 10 : 16;
	char text[24];
	int n = 0;
	int fixed = (int)strlen(prefix);
	int zeros = 0;

	do {
		text[n++] = digits[v % base];
		v /= base;
	} while (v);
	if (c->has_precision)
		zeros = c->precision - n;
	else if (c->zero && !c->left)
		zeros = c->width - fixed - n;
	zeros = MAX(zeros, 0);
	if (!c->left)
		put_repeat(s, ' ', c->width - fixed - zeros - n);
	for (int i = 0; i < fixed; i++)
		put(s, prefix[i]);
	put_repeat(s, '0', zeros);
	for (int i = n; i-- > 0;)
		put(s, text[i]);
	if (c->left)
		put_repeat(s, ' ', c->width - fixed - zeros - n);
}

static void put_string(struct sink *s, const struct conv *c, const char *text)
{
	if (!text)
		text = "(null)";
	put_padded(s, c, text,
		   (int)(c->has_precision ? strnlen(text, (size_t)c->precision) : strlen(text)));
}

static const char *parse_flags(const char *f, struct conv *c)
{
	for (;; f++) {
		if (*f == '-')
			c->left = true;
		else if (*f == '0')
			c->zero = true;
		else if (*f == '#')
			c->alt = true;
		else
			return f;
	}
}

static const char *parse_count(const char *f, int *out)
{
	int v = 0;

	for (; *f >= '0' && *f <= '9'; f++)
		v = MIN(v * 10 + (*f - '0'), 4096);
	*out = v;
	return f;
}

/* Flags, width, precision and length; a * takes an int argument. Leaves f at the conversion letter. */
static const char *parse_conv(const char *f, struct conv *c, va_list *ap)
{
	*c = (struct conv){ 0 };
	f = parse_flags(f, c);
	if (*f == '*') {
		c->width = va_arg(*ap, int);
		f++;
	} else {
		f = parse_count(f, &c->width);
	}
	if (*f == '.') {
		f++;
		c->has_precision = true;
		if (*f == '*') {
			c->precision = va_arg(*ap, int);
			c->has_precision = c->precision >= 0;
			f++;
		} else {
			f = parse_count(f, &c->precision);
		}
	}
	for (; *f == 'l' || *f == 'z'; f++)
		c->longs++;
	c->kind = *f;
	return f;
}

static uint64_t take_unsigned(const struct conv *c, va_list *ap)
{
	return c->longs ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned);
}

static void put_conv(struct sink *s, const struct conv *c, va_list *ap)
{
	uint64_t u;
	int64_t v;
	char one;

	switch (c->kind) {
	case 'd':
	case 'i':
		v = c->longs ? va_arg(*ap, long) : va_arg(*ap, int);
		put_number(s, c, v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0 ? "-" : "");
		break;
	case 'u':
	case 'x':
	case 'X':
		u = take_unsigned(c, ap);
		put_number(s, c, u,
			   c->alt && u && c->kind != 'u' ? c->kind == 'x' ? "0x" : "0X" : "");
		break;
	case 'p':
		put_number(s, c, (uint64_t)(uintptr_t)va_arg(*ap, void *), "0x");
		break;
	case 'c':
		one = (char)va_arg(*ap, int);
		put_padded(s, c, &one, 1);
		break;
	case 's':
		put_string(s, c, va_arg(*ap, const char *));
		break;
	case '%':
		put(s, '%');
		break;
	default:
		put(s, '%');
		put(s, c->kind);
		break;
	}
}

size_t fmt_vprint(char *buf, size_t size, const char *fmt, va_list args)
{
	struct sink s = { buf, size, 0 };
	struct conv c;
	va_list ap;

	va_copy(ap, args);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(&s, *fmt);
			continue;
		}
		fmt = parse_conv(fmt + 1, &c, &ap);
		if (!*fmt)
			break;
		put_conv(&s, &c, &ap);
	}
	va_end(ap);
	if (size)
		buf[MIN(s.len, size - 1)] = '\0';
	return s.len;
}

size_t fmt_print(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = fmt_vprint(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int parse_u64(const char *s, uint64_t *out)
{
	unsigned base = 10;
	uint64_t v = 0;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		unsigned d = (unsigned)hex_digit(*s);

		if (d >= base)
			return -EINVAL;
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)d, &v))
			return -ERANGE;
	}
	*out = v;
	return 0;
}
