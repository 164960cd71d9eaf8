/* SPDX-License-Identifier: MIT */
#include "net/route.h"

#include <lwip/netif.h>

#include "fs/vfs.h"
#include "kernel/proc/process.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "mm/vm/user_copy.h"
#include "net/core.h"
#include "net/interface.h"

#define RTF_UP	    0x1
#define RTF_GATEWAY 0x2
#define RTF_HOST    0x4
#define RTF_REJECT  0x200

#define FAMILY_INET 2

/* Sorted: the first that matches is the best. [NET_CORE] */
static struct list_head table = LIST_HEAD_INIT(table);

const struct route *route_find(uint32_t to, const struct netif *n)
{
	const struct route *r;

	list_for_each (r, &table, link) {
		if ((to & r->mask) == r->to && (!n || r->netif == n))
			return r;
	}
	return NULL;
}

/* What lwIP asks. NULL: there is no way there. */
struct netif *net_route(const ip4_addr_t *to) __requires(net_core)
{
	const struct route *r;
	struct netif *n;

	net_assert_core();
	if (ip4_addr_isloopback(to))
		return netif_is_up(net_if_loop()) ? net_if_loop() : NULL;
	NETIF_FOREACH(n)
	{
		if (netif_is_up(n) && to->addr && netif_ip4_addr(n)->addr == to->addr)
			return n;
	}
	r = route_find(to->addr, NULL);
	return r ? r->netif : NULL;
}

static bool better(const struct route *a, const struct route *b)
{
	uint32_t x = lwip_ntohl(a->mask), y = lwip_ntohl(b->mask);

	return x > y || (x == y && a->metric <= b->metric);
}

static void insert(struct route *r) __requires(net_core)
{
	struct route *at;

	list_for_each (at, &table, link) {
		if (better(r, at))
			break;
	}
	list_push_back(&r->link, &at->link);
}

/* Those of an interface are in its own memory. */
static void forget(struct route *r, struct route own[2]) __requires(net_core)
{
	list_del(&r->link);
	if (!own || (r != &own[0] && r != &own[1]))
		kfree(r);
}

void route_forget(struct netif *n, struct route own[2])
{
	struct route *r, *next;

	assert_mutex_held(&net_core);
	list_for_each_safe (r, next, &table, link) {
		if (r->netif == n)
			forget(r, own);
	}
}

void route_follow(struct netif *n, struct route own[2])
{
	uint32_t ip = netif_ip4_addr(n)->addr, mask = netif_ip4_netmask(n)->addr;
	uint32_t gateway = netif_ip4_gw(n)->addr;

	assert_mutex_held(&net_core);
	route_forget(n, own);
	if (!netif_is_up(n) || !ip)
		return;
	own[0] = (struct route){ .netif = n, .to = ip & mask, .mask = mask };
	insert(&own[0]);
	if (!gateway)
		return;
	own[1] = (struct route){ .netif = n, .via = gateway };
	insert(&own[1]);
}

/* --- changed by a program ------------------------------------------------------------------------------------------ */

/* struct rtentry of the ABI, whose header wants a C library's. */
struct end {
	uint16_t family, port;
	uint32_t ip;
	uint8_t room[8];
};
struct request {
	uint64_t pad1;
	struct end to, via, mask;
	uint16_t flags;
	uint16_t pad2[3];
	uint64_t pad3[2];
	int16_t metric; /* one more than it is; 0: not said */
	uint16_t pad4[3];
	uint64_t name;
	uint64_t mtu, window;
	uint16_t irtt;
};

/* A mask is ones, then zeros, and what it leads to has nothing behind the ones. */
static bool bad_mask(uint32_t mask, uint32_t to)
{
	uint32_t rest = ~lwip_ntohl(mask);

	return (to & ~mask) || (rest & (rest + 1));
}

