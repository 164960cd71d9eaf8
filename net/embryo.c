/* SPDX-License-Identifier: MIT */
/* Connections that have sent a SYN and nothing more. lwIP keeps one for 20 s and drops SYNs while its listener's backlog is
 * full of them: who invents addresses shuts everybody out. Here the oldest gives way to the next. One that is meant is
 * complete within a round trip, so it is lost only where a whole backlog of others comes in that time; then it is reset.
 * SYN cookies need no room at all, but lwIP cannot make a connection of an acknowledgement, and they forget
 * the options. */
#include "net/core.h"

#include <lwip/priv/tcp_priv.h>
#include <lwip/prot/tcp.h>

/* Nobody invents an address of ours, and of ours many may ask before the first has heard the answer: its SYN would be let
 * in, and the connection reset. */
static bool from_here(const struct tcp_pcb *pcb)
{
	return ip_addr_isloopback(&pcb->remote_ip) || ip_addr_eq(&pcb->remote_ip, &pcb->local_ip);
}

static struct tcp_pcb *oldest_of(const struct tcp_pcb_listen *listener) __requires(net_core)
{
	struct tcp_pcb *pcb, *oldest = NULL;

	/* the newest is the first of the list, but for those that were heard of again */
	for (pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		if (pcb->state == SYN_RCVD && pcb->listener == listener && !from_here(pcb) &&
		    (!oldest || (int32_t)(pcb->tmr - oldest->tmr) <= 0))
			oldest = pcb;
	}
	return oldest;
}

void net_embryo_make_room(struct tcp_pcb_listen *listener)
{
	struct tcp_pcb *oldest;

	if (listener->accepts_pending < listener->backlog)
		return;
	oldest = oldest_of(listener);
	if (!oldest)
		return;
	net_counters.embryos_dropped++;
	/* it hears nothing: what it says next is answered by a reset */
	tcp_abandon(oldest, 0);
}
