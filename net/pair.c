/* SPDX-License-Identifier: MIT */
/* Two sockets of one machine that are each other's peer: socketpair(AF_UNIX). No name, no network, and so no NET_CORE. A
 * stream, records in order (SEQPACKET), or datagrams, which differ in what the end of one side means to the other.
 *
 * What one end sends is copied into memory of its own and queued at the other, which is where readers find it. Both ends
 * and both queues are under one mutex, PIPE, which is held while bytes are copied from and to the user as a pipe's is; poll
 * reads single words without it, each change being announced after it is stored. The sender is charged until its bytes are
 * read.
 *
 * I-PAIR-1: both ends are freed together, when both files are closed; so the other is always there to look at.
 * I-PAIR-2: s->tx_pending is the cost of what is queued at the other end; s->rx_bytes the bytes queued at s. */
#include "net/socket_impl.h"

#include "fs/file.h"
#include "kernel/core/panic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "mm/vm/user_copy.h"
#include "sched/mutex.h"

#define CHUNK_MAX 32768 /* of a stream */

struct chunk {
	struct list_head link;
	size_t size, taken;
	uint8_t data[];
};

struct socket_pair {
	struct mutex lock;   /* PIPE */
	struct refcount ref; /* one for each open end */
	struct socket *end[2];
};

static const struct socket_kind pair_stream, pair_datagrams;

static struct socket *other(const struct socket *s)
{
	return s->pair->end[s->pair->end[0] == s];
}

static size_t cost(const struct chunk *c)
{
	return sizeof(*c) + c->size;
}

/* As Linux has it: not before three quarters have been read. */
static bool writable(const struct socket *s)
{
	return 4 * READ_ONCE(s->tx_pending) <= READ_ONCE(s->opt.tx_size);
}

static int take_error(struct socket *s)
{
	int error;

	spin_lock(&s->lock);
	error = socket_take_error(s);
	spin_unlock(&s->lock);
	return error;
}

/* --- sending --------------------------------------------------------------------------------------------------------- */

/* Why nothing can be sent, now or ever, or 0. */
static int refused(struct socket *s, size_t size) __requires(s->pair->lock)
{
	if (s->tx_shut || other(s)->rx_shut)
		return -EPIPE;
	if (s->state == SOCKET_FRESH)
		return -ENOTCONN;
	if (other(s)->state == SOCKET_GONE)
		return -ECONNREFUSED;
	if (s->kind != &pair_stream && size > s->opt.tx_size)
		return -EMSGSIZE;
	return 0;
}

/* A sender of datagrams has no peer any more once it has been told that it is gone. */
static void forget_peer(struct socket *s) __requires(s->pair->lock)
{
	spin_lock(&s->lock);
	WRITE_ONCE(s->state, SOCKET_FRESH);
	spin_unlock(&s->lock);
}

static bool has_room(struct socket *s)
{
	size_t pending = READ_ONCE(s->tx_pending);

	return pending < READ_ONCE(s->opt.tx_size) && socket_may_hold(pending);
}

static int wait_room(struct socket *s, size_t size, bool wait, uint64_t start)
	__requires(s->pair->lock)
{
	uint64_t timeout = READ_ONCE(s->opt.tx_timeout_ns);
	int ret = s->kind == &pair_stream ? 0 : take_error(s);

	if (ret == 0)
		ret = refused(s, size);
	if (ret == 0 && s->kind == &pair_stream)
		ret = take_error(s);
	if (ret < 0 || has_room(s))
		return ret;
	if (!wait)
		return -EAGAIN;
	ret = socket_waited(wait_event_mutex(&s->source.wq, &s->pair->lock,
					     refused(s, size) || has_room(s), WAIT_INTERRUPTIBLE,
					     timeout ? start + timeout : DEADLINE_NEVER),
			    timeout);
	return ret < 0 ? ret : refused(s, size);
}

