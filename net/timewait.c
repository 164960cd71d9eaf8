/* SPDX-License-Identifier: MIT */
/* A new connection between the ports of one that has just ended. lwIP answers its SYN with an acknowledgement of the
 * old connection until TIME_WAIT is over; a peer that knows of no old connection, as QEMU's user network, resets that
 * and tries again seconds later. RFC 1122 s4.2.2.13 allows what is done here: a SYN above all that the old one sent
 * cannot be an old duplicate, so TIME_WAIT ends, and the listener gets the SYN. It asks as well that our own first
 * number is above all that we sent, and the clock of net_tcp_isn() does not see to that: a connection outruns it by
 * sending more than 244 kB/s. So what the old one sent last is remembered for the packet that ended it. */
#include "net/core.h"

#include <lwip/inet_chksum.h>
#include <lwip/ip.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/prot/ip4.h>
#include <lwip/prot/ip6.h>
#include <lwip/prot/tcp.h>

#include "lib/string.h"
#include "mm/phys/page.h"
#include "net/interface.h"

#define ISN_GAP 65537

/* The connection whose TIME_WAIT the packet under way has ended. [NET_CORE] */
static struct {
	bool there;
	ip_addr_t remote_ip;
	uint16_t local_port, remote_port;
	uint32_t snd_nxt;
} old;

uint32_t net_isn_above_old(uint32_t isn, const void *remote_ip, uint16_t local_port,
			   uint16_t remote_port) __requires(net_core)
{
	const ip_addr_t *ip = remote_ip;

	if (!old.there || old.local_port != local_port || old.remote_port != remote_port ||
	    !ip_addr_eq(&old.remote_ip, ip))
		return isn;
	old.there = false;
	return old.snd_nxt + ISN_GAP;
}

static void remember(const struct tcp_pcb *pcb)
{
	old.there = true;
	ip_addr_copy(old.remote_ip, pcb->remote_ip);
	old.local_port = pcb->local_port;
	old.remote_port = pcb->remote_port;
	old.snd_nxt = pcb->snd_nxt;
}

void net_time_waits_trim(void)
{
	static unsigned most; /* [NET_CORE] */
	struct tcp_pcb *pcb = tcp_tw_pcbs;

	if (!most)
		most = (unsigned)MIN(pages_usable() * PAGE_SIZE / 256 / sizeof(*pcb), 8192UL);
	/* the newest are first */
	for (unsigned n = 1; pcb && n < most; n++)
		pcb = pcb->next;
	while (pcb && pcb->next)
		tcp_abort(pcb->next);
}

/* A packet with a TCP header at `off` that ends at `end`; what is behind that is padding. */
struct segment {
	struct pbuf *p;
	size_t off, end;
	ip_addr_t from, to;
};

/* lwIP checks the sum after this, and what has a wrong one must not end anything. */
static bool sum_right(const struct segment *s)
{
	uint16_t len = (uint16_t)(s->end - s->off), sum;

	if (s->end < s->off || s->end > s->p->tot_len || pbuf_remove_header(s->p, s->off))
		return false;
	sum = ip_chksum_pseudo_partial(s->p, IP_PROTO_TCP, len, len, &s->from, &s->to);
	(void)pbuf_add_header_force(s->p, s->off);
	return sum == 0;
}

static void end_time_wait(const struct segment *s, const struct tcp_hdr *tcp,
			  const struct netif *in)
{
	bool summed = NETIF_CHECKSUM_ENABLED(in, NETIF_CHECKSUM_CHECK_TCP);

	struct tcp_pcb *pcb;

	for (pcb = tcp_tw_pcbs; pcb; pcb = pcb->next) {
		if (pcb->remote_port != lwip_ntohs(tcp->src) ||
		    pcb->local_port != lwip_ntohs(tcp->dest))
			continue;
		if (!ip_addr_eq(&pcb->remote_ip, &s->from) || !ip_addr_eq(&pcb->local_ip, &s->to))
			continue;
		if (TCP_SEQ_GT(lwip_ntohl(tcp->seqno), pcb->rcv_nxt) && (!summed || sum_right(s))) {
			net_counters.time_waits_ended++;
			remember(pcb);
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

static __noinline void see_opening4(struct pbuf *p, const struct tcp_hdr *tcp, struct netif *in)
{
	bool summed = NETIF_CHECKSUM_ENABLED(in, NETIF_CHECKSUM_CHECK_IP);
	const struct ip_hdr *ip = p->payload;
	struct segment s = { .p = p, .off = IPH_HL_BYTES(ip), .end = lwip_ntohs(IPH_LEN(ip)) };

	if (summed && inet_chksum(ip, (uint16_t)s.off) != 0)
		return;
	ip_addr_copy_from_ip4(s.from, ip->src);
	ip_addr_copy_from_ip4(s.to, ip->dest);
	end_time_wait(&s, tcp, in);
}

static void see_ip4(struct pbuf *p, struct netif *in)
{
	const struct ip_hdr *ip = p->payload;
	const struct tcp_hdr *tcp;

	if (p->len < sizeof(*ip) || IPH_PROTO(ip) != IP_PROTO_TCP ||
	    (IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK | IP_MF)))
		return;
	tcp = opening(p, IPH_HL_BYTES(ip));
	if (tcp)
		see_opening4(p, tcp, in);
}

static __noinline void see_ip6(struct pbuf *p, struct netif *in)
{
	const struct ip6_hdr *ip = p->payload;
	struct segment s = { .p = p, .off = sizeof(*ip) };
	const struct tcp_hdr *tcp;

	if (p->len < sizeof(*ip) || IP6H_NEXTH(ip) != IP6_NEXTH_TCP)
		return;
	tcp = opening(p, sizeof(*ip));
	if (!tcp)
		return;
	s.end = s.off + IP6H_PLEN(ip);
	ip_addr_copy_from_ip6_packed(s.from, ip->src);
	ip_addr_copy_from_ip6_packed(s.to, ip->dest);
	ip6_addr_assign_zone(ip_2_ip6(&s.from), IP6_UNKNOWN, in);
	ip6_addr_assign_zone(ip_2_ip6(&s.to), IP6_UNKNOWN, in);
	end_time_wait(&s, tcp, in);
}

void net_see_time_wait(struct pbuf *p, struct netif *in) __requires(net_core)
{
	old.there = false;
	net_if_loop_accept(in, p);
	if (!tcp_tw_pcbs || !p->len)
		return;
	if (*(const uint8_t *)p->payload >> 4 == 6)
		see_ip6(p, in);
	else
		see_ip4(p, in);
}
