/* SPDX-License-Identifier: MIT */
#include "ssh/authkeys.h"
#include "lib/base64.h"
#include "lib/errno.h"
#include "lib/string.h"

#define LINE_MAX_BYTES 8192

struct entry {
	struct ssh_grant grant;
	struct bytes type, base64;
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* Take the next line off text, without its end. False when there is none. */
static bool next_line(struct bytes *text, struct bytes *line)
{
	const uint8_t *end;

	if (text->n == 0)
		return false;
	end = memchr(text->p, '\n', text->n);
	*line = (struct bytes){ text->p, end ? (size_t)(end - text->p) : text->n };
	text->p += line->n + (end ? 1 : 0);
	text->n -= line->n + (end ? 1 : 0);
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return true;
}

static void skip_blanks(struct bytes *s)
{
	while (s->n > 0 && is_blank(*s->p)) {
		s->p++;
		s->n--;
	}
}

/* A word up to the next blank that is not between quotes. p is NULL if a quote is not closed. */
static struct bytes next_word(struct bytes *s)
{
	struct bytes word = { s->p, 0 };
	bool quoted = false;

	skip_blanks(s);
	word.p = s->p;
	while (word.n < s->n && (quoted || !is_blank(s->p[word.n]))) {
		if (quoted && s->p[word.n] == '\\' && word.n + 1 < s->n && s->p[word.n + 1] == '"')
			word.n++;
		else if (s->p[word.n] == '"')
			quoted = !quoted;
		word.n++;
	}
	s->p += word.n;
	s->n -= word.n;
	return quoted ? (struct bytes){ NULL, 0 } : word;
}

static bool is_key_type(struct bytes word)
{
	return bytes_is(word, "ssh-ed25519") || bytes_is(word, "ecdsa-sha2-nistp256") ||
	       bytes_is(word, "ssh-rsa");
}

/* Does s start with name, in either case? Then take it off. */
static bool take_name(struct bytes *s, const char *name)
{
	size_t n = strlen(name);

	if (s->n < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((s->p[i] >= 'A' && s->p[i] <= 'Z' ? s->p[i] + 32 : s->p[i]) != (uint8_t)name[i])
			return false;
	s->p += n;
	s->n -= n;
	return true;
}

/* The value of name="value", still quoted, taken off s. False if it is malformed or empty. */
static bool take_value(struct bytes *s, struct bytes *value)
{
	size_t i = 1;

	if (s->n < 2 || s->p[0] != '"')
		return false;
	while (i < s->n && s->p[i] != '"')
		i += s->p[i] == '\\' && i + 1 < s->n && s->p[i + 1] == '"' ? 2 : 1;
	if (i >= s->n || i == 1)
		return false;
	*value = (struct bytes){ s->p + 1, i - 1 };
	s->p += i + 1;
	s->n -= i + 1;
	return true;
}

/* Flags: what they forbid we either do not have (agent, X11, rc files) or note. */
static const struct flag {
	const char *name;
	bool pty, forwarding, allow;
} flags[] = {
	{ "restrict", true, true, false },
	{ "no-pty", true, false, false },
	{ "pty", true, false, true },
	{ "no-port-forwarding", false, true, false },
	{ "port-forwarding", false, true, true },
	{ "no-agent-forwarding", false, false, false },
	{ "no-x11-forwarding", false, false, false },
	{ "no-user-rc", false, false, false },
};

static bool take_flag(struct bytes *s, struct ssh_grant *grant)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct bytes rest = *s;

		if (!take_name(&rest, flags[i].name) || (rest.n > 0 && rest.p[0] != ','))
			continue;
		if (flags[i].pty)
			grant->no_pty = !flags[i].allow;
		if (flags[i].forwarding)
			grant->no_forwarding = !flags[i].allow;
		*s = rest;
		return true;
	}
	return false;
}

/* A question of forwarding. */
struct ask {
	struct bytes host;
	uint32_t port;
	bool listen, granted;
};

