/* SPDX-License-Identifier: MIT */
/* Words of the kernel command line. Quotes may stand anywhere in a word and keep blanks in it: a='b c' "d e". */
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "kernel/core/machine.h"

/* A word while it is read: its bytes without quotes. */
struct word {
	const char *p;
	char quote; /* the one we are in, or 0 */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* The next byte of the word, or -1 at its end. */
static int word_next(struct word *w)
{
	for (;; w->p++) {
		char c = *w->p;

		if (!c || (!w->quote && is_blank(c)))
			return -1;
		if (c == w->quote) {
			w->quote = 0;
		} else if (!w->quote && (c == '\'' || c == '"')) {
			w->quote = c;
		} else {
			w->p++;
			return (unsigned char)c;
		}
	}
}

/* Does the word at p carry this name? Then *value is where its value begins (at the word's end if it has none). */
static bool word_is(struct word *w, const char *name)
{
	int c;

	for (; *name; name++) {
		if (word_next(w) != (unsigned char)*name)
			return false;
	}
	c = word_next(w);
	return c == -1 || c == '=';
}

static const char *skip_word(const char *p)
{
	struct word w = { p, 0 };

	while (word_next(&w) >= 0)
		;
	return w.p;
}

/* The last word of that name, standing at its value. */
static bool find(const char *line, const char *name, struct word *out)
{
	bool found = false;

	while (*line) {
		struct word w = { line, 0 };

		if (is_blank(*line)) {
			line++;
			continue;
		}
		if (word_is(&w, name)) {
			*out = w;
			found = true;
		}
		line = skip_word(line);
	}
	return found;
}

int cmdline_get(const char *name, char *value, size_t size)
{
	struct word w;
	size_t n = 0;
	int c;

	if (!find(machine.cmdline, name, &w))
		return -ENOENT;
	while ((c = word_next(&w)) >= 0) {
		if (n + 1 < size)
			value[n] = (char)c;
		n++;
	}
	if (size)
		value[MIN(n, size - 1)] = '\0';
	return n < size ? 0 : -E2BIG;
}

bool cmdline_has(const char *name)
{
	struct word w;

	return find(machine.cmdline, name, &w);
}

uint64_t cmdline_u64(const char *name, uint64_t dflt)
{
	char text[32];
	uint64_t v;

	if (cmdline_get(name, text, sizeof(text)) < 0 || parse_u64(text, &v) < 0)
		return dflt;
	return v;
}
