/* SPDX-License-Identifier: MIT */
/* sources: lib/cursor.c lib/base64.c lib/date.c lib/fmt.c lib/string.c ssh/authkeys.c ssh/keyopts.c ssh/pattern.c ssh/namelist.c */
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

/* Within the text, which is at b? */
static void check_inside(struct bytes b, const uint8_t *data, size_t n)
{
	if (b.p < data || b.n > n || b.p + b.n > data + n)
		abort();
}

static void ask(struct bytes options, const uint8_t *data, size_t n)
{
	struct bytes name, value;

	(void)ssh_authkeys_permit(options, n & 1, BYTES_LIT("a"), 1);
	for (unsigned i = 0; ssh_authkeys_variable(options, i, &name, &value); i++) {
		check_inside(name, data, n);
		check_inside(value, data, n);
		if (name.n == 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ssh_login login = { BYTES_LIT("10.0.2.2"), 1800000000, bad, NULL };
	struct ssh_grant grant = { 0 };
	struct bytes text = { data, n };

	(void)ssh_authkeys_check(text, bad, NULL);
	if (ssh_authkeys_find(text, (struct bytes){ key, sizeof(key) }, &login, &grant))
		return 0;
	if (grant.command.p)
		check_inside(grant.command, data, n);
	ask(grant.options, data, n);
	return 0;
}
