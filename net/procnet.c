/* SPDX-License-Identifier: MIT */
/* /proc/net: what netstat, route, arp, ifconfig and the resolver read, in Linux's formats. Each text is one snapshot under
 * NET_CORE of what is really used: there is no second table. */
#include "net/socket_impl.h"

#include <lwip/dns.h>
#include <lwip/etharp.h>
#include <lwip/netif.h>
#include <lwip/priv/nd6_priv.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/raw.h>
#include <lwip/udp.h>

#include "fs/vfs.h"
#include "lib/string.h"
#include "net/address.h"
#include "net/interface.h"
#include "net/net.h"
#include "net/route.h"

static bool is_ip6(const ip_addr_t *ip)
{
	return IP_GET_TYPE(ip) == IPADDR_TYPE_V6;
}

/* --- connections --------------------------------------------------------------------------------------------------- */

/* An end as Linux prints it: words as they lie in memory, and the port. IPv4's beside IPv6's is ::ffff:a.b.c.d. */
static void put_end(struct proc_text *t, bool ip6, const ip_addr_t *ip, unsigned port)
{
	if (is_ip6(ip) || (ip6 && IP_IS_ANY_TYPE_VAL(*ip)))
		for (int i = 0; i < 4; i++)
			proc_printf(t, "%08X", ip_2_ip6(ip)->addr[i]);
	else
		proc_printf(t, "%s%08X", ip6 ? "0000000000000000FFFF0000" : "", ip_2_ip4(ip)->addr);
	proc_printf(t, ":%04X ", port);
}

static const uint8_t linux_state[] = {
	[CLOSED] = 7,	   [LISTEN] = 10,    [SYN_SENT] = 2,   [SYN_RCVD] = 3,
	[ESTABLISHED] = 1, [FIN_WAIT_1] = 4, [FIN_WAIT_2] = 5, [CLOSE_WAIT] = 8,
	[CLOSING] = 11,	   [LAST_ACK] = 9,   [TIME_WAIT] = 6,
};

/* Which of the two files shows it. What no socket has any more is shown as what it was on the wire. */
static bool shown_as6(const struct socket *s, const ip_addr_t *local)
{
	return s ? s->v6 : is_ip6(local);
}

/* What tells the columns, of IPv6 as wide as its addresses. */
static void put_head(struct proc_text *t, bool ip6, const char *rest)
{
	proc_printf(
		t,
		"  sl  %-*s%-*sst tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode%s\n",
		ip6 ? 38 : 14, "local_address", ip6 ? 38 : 14,
		ip6 ? "remote_address" : "rem_address", rest);
}

static void tcp_line(struct proc_text *t, unsigned n, const struct tcp_pcb *pcb, bool ip6)
	__requires(net_core)
{
	const struct socket *s = socket_of_pcb(pcb);

	proc_printf(t, "%4u: ", n);
	put_end(t, ip6, &pcb->local_ip, pcb->local_port);
	/* lwIP leaves a listener's peer unset */
	if (pcb->state == LISTEN)
		put_end(t, ip6, IP_ANY_TYPE, 0);
	else
		put_end(t, ip6, &pcb->remote_ip, pcb->remote_port);
	proc_printf(t, "%02X %08lX:%08lX 00:00000000 00000000 %5u        0 %lu 1\n",
		    linux_state[pcb->state], (unsigned long)(s ? s->tx_pending : 0),
		    (unsigned long)(s ? READ_ONCE(s->rx_bytes) : 0), s ? READ_ONCE(s->uid) : 0,
		    (unsigned long)(s ? s->ino : 0));
}

/* Lines printed in one hold of NET_CORE. What comes or goes between two holds may be shown twice or not at all, as in
 * Linux. */
#define LINES 64

