/* SPDX-License-Identifier: MIT */
/* Answers of a DHCP server that cannot be meant: an address that is no machine's, a mask with holes, an address that is its
 * network's own or everybody's. lwIP would take it; here it is dropped as if it had been lost, and counted, so another
 * server's may come. */
#include "net/core.h"

#include <lwip/ip.h>
#include <lwip/prot/dhcp.h>
#include <lwip/prot/iana.h>
#include <lwip/prot/udp.h>

#include "lib/string.h"
#include "net/interface.h"

static bool is_machine(ip4_addr_t a)
{
	return !ip4_addr_isany_val(a) && !ip4_addr_isloopback(&a) && !ip4_addr_ismulticast(&a) &&
	       lwip_ntohl(a.addr) >> 28 != 15;
}

bool net_address_usable(struct ip4_addr ip, struct ip4_addr mask)
{
	uint32_t rest = ~lwip_ntohl(mask.addr), host = lwip_ntohl(ip.addr) & rest;

	return is_machine(ip) && !(rest & (rest + 1)) && (rest <= 1 || (host && host != rest));
}

/* The option's place, or NULL: it is not there, or has not that length at least. */
static const uint8_t *option(const uint8_t *at, const uint8_t *end, uint8_t kind, uint8_t len)
{
	while (at < end && *at != DHCP_OPTION_END) {
		if (*at == DHCP_OPTION_PAD) {
			at++;
			continue;
		}
		if (end - at < 2 || end - at - 2 < at[1])
			return NULL;
		if (*at == kind)
			return at[1] >= len ? at + 2 : NULL;
		at += 2 + at[1];
	}
	return NULL;
}

static bool address_at(const uint8_t *at, ip4_addr_t *out)
{
	if (at)
		memcpy(&out->addr, at, sizeof(out->addr));
	return at != NULL;
}

static bool is_lie(const struct dhcp_msg *msg, const uint8_t *end)
{
	const uint8_t *options = msg->options, *kind;
	ip4_addr_t ip, other;

	kind = option(options, end, DHCP_OPTION_MESSAGE_TYPE, 1);
	if (!kind || (*kind != DHCP_OFFER && *kind != DHCP_ACK))
		return false;
	ip4_addr_copy(ip, msg->yiaddr);
	if (!is_machine(ip))
		return true;
	if (address_at(option(options, end, DHCP_OPTION_ROUTER, 4), &other) && other.addr &&
	    !is_machine(other))
		return true;
	return address_at(option(options, end, DHCP_OPTION_SUBNET_MASK, 4), &other) &&
	       !net_address_usable(ip, other);
}

bool net_lease_lies(const struct pbuf *p)
{
	const struct ip_hdr *ip = p->payload;
	const struct udp_hdr *udp;
	size_t at;

	if (p->len < IP_HLEN || IPH_V(ip) != 4 || IPH_PROTO(ip) != IP_PROTO_UDP)
		return false;
	at = IPH_HL_BYTES(ip);
	if (p->len < at + sizeof(*udp) + DHCP_OPTIONS_OFS)
		return false;
	udp = (const void *)((const uint8_t *)p->payload + at);
	if (udp->dest != PP_HTONS(LWIP_IANA_PORT_DHCP_CLIENT) ||
	    !is_lie((const void *)(udp + 1), (const uint8_t *)p->payload + p->len))
		return false;
	net_counters.leases_refused++;
	return true;
}
