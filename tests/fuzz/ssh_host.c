/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/ssh_host.h"
#include "lib/errno.h"
#include "ssh/chan_priv.h"
#include "ssh/cipher.h"
#include "ssh/hostkey.h"
#include "ssh/kex_priv.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ssh_hostkey hostkey;

static void *host_alloc(void *host, size_t n)
{
	((struct fuzz_host *)host)->live += (long)n;
	return malloc(n);
}

static void host_free(void *host, void *p, size_t n)
{
	((struct fuzz_host *)host)->live -= (long)n;
	free(p);
}

static int host_random(void *host, void *buf, size_t n)
{
	memset(buf, 0x42, n);
	return 0;
}

static void host_log(void *host, enum ssh_log level, const char *text, struct bytes about)
{
	for (size_t i = 0; i < about.n; i++)
		if (about.p[i] < ' ' || about.p[i] > '~')
			abort();
}

static int host_key_check(void *host, struct bytes user, struct bytes key, bool spoken)
{
	return user.p[0] == 'r' ? 0 : -EACCES;
}

static int host_admit(void *host, struct bytes user, struct bytes key, struct ssh_grant *grant)
{
	grant->chan_ops = &fuzz_chan_ops;
	if (user.n > 1 && user.p[1] == 'f')
		grant->command = BYTES_LIT("forced \\\"x\\\"");
	return user.n > 1 && user.p[1] == 'x' ? -EACCES : 0;
}

static uint64_t host_auth_failed(void *host, struct bytes user)
{
	return 300 * NS_PER_MS;
}

static void host_auth_done(void *host, struct bytes user)
{
}

static int host_open(void *host, struct ssh_chan *ch)
{
	struct fuzz_host *h = host;

	h->chans[h->count++] = ch;
	return 0;
}

static int host_env(void *host, struct ssh_chan *ch, struct bytes name, struct bytes value)
{
	return 0;
}

static int host_pty(void *host, struct ssh_chan *ch, const struct ssh_pty *pty)
{
	struct rd r = rd_bytes_of(pty->modes);
	uint32_t value;
	uint8_t opcode;

	while (ssh_pty_mode_next(&r, &opcode, &value))
		;
	return 0;
}

static int host_start(void *host, struct ssh_chan *ch, const struct ssh_start *start)
{
	return start->command.n > 0 && start->command.p[0] == 'X' ? -ENOENT : 0;
}

static ssize_t host_input(void *host, struct ssh_chan *ch, const void *p, size_t n)
{
	struct fuzz_host *h = host;
	size_t took = n < h->stdin_room ? n : h->stdin_room;

	if (n > 2 && memcmp(p, "\xff\xff", 2) == 0)
		return -EPIPE;
	h->stdin_room -= took;
	return (ssize_t)took;
}

static void host_input_eof(void *host, struct ssh_chan *ch)
{
}

static int host_winsize(void *host, struct ssh_chan *ch, const struct ssh_winsize *size)
{
	return 0;
}

static int host_signal(void *host, struct ssh_chan *ch, const char *name)
{
	return 0;
}

static int host_break(void *host, struct ssh_chan *ch, uint32_t ms)
{
	return 0;
}

static bool host_hang_up(void *host, struct ssh_chan *ch)
{
	return ssh_chan_number(ch) & 1;
}

static void host_closed(void *host, struct ssh_chan *ch)
{
	struct fuzz_host *h = host;

	for (unsigned i = 0; i < h->count; i++)
		if (h->chans[i] == ch) {
			h->chans[i] = h->chans[--h->count];
			return;
		}
	abort();
}

static void host_reset(void *host, struct ssh_chan *ch)
{
}

static int host_connect(void *host, struct ssh_chan *ch, struct bytes to, uint16_t port)
{
	return port == 1 ? -ECONNREFUSED : host_open(host, ch);
}

static int host_listen(void *host, struct bytes address, uint16_t *port)
{
	if (*port == 1)
		return -EADDRINUSE;
	*port = *port ? *port : 4711;
	return 0;
}

static int host_unlisten(void *host, struct bytes address, uint16_t port)
{
	return port == 1 ? -ENOENT : 0;
}

const struct ssh_chan_ops fuzz_chan_ops = {
	.chan_open = host_open,
	.chan_env = host_env,
	.chan_pty = host_pty,
	.chan_start = host_start,
	.chan_input = host_input,
	.chan_input_eof = host_input_eof,
	.chan_winsize = host_winsize,
	.chan_signal = host_signal,
	.chan_break = host_break,
	.chan_hang_up = host_hang_up,
	.chan_closed = host_closed,
	.chan_reset = host_reset,
	.chan_connect = host_connect,
	.listen = host_listen,
	.unlisten = host_unlisten,
};

static const struct ssh_host_ops ops = {
	.alloc = host_alloc,
	.free = host_free,
	.random = host_random,
	.log = host_log,
	.key_check = host_key_check,
	.admit = host_admit,
	.auth_failed = host_auth_failed,
	.auth_done = host_auth_done,
};

