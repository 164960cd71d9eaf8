/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/ssh.sources !ssh/mlkem768.c !ssh/sntrup761.c tests/fuzz/ssh_stub.c */
/* flags: @tests/host/ssh.flags */
#include "lib/errno.h"
#include "ssh/hostkey.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ssh_hostkey k;
	char *text = malloc(n + 1);
	int err;

	memcpy(text, data, n);
	err = ssh_hostkey_parse(&k, text, n);
	if (err != 0 && err != -EINVAL && err != -EOPNOTSUPP && err != -ERANGE)
		abort();
	free(text);
	return 0;
}
