/* SPDX-License-Identifier: MIT */
/* System calls on sockets: what the ABI says, as net/socket.h takes it. An address family, option, flag or ancillary
 * message that is not there is refused, never ignored. */
#include <asm/socket.h>
#include <linux/fcntl.h>
#include <linux/icmpv6.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/net.h>
#include <linux/socket.h>
#include <linux/tcp.h>
#include "fs/fdtable.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "mm/vm/user_copy.h"
#include "net/socket.h"

/* Of the C library's <sys/socket.h>, which the packaged headers leave out. */
#define AF_UNSPEC	 0
#define AF_UNIX		 1
#define AF_INET		 2
#define AF_INET6	 10
#define AF_MAX		 46
#define SOCK_KINDS	 11
#define SOCK_TYPE	 0xfu
#define SOCK_NONBLOCK	 O_NONBLOCK
#define SOCK_CLOEXEC	 O_CLOEXEC
#define MSG_OOB		 0x1u
#define MSG_PEEK	 0x2u
#define MSG_DONTROUTE	 0x4u
#define MSG_CTRUNC	 0x8u
#define MSG_TRUNC	 0x20u
#define MSG_DONTWAIT	 0x40u
#define MSG_EOR		 0x80u
#define MSG_WAITALL	 0x100u
#define MSG_CONFIRM	 0x800u
#define MSG_ERRQUEUE	 0x2000u
#define MSG_NOSIGNAL	 0x4000u
#define MSG_MORE	 0x8000u
#define MSG_CMSG_CLOEXEC 0x40000000u /* there is nothing it could be about */
#define MESSAGES_MAX	 1024
#define ADDRESS_MAX	 128
#define IN6_MIN		 24 /* of RFC 2133, before there was a scope */
#define SOL_RAW		 255

struct user_msghdr {
	uint64_t name;
	int32_t namelen;
	uint32_t pad1;
	uint64_t iov, iovlen;
	uint64_t control, controllen;
	uint32_t flags;
	uint32_t pad2;
};

struct user_mmsghdr {
	struct user_msghdr h;
	uint32_t len, pad;
};

/* --- addresses ----------------------------------------------------------------------------------------------------- */

union inet {
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* An address as the caller gave it. */
struct name {
	uint16_t family;
	uint64_t len;
	struct socket_addr addr; /* of AF_INET or AF_INET6, if it is long enough for one */
};

/* The first bytes of ::ffff:a.b.c.d, which is what IPv6 sockets call IPv4's. */
static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static void take_in6(struct socket_addr *a, const struct sockaddr_in6 *in)
{
	const uint8_t *ip = in->sin6_addr.s6_addr;

	a->v6 = memcmp(ip, mapped, sizeof(mapped)) != 0;
	a->port = __builtin_bswap16(in->sin6_port);
	a->scope = in->sin6_scope_id;
	if (a->v6)
		memcpy(a->addr, ip, 16);
	else
		memcpy(a->addr, ip + sizeof(mapped), 4);
}

static int64_t get_name(struct name *n, vaddr_t at, uint64_t len)
{
	union inet u = { .in6 = { 0 } };
	int64_t ret;

	memset(n, 0, sizeof(*n));
	if ((int)len < 0 || (int)len > ADDRESS_MAX)
		return -EINVAL;
	n->len = (uint32_t)len;
	ret = user_copy_from(&u, at, MIN(n->len, sizeof(u)));
	if (ret < 0)
		return ret;
	n->family = u.in.sin_family;
	if (n->family == AF_INET6) {
		take_in6(&n->addr, &u.in6);
		return 0;
	}
	n->addr.port = __builtin_bswap16(u.in.sin_port);
	memcpy(n->addr.addr, &u.in.sin_addr, 4);
	return 0;
}

static bool is_inet6(struct file *f)
{
	int64_t domain;

	return socket_get(f, SOCKET_DOMAIN, &domain) == 0 && domain == AF_INET6;
}

static bool is_datagram(struct file *f)
{
	int64_t type;

	return socket_get(f, SOCKET_TYPE, &type) == 0 && type == SOCKET_DGRAM;
}

static int64_t want_family(const struct name *n, bool v6)
{
	if (n->len < (v6 ? IN6_MIN : sizeof(struct sockaddr_in)))
		return -EINVAL;
	return n->family == (v6 ? AF_INET6 : AF_INET) ? 0 : -EAFNOSUPPORT;
}

static size_t make_in(union inet *u, const struct socket_addr *a)
{
	u->in = (struct sockaddr_in){ .sin_family = AF_INET,
				      .sin_port = __builtin_bswap16(a->port) };
	memcpy(&u->in.sin_addr, a->addr, 4);
	return sizeof(u->in);
}

static size_t make_in6(union inet *u, const struct socket_addr *a)
{
	uint8_t *ip = u->in6.sin6_addr.s6_addr;

	u->in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					.sin6_port = __builtin_bswap16(a->port),
					.sin6_scope_id = a->scope };
	if (a->v6) {
		memcpy(ip, a->addr, 16);
	} else {
		memcpy(ip, mapped, sizeof(mapped));
		memcpy(ip + sizeof(mapped), a->addr, 4);
	}
	return sizeof(u->in6);
}