/* Queue the next piece. Its bytes. */
static ssize_t give(struct socket *s, struct io *io) __requires(s->pair->lock)
{
	size_t n = io->left;
	struct chunk *c;
	ssize_t ret;

	/* others may have taken all there was since there was room: a little, for none would be the end */
	if (s->kind == &pair_stream)
		n = MIN(MIN(n, (size_t)CHUNK_MAX),
			MAX(socket_may_take(s->tx_pending), (size_t)SOCKET_LOWAT));
	c = kmalloc(sizeof(*c) + n);
	if (!c)
		return -ENOBUFS;
	ret = n ? io_copy_from(io, c->data, n) : 0;
	if (ret < 0 || ((size_t)ret < n && (s->kind != &pair_stream || !ret))) {
		kfree(c);
		return -EFAULT;
	}
	c->size = (size_t)ret;
	c->taken = 0;
	list_push_back(&c->link, &other(s)->arrived);
	WRITE_ONCE(other(s)->rx_bytes, other(s)->rx_bytes + c->size);
	WRITE_ONCE(s->tx_pending, s->tx_pending + cost(c));
	socket_charge((int64_t)cost(c));
	return ret;
}

static ssize_t pair_send(struct socket *s, struct io *io, struct socket_message *m, bool wait)
{
	uint64_t start = READ_ONCE(s->opt.tx_timeout_ns) ? clock_now_ns() : 0;
	ssize_t done = 0, n;

	if (m->named)
		return -EISCONN;
	if (!io->left && s->kind == &pair_stream)
		return 0;
	mutex_lock(&s->pair->lock);
	do {
		n = wait_room(s, io->left, wait, start);
		if (n == 0)
			n = give(s, io);
		if (n == -ECONNREFUSED)
			forget_peer(s);
		if (n < 0)
			break;
		done += n;
		if (!io->left)
			break;
		/* more to come: the reader may start */
		mutex_unlock(&s->pair->lock);
		poll_notify(&other(s)->source, POLL_IN);
		mutex_lock(&s->pair->lock);
	} while (true);
	mutex_unlock(&s->pair->lock);
	if (n >= 0)
		poll_notify(&other(s)->source, POLL_IN);
	io->broken = n == -EPIPE && s->kind == &pair_stream;
	return done ? done : n;
}

/* --- receiving ------------------------------------------------------------------------------------------------------- */

static bool ended(const struct socket *s)
{
	return READ_ONCE(s->rx_end) || READ_ONCE(s->rx_shut);
}

/* The first in the queue has been read. */
static void drop_first(struct socket *s) __requires(s->pair->lock)
{
	struct chunk *c = list_first(&s->arrived, struct chunk, link);
	struct socket *o = other(s);

	list_del(&c->link);
	WRITE_ONCE(s->rx_bytes, s->rx_bytes - (c->size - c->taken));
	WRITE_ONCE(o->tx_pending, o->tx_pending - cost(c));
	socket_charge(-(int64_t)cost(c));
	kfree(c);
}

/* 1: there is something. 0: the end. */
static int wait_bytes(struct socket *s, bool wait, uint64_t start) __requires(s->pair->lock)
{
	uint64_t timeout = READ_ONCE(s->opt.rx_timeout_ns);
	int ret = s->kind == &pair_stream ? 0 : take_error(s);

	if (ret < 0)
		return ret;
	if (list_empty(&s->arrived)) {
		ret = take_error(s);
		if (ret < 0)
			return ret;
		/* of datagrams only who would wait is told of the end */
		if (!wait && (!ended(s) || s->kind == &pair_datagrams))
			return -EAGAIN;
		ret = socket_waited(wait_event_mutex(&s->source.wq, &s->pair->lock,
						     !list_empty(&s->arrived) || ended(s) ||
							     READ_ONCE(s->error),
						     WAIT_INTERRUPTIBLE,
						     timeout ? start + timeout : DEADLINE_NEVER),
				    timeout);
		if (ret < 0)
			return ret;
	}
	return list_empty(&s->arrived) ? take_error(s) : 1;
}

