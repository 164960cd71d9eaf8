/* SPDX-License-Identifier: MIT */
#include "user/sh/sh.h"

#include <stdlib.h>
#include <string.h>

#include "user/lib/say.h"

/* realloc for a program with nothing better to do than end when memory is out. */
void *grow(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p) {
		say(2, "sh: out of memory\n");
		exit(2);
	}
	return p;
}

char *copy_string(const char *s)
{
	size_t size = strlen(s) + 1;

	return memcpy(grow(NULL, size), s, size);
}

void text_put(struct text *t, char c)
{
	if (t->length + 2 > t->room) {
		t->room = t->room ? 2 * t->room : 64;
		t->bytes = grow(t->bytes, t->room);
	}
	t->bytes[t->length++] = c;
	t->bytes[t->length] = 0;
}

void text_puts(struct text *t, const char *s)
{
	while (*s)
		text_put(t, *s++);
}

void text_clear(struct text *t)
{
	t->length = 0;
	if (t->bytes)
		t->bytes[0] = 0;
}
