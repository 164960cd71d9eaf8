/* SPDX-License-Identifier: MIT */
/* Forwarded connections: a socket and a channel, and the bytes between them. And the listeners they come to.
 *
 * Each way ends by itself: what the socket reads ends with EOF to the client, what the client sends with a FIN. When both have
 * ended, or the connection is broken, the socket is closed and the channel too. A name is no question to a name server: it is
 * an address, localhost, or in /etc/hosts. */
#include "kernel/core/clock.h"
#include "kernel/core/log.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "ssh/server/server_priv.h"

#define HOSTS	   "/etc/hosts"
#define HOSTS_MAX  (64 * 1024)
#define BACKLOG	   128
#define AGAIN_NS   (100 * NS_PER_MS)
#define FIRST_FREE 1024 /* ports below are root's */

struct forward {
	struct server_part part;
	struct server_conn *conn;
	struct ssh_chan *ch;
	struct file *sock; /* NULL: over */
	struct poll_watch watch;
	bool connecting, in_done, out_done;
	bool broken; /* the next turn ends it */
	bool ready;  /* may have bytes: cleared by -EAGAIN */
};

struct listener {
	struct server_part part;
	struct server_conn *conn;
	struct file *sock;
	struct poll_watch watch;
	bool ready;
	uint16_t port;
	struct bytes address; /* as the client asked for it */
	uint8_t text[];
};

static const struct server_part_ops forward_ops, listener_ops;

/* --- names ------------------------------------------------------------------------------------------------------ */

/* The next word, or line, of text: what has none of the characters in `ends`. False: there is none. */
static bool next_piece(struct bytes *text, const char *ends, struct bytes *piece)
{
	while (text->n > 0 && strchr(ends, *text->p)) {
		text->p++;
		text->n--;
	}
	*piece = (struct bytes){ text->p, 0 };
	while (piece->n < text->n && text->p[piece->n] && !strchr(ends, text->p[piece->n]))
		piece->n++;
	text->p += piece->n;
	text->n -= piece->n;
	return piece->n > 0;
}

static int parse_address(struct bytes b, struct socket_addr *a)
{
	char text[SOCKET_ADDR_TEXT];

	if (b.n == 0 || b.n >= sizeof(text) || memchr(b.p, 0, b.n))
		return -ENOENT;
	memcpy(text, b.p, b.n);
	text[b.n] = 0;
	return socket_addr_parse(a, text) ? -ENOENT : 0;
}

/* A line of /etc/hosts is an address and its names, up to a #. */
static int look_up(struct bytes name, struct socket_addr *a)
{
	struct bytes rest = { NULL, 0 }, line, address, word;
	char *text = server_read_file(HOSTS, 0, HOSTS_MAX, &rest.n);
	int err = -ENOENT;

	rest.p = (uint8_t *)text;
	if (!text)
		rest.n = 0;
	while (err && next_piece(&rest, "\n", &line)) {
		const uint8_t *comment = memchr(line.p, '#', line.n);

		line.n = comment ? (size_t)(comment - line.p) : line.n;
		if (!next_piece(&line, " \t\r", &address))
			continue;
		while (err && next_piece(&line, " \t\r", &word))
			if (bytes_equal(word, name))
				err = parse_address(address, a);
	}
	kfree(text);
	return err;
}

static int resolve(struct bytes name, struct socket_addr *a)
{
	int err = parse_address(name, a);

	if (err && bytes_is(name, "localhost"))
		return parse_address(BYTES_LIT("127.0.0.1"), a);
	return err ? look_up(name, a) : 0;
}

/* --- a connection ----------------------------------------------------------------------------------------------- */

static struct forward *forward_create(struct server_conn *s, struct file *sock)
{
	struct forward *x = kzalloc(sizeof(*x));

	if (!x)
		return NULL;
	x->part.ops = &forward_ops;
	x->conn = s;
	x->sock = sock;
	x->ready = true;
	pump_nonblocking(sock);
	if (socket_set_nodelay(sock, true))
		log_debug("ssh: %u: no TCP_NODELAY", s->number);
	return x;
}

static void forward_start(struct forward *x, struct ssh_chan *ch, uint32_t events)
{
	x->ch = ch;
	ssh_chan_set_data(ch, &x->part);
	list_push_back(&x->part.link, &x->conn->parts);
	pump_watch(x->conn, &x->part, &x->watch, x->sock->source, events);
}

