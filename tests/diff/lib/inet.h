/* SPDX-License-Identifier: MIT */
/* For the areas that are about sockets of IPv4. */
#ifndef TERN_TESTS_DIFF_LIB_INET_H
#define TERN_TESTS_DIFF_LIB_INET_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include "tests/diff/lib/diff.h"

static inline struct sockaddr_in at(uint32_t ip, int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(ip) };
}

static inline struct sockaddr_in name_of(int s)
{
	struct sockaddr_in a = { 0 };
	socklen_t len = sizeof(a);

	getsockname(s, (struct sockaddr *)&a, &len);
	return a;
}

static inline int bind_to(int s, struct sockaddr_in a)
{
	return bind(s, (struct sockaddr *)&a, sizeof(a));
}

static inline int connect_to(int s, struct sockaddr_in a)
{
	return connect(s, (struct sockaddr *)&a, sizeof(a));
}

static inline int events_of(int s)
{
	struct pollfd p = { s, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0 };

	poll(&p, 1, 0);
	return p.revents;
}

#endif
