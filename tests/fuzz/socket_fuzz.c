/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/stack.sources tests/fuzz/net_host.c */
/* flags: @tests/host/stack.flags */
/* A program of socket calls, in any order, on up to SLOTS sockets of every kind that reach each other over the loop-back, with
 * time passing and memory that is not there. What a stream's end writes at each place of it is a function of the place, and
 * so is a datagram's byte of its first: so whoever reads knows what must come, whoever has sent it. Besides:
 *   - readiness says what the next call does; nothing that is told not to wait would;
 *   - a call answers no more than it was asked for, and an error is one of those that calls have;
 *   - when all is closed no socket, charge, buffer or connection is left (fuzz_end()). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/file.h"
#include "lib/errno.h"
#include "net/socket.h"
#include "tests/fuzz/net_host.h"
#include "tests/host/memory_env.h"
#include "tests/host/test.h"
#include "tests/host/wire.h"
#include "tests/kernel/mirror.h"

#define SLOTS 8
#define ROOM  70000

/* With SOCKET_FUZZ_SHOW in the environment an input tells what it does. */
#define SHOW(...)                                                                                  \
	do {                                                                                       \
		if (getenv("SOCKET_FUZZ_SHOW"))                                                    \
			fprintf(stderr, __VA_ARGS__);                                              \
	} while (0)

enum kind { STREAM, DATAGRAMS, ANY }; /* ANY: what comes is not ours to know */

struct slot {
	struct file *file;
	enum kind kind;
	bool v6;
	bool shut;	 /* datagrams: then readable, and yet EAGAIN, as in Linux */
	bool begun;	 /* a stream's connection, of which connect has not told that it is made */
	size_t put, got; /* of a stream */
};

static struct slot slots[SLOTS];
static uint8_t room[ROOM];

static uint8_t at_place(size_t at)
{
	return (uint8_t)(at * 7 + (at >> 8) * 13);
}

static struct slot *slot_of(struct moves *m)
{
	return &slots[byte(m) % SLOTS];
}

static void put_slot(struct slot *s, struct file *f, enum kind kind, bool v6)
{
	*s = (struct slot){ .file = f, .kind = kind, .v6 = v6 };
}

static void close_slot(struct slot *s)
{
	struct file *f = s->file;

	s->file = NULL;
	if (f)
		file_put(f);
}

/* An errno of sockets, or what a call gives. */
static ssize_t fine(const char *what, const struct slot *s, ssize_t ret)
{
	SHOW("%s of %zu: %zd\n", what, (size_t)(s - slots), ret);
	EXPECT(ret > -134 && ret != -ERESTARTSYS && ret != -EINTR && ret != -EFAULT);
	return ret;
}

/* --- names --------------------------------------------------------------------------------------------------------- */

static struct socket_addr choose(struct moves *m)
{
	static const uint16_t ports[] = { 0, 7, 8, 9, 40000, 65535, 1, 50000 };
	struct socket_addr a = { 0 };
	uint8_t how = byte(m);
	struct slot *s = &slots[how >> 5];

	/* another's, or one of few */
	if (how & 16 && s->file && socket_name(s->file, &a) == 0) {
		if (!a.v6 && !a.addr[0])
			a.addr[0] = 127, a.addr[3] = 1;
		else if (a.v6)
			a.addr[15] = 1;
		return a;
	}
	a.port = ports[how >> 5];
	switch (how & 7) {
	case 0:
		break;
	case 1:
	case 2:
		a.addr[0] = 127;
		a.addr[3] = how & 8 ? 1 : 2;
		break;
	case 3:
		a.v6 = true;
		break;
	case 4:
		a.v6 = true;
		a.addr[15] = 1;
		break;
	case 5:
		put32(a.addr, how & 8 ? OUR_IP : THEIR_IP);
		break;
	case 6:
		a.v6 = true;
		memcpy(a.addr, how & 8 ? our_ip6 : their_ip6, 16);
		a.scope = byte(m) % 4;
		break;
	default:
		(void)bytes(m, a.addr, 16);
		a.v6 = how & 8;
	}
	return a;
}

