/* SPDX-License-Identifier: MIT */
/* The ioctls of sockets that ask about interfaces and change them, for ifconfig. */
#include "net/socket_impl.h"

#include <lwip/dhcp.h>
#include <lwip/netif.h>

#include "kernel/proc/process.h"
#include "lib/string.h"
#include "mm/vm/user_copy.h"
#include "net/interface.h"
#include "net/route.h"

#define SIOCADDRT      0x890bu
#define SIOCDELRT      0x890cu
#define SIOCGIFNAME    0x8910u
#define SIOCGIFCONF    0x8912u
#define SIOCGIFFLAGS   0x8913u
#define SIOCSIFFLAGS   0x8914u
#define SIOCGIFADDR    0x8915u
#define SIOCSIFADDR    0x8916u
#define SIOCGIFDSTADDR 0x8917u
#define SIOCGIFBRDADDR 0x8919u
#define SIOCSIFBRDADDR 0x891au
#define SIOCGIFNETMASK 0x891bu
#define SIOCSIFNETMASK 0x891cu
#define SIOCGIFMETRIC  0x891du
#define SIOCGIFMTU     0x8921u
#define SIOCSIFMTU     0x8922u
#define SIOCGIFHWADDR  0x8927u
#define SIOCGIFINDEX   0x8933u

#define IFF_UP	       0x1
#define IFF_BROADCAST  0x2
#define IFF_LOOPBACK   0x8
#define IFF_RUNNING    0x40
#define IFF_MULTICAST  0x1000

#define FAMILY_INET    2
#define HARDWARE_ETHER 1
#define HARDWARE_LOOP  772
#define MTU_MIN	       68

/* struct ifreq and struct ifconf of the ABI, whose headers want a C library's. */
struct request {
	char name[16];
	union {
		struct {
			uint16_t family, port;
			uint32_t ip;
		} inet;
		struct {
			uint16_t family;
			uint8_t mac[14];
		} hardware;
		int16_t flags;
		int32_t value;
		uint8_t room[24];
	};
};
struct list {
	int32_t len;
	uint64_t at;
};

static void put_inet(struct request *r, uint32_t ip)
{
	memset(r->room, 0, sizeof(r->room));
	r->inet.family = FAMILY_INET;
	r->inet.ip = ip;
}

static int16_t flags_of(const struct netif *n, bool loop)
{
	return (int16_t)((netif_is_up(n) ? IFF_UP : 0) |
			 (netif_is_up(n) && (loop || netif_is_link_up(n)) ? IFF_RUNNING : 0) |
			 (loop ? IFF_LOOPBACK : IFF_BROADCAST | IFF_MULTICAST));
}

static int answer(struct netif *n, unsigned cmd, struct request *r) __requires(net_core)
{
	uint32_t ip = netif_ip4_addr(n)->addr, mask = netif_ip4_netmask(n)->addr;
	bool loop = n == net_if_loop();

	switch (cmd) {
	case SIOCGIFFLAGS:
		r->flags = flags_of(n, loop);
		return 0;
	case SIOCGIFADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
		if (!ip)
			return -EADDRNOTAVAIL;
		put_inet(r, cmd == SIOCGIFNETMASK	     ? mask
			    : cmd == SIOCGIFBRDADDR && !loop ? ip | ~mask
			    : cmd == SIOCGIFBRDADDR	     ? 0
							     : ip);
		return 0;
	case SIOCGIFMETRIC:
		r->value = 0;
		return 0;
	case SIOCGIFMTU:
		r->value = n->mtu ? n->mtu : NET_LOOP_MTU;
		return 0;
	case SIOCGIFINDEX:
		r->value = netif_get_index(n);
		return 0;
	default:
		memset(r->room, 0, sizeof(r->room));
		r->hardware.family = loop ? HARDWARE_LOOP : HARDWARE_ETHER;
		memcpy(r->hardware.mac, n->hwaddr, MIN(n->hwaddr_len, (uint8_t)6));
		return 0;
	}
}

/* Those with an address, as many as there is room for; no room: how much they need. */
static int64_t list_all(vaddr_t arg)
{
	struct request r[8];
	struct list l;
	struct netif *n;
	size_t count = 0, fit;
	int64_t ret = user_copy_from(&l, arg, sizeof(l));

	if (ret < 0)
		return ret;
	memset(r, 0, sizeof(r));
	net_lock();
	for (unsigned i = 1; i <= ARRAY_SIZE(r); i++) {
		n = netif_get_by_index((uint8_t)i);
		if (!n || ip4_addr_isany(netif_ip4_addr(n)))
			continue;
		net_if_name(n, r[count].name);
		put_inet(&r[count++], netif_ip4_addr(n)->addr);
	}
	net_unlock();
	fit = l.at ? MIN(count, (size_t)MAX(l.len, 0) / sizeof(r[0])) : count;
	l.len = (int32_t)(fit * sizeof(r[0]));
	if (l.at && fit)
		ret = user_copy_to(l.at, r, fit * sizeof(r[0]));
	return ret < 0 ? ret : user_copy_to(arg, &l.len, sizeof(l.len));
}

