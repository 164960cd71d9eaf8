/* SPDX-License-Identifier: MIT */
/* Neighbours that do not answer. lwIP asks for one's address each second and forgets it after five, and what waits for it
 * with it, in silence. Here it is given up after three, as in Linux, and whoever sent what waited hears of it as from a
 * router: an ICMP error over the loop-back, which finds the connection or socket as any other does (net/icmp.c). */
#include "net/core.h"

#include <lwip/icmp.h>
#include <lwip/ip4.h>
#include <lwip/nd6.h>
#include <lwip/priv/nd6_priv.h>

#include "lib/errno.h"
#include "net/socket_impl.h"

static void *queue_entry(memp_t kind);

/* The tables are lwIP's own files'. */
#include <../core/ipv4/etharp.c>
#define memp_malloc queue_entry
#include <../core/ipv6/nd6.c>
#undef memp_malloc

#define GIVE_UP 3 /* rounds of etharp_tmr(), a second each */

/* No error is answered by an error (RFC 1122 s3.2.2). */
static bool may_hear(const struct pbuf *p)
{
	const struct ip_hdr *ip = p->payload;
	const struct icmp_hdr *icmp = (const void *)((const uint8_t *)p->payload + IP_HLEN);

	if (p->len < IP_HLEN + sizeof(*icmp) || IPH_HL_BYTES(ip) != IP_HLEN || !ip->src.addr ||
	    (IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK)))
		return false;
	return IPH_PROTO(ip) != IP_PROTO_ICMP || icmp->type == ICMP_ECHO;
}

static void give_up(int i) __requires(net_core)
{
	struct etharp_q_entry *q = arp_table[i].q;

	arp_table[i].q = NULL;
	etharp_free_entry(i);
	while (q) {
		struct etharp_q_entry *next = q->next;

		if (may_hear(q->p))
			icmp_dest_unreach(q->p, ICMP_DUR_HOST);
		pbuf_free(q->p);
		memp_free(MEMP_ARP_QUEUE, q);
		q = next;
	}
}

void net_neighbour_tmr(void)
{
	assert_mutex_held(&net_core);
	for (int i = 0; i < ARP_TABLE_SIZE; i++) {
		if (arp_table[i].state == ETHARP_STATE_PENDING && arp_table[i].ctime + 1 >= GIVE_UP)
			give_up(i);
	}
	etharp_tmr();
}

/* lwIP asks three times for an IPv6 neighbour as well, and tells nobody; no error of its own making can be sent here. So a
 * connection that is being made by way of that neighbour fails, and datagrams are told nothing, as in Linux. A destination on
 * the link is its own next hop. */
static void unresolved(const ip6_addr_t *neighbour) __requires(net_core)
{
	ip_addr_t to;

	for (size_t i = 0; i < LWIP_ND6_NUM_DESTINATIONS; i++) {
		if (!ip6_addr_eq(&destination_cache[i].next_hop_addr, neighbour))
			continue;
		ip_addr_copy_from_ip6(to, destination_cache[i].destination_addr);
		socket_tcp_unreached(&to, -EHOSTUNREACH);
	}
}

/* lwIP counts an entry of the queue that it was refused, too, until it believes that the queue is full. */
static void *queue_entry(memp_t kind)
{
	void *entry = memp_malloc(kind);

	if (!entry && kind == MEMP_ND6_QUEUE)
		nd6_queue_size--;
	return entry;
}

void net_neighbour6_tmr(void)
{
	ip6_addr_t asked[LWIP_ND6_NUM_NEIGHBORS];

	assert_mutex_held(&net_core);
	for (size_t i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++) {
		ip6_addr_set_any(&asked[i]);
		if (neighbor_cache[i].state == ND6_INCOMPLETE)
			ip6_addr_copy(asked[i], neighbor_cache[i].next_hop_address);
	}
	nd6_tmr();
	for (size_t i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++)
		if (!ip6_addr_isany(&asked[i]) && neighbor_cache[i].state == ND6_NO_ENTRY)
			unresolved(&asked[i]);
}