/* --- the calls ------------------------------------------------------------------------------------------------------ */

static void move_create(struct moves *m)
{
	static const struct {
		int type, protocol, protocol6;
		enum kind kind;
	} kinds[] = {
		{ SOCKET_STREAM, 0, 0, STREAM },
		{ SOCKET_STREAM, SOCKET_PROTO_TCP, SOCKET_PROTO_TCP, STREAM },
		{ SOCKET_DGRAM, 0, 0, DATAGRAMS },
		{ SOCKET_DGRAM, SOCKET_PROTO_ICMP, SOCKET_PROTO_ICMP6, ANY },
		{ SOCKET_RAW, SOCKET_PROTO_ICMP, SOCKET_PROTO_ICMP6, ANY },
	};
	uint8_t how = byte(m);
	bool v6 = how & 64;
	struct slot *s = slot_of(m), *other = slot_of(m);
	struct file *f[2];

	close_slot(s);
	if (how & 128) {
		static const int types[] = { SOCKET_STREAM, SOCKET_DGRAM, SOCKET_SEQPACKET };
		int type = types[how % 3];

		close_slot(other);
		if (s == other || fine("pair", s, socket_pair(type, 0, FILE_NONBLOCK, f)) < 0)
			return;
		put_slot(s, f[0], type == SOCKET_STREAM ? STREAM : DATAGRAMS, false);
		put_slot(other, f[1], s->kind, false);
		return;
	}
	how %= ARRAY_SIZE(kinds);
	if (fine("socket", s,
		 socket_create(v6 ? SOCKET_INET6 : SOCKET_INET, kinds[how].type,
			       v6 ? kinds[how].protocol6 : kinds[how].protocol, FILE_NONBLOCK,
			       f)) == 0)
		put_slot(s, f[0], kinds[how].kind, v6);
}

static void move_name(struct moves *m, struct slot *s)
{
	uint8_t what = byte(m);
	struct socket_addr a = choose(m), *to = what & 64 ? NULL : &a;
	int ret;

	switch (what % 4) {
	case 0:
		(void)fine("bind", s, socket_bind(s->file, &a));
		break;
	case 1:
		(void)fine("listen", s, socket_listen(s->file, what >> 2));
		break;
	case 2:
		ret = (int)fine("connect", s, socket_connect(s->file, to));
		if (s->kind == STREAM && (ret == -EINPROGRESS || (ret == 0 && !(to && s->begun))))
			s->put = s->got = 0;
		if (ret == 0 || ret == -EINPROGRESS)
			s->begun = ret < 0;
		break;
	default:
		(void)fine("name", s, socket_name(s->file, &a));
		(void)fine("peer", s, socket_peer(s->file, &a));
	}
}

static void move_accept(struct moves *m, struct slot *s)
{
	bool ready = file_poll(s->file) & POLL_IN, lacks = env_fail_in;
	struct slot *to = slot_of(m);
	struct socket_addr from;
	struct file *f;
	int ret;

	if (to == s)
		return;
	ret = (int)fine("accept", s, socket_accept_wait(s->file, &f, &from));
	EXPECT(lacks || ret < 0 || ready);
	EXPECT(ret != -EAGAIN || !ready);
	if (ret < 0)
		return;
	f->flags |= FILE_NONBLOCK;
	close_slot(to);
	put_slot(to, f, STREAM, s->v6);
}

static void move_send(struct moves *m, struct slot *s)
{
	struct socket_message msg = { .flags = byte(m) & 1 ? SOCKET_MSG_DONTWAIT : 0 };
	uint32_t ready = file_poll(s->file);
	bool lacks = env_fail_in;
	size_t n = word(m);
	struct io io;
	ssize_t ret;
	uint8_t first = byte(m);

	if (first & 1) {
		msg.named = true;
		msg.addr = choose(m);
	}
	for (size_t i = 0; i < n; i++)
		room[i] = s->kind == STREAM ? at_place(s->put + i) : (uint8_t)(first + i * 7);
	io_init_kernel(&io, room, n);
	ret = fine("send", s, socket_send(s->file, &io, &msg));
	EXPECT(ret <= (ssize_t)n && (s->kind == STREAM || ret < 0 || ret == (ssize_t)n));
	EXPECT(ret != -EAGAIN || lacks || !(ready & POLL_OUT) || s->kind != STREAM);
	if (ret > 0)
		s->put += (size_t)ret;
}

