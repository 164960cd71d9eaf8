/* SPDX-License-Identifier: MIT */
/* ICMP errors, of both families: the sender of what could not be delivered hears why. Each quotes the head of that packet; a connection
 * that is being made fails at once, if the number quoted is one it sent, and a connected UDP socket has an error pending if it
 * is one that cannot pass. Others are told nothing, as in Linux: an established connection goes on trying. */
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

/* What Linux makes of a code; what does not end it, because there may be a way later, only those datagram sockets are told
 * that ask for it. */
struct verdict {
	int error;
	bool ends;
};

static const struct verdict unreachable[] = {
	[ICMP_DUR_NET] = { ENETUNREACH, false },
	[ICMP_DUR_HOST] = { EHOSTUNREACH, false },
	[ICMP_DUR_PROTO] = { ENOPROTOOPT, true },
	[ICMP_DUR_PORT] = { ECONNREFUSED, true },
	[ICMP_DUR_FRAG] = { EMSGSIZE, true },
	[ICMP_DUR_SR] = { EOPNOTSUPP, false },
	/* unknown net and host, isolated, forbidden, none for such a service, filtered, precedence */
	{ ENETUNREACH, true },
	{ EHOSTDOWN, true },
	{ ENONET, true },
	{ ENETUNREACH, true },
	{ EHOSTUNREACH, true },
	{ ENETUNREACH, false },
	{ EHOSTUNREACH, false },
	{ EHOSTUNREACH, true },
	{ EHOSTUNREACH, true },
	{ EHOSTUNREACH, true },
};

static const struct verdict unreachable6[] = {
	[ICMP6_DUR_NO_ROUTE] = { ENETUNREACH, false },
	[ICMP6_DUR_PROHIBITED] = { EACCES, true },
	[ICMP6_DUR_SCOPE] = { EHOSTUNREACH, false },
	[ICMP6_DUR_ADDRESS] = { EHOSTUNREACH, false },
	[ICMP6_DUR_PORT] = { ECONNREFUSED, true },
	[ICMP6_DUR_POLICY] = { EACCES, true },
	[ICMP6_DUR_REJECT_ROUTE] = { EACCES, true },
};

static struct verdict verdict_of(const struct icmp_hdr *icmp)
{
	switch (icmp->type) {
	case ICMP_DUR:
		if (icmp->code < ARRAY_SIZE(unreachable))
			return unreachable[icmp->code];
		break;
	case ICMP_TE:
		return (struct verdict){ EHOSTUNREACH, false };
	case ICMP_PP:
		return (struct verdict){ EPROTO, true };
	}
	return (struct verdict){ 0, false };
}

static struct verdict verdict6_of(const struct icmp_hdr *icmp)
{
	switch (icmp->type) {
	case ICMP6_TYPE_DUR:
		if (icmp->code < ARRAY_SIZE(unreachable6))
			return unreachable6[icmp->code];
		return (struct verdict){ EPROTO, true };
	case ICMP6_TYPE_PTB:
		return (struct verdict){ EMSGSIZE, true };
	case ICMP6_TYPE_TE:
		return (struct verdict){ EHOSTUNREACH, false };
	case ICMP6_TYPE_PP:
		return (struct verdict){ EPROTO, true };
	}
	return (struct verdict){ 0, false };
}

/* Whose packet is quoted at `at`: that IP header's protocol and addresses. 0, or where what follows it is. Not inlined: with
 * the address sanitizer gcc 12 fails at the two in one. */
static __noinline size_t quoted_head(const struct pbuf *p, size_t at, uint8_t *proto,
				     struct packet_ends *ends)
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
	struct verdict v;
	uint8_t proto;

	assert_mutex_held(&net_core);
	if (pbuf_copy_partial(p, &icmp, sizeof(icmp), (u16_t)at) != sizeof(icmp))
		return 0;
	v = ip_current_is_v6() ? verdict6_of(&icmp) : verdict_of(&icmp);
	if (!v.error || !socket_sum_right(p, at))
		return 0;
	at = quoted_head(p, at + sizeof(icmp), &proto, &sent);
	if (!at || pbuf_copy_partial(p, &q, sizeof(q), (u16_t)at) != sizeof(q))
		return 0;
	sent.local_port = lwip_ntohs(q.src);
	sent.remote_port = lwip_ntohs(q.dest);
	if (proto == IP_PROTO_UDP)
		socket_udp_failed(&sent, -v.error, !v.ends);
	/* a smaller segment may arrive */
	else if (proto == IP_PROTO_TCP && v.error != EMSGSIZE)
		socket_tcp_failed(&sent, lwip_ntohl(q.seqno), -v.error);
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
