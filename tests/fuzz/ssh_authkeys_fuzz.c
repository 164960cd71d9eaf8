/* SPDX-License-Identifier: MIT */
/* sources: lib/cursor.c lib/base64.c lib/string.c ssh/authkeys.c */
#include "ssh/authkeys.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const uint8_t key[] = { 0,   0,	 0,  11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5',
			       '1', '9', 0,  0,	 0,   32,  1,	2,   3,	  4,   5,   6,	 7,
			       8,   9,	 10, 11, 12,  13,  14,	15,  16,  17,  18,  19,	 20,
			       21,  22,	 23, 24, 25,  26,  27,	28,  29,  30,  31,  32 };

static void bad(void *arg, unsigned line, const char *why)
{
	if (line == 0 || !why)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ssh_grant grant = { 0 };
	struct bytes text = { data, n };

	(void)ssh_authkeys_check(text, bad, NULL);
	if (ssh_authkeys_find(text, (struct bytes){ key, sizeof(key) }, &grant) == 0 &&
	    grant.command.p)
		if (grant.command.p < data || grant.command.p + grant.command.n > data + n ||
		    grant.command.n == 0)
			abort();
	return 0;
}
