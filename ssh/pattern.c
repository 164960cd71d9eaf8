/* SPDX-License-Identifier: MIT */
#include "ssh/pattern.h"
#include "lib/string.h"
#include "ssh/namelist.h"

#define V4 4
#define V6 16

bool ssh_is_word(struct bytes s, const char *name)
{
	if (s.n != strlen(name))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + 32 : s.p[i]) != (uint8_t)name[i])
			return false;
	return true;
}

bool ssh_number(struct bytes s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s.n; i++) {
		uint64_t digit = (uint64_t)s.p[i] - '0';

		if (digit > 9 || digit > max || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return s.n > 0;
}

/* After a mismatch the last '*' takes one more: no recursion, s.n * pattern.n steps at most. */
bool ssh_pattern_match(struct bytes s, struct bytes pattern)
{
	size_t i = 0, k = 0, star = pattern.n, taken = 0;

	while (i < s.n) {
		if (k < pattern.n && pattern.p[k] == '*') {
			star = k++;
			taken = i;
		} else if (k < pattern.n && (pattern.p[k] == '?' || pattern.p[k] == s.p[i])) {
			i++;
			k++;
		} else if (star < pattern.n) {
			k = star + 1;
			i = ++taken;
		} else {
			return false;
		}
	}
	while (k < pattern.n && pattern.p[k] == '*')
		k++;
	return k == pattern.n;
}

static bool parse_v4(struct bytes s, uint8_t a[V4])
{
	for (unsigned i = 0; i < V4; i++) {
		const uint8_t *end = i < V4 - 1 && s.n > 0 ? memchr(s.p, '.', s.n) : s.p + s.n;
		struct bytes part = { s.p, end ? (size_t)(end - s.p) : 0 };
		uint64_t v;

		if (part.n > 3 || !ssh_number(part, 255, &v))
			return false;
		a[i] = (uint8_t)v;
		bytes_skip(&s, part.n + (i < V4 - 1));
	}
	return true;
}

/* Up to four hexadecimal digits, taken off s. */
static bool take_group(struct bytes *s, uint8_t out[2])
{
	unsigned v = 0, digits = 0;

	for (; s->n > 0 && *s->p != ':'; s->p++, s->n--, digits++) {
		unsigned c = *s->p | 0x20u;

		if (digits == 4 || !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		v = v << 4 | (c <= '9' ? c - '0' : c - 'a' + 10);
	}
	out[0] = (uint8_t)(v >> 8);
	out[1] = (uint8_t)v;
	return digits > 0;
}

static bool skip_colons(struct bytes *s, const char *colons)
{
	size_t n = strlen(colons);

	if (s->n < n || memcmp(s->p, colons, n) != 0)
		return false;
	bytes_skip(s, n);
	return true;
}

/* RFC 4291 s2.2: eight groups, once "::" for those that are 0, the last two perhaps as of IPv4. */
static bool parse_v6(struct bytes s, uint8_t a[V6])
{
	size_t n = 0, gap = skip_colons(&s, "::") ? 0 : V6;

	while (s.n > 0) {
		if (n <= V6 - V4 && !memchr(s.p, ':', s.n) && parse_v4(s, a + n)) {
			n += V4;
			break;
		}
		if (n == V6 || !take_group(&s, a + n))
			return false;
		n += 2;
		if (gap == V6 && skip_colons(&s, "::"))
			gap = n;
		else if (s.n > 0 && (!skip_colons(&s, ":") || s.n == 0))
			return false;
	}
	if (n == V6 || gap == V6)
		return n == V6 && gap == V6;
	memmove(a + V6 - (n - gap), a + gap, n - gap);
	memset(a + gap, 0, V6 - n);
	return true;
}

/* Bytes of the address: V4, V6, or 0. */
static size_t parse_address(struct bytes s, uint8_t a[V6])
{
	if (parse_v4(s, a))
		return V4;
	return parse_v6(s, a) ? V6 : 0;
}

struct network {
	uint8_t a[V6];
	size_t n; /* 0: it is no network, but a pattern */
	uint64_t bits;
};

static bool bit(const uint8_t *a, size_t i)
{
	return a[i / 8] >> (7 - i % 8) & 1;
}

/* False: it has a '/' and is no network, or one with a bit set that does not count; or it is a pattern of IPv6 addresses. */
static bool parse_network(struct bytes s, struct network *net)
{
	const uint8_t *slash = s.n > 0 ? memchr(s.p, '/', s.n) : NULL;
	struct bytes address = { s.p, slash ? (size_t)(slash - s.p) : s.n };

	net->n = parse_address(address, net->a);
	net->bits = net->n * 8;
	/* an IPv6 address has more than one text: no pattern fits all */
	if (!slash)
		return s.n > 0 && (net->n > 0 || !memchr(s.p, ':', s.n));
	s = (struct bytes){ slash + 1, s.n - address.n - 1 };
	if (net->n == 0 || !ssh_number(s, net->n * 8, &net->bits))
		return false;
	for (size_t i = net->bits; i < net->n * 8; i++)
		if (bit(net->a, i))
			return false;
	return true;
}

static bool take_not(struct bytes *pattern)
{
	bool negated = pattern->n > 0 && *pattern->p == '!';

	bytes_skip(pattern, negated);
	return negated;
}

static bool address_match(struct bytes address, struct bytes pattern)
{
	struct network net;
	uint8_t a[V6];
	size_t n = parse_address(address, a);

	if (!parse_network(pattern, &net))
		return false;
	if (net.n == 0)
		return ssh_pattern_match(address, pattern);
	for (size_t i = 0; i < net.bits && n == net.n; i++)
		if (bit(a, i) != bit(net.a, i))
			return false;
	return n == net.n;
}

static int match_list(struct bytes s, struct bytes list,
		      bool (*match)(struct bytes s, struct bytes pattern))
{
	struct bytes pattern;
	int result = 0;

	while (ssh_namelist_next(&list, &pattern)) {
		bool negated = take_not(&pattern);

		if (pattern.n > 0 && match(s, pattern)) {
			if (negated)
				return -1;
			result = 1;
		}
	}
	return result;
}

int ssh_pattern_list(struct bytes s, struct bytes list)
{
	return match_list(s, list, ssh_pattern_match);
}

int ssh_address_list(struct bytes address, struct bytes list)
{
	return match_list(address, list, address_match);
}

bool ssh_address_list_is_good(struct bytes list)
{
	struct network net;
	struct bytes one;

	if (!ssh_namelist_is_good(list) || list.n == 0)
		return false;
	while (ssh_namelist_next(&list, &one)) {
		(void)take_not(&one);
		if (!parse_network(one, &net))
			return false;
	}
	return true;
}