/* The port at the end of "host:port", taken off s with its colon: 0 for "*", or -1. */
static int64_t take_port(struct bytes *s)
{
	size_t at = s->n;
	int64_t port = 0;

	while (at > 0 && s->p[at - 1] != ':')
		at--;
	if (s->n - at == 0 || s->n - at > 5)
		return -1;
	if (!(s->n - at == 1 && s->p[at] == '*')) {
		for (size_t i = at; i < s->n && port >= 0; i++)
			port = s->p[i] >= '0' && s->p[i] <= '9' ? port * 10 + s->p[i] - '0' : -1;
		if (port == 0 || port > UINT16_MAX)
			return -1;
	}
	s->n = at > 0 ? at - 1 : 0;
	return port;
}

/* "host:port", "[address]:port", either may be "*"; to listen also "port" alone. */
static bool parse_permit(struct bytes value, bool listen, struct ask *ask)
{
	bool bare = listen && !memchr(value.p, ':', value.n);
	int64_t port = take_port(&value);

	if (bare)
		value = BYTES_LIT("*");
	if (value.n > 2 && value.p[0] == '[' && value.p[value.n - 1] == ']')
		value = (struct bytes){ value.p + 1, value.n - 2 };
	if (port < 0 || value.n == 0)
		return false;
	if (ask && ask->listen == listen && (port == 0 || port == ask->port) &&
	    (bytes_is(value, "*") || bytes_equal(value, ask->host)))
		ask->granted = true;
	return true;
}

/* Each option, and the answer if ask is not NULL. */
static const char *parse_options(struct bytes s, struct ssh_grant *grant, struct ask *ask)
{
	struct bytes value;

	grant->options = s;
	while (s.n > 0) {
		bool listen = take_name(&s, "permitlisten=");

		if (listen || take_name(&s, "permitopen=")) {
			if (!take_value(&s, &value) || !parse_permit(value, listen, ask))
				return "bad permit option";
			*(listen ? &grant->limits_listen : &grant->limits_open) = true;
		} else if (take_name(&s, "command=")) {
			if (grant->command.p || !take_value(&s, &grant->command))
				return "bad command option";
		} else if (!take_flag(&s, grant)) {
			return "unknown option";
		}
		if (s.n == 0)
			break;
		if (s.p[0] != ',' || s.n == 1)
			return "malformed options";
		s.p++;
		s.n--;
	}
	return NULL;
}

/* NULL if the line is good; else what is wrong. A line with nothing on it has an empty type. */
static const char *parse_line(struct bytes line, struct entry *e)
{
	struct bytes word;
	const char *wrong;

	*e = (struct entry){ 0 };
	if (line.n > LINE_MAX_BYTES)
		return "line too long";
	if (line.n > 0 && memchr(line.p, 0, line.n))
		return "NUL in line";
	skip_blanks(&line);
	if (line.n == 0 || line.p[0] == '#')
		return NULL;
	word = next_word(&line);
	if (!is_key_type(word)) {
		if (!word.p)
			return "quote not closed";
		wrong = parse_options(word, &e->grant, NULL);
		if (wrong)
			return wrong;
		word = next_word(&line);
		if (!is_key_type(word))
			return "unknown key type";
	}
	e->base64 = next_word(&line);
	if (e->base64.n < 32)
		return "no key";
	e->type = word;
	return NULL;
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

int ssh_authkeys_find(struct bytes text, struct bytes key, struct ssh_grant *grant)
{
	struct rd r = rd_bytes_of(key);
	struct bytes type = rd_string(&r), line;
	struct entry e;

	while (next_line(&text, &line)) {
		if (parse_line(line, &e) || e.type.n == 0)
			continue;
		if (bytes_equal(type, e.type) && base64_matches(e.base64, key)) {
			*grant = e.grant;
			return 0;
		}
	}
	return -EACCES;
}

bool ssh_authkeys_permit(struct bytes options, bool listen, struct bytes host, uint32_t port)
{
	struct ask ask = { .host = host, .port = port, .listen = listen };
	struct ssh_grant grant = { 0 };

	return !parse_options(options, &grant, &ask) && ask.granted;
}

unsigned ssh_authkeys_check(struct bytes text,
			    void (*bad)(void *arg, unsigned line, const char *why), void *arg)
{
	struct bytes line;
	struct entry e;
	unsigned good = 0;

	for (unsigned number = 1; next_line(&text, &line); number++) {
		const char *why = parse_line(line, &e);

		if (why)
			bad(arg, number, why);
		else if (e.type.n > 0)
			good++;
	}
	return good;
}
