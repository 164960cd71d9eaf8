/* SPDX-License-Identifier: MIT */
/* IPv4 sockets in few words, for the programs that try them. */
#ifndef TERN_TESTS_USER_INET_H
#define TERN_TESTS_USER_INET_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include "tests/user/check.h"

#define BAD ((void *)8)

static inline struct sockaddr_in at(uint32_t ip, int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(ip) };
}

static inline struct sockaddr_in name_of(int s)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	CHECK(getsockname(s, (struct sockaddr *)&a, &len) == 0 && len == sizeof(a));
	return a;
}

static inline int connect_to(int s, struct sockaddr_in a)
{
	return connect(s, (struct sockaddr *)&a, sizeof(a));
}

static inline int bind_to(int s, struct sockaddr_in a)
{
	return bind(s, (struct sockaddr *)&a, sizeof(a));
}

static inline ssize_t send_to(int s, const void *p, size_t n, struct sockaddr_in a)
{
	return sendto(s, p, n, 0, (struct sockaddr *)&a, sizeof(a));
}

static inline int events_of(int s)
{
	struct pollfd p = { s, POLLIN | POLLOUT | POLLRDHUP, 0 };

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

#endif