int forward_connect(void *host, struct ssh_chan *ch, struct bytes to, uint16_t port)
{
	struct server_conn *s = host;
	struct socket_addr a;
	struct file *sock;
	struct forward *x;
	int err = resolve(to, &a);

	if (err)
		return err;
	a.port = port;
	err = socket_connect_tcp(&a, &sock);
	if (err)
		return err;
	x = forward_create(s, sock);
	if (!x) {
		file_put(sock);
		return -ENOMEM;
	}
	x->connecting = true;
	forward_start(x, ch, PUMP_INPUT | POLL_OUT);
	return 0;
}

/* Is it made by now? It may be gone after this. */
static void look_connected(struct forward *x)
{
	struct socket_addr peer;
	int64_t error = 0;

	if (socket_peer(x->sock, &peer) == 0) {
		x->connecting = false;
		poll_watch_set(&x->watch, PUMP_INPUT);
		ssh_chan_connected(x->ch);
	} else if (socket_get(x->sock, SOCKET_ERROR, &error) || error) {
		ssh_chan_refuse(x->ch, (int)-error);
	}
}

static void forward_event(struct server_part *part, struct poll_watch *w)
{
	struct forward *x = container_of(part, struct forward, part);

	if (x->connecting) {
		look_connected(x);
		return;
	}
	x->ready = true;
	/* nothing more is read that would tell of it */
	if (x->out_done && x->sock && (file_poll(x->sock) & (POLL_ERR | POLL_HUP)))
		x->broken = true;
	if (ssh_chan_input_waiting(x->ch) > 0) {
		poll_watch_set(w, PUMP_INPUT);
		ssh_chan_input_ready(x->ch);
	}
}

static bool forward_pump(struct server_part *part)
{
	struct forward *x = container_of(part, struct forward, part);
	ssize_t n = -EAGAIN;

	assert_conn_owner(x->conn);
	if (x->connecting || !x->sock)
		return false;
	if (!x->out_done && !x->broken)
		n = pump_read(x->ch, false, x->sock, &x->ready);
	if (n == 0) {
		x->out_done = true;
		ssh_chan_eof(x->ch);
	} else if (n < 0 && n != -EAGAIN) {
		x->broken = true;
	}
	if (x->broken || (x->in_done && x->out_done)) {
		pump_close(&x->sock, &x->watch);
		ssh_chan_close(x->ch);
	}
	return n != -EAGAIN;
}

/* Whether the client has a window for it or not. */
static void forward_reset(struct server_part *part)
{
	struct forward *x = container_of(part, struct forward, part);

	/* an ordinary close would make what was cut off look whole */
	if (x->sock)
		(void)socket_abort(x->sock);
	x->broken = true;
}

/* It is one connection among others: what breaks it, want of memory too, ends no other. */
static ssize_t forward_input(struct server_part *part, const void *p, size_t n)
{
	struct forward *x = container_of(part, struct forward, part);
	ssize_t took = -EPIPE;

	if (x->sock && !x->broken)
		took = pump_write(x->sock, &x->watch, PUMP_INPUT, p, n);
	if (took >= 0)
		return took;
	forward_reset(part);
	return -EPIPE;
}

static void forward_input_eof(struct server_part *part)
{
	struct forward *x = container_of(part, struct forward, part);

	if (x->sock && socket_shutdown(x->sock, SOCKET_SHUT_WR))
		x->ready = true;
	x->in_done = true;
}

static void forward_closed(struct server_part *part)
{
	struct forward *x = container_of(part, struct forward, part);

	list_del(&x->part.link);
	pump_close(&x->sock, &x->watch);
	kfree(x);
}

static const struct server_part_ops forward_ops = {
	.event = forward_event,
	.pump = forward_pump,
	.input = forward_input,
	.input_eof = forward_input_eof,
	.closed = forward_closed,
	.reset = forward_reset,
};

/* --- listening -------------------------------------------------------------------------------------------------- */

/* RFC 4254 s7.1: "" is every address, "localhost" ours alone; also "*", as clients write it. */
static int listen_at(struct bytes address, uint16_t port, struct file **out)
{
	bool any = address.n == 0 || bytes_is(address, "*");
	struct socket_addr a = { .v6 = true };
	int err = any ? 0 : resolve(address, &a);

	if (err)
		return err;
	a.port = port;
	err = socket_create(a.v6 ? SOCKET_INET6 : SOCKET_INET, SOCKET_STREAM, 0, 0, out);
	if (err)
		return err;
	err = socket_set(*out, SOCKET_REUSE, 1);
	if (!err && a.v6 && !any)
		err = socket_set(*out, SOCKET_V6ONLY, 1);
	err = err ? err : socket_bind(*out, &a);
	err = err ? err : socket_listen(*out, BACKLOG);
	if (err)
		file_put(*out);
	return err;
}