/* Write as much of an address of `size` bytes as there is room for, and how long it is. */
static int64_t put_bytes(const void *from, size_t size, vaddr_t at, vaddr_t len_at)
{
	int32_t room, told = (int32_t)size;
	int64_t ret = user_copy_from(&room, len_at, sizeof(room));

	if (ret < 0)
		return ret;
	if (room < 0)
		return -EINVAL;
	if (MIN(room, told))
		ret = user_copy_to(at, from, (size_t)MIN(room, told));
	return ret < 0 ? ret : user_copy_to(len_at, &told, sizeof(told));
}

/* An address of f's, or its peer's. NULL: of none; those of a pair are only of a family. */
static int64_t put_name(struct file *f, const struct socket_addr *a, vaddr_t at, vaddr_t len_at)
{
	union inet u = { .in.sin_family = AF_UNIX };
	size_t size = 0;

	if (a && socket_is_local(f))
		size = sizeof(u.in.sin_family);
	else if (a)
		size = is_inet6(f) ? make_in6(&u, a) : make_in(&u, a);
	return put_bytes(&u, size, at, len_at);
}

/* --- making -------------------------------------------------------------------------------------------------------- */

/* What socket() and socketpair() ask of their first two arguments, whatever is there. */
static int64_t check_kind(const uint64_t a[6])
{
	unsigned type = (unsigned)a[1];

	if (type & ~(SOCK_TYPE | SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	if ((unsigned)a[0] >= AF_MAX)
		return -EAFNOSUPPORT;
	return (type & SOCK_TYPE) >= SOCK_KINDS ? -EINVAL : 0;
}

int64_t sys_socket(const uint64_t a[6])
{
	unsigned type = (unsigned)a[1];
	int64_t err = check_kind(a);
	struct file *f;

	if (err < 0)
		return err;
	if ((unsigned)a[0] != AF_INET && (unsigned)a[0] != AF_INET6)
		return -EAFNOSUPPORT;
	if ((int)a[2] < 0 || (int)a[2] >= IPPROTO_MAX)
		return -EINVAL;
	err = socket_create((int)a[0], (int)(type & SOCK_TYPE), (int)a[2],
			    type & SOCK_NONBLOCK ? FILE_NONBLOCK : 0, &f);
	if (err == 0 && (type & SOCK_TYPE) == SOCKET_RAW && !caller_is_root()) {
		file_put(f);
		err = -EPERM;
	}
	return err < 0 ? err : fd_install(f, 0, type & SOCK_CLOEXEC);
}

int64_t sys_socketpair(const uint64_t a[6])
{
	unsigned type = (unsigned)a[1];
	int64_t err = check_kind(a);
	struct file *end[2];

	if (err < 0)
		return err;
	if ((unsigned)a[0] != AF_UNIX)
		return (unsigned)a[0] == AF_INET ? -EOPNOTSUPP : -EAFNOSUPPORT;
	err = socket_pair((int)(type & SOCK_TYPE), (int)a[2],
			  type & SOCK_NONBLOCK ? FILE_NONBLOCK : 0, end);
	return err < 0 ? err : fd_install_two(end, type & SOCK_CLOEXEC, a[3]);
}

static int64_t bind_to(struct file *f, const uint64_t a[6])
{
	struct name n;
	int64_t ret = socket_is(f) ? get_name(&n, a[1], a[2]) : -ENOTSOCK;

	if (ret == 0)
		ret = want_family(&n, is_inet6(f));
	if (ret == 0 && n.addr.port && n.addr.port < 1024 && !caller_is_root())
		ret = -EACCES;
	return ret < 0 ? ret : socket_bind(f, &n.addr);
}

static int64_t connect_to(struct file *f, const uint64_t a[6])
{
	struct name n;
	int64_t ret = socket_is(f) ? get_name(&n, a[1], a[2]) : -ENOTSOCK;

	if (ret < 0)
		return ret;
	if (n.len < sizeof(n.family))
		return -EINVAL;
	if (n.family == AF_UNSPEC)
		return socket_connect(f, NULL);
	/* datagrams of IPv6 take an address of IPv4 as it is */
	ret = want_family(&n, is_inet6(f) && !(n.family == AF_INET && is_datagram(f)));
	return ret < 0 ? ret : socket_connect(f, &n.addr);
}

static int64_t accept_from(struct file *f, const uint64_t a[6], unsigned flags)
{
	struct fdtable *t = current_process()->files;
	struct socket_addr peer;
	struct file *new = NULL;
	int64_t ret;
	int fd;

	if (flags & ~(unsigned)(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	/* as Linux: before a connection is taken that there is no number for */
	fd = fdtable_reserve(t, flags & SOCK_CLOEXEC, fd_limit());
	if (fd < 0)
		return fd;
	ret = socket_accept_wait(f, &new, &peer);
	if (ret == 0 && a[1])
		ret = put_name(f, &peer, a[1], a[2]);
	if (ret == 0 && (flags & SOCK_NONBLOCK))
		new->flags |= FILE_NONBLOCK;
	if (ret < 0 && new)
		file_put(new);
	fdtable_settle(t, fd, ret < 0 ? NULL : new);
	return ret < 0 ? ret : fd;
}

static int64_t listen_on(struct file *f, const uint64_t a[6])
{
	/* as Linux: less than none is very many */
	return socket_listen(f, (unsigned)a[1]);
}

static int64_t name_of(struct file *f, const uint64_t a[6])
{
	struct socket_addr addr;
	int64_t ret = socket_name(f, &addr);

	return ret < 0 ? ret : put_name(f, &addr, a[1], a[2]);
}

static int64_t peer_of(struct file *f, const uint64_t a[6])
{
	struct socket_addr addr;
	int64_t ret = socket_peer(f, &addr);

	return ret < 0 ? ret : put_name(f, &addr, a[1], a[2]);
}

static int64_t shut_down(struct file *f, const uint64_t a[6])
{
	return socket_shutdown(f, (int)a[1]);
}

static int64_t accept_one(struct file *f, const uint64_t a[6])
{
	return accept_from(f, a, 0);
}

static int64_t accept_with(struct file *f, const uint64_t a[6])
{
	return accept_from(f, a, (unsigned)a[3]);
}

/* --- bytes ----------------------------------------------------------------------------------------------------------- */

#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR | MSG_CONFIRM)
/* of a stream Linux does not look at that it is not to be routed */
#define STREAM_FLAGS (MSG_DONTROUTE | MSG_MORE)
#define RECEIVE_FLAGS                                                                              \
	(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_PEEK | MSG_TRUNC | MSG_WAITALL | MSG_CMSG_CLOEXEC)

static unsigned message_flags(unsigned flags)
{
	return (flags & MSG_PEEK ? SOCKET_MSG_PEEK : 0) |
	       (flags & MSG_TRUNC ? SOCKET_MSG_TRUNC : 0) |
	       (flags & MSG_WAITALL ? SOCKET_MSG_WAITALL : 0) |
	       (flags & MSG_MORE ? SOCKET_MSG_MORE : 0) |
	       (flags & MSG_DONTWAIT ? SOCKET_MSG_DONTWAIT : 0);
}

/* name: NULL: none given. */
static int64_t send_io(struct file *f, struct io *io, unsigned flags, const struct name *name)
{
	struct socket_message m = { .flags = message_flags(flags) };
	int64_t type, ret = socket_get(f, SOCKET_TYPE, &type);

	if (ret < 0)
		return ret;
	if (flags & ~(SEND_FLAGS | (type == SOCKET_STREAM ? STREAM_FLAGS : 0)))
		return -EOPNOTSUPP;
	if (name && is_inet6(f) && name->family == AF_UNSPEC)
		name = NULL;
	if (name && type != SOCKET_STREAM) {
		/* Linux takes no family for AF_INET here */
		if (name->family || is_inet6(f) || name->len < sizeof(struct sockaddr_in))
			ret = want_family(name, is_inet6(f) && name->family != AF_INET);
		m.named = true;
		m.addr = name->addr;
	}
	if (ret == -EAFNOSUPPORT && is_inet6(f))
		ret = -EINVAL;
	if (ret == 0)
		ret = socket_send(f, io, &m);
	if (ret == -EPIPE && type == SOCKET_STREAM && !(flags & MSG_NOSIGNAL))
		signal_send_thread(current_thread(), SIG_PIPE);
	return ret;
}

static int64_t send_to(struct file *f, const uint64_t a[6])
{
	struct name n;
	struct io io;
	int64_t ret = 0;

	if (!user_range_ok(a[1], a[2]))
		return -EFAULT;
	if (!socket_is(f))
		return -ENOTSOCK;
	if (a[4])
		ret = get_name(&n, a[4], a[5]);
	if (ret < 0)
		return ret;
	io_init_user(&io, a[1], MIN(a[2], TRANSFER_MAX));
	return send_io(f, &io, (unsigned)a[3], a[4] ? &n : NULL);
}

static int64_t receive_io(struct file *f, struct io *io, unsigned flags, struct socket_message *m)
{
	int64_t type, ret = socket_get(f, SOCKET_TYPE, &type);

	*m = (struct socket_message){ .flags = message_flags(flags) };
	if (ret < 0)
		return ret;
	/* no errors are kept apart, and nothing is urgent */
	if ((flags & MSG_ERRQUEUE) && !socket_is_local(f))
		return -EAGAIN;
	if ((flags & MSG_OOB) && type == SOCKET_STREAM)
		return -EINVAL;
	return flags & ~RECEIVE_FLAGS ? -EOPNOTSUPP : socket_receive(f, io, m);
}

static int64_t receive_from(struct file *f, const uint64_t a[6])
{
	struct socket_message m;
	struct io io;
	int64_t ret, err = 0;

	if (!user_range_ok(a[1], a[2]))
		return -EFAULT;
	io_init_user(&io, a[1], MIN(a[2], TRANSFER_MAX));
	ret = receive_io(f, &io, (unsigned)a[3], &m);
	if (ret >= 0 && a[4])
		err = put_name(f, m.named ? &m.addr : NULL, a[4], a[5]);
	return err < 0 ? err : ret;
}

/* The segments of a message; *seg is to be freed. */
static int64_t message_segments(const struct user_msghdr *h, struct io_segment **seg, struct io *io)
{
	int64_t ret;

	*seg = NULL;
	if (h->iovlen > MESSAGES_MAX)
		return -EMSGSIZE;
	*seg = kcalloc(h->iovlen + 1, sizeof(**seg));
	if (!*seg)
		return -ENOMEM;
	ret = segments_from_user(h->iov, h->iovlen, *seg);
	if (ret == 0)
		io_init_segments(io, *seg, (unsigned)h->iovlen, true);
	return ret;
}

static int64_t send_message(struct file *f, vaddr_t at, unsigned flags)
{
	struct io_segment *seg = NULL;
	struct user_msghdr h;
	struct name n;
	struct io io;
	bool named;
	int64_t ret = user_copy_from(&h, at, sizeof(h));

	if (ret < 0)
		return ret;
	if (h.namelen < 0)
		return -EINVAL;
	named = h.name && h.namelen;
	if (named)
		ret = get_name(&n, h.name, (uint64_t)MIN(h.namelen, ADDRESS_MAX));
	if (ret == 0 && h.controllen)
		ret = -EOPNOTSUPP;
	if (ret == 0)
		ret = message_segments(&h, &seg, &io);
	if (ret == 0)
		ret = send_io(f, &io, flags, named ? &n : NULL);
	kfree(seg);
	return ret;
}

static int64_t send_one(struct file *f, const uint64_t a[6])
{
	return socket_is(f) ? send_message(f, a[1], (unsigned)a[2]) : -ENOTSOCK;
}

/* What has been sent counts, and the error is for the next call. */
static int64_t send_many(struct file *f, const uint64_t a[6])
{
	unsigned n = MIN((unsigned)a[2], (unsigned)MESSAGES_MAX), i;
	int64_t ret = 0;

	if (!socket_is(f))
		return -ENOTSOCK;
	for (i = 0; i < n && ret >= 0; i++) {
		vaddr_t at = a[1] + i * sizeof(struct user_mmsghdr);
		uint32_t len;

		ret = send_message(f, at, (unsigned)a[3]);
		len = (uint32_t)ret;
		if (ret >= 0)
			ret = user_copy_to(at + offsetof(struct user_mmsghdr, len), &len,
					   sizeof(len));
		if (ret < 0)
			break;
	}
	return i ? (int64_t)i : ret;
}

/* One thing that goes with a datagram, behind those told before it. */
static int64_t put_control(struct user_msghdr *h, uint64_t room, int type, int value)
{
	struct {
		uint64_t len;
		int32_t level, type, value;
		uint32_t pad;
	} c = { offsetof(typeof(c), pad), IPPROTO_IPV6, type, value, 0 };
	vaddr_t at = h->control + h->controllen;

	room -= h->controllen;
	h->flags |= room < c.len || !h->control ? MSG_CTRUNC : 0;
	if (room < offsetof(typeof(c), value) || !h->control)
		return 0;
	c.len = MIN(c.len, room);
	h->controllen += MIN(sizeof(c), room);
	return user_copy_to(at, &c, (size_t)c.len);
}

static int64_t put_controls(struct user_msghdr *h, const struct socket_message *m)
{
	uint64_t room = h->controllen;
	int64_t ret = 0;

	h->controllen = 0;
	if (m->tell & BIT(SOCKET_TELL_HOPS))
		ret = put_control(h, room, IPV6_HOPLIMIT, m->hops);
	if (ret == 0 && m->tell & BIT(SOCKET_TELL_HOPS_OLD))
		ret = put_control(h, room, IPV6_2292HOPLIMIT, m->hops);
	return ret;
}

/* The parts of the caller's header that are told. */
static int64_t put_header(struct file *f, vaddr_t at, struct user_msghdr *h,
			  const struct socket_message *m)
{
	int64_t ret = 0;

	h->flags = m->flags & SOCKET_MSG_TRUNC ? MSG_TRUNC : 0;
	if (h->name)
		ret = put_name(f, m->named ? &m->addr : NULL, h->name,
			       at + offsetof(struct user_msghdr, namelen));
	if (ret == 0)
		ret = put_controls(h, m);
	if (ret == 0)
		ret = user_copy_to(at + offsetof(struct user_msghdr, flags), &h->flags,
				   sizeof(h->flags));
	if (ret == 0)
		ret = user_copy_to(at + offsetof(struct user_msghdr, controllen), &h->controllen,
				   sizeof(h->controllen));
	return ret;
}

static int64_t receive_message(struct file *f, const uint64_t a[6])
{
	struct io_segment *seg = NULL;
	struct socket_message m = { 0 };
	struct user_msghdr h;
	struct io io;
	int64_t ret = socket_is(f) ? user_copy_from(&h, a[1], sizeof(h)) : -ENOTSOCK, err = 0;

	if (ret < 0)
		return ret;
	if (h.namelen < 0)
		return -EINVAL;
	ret = message_segments(&h, &seg, &io);
	if (ret == 0)
		ret = receive_io(f, &io, (unsigned)a[2], &m);
	kfree(seg);
	if (ret >= 0)
		err = put_header(f, a[1], &h, &m);
	return err < 0 ? err : ret;
}

/* --- options ----------------------------------------------------------------------------------------------------------- */

enum form { TRUTH, NUMBER, BYTE, TIME, LINGER };

static const struct option {
	int level, name;
	enum socket_option what;
	enum form form;
	bool asked_only;
} options[] = {
	{ SOL_SOCKET, SO_ERROR, SOCKET_ERROR, NUMBER, true },
	{ SOL_SOCKET, SO_TYPE, SOCKET_TYPE, NUMBER, true },
	{ SOL_SOCKET, SO_PROTOCOL, SOCKET_PROTOCOL, NUMBER, true },
	{ SOL_SOCKET, SO_ACCEPTCONN, SOCKET_ACCEPTING, NUMBER, true },
	{ SOL_SOCKET, SO_REUSEADDR, SOCKET_REUSE, TRUTH, false },
	{ SOL_SOCKET, SO_KEEPALIVE, SOCKET_KEEPALIVE, TRUTH, false },
	{ SOL_SOCKET, SO_BROADCAST, SOCKET_BROADCAST, TRUTH, false },
	{ SOL_SOCKET, SO_LINGER, SOCKET_LINGER, LINGER, false },
	{ SOL_SOCKET, SO_RCVTIMEO_OLD, SOCKET_RX_TIMEOUT, TIME, false },
	{ SOL_SOCKET, SO_SNDTIMEO_OLD, SOCKET_TX_TIMEOUT, TIME, false },
	{ SOL_SOCKET, SO_RCVTIMEO_NEW, SOCKET_RX_TIMEOUT, TIME, false },
	{ SOL_SOCKET, SO_SNDTIMEO_NEW, SOCKET_TX_TIMEOUT, TIME, false },
	{ SOL_SOCKET, SO_RCVBUF, SOCKET_RX_SIZE, NUMBER, false },
	{ SOL_SOCKET, SO_SNDBUF, SOCKET_TX_SIZE, NUMBER, false },
	{ IPPROTO_TCP, TCP_NODELAY, SOCKET_NODELAY, TRUTH, false },
	{ IPPROTO_IP, IP_TTL, SOCKET_TTL, BYTE, false },
	{ IPPROTO_IP, IP_RECVERR, SOCKET_TELL_ERRORS, TRUTH, false },
	{ SOL_SOCKET, SO_DOMAIN, SOCKET_DOMAIN, NUMBER, true },
	{ IPPROTO_IPV6, IPV6_V6ONLY, SOCKET_V6ONLY, TRUTH, false },
	{ IPPROTO_IPV6, IPV6_RECVERR, SOCKET_TELL_ERRORS, TRUTH, false },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, SOCKET_TTL, NUMBER, false },
	{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, SOCKET_TELL_HOPS, TRUTH, false },
	{ IPPROTO_IPV6, IPV6_2292HOPLIMIT, SOCKET_TELL_HOPS_OLD, TRUTH, false },
	{ IPPROTO_IPV6, IPV6_MTU, SOCKET_MTU, NUMBER, true },
	{ SOL_RAW, IPV6_CHECKSUM, SOCKET_CHECKSUM, NUMBER, false },
};

static const struct option *find_option(uint64_t level, uint64_t name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].level == (int)level && options[i].name == (int)name)
			return &options[i];
	return NULL;
}

/* A value as programs write it. */
union value {
	int32_t number;
	int64_t time[2]; /* struct timeval */
	int32_t linger[2];
};

static const uint32_t form_size[] = {
	[TRUTH] = 4, [NUMBER] = 4, [BYTE] = 4, [TIME] = 16, [LINGER] = 8
};

/* Linux has options at these levels, and says of others that of a kind of socket they are not. */
static bool has_level(struct file *f, int level)
{
	int64_t protocol;

	if (level == SOL_SOCKET || socket_is_local(f))
		return level == SOL_SOCKET;
	if (level == IPPROTO_IP || level == IPPROTO_IPV6)
		return is_inet6(f) == (level == IPPROTO_IPV6);
	return socket_get(f, SOCKET_PROTOCOL, &protocol) == 0 &&
	       (level == protocol || (level == SOL_RAW && protocol == IPPROTO_ICMPV6));
}

/* How much of a value of that form there is if the caller gives `len` bytes: a byte may come for a number. */
static uint32_t size_in(enum form form, uint32_t len)
{
	return form == BYTE && len && len < 4 ? 1 : form_size[form];
}

static int64_t value_of(const union value *v, enum form form, int64_t *out)
{
	switch (form) {
	case TIME:
		if (v->time[1] < 0 || v->time[1] >= 1000000)
			return -EDOM;
		/* as Linux: less than no time is over at once, and more than a lifetime is no limit */
		if (v->time[0] < 0)
			*out = 1;
		else if (v->time[0] > INT64_MAX / (4 * (int64_t)NS_PER_S))
			*out = 0;
		else
			*out = v->time[0] * (int64_t)NS_PER_S + v->time[1] * 1000;
		return 0;
	case LINGER:
		*out = (int64_t)(uint32_t)v->linger[1] | (v->linger[0] ? SOCKET_LINGERS : 0);
		return 0;
	case TRUTH:
		*out = v->number != 0;
		return 0;
	default:
		*out = v->number;
		return 0;
	}
}

static void value_from(union value *v, enum form form, int64_t in)
{
	memset(v, 0, sizeof(*v));
	switch (form) {
	case TIME:
		v->time[0] = in / (int64_t)NS_PER_S;
		v->time[1] = in % (int64_t)NS_PER_S / 1000;
		return;
	case LINGER:
		v->linger[0] = (in & SOCKET_LINGERS) != 0;
		v->linger[1] = (int32_t)in;
		return;
	default:
		v->number = (int32_t)in;
	}
}

/* Not a number, but a bit for each type. */
static bool is_filter(const uint64_t a[6])
{
	return (int)a[1] == IPPROTO_ICMPV6 && (int)a[2] == ICMPV6_FILTER;
}

static int64_t set_filter(struct file *f, const uint64_t a[6])
{
	uint32_t blocked[SOCKET_FILTER_WORDS];
	int64_t ret = socket_get_filter(f, blocked);

	if (ret == 0)
		ret = user_copy_from(blocked, a[3], MIN((size_t)(unsigned)a[4], sizeof(blocked)));
	return ret < 0 ? ret : socket_set_filter(f, blocked);
}

static int64_t get_filter(struct file *f, const uint64_t a[6], int32_t len)
{
	uint32_t blocked[SOCKET_FILTER_WORDS];
	int64_t ret = socket_get_filter(f, blocked);

	len = MIN(len, (int32_t)sizeof(blocked));
	if (ret == 0)
		ret = user_copy_to(a[4], &len, sizeof(len));
	return ret < 0 || !len ? ret : user_copy_to(a[3], blocked, (size_t)len);
}

static int64_t set_option(struct file *f, const uint64_t a[6])
{
	const struct option *o = find_option(a[1], a[2]);
	union value v = { 0 };
	int64_t value = 0, ret;
	uint32_t size;

	if (!socket_is(f))
		return -ENOTSOCK;
	if ((int)a[4] < 0)
		return -EINVAL;
	if (is_filter(a))
		return set_filter(f, a);
	if (!has_level(f, (int)a[1]))
		return socket_is_local(f) ? -EOPNOTSUPP : -ENOPROTOOPT;
	size = size_in(o ? o->form : NUMBER, (uint32_t)a[4]);
	if ((uint32_t)a[4] < size)
		return -EINVAL;
	ret = user_copy_from(&v, a[3], size);
	if (ret < 0)
		return ret;
	if (!o || o->asked_only)
		return -ENOPROTOOPT;
	ret = value_of(&v, o->form, &value);
	return ret < 0 ? ret : socket_set(f, o->what, value);
}

static int64_t get_option(struct file *f, const uint64_t a[6])
{
	const struct option *o = find_option(a[1], a[2]);
	union value v;
	int64_t value = 0, ret;
	int32_t len;

	if (!socket_is(f))
		return -ENOTSOCK;
	if (!has_level(f, (int)a[1]))
		return -EOPNOTSUPP;
	ret = user_copy_from(&len, a[4], sizeof(len));
	if (ret < 0)
		return ret;
	if (len < 0)
		return -EINVAL;
	if (is_filter(a))
		return get_filter(f, a, len);
	ret = o ? socket_get(f, o->what, &value) : -ENOPROTOOPT;
	if (ret < 0)
		return ret;
	value_from(&v, o->form, value);
	len = MIN(len, (int32_t)size_in(o->form, (uint32_t)len));
	ret = len ? user_copy_to(a[3], &v, (size_t)len) : 0;
	return ret < 0 ? ret : user_copy_to(a[4], &len, sizeof(len));
}

/* --- the calls: each on the file of its first argument ------------------------------------------------------------------ */

static int64_t on_socket(const uint64_t a[6], int64_t (*fn)(struct file *f, const uint64_t a[6]))
{
	struct file *f = fd_get(a[0]);
	int64_t ret;

	if (!f)
		return -EBADF;
	ret = READ_ONCE(f->flags) & O_PATH ? -EBADF : fn(f, a);
	file_put(f);
	return ret;
}

#define ON_SOCKET(name, fn)                                                                        \
	int64_t sys_##name(const uint64_t a[6])                                                    \
	{                                                                                          \
		return on_socket(a, fn);                                                           \
	}
ON_SOCKET(bind, bind_to)
ON_SOCKET(listen, listen_on)
ON_SOCKET(accept, accept_one)
ON_SOCKET(accept4, accept_with)
ON_SOCKET(connect, connect_to)
ON_SOCKET(getsockname, name_of)
ON_SOCKET(getpeername, peer_of)
ON_SOCKET(shutdown, shut_down)
ON_SOCKET(sendto, send_to)
ON_SOCKET(recvfrom, receive_from)
ON_SOCKET(sendmsg, send_one)
ON_SOCKET(sendmmsg, send_many)
ON_SOCKET(recvmsg, receive_message)
ON_SOCKET(setsockopt, set_option)
ON_SOCKET(getsockopt, get_option)