/* A whole record, or what of it there is room for. */
static ssize_t take_record(struct socket *s, struct io *io, struct socket_message *m,
			   unsigned asked) __requires(s->pair->lock)
{
	struct chunk *c = list_first(&s->arrived, struct chunk, link);
	size_t n = MIN(io->left, c->size);
	ssize_t ret = n ? io_copy_to(io, c->data, n) : 0;

	if (ret >= 0 && (size_t)ret < n)
		ret = -EFAULT;
	if (n < c->size)
		m->flags = SOCKET_MSG_TRUNC;
	if (ret >= 0 && (asked & SOCKET_MSG_TRUNC))
		ret = (ssize_t)c->size;
	if (!(asked & SOCKET_MSG_PEEK))
		drop_first(s);
	return ret;
}

/* As many bytes as there are and fit. */
static ssize_t take_bytes(struct socket *s, struct io *io, bool peek) __requires(s->pair->lock)
{
	struct chunk *c, *next;
	ssize_t done = 0, n;

	list_for_each_safe (c, next, &s->arrived, link) {
		size_t want = MIN(io->left, c->size - c->taken);

		n = want ? io_copy_to(io, c->data + c->taken, want) : 0;
		if (n < 0)
			return done ? done : n;
		done += n;
		if (!peek) {
			c->taken += (size_t)n;
			WRITE_ONCE(s->rx_bytes, s->rx_bytes - (size_t)n);
			if (c->taken == c->size)
				drop_first(s);
		}
		if ((size_t)n < want || !io->left)
			break;
	}
	return done;
}

static ssize_t pair_receive(struct socket *s, struct io *io, struct socket_message *m, bool wait)
{
	uint64_t start = READ_ONCE(s->opt.rx_timeout_ns) ? clock_now_ns() : 0;
	bool stream = s->kind == &pair_stream, peek = m->flags & SOCKET_MSG_PEEK, had;
	bool all = stream && (m->flags & SOCKET_MSG_WAITALL) && !peek;
	unsigned asked = m->flags;
	ssize_t done = 0, n;

	m->flags = 0;
	m->named = false;
	do {
		mutex_lock(&s->pair->lock);
		n = wait_bytes(s, wait, start);
		had = n > 0;
		if (had)
			n = stream ? take_bytes(s, io, peek) : take_record(s, io, m, asked);
		mutex_unlock(&s->pair->lock);
		/* always, for a record is gone even if it could not be copied: what a sender sleeps for (SO_SNDBUF, all sockets' share) may have changed since */
		if (had && !peek)
			poll_notify(&other(s)->source, POLL_OUT);
		if (n > 0)
			done += n;
	} while (n > 0 && all && io->left);
	return done ? done : n;
}

/* --- ends ------------------------------------------------------------------------------------------------------------ */

static uint32_t pair_poll(struct socket *s)
{
	bool end = ended(s);
	uint32_t events = end ? POLL_IN | POLL_RDHUP : 0;

	if (READ_ONCE(s->error))
		events |= POLL_ERR;
	if (end && READ_ONCE(s->tx_shut))
		events |= POLL_HUP;
	/* a record may be empty */
	if (READ_ONCE(other(s)->tx_pending))
		events |= POLL_IN;
	return events | (writable(s) ? POLL_OUT : 0);
}

/* Bytes; of datagrams: of the first. */
static size_t pair_readable(struct socket *s)
{
	struct chunk *c;
	size_t n;

	mutex_lock(&s->pair->lock);
	c = list_first_or_null(&s->arrived, struct chunk, link);
	n = s->kind != &pair_datagrams ? s->rx_bytes : c ? c->size : 0;
	mutex_unlock(&s->pair->lock);
	return n;
}

/* One end reads or sends no more; the other, but for datagrams, has nobody who sends or reads then. */
static void shut(struct socket *s, bool rx, bool tx) __requires(s->pair->lock)
{
	struct socket *o = other(s);
	bool told = s->kind != &pair_datagrams;

	WRITE_ONCE(s->rx_shut, s->rx_shut || rx);
	WRITE_ONCE(s->tx_shut, s->tx_shut || tx);
	WRITE_ONCE(o->rx_end, o->rx_end || (told && tx));
	WRITE_ONCE(o->tx_shut, o->tx_shut || (told && rx));
}

#define ALL_EVENTS (POLL_IN | POLL_OUT | POLL_RDHUP | POLL_HUP | POLL_ERR)