static bool is_root(const struct server_conn *s)
{
	struct account a;
	bool root;

	if (account_find((struct bytes){ (const uint8_t *)s->user, strlen(s->user) }, &a))
		return false;
	root = a.uid == 0;
	account_free(&a);
	return root;
}

/* Whose addresses it is to be: GatewayPorts. */
static struct bytes gateway(const struct server_conn *s, struct bytes address)
{
	if (s->cfg->ssh.gateway == SSH_GATEWAY_CLIENT)
		return address;
	return s->cfg->ssh.gateway == SSH_GATEWAY_YES ? BYTES_LIT("") : BYTES_LIT("localhost");
}

int forward_listen(void *host, struct bytes address, uint16_t *port)
{
	struct server_conn *s = host;
	struct socket_addr name;
	struct listener *l;
	int err;

	if (*port > 0 && *port < FIRST_FREE && !is_root(s))
		return -EACCES;
	l = kzalloc(sizeof(*l) + address.n);
	if (!l)
		return -ENOMEM;
	err = listen_at(gateway(s, address), *port, &l->sock);
	if (err) {
		kfree(l);
		return err;
	}
	if (socket_name(l->sock, &name) == 0)
		*port = name.port;
	l->part.ops = &listener_ops;
	l->conn = s;
	l->port = *port;
	memcpy(l->text, address.p, address.n);
	l->address = (struct bytes){ l->text, address.n };
	list_push_back(&l->part.link, &s->parts);
	pump_watch(s, &l->part, &l->watch, l->sock->source, POLL_IN);
	return 0;
}

static void listener_close(struct listener *l)
{
	list_del(&l->part.link);
	pump_close(&l->sock, &l->watch);
	kfree(l);
}

/* A listener for which the client asked with this address and port; any if it is NULL. */
static struct listener *find_listener(struct server_conn *s, const struct bytes *address,
				      uint16_t port)
{
	struct server_part *part;

	list_for_each (part, &s->parts, link) {
		struct listener *l = container_of(part, struct listener, part);

		if (part->ops == &listener_ops &&
		    (!address || (l->port == port && bytes_equal(l->address, *address))))
			return l;
	}
	return NULL;
}

int forward_unlisten(void *host, struct bytes address, uint16_t port)
{
	struct listener *l = find_listener(host, &address, port);

	if (!l)
		return -ENOENT;
	listener_close(l);
	return 0;
}

void forward_unlisten_all(struct server_conn *s)
{
	struct listener *l;

	while ((l = find_listener(s, NULL, 0)))
		listener_close(l);
}

static void listener_event(struct server_part *part, struct poll_watch *w)
{
	container_of(part, struct listener, part)->ready = true;
}

/* Offer the client a connection that came. Takes sock over. */
static void arrive(struct listener *l, struct file *sock, const struct socket_addr *peer)
{
	struct forward *x = forward_create(l->conn, sock);
	char from[SOCKET_ADDR_TEXT];
	struct ssh_arrival a = { .address = l->address,
				 .from = { (const uint8_t *)from, 0 },
				 .port = l->port,
				 .from_port = peer->port };
	struct ssh_chan *ch = NULL;

	pump_address(from, sizeof(from), peer);
	a.from.n = strlen(from);
	if (x)
		ch = ssh_chan_arrive(l->conn->proto, &a);
	if (ch) {
		forward_start(x, ch, PUMP_INPUT);
		return;
	}
	(void)socket_abort(sock);
	file_put(sock);
	kfree(x);
}

static bool listener_pump(struct server_part *part)
{
	struct listener *l = container_of(part, struct listener, part);
	struct socket_addr peer;
	struct file *sock;
	int err;

	/* in a key exchange, or with the client slow, those that come wait */
	if (!l->ready || !ssh_chan_may_arrive(l->conn->proto))
		return false;
	err = socket_accept(l->sock, &sock, &peer);
	if (err == 0)
		arrive(l, sock, &peer);
	else if (err == -ENOMEM)
		l->conn->again_at = clock_now_ns() + AGAIN_NS;
	else
		l->ready = false;
	return err == 0;
}

static const struct server_part_ops listener_ops = {
	.event = listener_event,
	.pump = listener_pump,
};
