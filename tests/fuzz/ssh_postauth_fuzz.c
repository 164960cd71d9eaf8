/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/ssh.sources !ssh/mlkem768.c !ssh/sntrup761.c tests/fuzz/ssh_stub.c tests/fuzz/ssh_host.c */
/* flags: @tests/host/ssh.flags */
/* Messages of a client that is logged in: channels, requests, windows, rekeying. */
#include "tests/fuzz/ssh_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct fuzz_host h;

	fuzz_start(&h);
	h.c->phase = SSH_PHASE_OPEN;
	h.c->chan_ops = &fuzz_chan_ops;
	h.c->session_id_len = 32;
	h.c->kexed_at = h.now;
	fuzz_records(&h, data, n);
	fuzz_end(&h);
	return 0;
}
