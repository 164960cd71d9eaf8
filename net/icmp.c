/* SPDX-License-Identifier: MIT */
/* ICMP errors: the sender of what could not be delivered hears why. Each quotes the head of that packet; a connection
 * that is being made fails at once, if the number quoted is one it sent, and a connected UDP socket has an error pending.
 * Others are told nothing, as in Linux: an established connection goes on trying. */
#include "net/socket_impl.h"

#include <lwip/icmp.h>
#include <lwip/inet_chksum.h>
#include <lwip/ip.h>
#include <lwip/raw.h>

#include "lib/errno.h"

/* What is quoted behind the IP header: as much of UDP's and TCP's as both must quote. */
struct quoted {
	uint16_t src, dest;
	uint32_t seqno; /* TCP */
} __packed;

static int error_of(const struct icmp_hdr *icmp)
{
	if (icmp->type != ICMP_DUR)
		return 0;
	switch (icmp->code) {
	case ICMP_DUR_NET:
		return -ENETUNREACH;
	case ICMP_DUR_PROTO:
		return -ENOPROTOOPT;
	case ICMP_DUR_PORT:
		return -ECONNREFUSED;
	case ICMP_DUR_FRAG:
		return -EMSGSIZE;
	default:
		return -EHOSTUNREACH;
	}
}

/* p begins with the IP header; 0: lwIP goes on with it. */
static uint8_t on_icmp(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	size_t at = IPH_HL_BYTES((const struct ip_hdr *)p->payload);
	struct icmp_hdr icmp;
	struct ip_hdr ip;
	struct quoted q;
	ip_addr_t remote;
	int error;

	assert_mutex_held(&net_core);
	if (pbuf_copy_partial(p, &icmp, sizeof(icmp), (u16_t)at) != sizeof(icmp))
		return 0;
	error = error_of(&icmp);
	if (!error || !socket_sum_right(p, at))
		return 0;
	at += sizeof(icmp);
	if (pbuf_copy_partial(p, &ip, sizeof(ip), (u16_t)at) != sizeof(ip))
		return 0;
	at += IPH_HL_BYTES(&ip);
	if (pbuf_copy_partial(p, &q, sizeof(q), (u16_t)at) != sizeof(q))
		return 0;
	ip_addr_copy_from_ip4(remote, ip.dest);
	if (IPH_PROTO(&ip) == IP_PROTO_UDP)
		socket_udp_failed(&remote, lwip_ntohs(q.dest), lwip_ntohs(q.src), error);
	else if (IPH_PROTO(&ip) == IP_PROTO_TCP)
		socket_tcp_failed(&remote, lwip_ntohs(q.dest), lwip_ntohs(q.src),
				  lwip_ntohl(q.seqno), error);
	return 0;
}

void net_icmp_init(void)
{
	struct raw_pcb *pcb = raw_new_ip_type(IPADDR_TYPE_V4, IP_PROTO_ICMP);

	if (pcb)
		raw_recv(pcb, on_icmp, NULL);
}
