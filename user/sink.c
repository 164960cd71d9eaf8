/* SPDX-License-Identifier: MIT */
/* sink [-c]: read the standard input to its end; print the count of bytes and their SHA-256; -c: the count only. */
#include <bearssl_hash.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "user/lib/say.h"

static unsigned char buffer[32768];

int main(int argc, char **argv)
{
	int count_only = argc == 2 && !strcmp(argv[1], "-c");
	unsigned char digest[br_sha256_SIZE];
	char hex[2 * br_sha256_SIZE + 1];
	unsigned long total = 0;
	br_sha256_context sha;
	ssize_t n;

	if (argc != 1 && !count_only) {
		say(2, "usage: sink [-c]\n");
		return 2;
	}
	br_sha256_init(&sha);
	while ((n = read(0, buffer, sizeof(buffer))) > 0) {
		if (!count_only)
			br_sha256_update(&sha, buffer, n);
		total += n;
	}
	if (n < 0) {
		say(2, "sink: %s after %lu bytes\n", strerror(errno), total);
		return 1;
	}
	if (count_only) {
		say(1, "%lu\n", total);
		return 0;
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
