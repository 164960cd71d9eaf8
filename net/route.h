/* SPDX-License-Identifier: MIT */
/* Inside net/: the route table of IPv4. It is the only one (N9): lwIP asks it for each packet, /proc/net/route prints it,
 * `route` changes it. All under NET_CORE.
 *
 *   I-ROUTE-1  a route's interface is up: who takes an interface down, or its address, takes its routes. */
#ifndef TERN_NET_ROUTE_H
#define TERN_NET_ROUTE_H

#include "lib/list.h"
#include "net/core.h"

struct netif;
struct proc_text;

/* Addresses as they lie in a packet. */
struct route {
	struct list_head link;
	struct netif *netif;
	uint32_t to, mask;
	uint32_t via; /* 0: whoever it leads to is on the link */
	uint16_t metric;
};

/* The best one for `to`, of n alone if that is not NULL; NULL: none. The longest mask wins, then the least metric, then
 * the newest. */
const struct route *route_find(uint32_t to, const struct netif *n);

/* Forget all routes by n, whose own are in own[]. */
void route_forget(struct netif *n, struct route own[2]) __requires(net_core);
/* And, if it is up and has an address, own[0] is its network again, and own[1] leads to its gateway. */
void route_follow(struct netif *n, struct route own[2]) __requires(net_core);

/* The ioctls SIOCADDRT and SIOCDELRT. Takes NET_CORE. 0, -EPERM, -EFAULT, -EINVAL, -EAFNOSUPPORT, -ENODEV, -ENETDOWN,
 * -ENETUNREACH (no such gateway on a link), -EEXIST, -ESRCH, -ENOMEM. */
int64_t route_ioctl(bool add, vaddr_t arg) __must_check;

/* As /proc/net/route has it. Takes NET_CORE. */
void route_show(struct proc_text *t);

#endif
