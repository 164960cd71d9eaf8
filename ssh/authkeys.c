/* SPDX-License-Identifier: MIT */
/* The lines of authorized_keys, as far as a client needs no login to have them read: which have its key. */
#include "ssh/authkeys.h"
#include "lib/base64.h"
#include "lib/string.h"

#define LINE_MAX_BYTES 8192

/* A word up to the next blank that is not between quotes. p is NULL if a quote is not closed. */
static struct bytes next_word(struct bytes *s)
{
	struct bytes word = { s->p, 0 };
	bool quoted = false;

	bytes_skip_blanks(s);
	word.p = s->p;
	while (word.n < s->n && (quoted || !bytes_is_blank(s->p[word.n]))) {
		if (quoted && s->p[word.n] == '\\' && word.n + 1 < s->n && s->p[word.n + 1] == '"')
			word.n++;
		else if (s->p[word.n] == '"')
			quoted = !quoted;
		word.n++;
	}
	bytes_skip(s, word.n);
	return quoted ? (struct bytes){ NULL, 0 } : word;
}

static bool is_key_type(struct bytes word)
{
	return bytes_is(word, "ssh-ed25519") || bytes_is(word, "ecdsa-sha2-nistp256") ||
	       bytes_is(word, "ssh-rsa");
}

const char *ssh_authkeys_split(struct bytes line, struct ssh_key_line *k)
{
	*k = (struct ssh_key_line){ 0 };
	if (line.n > LINE_MAX_BYTES)
		return "line too long";
	if (line.n > 0 && memchr(line.p, 0, line.n))
		return "NUL in line";
	bytes_skip_blanks(&line);
	if (line.n == 0 || line.p[0] == '#')
		return NULL;
	k->type = next_word(&line);
	if (!k->type.p)
		return "quote not closed";
	if (!is_key_type(k->type)) {
		k->options = k->type;
		k->type = next_word(&line);
	}
	k->base64 = next_word(&line);
	if (!is_key_type(k->type))
		return "unknown key type";
	return k->base64.n < 32 ? "no key" : NULL;
}

/* Is text the base 64 of key? Compared three bytes at a time, so that no copy is needed. */
static bool base64_matches(struct bytes text, struct bytes key)
{
	char four[5];

	if (text.n != 4 * ((key.n + 2) / 3))
		return false;
	for (size_t i = 0; i < key.n; i += 3) {
		base64_encode(key.p + i, MIN(key.n - i, (size_t)3), four, true);
		if (memcmp(four, text.p + i / 3 * 4, 4) != 0)
			return false;
	}
	return true;
}

bool ssh_authkeys_next(struct bytes *text, struct bytes key, unsigned *number,
		       struct ssh_key_line *k)
{
	struct rd r = rd_bytes_of(key);
	struct bytes type = rd_string(&r), line;

	while (bytes_line(text, &line)) {
		++*number;
		if (!ssh_authkeys_split(line, k) && bytes_equal(type, k->type) &&
		    base64_matches(k->base64, key))
			return true;
	}
	return false;
}