static int64_t understand(const struct request *q, struct route *out)
{
	uint32_t mask = q->flags & RTF_HOST ? ~0u : q->mask.ip;

	if (q->to.family != FAMILY_INET)
		return -EAFNOSUPPORT;
	if (!(q->flags & RTF_HOST)) {
		if (q->mask.family != FAMILY_INET && (q->mask.ip || q->mask.family))
			return -EAFNOSUPPORT;
		if (bad_mask(mask, q->to.ip))
			return -EINVAL;
	}
	if (q->flags & RTF_REJECT)
		return -EOPNOTSUPP;
	*out = (struct route){ .to = q->to.ip, .mask = mask };
	if (q->metric > 0)
		out->metric = (uint16_t)(q->metric - 1);
	if (q->via.family == FAMILY_INET)
		out->via = q->via.ip;
	return 0;
}

static bool same(const struct route *a, const struct route *b)
{
	return a->to == b->to && a->mask == b->mask && a->metric == b->metric;
}

/* r becomes part of the table. */
static int64_t add(struct route *r, bool gateway) __requires(net_core)
{
	const struct route *hop = NULL, *old;

	if (gateway && !r->via)
		return -EINVAL;
	if (r->via) {
		/* a gateway is one hop away */
		hop = route_find(r->via, r->netif);
		if (!hop || hop->via || netif_ip4_addr(hop->netif)->addr == r->via)
			return hop && !hop->via ? -EINVAL : -ENETUNREACH;
		r->netif = hop->netif;
	}
	if (!r->netif)
		return -ENODEV;
	if (!netif_is_up(r->netif))
		return -ENETDOWN;
	list_for_each (old, &table, link) {
		if (same(old, r) && old->via == r->via && old->netif == r->netif)
			return -EEXIST;
	}
	insert(r);
	return 0;
}

static int64_t take_out(const struct route *like, bool metric) __requires(net_core)
{
	struct route *r;

	list_for_each (r, &table, link) {
		if (r->to != like->to || r->mask != like->mask ||
		    (metric && r->metric != like->metric) || (like->via && r->via != like->via) ||
		    (like->netif && r->netif != like->netif))
			continue;
		forget(r, net_if_own_routes(r->netif));
		return 0;
	}
	return -ESRCH;
}

int64_t route_ioctl(bool adding, vaddr_t arg)
{
	struct route *r = NULL;
	char name[NET_NAME_MAX] = "";
	struct request q;
	int64_t ret;

	ret = user_copy_from(&q, arg, sizeof(q));
	if (ret == 0 && !caller_is_root())
		return -EPERM;
	if (ret == 0 && q.name)
		ret = user_copy_string(name, q.name, sizeof(name));
	if (ret < 0)
		return ret == -ENAMETOOLONG ? -ENODEV : ret;
	r = kmalloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	ret = understand(&q, r);
	net_lock();
	if (ret == 0 && q.name) {
		r->netif = net_if_called(name);
		ret = r->netif ? 0 : -ENODEV;
	}
	if (ret == 0)
		ret = adding ? add(r, q.flags & RTF_GATEWAY) : take_out(r, q.metric > 0);
	net_unlock();
	if (!adding || ret < 0)
		kfree(r);
	return ret;
}

/* --- shown ---------------------------------------------------------------------------------------------------------- */

void route_show(struct proc_text *t)
{
	const struct route *r;

	proc_printf(t, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\t"
		       "Window\tIRTT\n");
	net_lock();
	list_for_each (r, &table, link) {
		char name[NET_NAME_MAX];

		net_if_name(r->netif, name);
		proc_printf(t, "%s\t%08X\t%08X\t%04X\t0\t0\t%u\t%08X\t0\t0\t0\n", name, r->to,
			    r->via,
			    RTF_UP | (r->via ? RTF_GATEWAY : 0) | (r->mask == ~0u ? RTF_HOST : 0),
			    r->metric, r->mask);
	}
	net_unlock();
}

/* --- lwIP's side ------------------------------------------------------------------------------------------------------ */

/* lwIP has no table, but two ways of its own to find an interface, both in ip4_route(): the network of one whose link is
 * up, and the gateway of the default one. So the file that has them is compiled here, where no link is up: what is left
 * is the hook, which is net_route(). */
#undef netif_is_link_up
#define netif_is_link_up(netif) ((void)(netif), 0)
#include <../core/ipv4/ip4.c>
