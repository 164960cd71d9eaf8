/* SPDX-License-Identifier: MIT */
/* A connection's thread. It turns the wheel of ssh/ssh.h: socket in, programs' output, socket out, sleep until a file
 * is ready or a time comes. Nothing it calls blocks for the peer or a program; it holds no lock while it sleeps.
 *
 * The login runs on a large stack. When it is done the connection moves to a thread with an ordinary one, and the
 * large one is given back; later key exchanges borrow one. */
#include "kernel/core/log.h"
#include "kernel/core/random.h"
#include "kernel/core/trace.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "ssh/kem.h"
#include "ssh/proto.h"
#include "ssh/server/server_priv.h"

#define READS_A_TURN 8
#define LINGER_NS    (500 * NS_PER_MS)
#define FLUSH_NS     NS_PER_S
#define DROP_BYTES   512

static void *conn_alloc(void *host, size_t n)
{
	return kmalloc(n);
}

static void conn_free(void *host, void *p, size_t n)
{
	kfree(p);
}

static int conn_random(void *host, void *buf, size_t n)
{
	int err = server_crypto_wait();

	return err ? err : random_bytes(buf, n);
}

/* A login's thread has the stack for a key exchange; a session's borrows one each time. */
int server_deep(void *host, void (*work)(void *), void *arg)
{
	const struct thread_base *self = current_base();
	struct thread *t;

	if (self->stack_hi - self->stack_lo >= KSTACK_SIZE_LARGE) {
		work(arg);
		return 0;
	}
	t = thread_create("ssh-kex", work, arg, KSTACK_SIZE_LARGE);
	if (!t)
		return -ENOMEM;
	thread_start(t);
	thread_join(t);
	thread_put(t);
	return 0;
}

static void conn_log(void *host, enum ssh_log level, const char *text, struct bytes about)
{
	struct server_conn *s = host;
	char peer[SOCKET_ADDR_TEXT];

	s->said = text;
	if (level > s->cfg->ssh.log_level) {
		log_debug("ssh: %u: %s%s%.*s", s->number, text, about.n ? ": " : "", (int)about.n,
			  (const char *)about.p);
		return;
	}
	if ((s->stage == CONN_LOGIN || level != SSH_LOG_INFO) &&
	    !server_may_log(s->stage == CONN_LOGIN))
		return;
	socket_addr_format(peer, sizeof(peer), &s->peer);
	log_info("ssh: %u %s: %s%s%.*s", s->number, peer, text, about.n ? ": " : "", (int)about.n,
		 (const char *)about.p);
}

static uint64_t conn_now(void *host)
{
	return clock_now_ns();
}

static void conn_message(void *host, bool out, uint8_t type, size_t n)
{
	trace(out ? TRACE_SSH_OUT : TRACE_SSH_IN, type, n);
}

static struct server_part *part_of(struct ssh_chan *ch)
{
	return ssh_chan_data(ch);
}

static ssize_t conn_input(void *host, struct ssh_chan *ch, const void *p, size_t n)
{
	return part_of(ch)->ops->input(part_of(ch), p, n);
}

static void conn_input_eof(void *host, struct ssh_chan *ch)
{
	part_of(ch)->ops->input_eof(part_of(ch));
}

static void conn_closed(void *host, struct ssh_chan *ch)
{
	part_of(ch)->ops->closed(part_of(ch));
}

static void conn_reset(void *host, struct ssh_chan *ch)
{
	part_of(ch)->ops->reset(part_of(ch));
}

const struct ssh_chan_ops server_chan_ops = {
	.chan_open = session_open,
	.chan_env = session_env,
	.chan_pty = session_pty,
	.chan_start = session_start,
	.chan_input = conn_input,
	.chan_input_eof = conn_input_eof,
	.chan_winsize = session_winsize,
	.chan_signal = session_signal,
	.chan_break = session_break,
	.chan_hang_up = session_hang_up,
	.chan_closed = conn_closed,
	.chan_reset = conn_reset,
	.chan_connect = forward_connect,
	.listen = forward_listen,
	.unlisten = forward_unlisten,
};

static const struct ssh_host_ops conn_ops = {
	.alloc = conn_alloc,
	.free = conn_free,
	.random = conn_random,
	.deep = server_deep,
	.log = conn_log,
	.message = conn_message,
	.now = conn_now,
	.key_check = server_key_check,
	.admit = server_admit,
	.auth_failed = server_auth_failed,
	.auth_done = server_auth_done,
};

void server_log(struct server_conn *s, enum ssh_log level, const char *text, const char *about)
{
	conn_log(s, level, text, (struct bytes){ (const uint8_t *)about, strlen(about) });
}