static int name_of_index(struct request *r) __requires(net_core)
{
	struct netif *n = netif_get_by_index((uint8_t)r->value);

	if (r->value <= 0 || r->value > UINT8_MAX || !n)
		return -ENODEV;
	net_if_name(n, r->name);
	return 0;
}

/* --- changes: root's ----------------------------------------------------------------------------------------------- */

/* The mask of its class, which is what an address has that is given without one. */
static uint32_t class_mask(uint32_t ip)
{
	uint32_t top = lwip_ntohl(ip) >> 24;

	return lwip_htonl(top < 128   ? 0xff000000
			  : top < 192 ? 0xffff0000
			  : top < 224 ? 0xffffff00
				      : ~0u);
}

/* By hand: DHCP's part is over. Connections from an address that goes are told. */
static void set_inet(struct netif *n, uint32_t ip, uint32_t mask) __requires(net_core)
{
	ip4_addr_t address = { ip }, bits = { mask };

	dhcp_release_and_stop(n);
	netif_set_addr(n, &address, &bits, IP4_ADDR_ANY4);
}

static int change_inet(struct netif *n, unsigned cmd, uint32_t value) __requires(net_core)
{
	uint32_t ip = netif_ip4_addr(n)->addr, mask = netif_ip4_netmask(n)->addr,
		 rest = ~lwip_ntohl(value);
	ip4_addr_t a = { value };

	if (cmd != SIOCSIFADDR && !ip)
		return -EADDRNOTAVAIL;
	if ((cmd == SIOCSIFADDR && (ip4_addr_ismulticast(&a) || ip4_addr_isloopback(&a)) &&
	     n != net_if_loop()) ||
	    (cmd == SIOCSIFNETMASK && (rest & (rest + 1))))
		return -EINVAL;
	if (value == (cmd == SIOCSIFADDR ? ip : cmd == SIOCSIFNETMASK ? mask : ip | ~mask))
		return 0;
	/* the loop-back is what it is, and a broadcast address is the mask's */
	if (n == net_if_loop() || cmd == SIOCSIFBRDADDR)
		return -EOPNOTSUPP;
	if (cmd == SIOCSIFADDR)
		set_inet(n, value, value ? class_mask(value) : 0);
	else
		set_inet(n, ip, value);
	return 0;
}

static int change(struct netif *n, unsigned cmd, const struct request *r) __requires(net_core)
{
	switch (cmd) {
	case SIOCSIFFLAGS:
		if (r->flags & IFF_UP)
			netif_set_up(n);
		else
			netif_set_down(n);
		return 0;
	case SIOCSIFMTU:
		if (r->value < MTU_MIN || r->value > net_if_mtu_max(n))
			return -EINVAL;
		n->mtu = (uint16_t)r->value;
		return 0;
	default:
		return change_inet(n, cmd, r->inet.ip);
	}
}

static bool changes(unsigned cmd)
{
	return cmd == SIOCSIFFLAGS || cmd == SIOCSIFADDR || cmd == SIOCSIFBRDADDR ||
	       cmd == SIOCSIFNETMASK || cmd == SIOCSIFMTU;
}

int64_t net_if_ioctl(unsigned cmd, vaddr_t arg)
{
	struct request r;
	struct netif *n;
	int64_t ret;

	switch (cmd) {
	case SIOCGIFCONF:
		return list_all(arg);
	case SIOCADDRT:
	case SIOCDELRT:
		return route_ioctl(cmd == SIOCADDRT, arg);
	case SIOCGIFNAME:
	case SIOCGIFFLAGS:
	case SIOCGIFADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
	case SIOCGIFMETRIC:
	case SIOCGIFMTU:
	case SIOCGIFHWADDR:
	case SIOCGIFINDEX:
	case SIOCSIFFLAGS:
	case SIOCSIFADDR:
	case SIOCSIFBRDADDR:
	case SIOCSIFNETMASK:
	case SIOCSIFMTU:
		break;
	default:
		return -ENOTTY;
	}
	ret = user_copy_from(&r, arg, sizeof(r));
	if (ret < 0)
		return ret;
	r.name[sizeof(r.name) - 1] = '\0';
	if (changes(cmd) && !caller_is_root())
		return -EPERM;
	if ((cmd == SIOCSIFADDR || cmd == SIOCSIFNETMASK || cmd == SIOCSIFBRDADDR) &&
	    r.inet.family != FAMILY_INET)
		return -EINVAL;
	net_lock();
	if (cmd == SIOCGIFNAME) {
		ret = name_of_index(&r);
	} else {
		n = net_if_called(r.name);
		ret = !n ? -ENODEV : changes(cmd) ? change(n, cmd, &r) : answer(n, cmd, &r);
	}
	net_unlock();
	return ret < 0 ? ret : user_copy_to(arg, &r, sizeof(r));
}
