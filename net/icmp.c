/* SPDX-License-Identifier: MIT */
/* ICMP errors, of both families: the sender of what could not be delivered hears why. Each quotes the head of that packet; a connection
 * that is being made fails at once, if the number quoted is one it sent, and a connected UDP socket has an error pending.
 * Others are told nothing, as in Linux: an established connection goes on trying. */
#include "net/socket_impl.h"

#include <lwip/icmp.h>
#include <lwip/inet_chksum.h>
#include <lwip/ip.h>
#include <lwip/prot/icmp6.h>
#include <lwip/prot/ip6.h>
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

static int error6_of(const struct icmp_hdr *icmp)
{
	if (icmp->type != ICMP6_TYPE_DUR)
		return 0;
	switch (icmp->code) {
	case ICMP6_DUR_NO_ROUTE:
		return -ENETUNREACH;
	case ICMP6_DUR_PORT:
		return -ECONNREFUSED;
	case ICMP6_DUR_PROHIBITED:
	case ICMP6_DUR_POLICY:
	case ICMP6_DUR_REJECT_ROUTE:
		return -EACCES;
	default:
		return -EHOSTUNREACH;
	}
}

/* That there is no way now is no end for datagrams, as in Linux. */
static bool is_soft(const struct icmp_hdr *icmp, int error)
{
	return (error == -ENETUNREACH || error == -EHOSTUNREACH) &&
	       (ip_current_is_v6() || icmp->code <= ICMP_DUR_HOST);
}

/* Whose packet is quoted at `at`: that IP header's protocol and addresses. 0, or where what follows it is. */
static size_t quoted_head(const struct pbuf *p, size_t at, uint8_t *proto, struct packet_ends *ends)
{
	struct ip6_hdr ip6;
	struct ip_hdr ip;

	if (ip_current_is_v6()) {
		if (pbuf_copy_partial(p, &ip6, sizeof(ip6), (u16_t)at) != sizeof(ip6))
			return 0;
		*proto = IP6H_NEXTH(&ip6);
		ip_addr_copy_from_ip6_packed(ends->local, ip6.src);
		ip_addr_copy_from_ip6_packed(ends->remote, ip6.dest);
		ip6_addr_assign_zone(ip_2_ip6(&ends->local), IP6_UNKNOWN, ip_current_input_netif());
		ip6_addr_assign_zone(ip_2_ip6(&ends->remote), IP6_UNKNOWN,
				     ip_current_input_netif());
		return at + sizeof(ip6);
	}
	if (pbuf_copy_partial(p, &ip, sizeof(ip), (u16_t)at) != sizeof(ip))
		return 0;
	*proto = IPH_PROTO(&ip);
	ip_addr_copy_from_ip4(ends->local, ip.src);
	ip_addr_copy_from_ip4(ends->remote, ip.dest);
	return at + IPH_HL_BYTES(&ip);
}

/* p begins with the IP header; 0: lwIP goes on with it. */
static uint8_t on_icmp(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	size_t at = ip_current_header_tot_len();
	struct icmp_hdr icmp;
	struct quoted q;
	struct packet_ends sent;
	uint8_t proto;
	int error;

	assert_mutex_held(&net_core);
	if (pbuf_copy_partial(p, &icmp, sizeof(icmp), (u16_t)at) != sizeof(icmp))
		return 0;
	error = ip_current_is_v6() ? error6_of(&icmp) : error_of(&icmp);
	if (!error || !socket_sum_right(p, at))
		return 0;
	at = quoted_head(p, at + sizeof(icmp), &proto, &sent);
	if (!at || pbuf_copy_partial(p, &q, sizeof(q), (u16_t)at) != sizeof(q))
		return 0;
	sent.local_port = lwip_ntohs(q.src);
	sent.remote_port = lwip_ntohs(q.dest);
	if (proto == IP_PROTO_UDP)
		socket_udp_failed(&sent, error, is_soft(&icmp, error));
	else if (proto == IP_PROTO_TCP)
		socket_tcp_failed(&sent, lwip_ntohl(q.seqno), error);
	return 0;
}

void net_icmp_init(void)
{
	struct raw_pcb *pcb = raw_new_ip_type(IPADDR_TYPE_V4, IP_PROTO_ICMP);
	struct raw_pcb *pcb6 = raw_new_ip_type(IPADDR_TYPE_V6, IP6_NEXTH_ICMP6);

	if (pcb)
		raw_recv(pcb, on_icmp, NULL);
	if (pcb6)
		raw_recv(pcb6, on_icmp, NULL);
}