static void part_event(struct server_conn *s, struct poll_watch *w)
{
	struct server_part *part = w->cookie;

	/* I-SSH-18 */
	if (s->stage == CONN_LOGIN)
		return;
	part->ops->event(part, w);
}

/* Events are hints: they mark what to try. */
static void take_events(struct server_conn *s)
{
	struct poll_watch *w;
	uint32_t events;

	while ((w = poller_next(&s->poller, &events))) {
		if (w == &s->sock_watch)
			s->sock_readable = true;
		else if (w != &s->kick_watch)
			part_event(s, w);
	}
}

/* Nothing more can come. */
static bool conn_cut(const struct server_conn *s)
{
	return s->sock_dead || s->sock_ended;
}

static bool read_socket(struct server_conn *s)
{
	bool moved = false;

	for (unsigned i = 0; i < READS_A_TURN && s->sock_readable && !conn_cut(s); i++) {
		size_t room;
		void *p = ssh_conn_input_space(s->proto, &room);
		ssize_t n;

		if (!p)
			break;
		n = file_read_kernel(s->sock, p, room);
		if (n == -EAGAIN) {
			s->sock_readable = false;
		} else if (n < 0) {
			s->sock_dead = true;
		} else if (n == 0) {
			s->sock_ended = true;
		} else {
			moved = true;
			ssh_conn_input_done(s->proto, (size_t)n);
			ssh_conn_run(s->proto, clock_now_ns());
		}
	}
	return moved;
}

static void want_out(struct server_conn *s, bool on)
{
	if (s->sock_wants_out == on)
		return;
	s->sock_wants_out = on;
	poll_watch_set(&s->sock_watch, POLL_IN | POLL_RDHUP | (on ? POLL_OUT : 0));
}

/* Send what there is. When the socket is full, ask to be told, and try once more: room may have come in between. */
static bool write_socket(struct server_conn *s)
{
	bool moved = false, asked = false;
	const void *p;
	size_t n;

	while (!s->sock_dead && (p = ssh_conn_output(s->proto, &n))) {
		ssize_t sent = file_write_kernel(s->sock, p, n);

		if (sent == -EAGAIN) {
			if (asked)
				return moved;
			asked = true;
			want_out(s, true);
		} else if (sent <= 0) {
			s->sock_dead = true;
		} else {
			moved = true;
			ssh_conn_output_sent(s->proto, (size_t)sent);
		}
	}
	if (!asked)
		want_out(s, false);
	return moved;
}

/* Who was first is last in the next turn: two that fill the output each time leave room for the others. */
static bool pump_open(struct server_conn *s)
{
	struct server_part *part, *next;
	bool moved = false;

	list_for_each_safe (part, next, &s->parts, link)
		moved |= part->ops->pump(part);
	if (!list_empty(&s->parts)) {
		part = list_first(&s->parts, struct server_part, link);
		list_del(&part->link);
		list_push_back(&part->link, &s->parts);
	}
	return moved;
}

static bool pump_parts(struct server_conn *s)
{
	s->again_at = DEADLINE_NEVER;
	/* I-SSH-18 */
	if (s->stage == CONN_LOGIN)
		return false;
	return pump_open(s);
}

static bool conn_ended(struct server_conn *s)
{
	return conn_cut(s) || READ_ONCE(s->evicted) || ssh_conn_is_over(s->proto);
}

/* Serve until the end, or until logged in if that is asked. */
static void conn_turn_until(struct server_conn *s, bool login_only)
{
	assert_conn_owner(s);
	while (!conn_ended(s)) {
		bool moved;

		take_events(s);
		/* first: until it hears the time, a pause is not over, and nobody tells of the socket again */
		ssh_conn_run(s->proto, clock_now_ns());
		moved = read_socket(s);
		moved |= pump_parts(s);
		moved |= write_socket(s);
		ssh_conn_info(s->proto, &s->shown);
		if (login_only && ssh_conn_is_authenticated(s->proto))
			return;
		/* The end of the socket is found in this very turn: nothing will wake us again. */
		if (moved || conn_ended(s))
			cond_resched();
		else if (poller_wait(&s->poller, WAIT_KILLABLE,
				     MIN(s->again_at, ssh_conn_deadline(s->proto))) == -EINTR)
			return;
	}
}

/* Let the last message reach the peer: send it, promise no more, and read on until the peer closes too, for a
 * connection closed with unread bytes is reset, and the message lost. A newcomer in whose place another came has no time for it. */
