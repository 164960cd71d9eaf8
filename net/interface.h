/* SPDX-License-Identifier: MIT */
/* Inside net/: what the interfaces tell of themselves. */
#ifndef TERN_NET_INTERFACE_H
#define TERN_NET_INTERFACE_H

struct net_usage;

/* Fills in the receive-buffer counts. NET_CORE held. */
void net_if_usage(struct net_usage *out);

#endif
