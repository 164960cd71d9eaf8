/* SPDX-License-Identifier: MIT */
#include "lib/base64.h"
#include "lib/errno.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

ssize_t base64_decode(const char *text, size_t n, uint8_t *out, size_t cap, bool skip_space)
{
	uint32_t bits = 0;
	unsigned digits = 0, pads = 0;
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (skip_space && (c == '\n' || c == '\r' || c == ' ' || c == '\t'))
			continue;
		if (c == '=') {
			pads++;
			continue;
		}
		if (pads > 0 || digit_value(c) < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)digit_value(c);
		if (digits++ % 4 == 0)
			continue;
		if (len == cap)
			return -ENOSPC;
		out[len++] = (uint8_t)(bits >> (6 - 2 * ((digits - 1) % 4)));
	}
	if (digits % 4 == 1 || pads > 2 || (digits + pads) % 4 != 0)
		return -EINVAL;
	if (bits & ((1u << (2 * pads)) - 1))
		return -EINVAL;
	return (ssize_t)len;
}

size_t base64_encode(const uint8_t *p, size_t n, char *out, bool pad)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16;
		unsigned have = n - i < 3 ? (unsigned)(n - i) : 3;

		if (have > 1)
			v |= (uint32_t)p[i + 1] << 8;
		if (have > 2)
			v |= p[i + 2];
		for (unsigned d = 0; d < 4; d++) {
			if (d <= have)
				out[len++] = alphabet[v >> (18 - 6 * d) & 63];
			else if (pad)
				out[len++] = '=';
		}
	}
	out[len] = 0;
	return len;
}
