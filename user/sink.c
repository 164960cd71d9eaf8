/* SPDX-License-Identifier: MIT */
/* sink: read the standard input to its end; print the count of bytes and their SHA-256. */
#include <bearssl_hash.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "user/lib/say.h"

static unsigned char buffer[32768];

int main(void)
{
	unsigned char digest[br_sha256_SIZE];
	char hex[2 * br_sha256_SIZE + 1];
	unsigned long total = 0;
	br_sha256_context sha;
	ssize_t n;

	br_sha256_init(&sha);
	while ((n = read(0, buffer, sizeof(buffer))) > 0) {
		br_sha256_update(&sha, buffer, n);
		total += n;
	}
	if (n < 0) {
		say(2, "sink: %s after %lu bytes\n", strerror(errno), total);
		return 1;
	}
	br_sha256_out(&sha, digest);
	for (size_t i = 0; i < sizeof(digest); i++) {
		hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
	}
	hex[2 * sizeof(digest)] = 0;
	say(1, "%lu %s\n", total, hex);
	return 0;
}
