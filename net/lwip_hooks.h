/* SPDX-License-Identifier: MIT */
/* What lwIP's protocols include behind its own headers, so that they call us instead. */
#ifndef TERN_NET_LWIP_HOOKS_H
#define TERN_NET_LWIP_HOOKS_H

#include <lwip/err.h>

struct netif;
struct pbuf;

/* net/interface.c: a packet to ourselves. lwIP calls its own function for those, not the interface's output. */
err_t net_loop_output(struct netif *n, struct pbuf *p);
#define netif_loop_output net_loop_output

#endif
