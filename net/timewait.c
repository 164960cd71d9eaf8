/* SPDX-License-Identifier: MIT */
/* A new connection between the ports of one that has just ended. lwIP answers its SYN with an acknowledgement of the
 * old connection until TIME_WAIT is over; a peer that knows of no old connection, as QEMU's user network, resets that
 * and tries again seconds later. RFC 1122 s4.2.2.13 allows what is done here: a SYN above all that the old one sent
 * cannot be an old duplicate, so TIME_WAIT ends, and the listener gets the SYN. Our own first number is above the old
 * one's too (net_tcp_isn()). */
#include "net/core.h"

#include <lwip/ip.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/prot/ip4.h>
#include <lwip/prot/ip6.h>
#include <lwip/prot/tcp.h>

#include "lib/string.h"

static void end_time_wait(const ip_addr_t *from, const ip_addr_t *to, const struct tcp_hdr *tcp)
{
	struct tcp_pcb *pcb;

	for (pcb = tcp_tw_pcbs; pcb; pcb = pcb->next) {
		if (pcb->remote_port != lwip_ntohs(tcp->src) ||
		    pcb->local_port != lwip_ntohs(tcp->dest))
			continue;
		if (!ip_addr_eq(&pcb->remote_ip, from) || !ip_addr_eq(&pcb->local_ip, to))
			continue;
		if (TCP_SEQ_GT(lwip_ntohl(tcp->seqno), pcb->rcv_nxt)) {
			net_counters.time_waits_ended++;
			tcp_abort(pcb);
		}
		return;
	}
}

/* The TCP header at off if it is there, in one piece, and opens a connection. */
static const struct tcp_hdr *opening(const struct pbuf *p, size_t off)
{
	const struct tcp_hdr *tcp = (const void *)((const uint8_t *)p->payload + off);

	if (p->len < off + sizeof(*tcp))
		return NULL;
	return (TCPH_FLAGS(tcp) & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN ? tcp : NULL;
}

static void see_ip4(const struct pbuf *p)
{
	const struct ip_hdr *ip = p->payload;
	const struct tcp_hdr *tcp;
	ip_addr_t from, to;

	if (p->len < sizeof(*ip) || IPH_PROTO(ip) != IP_PROTO_TCP ||
	    (IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK | IP_MF)))
		return;
	tcp = opening(p, IPH_HL_BYTES(ip));
	if (!tcp)
		return;
	ip_addr_copy_from_ip4(from, ip->src);
	ip_addr_copy_from_ip4(to, ip->dest);
	end_time_wait(&from, &to, tcp);
}

static void see_ip6(const struct pbuf *p, struct netif *in)
{
	const struct ip6_hdr *ip = p->payload;
	const struct tcp_hdr *tcp;
	ip_addr_t from, to;

	if (p->len < sizeof(*ip) || IP6H_NEXTH(ip) != IP6_NEXTH_TCP)
		return;
	tcp = opening(p, sizeof(*ip));
	if (!tcp)
		return;
	ip_addr_copy_from_ip6_packed(from, ip->src);
	ip_addr_copy_from_ip6_packed(to, ip->dest);
	ip6_addr_assign_zone(ip_2_ip6(&from), IP6_UNKNOWN, in);
	ip6_addr_assign_zone(ip_2_ip6(&to), IP6_UNKNOWN, in);
	end_time_wait(&from, &to, tcp);
}

int net_see_packet(struct pbuf *p, struct netif *in)
{
	net_assert_core();
	if (!tcp_tw_pcbs || !p->len)
		return 0;
	if (*(const uint8_t *)p->payload >> 4 == 6)
		see_ip6(p, in);
	else
		see_ip4(p);
	return 0;
}
