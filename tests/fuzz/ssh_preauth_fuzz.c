/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/ssh.sources !ssh/mlkem768.c !ssh/sntrup761.c tests/fuzz/ssh_stub.c tests/fuzz/ssh_host.c */
/* flags: @tests/host/ssh.flags */
/* From the first byte to the login. The first byte of the input says how: even, the rest is what a client sends
 * (identification and packets); odd, messages framed right, so that the fuzzer need not learn framing. */
#include "tests/fuzz/ssh_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct fuzz_host h;

	if (n < 1)
		return 0;
	fuzz_start(&h);
	if (data[0] & 1) {
		fuzz_feed(&h, (const uint8_t *)"SSH-2.0-fuzz\r\n", 14);
		fuzz_records(&h, data + 1, n - 1);
	} else {
		fuzz_feed(&h, data + 1, n - 1);
	}
	fuzz_end(&h);
	return 0;
}
