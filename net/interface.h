/* SPDX-License-Identifier: MIT */
/* Inside net/: what the interfaces tell of themselves. */
#ifndef TERN_NET_INTERFACE_H
#define TERN_NET_INTERFACE_H

#include <lwip/ip4_addr.h>

#include "lib/types.h"
#include "net/core.h"

struct interface;
struct net_usage;
struct pbuf;
struct netdev;

/* Bring up an interface on d. address: "10.0.2.15/24[,GATEWAY]", "none", or NULL for DHCP. NULL: no memory. d stays
 * the caller's. NET_CORE held. */
struct interface *net_if_attach(struct netdev *d, const char *address) __requires(net_core);
/* Take it down again; the device is reset and holds nothing. No socket may hold data that came in by it. NET_CORE
 * held. */
void net_if_detach(struct interface *i) __requires(net_core);

/* How programs call it. NET_CORE held. */
#define NET_NAME_MAX 16
struct netif;
void net_if_name(const struct netif *n, char name[NET_NAME_MAX]) __requires(net_core);
struct netif *net_if_called(const char *name) __requires(net_core); /* NULL: none is */
struct netif *net_if_loop(void) __requires(net_core);
#define NET_LOOP_MTU 65536 /* lwIP has none for it */
/* net/lease.c: may a machine have that address in a network of that mask? */
bool net_address_usable(struct ip4_addr ip, struct ip4_addr mask);
/* What its device can carry. */
int net_if_mtu_max(const struct netif *n);
/* A packet is about to come in by n: all of 127.0.0.0/8 is the loop-back's. NET_CORE held. */
void net_if_loop_accept(struct netif *n, const struct pbuf *p) __requires(net_core);
/* Its two own routes (net/route.h). NET_CORE held. */
struct route;
struct route *net_if_own_routes(struct netif *n) __requires(net_core);
/* What went through it, frames as the device has them; over the loop-back, packets. NET_CORE held. */
struct net_traffic {
	uint64_t rx_frames, rx_bytes, rx_dropped, tx_frames, tx_bytes, tx_errors;
};
void net_if_traffic(const struct netif *n, struct net_traffic *out) __requires(net_core);

/* The ioctls of sockets that ask about interfaces: 0, -ENOTTY, -ENODEV, -EADDRNOTAVAIL, -EFAULT. */
int64_t net_if_ioctl(unsigned cmd, vaddr_t arg) __must_check;

/* Fills in the receive-buffer counts. NET_CORE held. */
void net_if_usage(struct net_usage *out) __requires(net_core);

/* Tests: no more receive buffers than this in all, those there are stay. Returns the limit so far. NET_CORE held. */
unsigned net_if_limit_rx(unsigned n) __requires(net_core);
/* Tests: drop the connections that only wait for stray segments. Takes NET_CORE. */
void net_forget_time_wait(void);

#endif