static void check_what_came(struct slot *s, size_t n)
{
	for (size_t i = 0; i < n && s->kind == STREAM; i++)
		EXPECT(room[i] == at_place(s->got + i));
	for (size_t i = 0; i < n && s->kind == DATAGRAMS; i++)
		EXPECT(room[i] == (uint8_t)(room[0] + i * 7));
}

static void move_receive(struct moves *m, struct slot *s)
{
	static const unsigned how[] = { 0, SOCKET_MSG_PEEK, SOCKET_MSG_WAITALL, SOCKET_MSG_TRUNC,
					SOCKET_MSG_PEEK | SOCKET_MSG_TRUNC };
	unsigned flags = how[byte(m) % ARRAY_SIZE(how)];
	struct socket_message msg = { .flags = flags };
	uint32_t ready = file_poll(s->file);
	size_t n = word(m);
	struct io io;
	ssize_t ret;

	io_init_kernel(&io, room, n);
	ret = fine("receive", s, socket_receive(s->file, &io, &msg));
	EXPECT(ret <= (ssize_t)n || (s->kind != STREAM && flags & SOCKET_MSG_TRUNC));
	EXPECT(ret != -EAGAIN || !n || !(ready & POLL_IN) || (s->shut && s->kind != STREAM));
	EXPECT(ret < 0 || !n || ready & POLL_IN);
	if (ret < 0)
		return;
	if (s->kind != STREAM || !(flags & SOCKET_MSG_TRUNC))
		check_what_came(s, MIN((size_t)ret, n));
	if (s->kind == STREAM && !(flags & SOCKET_MSG_PEEK))
		s->got += (size_t)ret;
}

static void move_option(struct moves *m, struct slot *s)
{
	uint8_t what = byte(m) % (SOCKET_MTU + 2);
	int64_t value = word(m);

	/* with a time it would wait at its end */
	if (what == SOCKET_LINGER)
		value = value & 1 ? (int64_t)SOCKET_LINGERS : 0;
	if (value & 0x8000)
		value = -value;
	(void)fine("set", s, socket_set(s->file, what, value));
	(void)fine("get", s, socket_get(s->file, what, &value));
}

static void move_end(struct moves *m, struct slot *s)
{
	uint8_t what = byte(m);

	switch (what % 4) {
	case 0:
	case 1:
		s->shut = true;
		(void)fine("shutdown", s, socket_shutdown(s->file, (what >> 2) % 4));
		break;
	case 2:
		SHOW("close of %zu\n", (size_t)(s - slots));
		close_slot(s);
		break;
	default:
		(void)fine("abort", s, socket_abort(s->file));
	}
}

static void move_one(struct moves *m, uint8_t op)
{
	struct slot *s;

	if (op % 9 == 0)
		return move_create(m);
	if (op % 9 == 1)
		return let_pass_ms(op & 8 ? byte(m) * 100u : byte(m));
	s = slot_of(m);
	if (!s->file)
		return;
	switch (op % 9) {
	case 2:
		return move_accept(m, s);
	case 3:
	case 4:
		return move_send(m, s);
	case 5:
		return move_receive(m, s);
	case 6:
		return move_option(m, s);
	case 7:
		return move_end(m, s);
	default:
		return move_name(m, s);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct moves m = { data, size };

	fuzz_begin(MIRROR_SELF);
	fuzz_sends_raw = true;
	while (m.left) {
		uint8_t op = byte(&m);

		/* one allocation on the way fails */
		env_fail_in = op & 0x80 ? 1 + (op >> 4 & 7) : 0;
		move_one(&m, op & 0x7f);
		env_fail_in = 0;
		if (op & 0x40)
			let_pass_ms(0);
	}
	for (size_t i = 0; i < SLOTS; i++)
		close_slot(&slots[i]);
	fuzz_end();
	return 0;
}