void fuzz_start(struct fuzz_host *h)
{
	uint8_t seed[32] = { 9 };

	memset(h, 0, sizeof(*h));
	ssh_hostkey_from_seed(&hostkey, seed);
	ssh_config_init(&h->cfg, &hostkey);
	h->now = 5 * NS_PER_S;
	h->stdin_room = 100000;
	h->c = ssh_conn_create(&h->cfg, &ops, h, h->now);
}

void fuzz_end(struct fuzz_host *h)
{
	struct ssh_conn_info info;

	ssh_conn_info(h->c, &info);
	if ((long)info.memory != h->live || info.channels != h->count)
		abort();
	ssh_conn_destroy(h->c);
	if (h->live != 0 || h->count != 0)
		abort();
}

static void drain(struct fuzz_host *h)
{
	size_t n;

	while (ssh_conn_output(h->c, &n))
		ssh_conn_output_sent(h->c, n);
}

void fuzz_feed(struct fuzz_host *h, const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t room;
		void *in = ssh_conn_input_space(h->c, &room);

		if (!in) {
			if (ssh_conn_is_over(h->c))
				return;
			drain(h);
			h->now += 400 * NS_PER_MS;
			ssh_conn_run(h->c, h->now);
			continue;
		}
		room = room < n ? room : n;
		memcpy(in, p, room);
		ssh_conn_input_done(h->c, room);
		ssh_conn_run(h->c, h->now);
		p += room;
		n -= room;
	}
}

static void reset_keys(struct ssh_keys *k)
{
	if (k->cipher != &ssh_cipher_none)
		ssh_keys_init(k, &ssh_cipher_none, NULL, NULL, NULL, NULL);
}

void fuzz_message(struct fuzz_host *h, const uint8_t *p, size_t n)
{
	size_t pad = 8 - (5 + n) % 8;
	uint8_t *m = calloc(1, n + 32);

	pad += pad < 4 ? 8 : 0;
	store_be32(m, (uint32_t)(1 + n + pad));
	m[4] = (uint8_t)pad;
	memcpy(m + 5, p, n);
	reset_keys(h->c->in.keys);
	fuzz_feed(h, m, 5 + n + pad);
	reset_keys(h->c->in.keys);
	free(m);
	ssh_conn_run(h->c, h->now);
}

static void write_output(struct fuzz_host *h, const uint8_t *p, size_t n)
{
	struct ssh_chan *ch = h->count > 0 ? h->chans[n % h->count] : NULL;
	size_t room;
	void *at;

	if (!ch)
		return;
	at = ssh_chan_output_begin(ch, n & 1, &room);
	if (at) {
		room = room < n ? room : n;
		memcpy(at, p, room);
		ssh_chan_output_end(ch, room);
	}
}

static void finish_program(struct fuzz_host *h, size_t n)
{
	struct ssh_chan *ch = h->count > 0 ? h->chans[n % h->count] : NULL;

	if (!ch)
		return;
	ssh_chan_eof(ch);
	if (n & 1)
		ssh_chan_exit_status(ch, 1);
	else
		ssh_chan_exit_signal(ch, "TERM", false);
	ssh_chan_close(ch);
}

/* What was begun is made, or not; or a connection comes. */
static void go_on(struct fuzz_host *h, const uint8_t *p, size_t n)
{
	struct ssh_arrival a = { { p, n }, { p, n / 2 }, (uint16_t)n, 7 };
	struct ssh_chan *ch = h->count > 0 ? h->chans[n % h->count] : NULL;

	if (ch && ch->stage == CHAN_CONNECTING && (n & 1)) {
		ssh_chan_connected(ch);
	} else if (ch && ch->stage == CHAN_CONNECTING) {
		ssh_chan_refuse(ch, -(int)n);
	} else {
		ch = ssh_chan_arrive(h->c, &a);
		if (ch)
			h->chans[h->count++] = ch;
	}
}

static void host_does(struct fuzz_host *h, unsigned what, const uint8_t *p, size_t n)
{
	switch (what) {
	case 1:
		write_output(h, p, n);
		break;
	case 2:
		finish_program(h, n);
		break;
	case 3:
		h->stdin_room = n;
		if (h->count > 0)
			ssh_chan_input_ready(h->chans[n % h->count]);
		break;
	case 4:
		drain(h);
		break;
	case 5:
		h->now += n * NS_PER_MS;
		go_on(h, p, n);
		break;
	case 6:
		h->now += n * NS_PER_S;
		break;
	case 7:
		h->cfg.rekey_bytes = n;
		break;
	}
}

void fuzz_records(struct fuzz_host *h, const uint8_t *p, size_t n)
{
	while (n >= 2 && !ssh_conn_is_over(h->c)) {
		size_t len = ((size_t)(p[0] & 0x1f) << 8 | p[1]);
		unsigned what = p[0] >> 5;

		p += 2;
		n -= 2;
		len = len < n ? len : n;
		host_does(h, what, p, len);
		if (len > 0)
			fuzz_message(h, p, len);
		p += len;
		n -= len;
		if (ssh_conn_deadline(h->c) == 0)
			abort();
	}
}
