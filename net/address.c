/* SPDX-License-Identifier: MIT */
/* Addresses of both families: as programs, sockets and lwIP have them. */
#include "net/address.h"

#include <lwip/ip.h>
#include <lwip/nd6.h>
#include <lwip/netif.h>

#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "net/core.h"
#include "net/socket_impl.h"

void address_from_lwip(struct socket_addr *out, const ip_addr_t *ip, uint16_t port)
{
	memset(out, 0, sizeof(*out));
	out->port = port;
	/* any of both is IPv6's any */
	out->v6 = IP_GET_TYPE(ip) != IPADDR_TYPE_V4;
	if (out->v6) {
		memcpy(out->addr, ip_2_ip6(ip)->addr, 16);
		out->scope = ip6_addr_zone(ip_2_ip6(ip));
	} else {
		memcpy(out->addr, &ip_2_ip4(ip)->addr, 4);
	}
}

void address_to_lwip(ip_addr_t *out, const struct socket_addr *a)
{
	ip_addr_set_zero(out);
	if (a->v6) {
		IP_SET_TYPE(out, IPADDR_TYPE_V6);
		memcpy(ip_2_ip6(out)->addr, a->addr, 16);
		if (ip6_addr_has_scope(ip_2_ip6(out), IP6_UNKNOWN))
			ip6_addr_set_zone(ip_2_ip6(out), (uint8_t)a->scope);
	} else {
		IP_SET_TYPE(out, IPADDR_TYPE_V4);
		memcpy(&ip_2_ip4(out)->addr, a->addr, 4);
	}
}

static bool is_any(const struct socket_addr *a)
{
	ip_addr_t ip;

	address_to_lwip(&ip, a);
	return ip_addr_isany(&ip);
}

/* Is a of a family that s speaks, and of the one it is bound to? */
static bool reaches(const struct socket *s, const struct socket_addr *a) __requires(net_core)
{
	if (a->v6 != s->v6 && (!s->v6 || s->opt.v6only || s->kind->type == SOCKET_RAW))
		return false;
	return !s->bound || a->v6 == s->local.v6 || (s->local.v6 && is_any(&s->local));
}

int address_check(const struct socket_addr *a)
{
	ip_addr_t ip;

	address_to_lwip(&ip, a);
	if (!a->v6 || !ip6_addr_has_scope(ip_2_ip6(&ip), IP6_UNKNOWN))
		return 0;
	if (!a->scope)
		return -EINVAL;
	return a->scope <= UINT8_MAX && netif_get_by_index((uint8_t)a->scope) ? 0 : -ENODEV;
}

int address_of_peer(const struct socket *s, const struct socket_addr *a, ip_addr_t *out)
{
	int ret = reaches(s, a) ? address_check(a) : -ENETUNREACH;

	if (ret < 0)
		return ret == -ENODEV ? -ENETUNREACH : ret;
	address_to_lwip(out, a);
	if (ip_addr_isany(out))
		ip_addr_set_loopback(a->v6, out);
	return 0;
}

void address_to_bind(const struct socket *s, const struct socket_addr *a, ip_addr_t *out)
{
	address_to_lwip(out, a);
	if (a->v6 && ip_addr_isany(out))
		IP_SET_TYPE(out, socket_ip_type(s));
}

const ip_addr_t *address_source(const ip_addr_t *to)
{
	struct netif *n = ip_route(IP_ANY_TYPE, to);
	const ip_addr_t *from = n ? ip_netif_get_local_ip(n, to) : NULL;

	if (!from || ip_addr_isany(from))
		return NULL;
	/* lwIP's last resort is the default interface, though it knows no router, and ::/64 is the loop-back's */
	if (IP_IS_V6(to) && !ip6_addr_has_zone(ip_2_ip6(to)) && !ip_addr_eq(from, to) &&
	    !nd6_find_route(ip_2_ip6(to)))
		return NULL;
	return from;
}

int socket_addr_parse(struct socket_addr *a, const char *text)
{
	ip_addr_t ip;

	/* lwIP lets anything follow an address, and looks a zone's name up in its list of interfaces, which is NET_CORE's */
	for (const char *p = text; *p; p++)
		if (!strchr("0123456789abcdefABCDEFxX.:", *p))
			return -EINVAL;
	if (!ipaddr_aton(text, &ip))
		return -EINVAL;
	address_from_lwip(a, &ip, 0);
	return 0;
}

void socket_addr_format(char *buf, size_t size, const struct socket_addr *a)
{
	char text[48];
	size_t n = 0;

	if (!a->v6) {
		fmt_print(buf, size, "%u.%u.%u.%u:%u", a->addr[0], a->addr[1], a->addr[2],
			  a->addr[3], a->port);
		return;
	}
	for (int i = 0; i < 16; i += 2)
		n += fmt_print(text + n, sizeof(text) - n, "%s%x", i ? ":" : "",
			       (unsigned)a->addr[i] << 8 | a->addr[i + 1]);
	fmt_print(buf, size, "[%s]:%u", text, a->port);
}