/* lines() prints up to LINES of those from the from-th on. */
static void show_lines(struct proc_text *t, bool ip6,
		       unsigned (*lines)(struct proc_text *t, bool ip6, unsigned from))
{
	unsigned from = 0, n;

	do {
		net_lock();
		n = lines(t, ip6, from);
		net_unlock();
		from += n;
	} while (n == LINES && !t->err);
}

static unsigned tcp_lines(struct proc_text *t, bool ip6, unsigned from) __requires(net_core)
{
	const struct tcp_pcb *pcb;
	unsigned n = 0;

	for (size_t i = 0; i < NUM_TCP_PCB_LISTS; i++) {
		for (pcb = *tcp_pcb_lists[i]; pcb; pcb = pcb->next) {
			if (!pcb->local_port ||
			    shown_as6(socket_of_pcb(pcb), &pcb->local_ip) != ip6)
				continue;
			if (n >= from)
				tcp_line(t, n, pcb, ip6);
			if (++n == from + LINES)
				return LINES;
		}
	}
	return n > from ? n - from : 0;
}

static void show_tcp_of(struct proc_text *t, bool ip6)
{
	put_head(t, ip6, "");
	show_lines(t, ip6, tcp_lines);
}

static void show_tcp(struct proc_text *t)
{
	show_tcp_of(t, false);
}

static void show_tcp6(struct proc_text *t)
{
	show_tcp_of(t, true);
}

/* One of datagrams. pcb: it begins as each of lwIP's; s: NULL: lwIP's own; a connected one has an address of ours. */
static void put_datagrams(struct proc_text *t, const struct ip_pcb *pcb, const struct socket *s,
			  bool ip6, unsigned local_port, unsigned remote_port) __requires(net_core)
{
	bool connected = s ? s->state == SOCKET_OPEN : !ip_addr_isany(&pcb->remote_ip);
	ip_addr_t local = pcb->local_ip;

	if (connected && s)
		address_to_lwip(&local, &s->local);
	put_end(t, ip6, &local, local_port);
	put_end(t, ip6, connected ? &pcb->remote_ip : IP_ANY_TYPE, connected ? remote_port : 0);
	proc_printf(t, "%02X 00000000:%08lX 00:00000000 00000000 %5u        0 %lu 2 0 0\n",
		    connected ? 1 : 7, (unsigned long)(s ? READ_ONCE(s->rx_bytes) : 0),
		    s ? READ_ONCE(s->uid) : 0, (unsigned long)(s ? s->ino : 0));
}

static unsigned udp_lines(struct proc_text *t, bool ip6, unsigned from) __requires(net_core)
{
	const struct udp_pcb *pcb;
	unsigned n = 0;

	for (pcb = udp_pcbs; pcb; pcb = pcb->next) {
		if (!pcb->local_port || shown_as6(socket_of_udp(pcb), &pcb->local_ip) != ip6)
			continue;
		if (n >= from) {
			proc_printf(t, "%5u: ", n);
			put_datagrams(t, (const struct ip_pcb *)pcb, socket_of_udp(pcb), ip6,
				      pcb->local_port, pcb->remote_port);
		}
		if (++n == from + LINES)
			return LINES;
	}
	return n > from ? n - from : 0;
}

/* In place of a port they have a protocol. */
static unsigned raw_lines(struct proc_text *t, bool ip6, unsigned from) __requires(net_core)
{
	const struct socket *s = NULL;
	unsigned n = 0;

	while ((s = socket_next_raw(s, ip6)) != NULL && n < from + LINES) {
		if (n >= from) {
			proc_printf(t, ip6 ? "%5u: " : "%4u: ", n);
			put_datagrams(t, (const struct ip_pcb *)s->raw, s, ip6, s->raw->protocol,
				      0);
		}
		n++;
	}
	return n > from ? n - from : 0;
}

static void show_datagrams(struct proc_text *t, bool ip6,
			   unsigned (*lines)(struct proc_text *t, bool ip6, unsigned from))
{
	put_head(t, ip6, " ref pointer drops");
	show_lines(t, ip6, lines);
}

