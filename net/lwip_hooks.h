/* SPDX-License-Identifier: MIT */
/* What lwIP's protocols include behind its own headers, so that they call us instead. */
#ifndef TERN_NET_LWIP_HOOKS_H
#define TERN_NET_LWIP_HOOKS_H

#include <lwip/err.h>
#include <lwip/pbuf.h>
#include <lwip/prot/ip.h>
#include <lwip/priv/raw_priv.h>
#include <lwip/priv/tcp_priv.h>

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

/* What carries no byte lies within the peer's window, as in Linux: beyond a closed one, where a probe has been, its
 * acknowledgement would not be looked at, and the other direction would stand still too (N7). */
static inline u32_t *net_within_window(const struct pbuf *p, struct tcp_hdr *h,
				       const struct tcp_pcb *pcb, u32_t *opts)
{
	u32_t edge;

	if (!pcb || pcb->state < ESTABLISHED || p->tot_len != TCPH_HDRLEN_BYTES(h) ||
	    TCPH_FLAGS(h) & (TCP_SYN | TCP_FIN))
		return opts;
	edge = pcb->lastack + pcb->snd_wnd;
	if (TCP_SEQ_GT(lwip_ntohl(h->seqno), edge))
		h->seqno = lwip_htonl(edge);
	return opts;
}
#define LWIP_HOOK_TCP_OUT_ADD_TCPOPTS net_within_window

#endif
