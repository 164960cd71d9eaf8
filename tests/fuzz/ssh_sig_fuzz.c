/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/ssh.sources !ssh/mlkem768.c !ssh/sntrup761.c tests/fuzz/ssh_stub.c */
/* flags: @tests/host/ssh.flags */
/* Keys and signatures as a client sends them. The input: three strings, algorithm, key, signature. */
#include "ssh/sig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct rd r = rd_over(data, n);
	struct bytes alg = rd_string(&r), key = rd_string(&r), sig = rd_string(&r);

	if (!r.bad)
		(void)ssh_sig_verify(alg, key, sig, "text", 4);
	return 0;
}