static void show_udp(struct proc_text *t)
{
	show_datagrams(t, false, udp_lines);
}

static void show_udp6(struct proc_text *t)
{
	show_datagrams(t, true, udp_lines);
}

static void show_raw(struct proc_text *t)
{
	show_datagrams(t, false, raw_lines);
}

static void show_raw6(struct proc_text *t)
{
	show_datagrams(t, true, raw_lines);
}

/* There are pairs alone, which have no names. */
static void show_unix(struct proc_text *t)
{
	proc_printf(t, "Num       RefCount Protocol Flags    Type St Inode Path\n");
}

/* --- the way out ------------------------------------------------------------------------------------------------------ */

static void put_ip6(struct proc_text *t, const ip6_addr_t *ip)
{
	const uint8_t *b = (const uint8_t *)ip->addr;

	for (int i = 0; i < 16; i++)
		proc_printf(t, "%02x", b[i]);
}

#define RTF_UP	       0x1
#define RTF_GATEWAY    0x2

#define IF6_PERMANENT  0x80
#define IF6_TENTATIVE  0x40
#define IF6_DEPRECATED 0x20

static void if_inet6_line(struct proc_text *t, struct netif *n, int8_t i) __requires(net_core)
{
	const ip6_addr_t *ip = netif_ip6_addr(n, i);
	uint8_t state = netif_ip6_addr_state(n, i);
	unsigned scope = ip6_addr_isloopback(ip)    ? 0x10
			 : ip6_addr_islinklocal(ip) ? 0x20
			 : ip6_addr_issitelocal(ip) ? 0x40
						    : 0;
	unsigned flags = netif_ip6_addr_isstatic(n, i) ? IF6_PERMANENT : 0;
	char name[NET_NAME_MAX];

	if (ip6_addr_istentative(state))
		flags |= IF6_TENTATIVE;
	else if (!ip6_addr_ispreferred(state))
		flags |= IF6_DEPRECATED;
	net_if_name(n, name);
	put_ip6(t, ip);
	proc_printf(t, " %02x %02x %02x %02x %8s\n", netif_get_index(n),
		    ip6_addr_isloopback(ip) ? 128 : 64, scope, flags, name);
}