static void conn_linger(struct server_conn *s)
{
	uint64_t until = clock_now_ns() + FLUSH_NS;
	char *drop;
	ssize_t n = 1;
	size_t left;

	while (!s->sock_dead && !READ_ONCE(s->evicted) && ssh_conn_output(s->proto, &left) &&
	       clock_now_ns() < until) {
		take_events(s);
		if (!write_socket(s) && poller_wait(&s->poller, WAIT_KILLABLE, until) == -EINTR)
			break;
	}
	if (s->sock_dead || socket_shutdown(s->sock, SOCKET_SHUT_WR))
		return;
	drop = kmalloc(DROP_BYTES);
	until = clock_now_ns() + LINGER_NS;
	while (drop && n != 0 && !READ_ONCE(s->evicted) && clock_now_ns() < until) {
		take_events(s);
		n = file_read_kernel(s->sock, drop, DROP_BYTES);
		if (n < 0 && n != -EAGAIN)
			break;
		if (n == -EAGAIN && poller_wait(&s->poller, WAIT_KILLABLE, until) == -EINTR)
			break;
	}
	kfree(drop);
}

static void conn_destroy(struct server_conn *s)
{
	server_conn_remove(s);
	server_login_end(s, s->said);
	if (s->proto)
		ssh_conn_destroy(s->proto);
	poll_watch_remove(&s->sock_watch);
	poll_watch_remove(&s->kick_watch);
	poll_source_check_idle(&s->kick);
	file_put(s->sock);
	server_config_put(s->cfg);
	kfree(s->keys);
	kfree(s);
}

static void end_listeners(struct server_conn *s)
{
	/* I-SSH-18 */
	if (s->stage == CONN_LOGIN)
		return;
	forward_unlisten_all(s);
}

static void conn_finish(struct server_conn *s)
{
	if (!ssh_conn_is_over(s->proto))
		s->said = "the connection was closed";
	end_listeners(s);
	if (READ_ONCE(s->evicted)) {
		server_log(s, SSH_LOG_INFO, "displaced by a newcomer", "");
		ssh_conn_disconnect(s->proto, SSH_DISCONNECT_TOO_MANY_CONNECTIONS,
				    "too many connections");
		(void)write_socket(s);
	} else {
		conn_linger(s);
	}
	conn_destroy(s);
}

static void session_thread(void *arg)
{
	struct server_conn *s = arg;

	s->owner = current_thread();
	conn_turn_until(s, false);
	conn_finish(s);
}

static void login_thread(void *arg)
{
	struct server_conn *s = arg;

	s->owner = current_thread();
	conn_turn_until(s, true);
	/* From here on the connection is the other thread's, and so are the keys that packets left in our frames. Without
	 * memory for one, this one goes on. */
	if (conn_ended(s) || !ssh_conn_is_authenticated(s->proto) ||
	    thread_spawn("ssh-session", session_thread, s))
		session_thread(s);
	else
		ssh_kex_wipe_stack();
}

static struct server_conn *conn_create(struct file *sock, const struct socket_addr *peer,
				       unsigned number)
{
	struct server_conn *s = kzalloc(sizeof(*s));

	if (!s)
		return NULL;
	s->sock = sock;
	s->peer = *peer;
	s->number = number;
	s->accepted_ns = clock_now_ns();
	s->sock_readable = true;
	list_init(&s->parts);
	s->cfg = server_config_get();
	s->proto = ssh_conn_create(&s->cfg->ssh, &conn_ops, s, s->accepted_ns);
	if (!s->proto) {
		server_config_put(s->cfg);
		kfree(s);
		return NULL;
	}
	if (socket_local(sock, &s->local))
		s->local = (struct socket_addr){ 0 };
	atomic_fetch_or(&sock->flags, FILE_KERNEL_NONBLOCK);
	poll_source_init(&s->kick);
	poller_init(&s->poller);
	poll_watch_add(&s->poller, &s->kick_watch, &s->kick, POLL_IN, s);
	poll_watch_add(&s->poller, &s->sock_watch, sock->source, POLL_IN | POLL_RDHUP, s);
	server_conn_add(s);
	return s;
}

int server_conn_start(struct file *sock, const struct socket_addr *peer, unsigned number)
{
	struct server_conn *s = conn_create(sock, peer, number);
	int err;

	if (!s) {
		(void)socket_abort(sock);
		file_put(sock);
		return -ENOMEM;
	}
	if (socket_set_nodelay(sock, true))
		log_debug("ssh: %u: no TCP_NODELAY", number);
	err = thread_spawn_deep("ssh-login", login_thread, s);
	if (err) {
		(void)socket_abort(sock);
		conn_destroy(s);
	}
	return err;
}
