/* SPDX-License-Identifier: MIT */
/* Connections that have sent a SYN and nothing more. They take nothing from their listener's back-log, which is of complete
 * ones, and there is a bounded number of them in all: who invents addresses shuts nobody out, for the oldest gives way
 * to the next. One that is meant is complete within a round trip, so it is lost only where EMBRYOS_MAX others come in that
 * time; then it is reset. SYN cookies need no room at all, but lwIP cannot make a connection of an acknowledgement, and they
 * forget the options. */
#include "net/core.h"

#include <lwip/priv/tcp_priv.h>

#define EMBRYOS_MAX 512

void net_embryo_make_room(void)
{
	static unsigned
		nr; /* [NET_CORE] those there were when they were counted, and all that came since */
	struct tcp_pcb *pcb, *oldest = NULL;

	if (++nr <= EMBRYOS_MAX)
		return;
	nr = 1;
	/* the newest is the first of the list, but for those that were heard of again */
	for (pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		if (pcb->state != SYN_RCVD)
			continue;
		nr++;
		if (!oldest || (int32_t)(pcb->tmr - oldest->tmr) <= 0)
			oldest = pcb;
	}
	if (nr <= EMBRYOS_MAX)
		return;
	nr--;
	net_counters.embryos_dropped++;
	/* it hears nothing: what it says next is answered by a reset */
	tcp_abandon(oldest, 0);
}
