/* SPDX-License-Identifier: MIT */
/* What lwIP's protocols include behind its own headers, so that they call us instead. */
#ifndef TERN_NET_LWIP_HOOKS_H
#define TERN_NET_LWIP_HOOKS_H

#include <lwip/err.h>
#include <lwip/pbuf.h>
#include <lwip/prot/ip.h>
#include <lwip/priv/raw_priv.h>

struct netif;
struct pbuf;

/* net/interface.c: a packet to ourselves. lwIP calls its own function for those, not the interface's output. */
err_t net_loop_output(struct netif *n, struct pbuf *p);
#define netif_loop_output net_loop_output

/* All raw pcbs are for ICMP: no other IPv4 packet is shown to them. */
static inline raw_input_state_t net_raw_input(struct pbuf *p, struct netif *in)
{
	const u8_t *b = p->payload;

	if (b[0] >> 4 == 4 && b[9] != IP_PROTO_ICMP)
		return RAW_INPUT_NONE;
	return raw_input(p, in);
}
#define raw_input net_raw_input

#endif