static void show_if_inet6(struct proc_text *t)
{
	struct netif *n;

	net_lock();
	NETIF_FOREACH(n)
	{
		for (int8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
			if (!ip6_addr_isinvalid(netif_ip6_addr_state(n, i)))
				if_inet6_line(t, n, i);
	}
	net_unlock();
}

/* by: NULL: on the link itself. */
static void route6_line(struct proc_text *t, struct netif *n, const ip6_addr_t *to, unsigned bits,
			const ip6_addr_t *by) __requires(net_core)
{
	char name[NET_NAME_MAX];

	net_if_name(n, name);
	put_ip6(t, to);
	proc_printf(t, " %02x ", bits);
	put_ip6(t, IP6_ADDR_ANY6);
	proc_printf(t, " 00 ");
	put_ip6(t, by ? by : IP6_ADDR_ANY6);
	proc_printf(t, " %08x %08x %08x %08x %8s\n", by ? 1024 : 256, 0, 0,
		    RTF_UP | (by ? RTF_GATEWAY : 0), name);
}

/* What ip6_route() goes by: our own addresses, the prefixes and the routers that were announced. */
static void show_route6(struct proc_text *t)
{
	ip6_addr_t local = { .addr = { PP_HTONL(0xfe800000) } };
	struct netif *n;

	net_lock();
	NETIF_FOREACH(n)
	{
		for (int8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
			if (ip6_addr_isvalid(netif_ip6_addr_state(n, i)))
				route6_line(t, n, netif_ip6_addr(n, i), 128, NULL);
		if (netif_is_up(n) && ip6_addr_islinklocal(netif_ip6_addr(n, 0)))
			route6_line(t, n, &local, 64, NULL);
	}
	for (size_t i = 0; i < LWIP_ND6_NUM_PREFIXES; i++)
		if (prefix_list[i].netif)
			route6_line(t, prefix_list[i].netif, &prefix_list[i].prefix, 64, NULL);
	for (size_t i = 0; i < LWIP_ND6_NUM_ROUTERS; i++) {
		const struct nd6_neighbor_cache_entry *by = default_router_list[i].neighbor_entry;

		if (by)
			route6_line(t, by->netif, IP6_ADDR_ANY6, 0, &by->next_hop_address);
	}
	net_unlock();
}

static void show_arp(struct proc_text *t)
{
	char name[NET_NAME_MAX];
	struct eth_addr *mac;
	struct netif *n;
	ip4_addr_t *ip;

	proc_printf(t, "IP address       HW type     Flags       HW address            Mask     "
		       "Device\n");
	net_lock();
	for (size_t i = 0; i < ARP_TABLE_SIZE; i++) {
		const uint8_t *m, *a;

		if (!etharp_get_entry(i, &ip, &n, &mac))
			continue;
		m = mac->addr;
		a = (const uint8_t *)&ip->addr;
		net_if_name(n, name);
		proc_printf(t,
			    "%u.%u.%u.%u\t0x1         0x2         %02x:%02x:%02x:%02x:%02x:%02x"
			    "     *        %s\n",
			    a[0], a[1], a[2], a[3], m[0], m[1], m[2], m[3], m[4], m[5], name);
	}
	net_unlock();
}

/* As a resolver reads it: /etc/resolv.conf leads here. */
static void show_pnp(struct proc_text *t)
{
	net_lock();
	for (uint8_t i = 0; i < DNS_MAX_SERVERS; i++) {
		const ip_addr_t *ip = dns_getserver(i);
		const uint8_t *a = (const uint8_t *)&ip_2_ip4(ip)->addr;

		if (!ip_addr_isany(ip) && !is_ip6(ip))
			proc_printf(t, "nameserver %u.%u.%u.%u\n", a[0], a[1], a[2], a[3]);
	}
	net_unlock();
}

static void show_dev(struct proc_text *t)
{
	struct netif *n;

	proc_printf(t,
		    "Inter-|   Receive                                                |  Transmit\n"
		    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
		    "packets errs drop fifo colls carrier compressed\n");
	net_lock();
	NETIF_FOREACH(n)
	{
		struct net_traffic c;
		char name[NET_NAME_MAX];

		net_if_name(n, name);
		net_if_traffic(n, &c);
		proc_printf(t, "%6s: %lu %lu 0 %lu 0 0 0 0 %lu %lu %lu 0 0 0 0 0\n", name,
			    (unsigned long)c.rx_bytes, (unsigned long)c.rx_frames,
			    (unsigned long)c.rx_dropped, (unsigned long)c.tx_bytes,
			    (unsigned long)c.tx_frames, (unsigned long)c.tx_errors);
	}
	net_unlock();
}

int net_procfs_init(void)
{
	static const struct {
		const char *path;
		void (*show)(struct proc_text *t);
	} entries[] = {
		{ "net/tcp", show_tcp },	   { "net/tcp6", show_tcp6 },
		{ "net/udp6", show_udp6 },	   { "net/udp", show_udp },
		{ "net/raw", show_raw },	   { "net/raw6", show_raw6 },
		{ "net/unix", show_unix },	   { "net/route", route_show },
		{ "net/arp", show_arp },	   { "net/pnp", show_pnp },
		{ "net/dev", show_dev },	   { "net/if_inet6", show_if_inet6 },
		{ "net/ipv6_route", show_route6 },
	};
	int err = 0;

	for (size_t k = 0; k < ARRAY_SIZE(entries) && !err; k++)
		err = procfs_register(entries[k].path, entries[k].show);
	return err;
}
