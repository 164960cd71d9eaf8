/* SPDX-License-Identifier: MIT */
/* The network as the floors above see it: start it, and ask how it is. Sockets are in net/socket.h. */
#ifndef TERN_NET_NET_H
#define TERN_NET_NET_H

#include "lib/types.h"

/* boot, in a thread, after virtio_init(): lwIP, its thread, an interface for each device. Returns at once: addresses
 * come later, by DHCP or by ip=ADDRESS/BITS[,GATEWAY] on the command line (ip=none: no IPv4). Listen any time. */
int net_init(void) __must_check;

/* boot: what /proc/net shows. 0 or -ENOMEM. */
int net_procfs_init(void) __must_check;

/* Text for /proc/net: one call of line() per line. Context: thread. */
void net_report(void (*line)(void *arg, const char *text), void *arg);

/* What tests compare. Snapshots under NET_CORE. Context: thread. */
struct net_usage {
	unsigned tcp_active, tcp_time_wait, tcp_listening; /* lwIP's lists */
	unsigned sockets;
	int64_t socket_bytes; /* I-SOCK-4: that they are charged with */
	uint64_t rx_frames, rx_delivered, rx_dropped, tx_frames;
	unsigned rx_buffers; /* allocated, posted to devices or held by the stack */
	unsigned rx_posted;
	uint64_t resets;
};
void net_usage(struct net_usage *out);
/* Wait until an interface has an IPv4 address. 0, -ETIMEDOUT, -ENODEV without a device. */
int net_wait_address(uint64_t deadline_ns) __must_check;

#endif
