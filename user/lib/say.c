/* SPDX-License-Identifier: MIT */
#include "user/lib/say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

struct text {
	char bytes[511];
	size_t length;
};

static void put(struct text *t, const char *s, size_t n)
{
	if (n > sizeof(t->bytes) - t->length)
		n = sizeof(t->bytes) - t->length;
	memcpy(t->bytes + t->length, s, n);
	t->length += n;
}

static void put_number(struct text *t, unsigned long value, unsigned base)
{
	char digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	put(t, digits + n, sizeof(digits) - n);
}

static void put_signed(struct text *t, long value)
{
	if (value < 0)
		put(t, "-", 1);
	put_number(t, value < 0 ? -(unsigned long)value : (unsigned long)value, 10);
}

/* One conversion; p is behind the '%'. Returns the end of it. */
static const char *convert(struct text *t, const char *p, va_list *args)
{
	int wide = *p == 'l';
	const char *s;
	char c;

	p += wide;
	switch (*p) {
	case 's':
		s = va_arg(*args, const char *);
		put(t, s, strlen(s));
		break;
	case 'c':
		c = (char)va_arg(*args, int);
		put(t, &c, 1);
		break;
	case 'd':
		put_signed(t, wide ? va_arg(*args, long) : va_arg(*args, int));
		break;
	case 'u':
	case 'x':
		put_number(t, wide ? va_arg(*args, unsigned long) : va_arg(*args, unsigned),
			   *p == 'u' ? 10 : 16);
		break;
	default:
		put(t, p, 1);
		break;
	}
	return p + 1;
}

void say(int fd, const char *format, ...)
{
	struct text t = { .length = 0 };
	const char *p = format;
	va_list args;

	va_start(args, format);
	while (*p) {
		size_t plain = strcspn(p, "%");

		put(&t, p, plain);
		p += plain;
		if (*p == '%' && p[1])
			p = convert(&t, p + 1, &args);
		else if (*p)
			p++;
	}
	va_end(args);
	(void)!write_all(fd, t.bytes, t.length);
}

int write_all(int fd, const void *data, unsigned long n)
{
	const char *p = data;

	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		p += done;
		n -= done;
	}
	return 0;
}

int parse_number(const char *text, unsigned long *number)
{
	unsigned long n = 0;

	if (!*text)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || n > (UINT64_MAX - 9) / 10)
			return -1;
		n = n * 10 + (*text - '0');
	}
	*number = n;
	return 0;
}
