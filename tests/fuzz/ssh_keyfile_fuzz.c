/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/ssh.sources !ssh/mlkem768.c !ssh/sntrup761.c tests/fuzz/ssh_stub.c */
/* flags: @tests/host/ssh.flags */
#include "lib/errno.h"
#include "ssh/hostkey.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ssh_hostkey k;
	int err = ssh_hostkey_parse(&k, (const char *)data, n);

	if (err != 0 && err != -EINVAL && err != -EOPNOTSUPP)
		abort();
	return 0;
}
