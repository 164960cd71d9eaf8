/* SPDX-License-Identifier: MIT */
/* A host for the SSH fuzzers: it takes everything, programs write now and then, time passes as the input says. At the
 * end every byte must have been given back. */
#ifndef TERN_TESTS_FUZZ_SSH_HOST_H
#define TERN_TESTS_FUZZ_SSH_HOST_H

#include "ssh/conn_priv.h"

struct fuzz_host {
	struct ssh_conn *c;
	struct ssh_config cfg;
	uint64_t now;
	long live;
	size_t stdin_room;
	struct ssh_chan *chans[80];
	unsigned count;
};

extern const struct ssh_chan_ops fuzz_chan_ops;
void fuzz_start(struct fuzz_host *h);
void fuzz_end(struct fuzz_host *h);
/* Bytes to the connection. */
void fuzz_feed(struct fuzz_host *h, const uint8_t *p, size_t n);
/* A message, framed right for the cipher none; keys that a key exchange made are put back to none. */
void fuzz_message(struct fuzz_host *h, const uint8_t *p, size_t n);
/* The rest of the input as records: a 16-bit length (its top bits: what the host does in between), a message. */
void fuzz_records(struct fuzz_host *h, const uint8_t *p, size_t n);

#endif