static int pair_shutdown(struct socket *s, int how)
{
	mutex_lock(&s->pair->lock);
	shut(s, how != SOCKET_SHUT_WR, how != SOCKET_SHUT_RD);
	mutex_unlock(&s->pair->lock);
	poll_notify(&s->source, ALL_EVENTS);
	poll_notify(&other(s)->source, ALL_EVENTS);
	return 0;
}

static void pair_free(struct socket_pair *pair)
{
	for (int i = 0; i < 2; i++) {
		if (!pair->end[i])
			continue;
		pair->end[i]->pair = NULL;
		socket_free(pair->end[i]);
	}
	kfree(pair);
}

static void pair_destroy(struct socket *s)
{
	struct socket_pair *pair = s->pair;
	struct socket *o = other(s);

	mutex_lock(&s->pair->lock);
	/* what was sent and nobody has read is lost, and its sender told */
	if (!list_empty(&s->arrived) && s->kind != &pair_datagrams) {
		spin_lock(&o->lock);
		WRITE_ONCE(o->error, -ECONNRESET);
		spin_unlock(&o->lock);
	}
	while (!list_empty(&s->arrived))
		drop_first(s);
	WRITE_ONCE(s->state, SOCKET_GONE);
	shut(s, s->kind != &pair_datagrams, s->kind != &pair_datagrams);
	mutex_unlock(&s->pair->lock);
	poll_notify(&o->source, ALL_EVENTS);
	if (refcount_put(&pair->ref))
		pair_free(pair);
}

static int pair_connect(struct socket *s, const struct socket_addr *to, bool wait)
{
	return -EISCONN;
}

/* Nothing but us looks at the settings; who waits for room may have it now. */
static void pair_apply(struct socket *s)
{
	poll_notify(&s->source, POLL_OUT);
}

#define PAIR_KIND(text, number)                                                                    \
	{                                                                                          \
		.name = text, .type = number, .local = true, .connect = pair_connect,              \
		.shutdown = pair_shutdown, .send = pair_send, .receive = pair_receive,             \
		.poll = pair_poll, .readable = pair_readable, .apply = pair_apply,                 \
		.destroy = pair_destroy                                                            \
	}
static const struct socket_kind pair_stream = PAIR_KIND("UNIX", SOCKET_STREAM);
static const struct socket_kind pair_datagrams = PAIR_KIND("UNIX", SOCKET_DGRAM);
static const struct socket_kind pair_records = PAIR_KIND("UNIX", SOCKET_SEQPACKET);

static struct socket_pair *pair_alloc(const struct socket_kind *kind)
{
	struct socket_pair *pair = kzalloc(sizeof(*pair));

	if (!pair)
		return NULL;
	mutex_init(&pair->lock, LOCK_PIPE);
	refcount_init(&pair->ref, 2);
	for (int i = 0; i < 2; i++) {
		pair->end[i] = socket_alloc(kind, false, SOCKET_OPEN);
		if (!pair->end[i])
			break;
		pair->end[i]->pair = pair;
		pair->end[i]->bound = true;
	}
	if (pair->end[0] && pair->end[1])
		return pair;
	pair_free(pair);
	return NULL;
}

static int pair_create(const struct socket_kind *kind, uint32_t flags, struct file *out[2])
{
	struct socket_pair *pair = pair_alloc(kind);
	int ret = pair ? socket_file(pair->end[0], flags, &out[0]) : -ENOMEM;

	if (ret < 0) {
		if (pair)
			pair_free(pair);
		return ret;
	}
	ret = socket_file(pair->end[1], flags, &out[1]);
	if (ret < 0) {
		pair_destroy(pair->end[1]);
		file_put(out[0]);
	}
	return ret;
}

int socket_pair(int type, int protocol, uint32_t flags, struct file *out[2])
{
	static const struct socket_kind *const kinds[] = { &pair_stream, &pair_datagrams,
							   &pair_records };

	if (protocol && protocol != SOCKET_PROTO_LOCAL)
		return -EPROTONOSUPPORT;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i]->type == type)
			return pair_create(kinds[i], flags, out);
	}
	return -ESOCKTNOSUPPORT;
}
