/* SPDX-License-Identifier: MIT */
/* The ioctls of sockets about interfaces and routes, on lo and on eth0 at 10.0.2.15/24, whose gateway is 10.0.2.2: each with
 * names that are there and that are not, with too little room, with bad addresses, and as a user who may not. */
#include <arpa/inet.h>
#include <linux/route.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "tests/diff/lib/diff.h"

static const struct asking {
	const char *name;
	unsigned long number;
	enum { FLAGS, ADDRESS, NUMBER, HARDWARE } form;
} askings[] = {
	{ "SIOCGIFFLAGS", SIOCGIFFLAGS, FLAGS },
	{ "SIOCGIFADDR", SIOCGIFADDR, ADDRESS },
	{ "SIOCGIFDSTADDR", SIOCGIFDSTADDR, ADDRESS },
	{ "SIOCGIFBRDADDR", SIOCGIFBRDADDR, ADDRESS },
	{ "SIOCGIFNETMASK", SIOCGIFNETMASK, ADDRESS },
	{ "SIOCGIFMETRIC", SIOCGIFMETRIC, NUMBER },
	{ "SIOCGIFMTU", SIOCGIFMTU, NUMBER },
	{ "SIOCGIFHWADDR", SIOCGIFHWADDR, HARDWARE },
	{ "SIOCGIFINDEX", SIOCGIFINDEX, NUMBER },
};
#define ASKINGS ((int)(sizeof(askings) / sizeof(askings[0])))

static int udp(void)
{
	return socket(AF_INET, SOCK_DGRAM, 0);
}

static struct ifreq called(const char *name)
{
	struct ifreq r;

	memset(&r, 0x55, sizeof(r));
	strncpy(r.ifr_name, name, sizeof(r.ifr_name));
	return r;
}

static const char *outcome(long ret)
{
	return ret < 0 ? errno_name(errno) : "ok";
}

static const char *dotted(const struct sockaddr *a)
{
	return inet_ntoa(((const struct sockaddr_in *)a)->sin_addr);
}

static void ask(int s, const struct asking *a, const char *name)
{
	struct ifreq r = called(name);
	const unsigned char *mac = (const unsigned char *)r.ifr_hwaddr.sa_data;
	const char *how = outcome(ioctl(s, a->number, &r));

	if (strcmp(how, "ok"))
		say("%s of '%s': %s", a->name, name, how);
	else if (a->form == FLAGS)
		say("%s of '%s': %#x", a->name, name, r.ifr_flags & 0xffff);
	else if (a->form == ADDRESS)
		say("%s of '%s': family %d, %s", a->name, name, r.ifr_addr.sa_family,
		    dotted(&r.ifr_addr));
	else if (a->form == NUMBER)
		say("%s of '%s': %d", a->name, name, r.ifr_ifindex);
	else
		say("%s of '%s': kind %d, %02x:%02x:%02x:%02x:%02x:%02x", a->name, name,
		    r.ifr_hwaddr.sa_family, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void set_address(int line, int s, unsigned long cmd, const char *name, int family,
			const char *to)
{
	struct ifreq r = called(name);
	struct sockaddr_in *a = (struct sockaddr_in *)&r.ifr_addr;

	memset(a, 0, sizeof(*a));
	a->sin_family = (sa_family_t)family;
	inet_aton(to, &a->sin_addr);
	diff_say(line, "%s to %s: %s", name, to, outcome(ioctl(s, cmd, &r)));
}
#define SET_ADDRESS(s, cmd, name, family, to) set_address(__LINE__, s, cmd, name, family, to)

/* As tern's guest has it. */
static void one_network(void)
{
	SET_ADDRESS(udp(), SIOCSIFNETMASK, "eth0", AF_INET, "255.255.255.0");
}

CASE(asked)
{
	static const char *const names[] = { "lo", "eth0",  "none0",	       "", "eth", "eth00",
					     "LO", "eth0 ", "0123456789abcdef" };
	int s = udp();

	one_network();
	for (int i = 0; i < ASKINGS; i++)
		for (unsigned n = 0; n < sizeof(names) / sizeof(names[0]); n++)
			ask(s, &askings[i], names[n]);
}

CASE(asked_of_any_kind)
{
	static const int kinds[][3] = { { AF_INET, SOCK_STREAM, 0 },
					{ AF_INET, SOCK_RAW, IPPROTO_ICMP },
					{ AF_INET6, SOCK_DGRAM, 0 },
					{ AF_INET6, SOCK_STREAM, 0 },
					{ AF_INET, SOCK_DGRAM, IPPROTO_ICMP } };
	struct ifreq r = called("lo");
	int p[2];

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		ask(socket(kinds[i][0], kinds[i][1], kinds[i][2]), &askings[8], "lo");
	R(pipe(p));
	R(ioctl(p[0], SIOCGIFINDEX, &r));
	R(ioctl(open("/", O_RDONLY), SIOCGIFINDEX, &r));
	R(ioctl(99, SIOCGIFINDEX, &r));
}

CASE(asked_of_nowhere)
{
	char *end = page_before_hole() + 4096;
	int s = udp();

	for (int i = 0; i < ASKINGS; i++) {
		say("%s: %s", askings[i].name, outcome(ioctl(s, askings[i].number, BAD)));
		memcpy(end - 20, "lo\0", 3);
		say("%s, half there: %s", askings[i].name,
		    outcome(ioctl(s, askings[i].number, end - 20)));
	}
	R(ioctl(s, SIOCGIFCONF, BAD));
	R(ioctl(s, SIOCGIFNAME, BAD));
	R(ioctl(s, SIOCADDRT, BAD));
	R(ioctl(s, SIOCDELRT, BAD));
	R(ioctl(s, SIOCSIFFLAGS, BAD));
}

static void list(int s, int room, char *at)
{
	struct ifconf c = { .ifc_len = room, .ifc_buf = at };
	const char *how = outcome(ioctl(s, SIOCGIFCONF, &c));

	say("room for %d: %s, %d", room, how, c.ifc_len);
	for (int i = 0; at && !strcmp(how, "ok") && i < c.ifc_len / (int)sizeof(struct ifreq); i++)
		say("%s: family %d, %s", c.ifc_req[i].ifr_name, c.ifc_req[i].ifr_addr.sa_family,
		    dotted(&c.ifc_req[i].ifr_addr));
}

CASE(listed)
{
	static const int rooms[] = { 0, 1, 39, 40, 41, 79, 80, 81, 400, -1, -40 };
	char room[400];
	int s = udp();

	for (unsigned i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
		list(s, rooms[i], room);
	list(s, 0, NULL);
	list(s, 400, NULL);
	list(s, 400, BAD);
	memset(room, 0x55, sizeof(room));
	list(s, 41, room);
	Q(room[40] == 0x55);
}

CASE(by_number)
{
	static const int numbers[] = { 1, 2, 0, -1, 99, 257, 258, 65537 };
	int s = udp();

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct ifreq r = called("none0");
		const char *how;

		r.ifr_ifindex = numbers[i];
		how = outcome(ioctl(s, SIOCGIFNAME, &r));
		say("%d: %s, '%s'", numbers[i], how, r.ifr_name);
	}
}

/* --- changes ----------------------------------------------------------------------------------------------------------- */

static void set_number(int line, int s, unsigned long cmd, const char *name, int value)
{
	struct ifreq r = called(name);

	if (cmd == SIOCSIFFLAGS)
		r.ifr_flags = (short)value;
	else
		r.ifr_mtu = value;
	diff_say(line, "%s to %#x: %s", name, value, outcome(ioctl(s, cmd, &r)));
}
#define SET_NUMBER(s, cmd, name, value) set_number(__LINE__, s, cmd, name, value)

CASE(flags)
{
	int s = udp();

	SET_NUMBER(s, SIOCSIFFLAGS, "lo", IFF_UP | IFF_RUNNING | IFF_LOOPBACK);
	ask(s, &askings[0], "lo");
	SET_NUMBER(s, SIOCSIFFLAGS, "lo", 0);
	ask(s, &askings[0], "lo");
	ask(s, &askings[1], "lo");
	SET_NUMBER(s, SIOCSIFFLAGS, "lo", IFF_UP);
	ask(s, &askings[0], "lo");
	SET_NUMBER(s, SIOCSIFFLAGS, "none0", IFF_UP);
	SET_NUMBER(s, SIOCSIFFLAGS, "", IFF_UP);
}

CASE(sizes)
{
	int s = udp();

	SET_NUMBER(s, SIOCSIFMTU, "eth0", 1400);
	ask(s, &askings[6], "eth0");
	SET_NUMBER(s, SIOCSIFMTU, "eth0", 67);
	SET_NUMBER(s, SIOCSIFMTU, "eth0", 0);
	SET_NUMBER(s, SIOCSIFMTU, "eth0", -1);
	SET_NUMBER(s, SIOCSIFMTU, "eth0", 65536);
	ask(s, &askings[6], "eth0");
	SET_NUMBER(s, SIOCSIFMTU, "eth0", 1500);
	SET_NUMBER(s, SIOCSIFMTU, "none0", 1500);
}

CASE(addresses)
{
	int s = udp();

	SET_ADDRESS(s, SIOCSIFADDR, "lo", AF_INET, "127.0.0.1");
	SET_ADDRESS(s, SIOCSIFADDR, "eth0", AF_INET, "10.0.2.15");
	SET_ADDRESS(s, SIOCSIFADDR, "eth0", AF_UNIX, "10.0.2.15");
	SET_ADDRESS(s, SIOCSIFADDR, "eth0", AF_INET6, "10.0.2.15");
	SET_ADDRESS(s, SIOCSIFADDR, "eth0", AF_INET, "224.0.0.1");
	SET_ADDRESS(s, SIOCSIFADDR, "none0", AF_INET, "10.0.2.15");
	SET_ADDRESS(s, SIOCSIFNETMASK, "eth0", AF_INET, "255.255.255.0");
	SET_ADDRESS(s, SIOCSIFNETMASK, "eth0", AF_INET, "255.0.255.0");
	SET_ADDRESS(s, SIOCSIFNETMASK, "eth0", AF_UNIX, "255.255.255.0");
	SET_ADDRESS(s, SIOCSIFNETMASK, "none0", AF_INET, "255.255.255.0");
	SET_ADDRESS(s, SIOCSIFBRDADDR, "eth0", AF_INET, "10.0.2.255");
	SET_ADDRESS(s, SIOCSIFBRDADDR, "eth0", AF_UNIX, "10.0.2.255");
	for (int i = 1; i <= 4; i++)
		ask(s, &askings[i], "eth0");
}

static struct rtentry route(const char *to, const char *mask, const char *via, unsigned flags)
{
	struct rtentry r = { .rt_flags = (unsigned short)flags };
	struct sockaddr_in a = { .sin_family = AF_INET };

	inet_aton(to, &a.sin_addr);
	memcpy(&r.rt_dst, &a, sizeof(a));
	inet_aton(mask, &a.sin_addr);
	memcpy(&r.rt_genmask, &a, sizeof(a));
	if (via) {
		inet_aton(via, &a.sin_addr);
		memcpy(&r.rt_gateway, &a, sizeof(a));
	}
	return r;
}

static void change(int line, int s, unsigned long cmd, const char *what, struct rtentry r)
{
	diff_say(line, "%s %s: %s", cmd == SIOCADDRT ? "add" : "take out", what,
		 outcome(ioctl(s, cmd, &r)));
}
#define ADD(...)  change(__LINE__, s, SIOCADDRT, #__VA_ARGS__, route(__VA_ARGS__))
#define TAKE(...) change(__LINE__, s, SIOCDELRT, #__VA_ARGS__, route(__VA_ARGS__))

/* What /proc/net/route says of a destination, as Linux writes it. */
static void shown(int line, const char *to)
{
	char text[20000], *p;
	FILE *f = fopen("/proc/net/route", "r");
	size_t n = fread(text, 1, sizeof(text) - 1, f);

	fclose(f);
	text[n] = '\0';
	for (p = strtok(text, "\n"); p; p = strtok(NULL, "\n")) {
		char name[20], dst[20], via[20], flags[20], mask[20];
		int metric;

		if (sscanf(p, "%19s %19s %19s %19s %*d %*d %d %19s", name, dst, via, flags, &metric,
			   mask) == 6 &&
		    !strcmp(dst, to))
			diff_say(line, "%s %s by %s, flags %s, metric %d, mask %s", name, dst, via,
				 flags, metric, mask);
	}
}

CASE(routes)
{
	int s = udp();

	ADD("192.0.2.0", "255.255.255.0", "10.0.2.2", RTF_UP | RTF_GATEWAY);
	shown(__LINE__, "000200C0");
	ADD("192.0.2.0", "255.255.255.0", "10.0.2.2", RTF_UP | RTF_GATEWAY);
	TAKE("192.0.2.0", "255.255.0.0", NULL, RTF_UP);
	TAKE("192.0.2.0", "255.255.255.0", "10.0.2.3", RTF_UP | RTF_GATEWAY);
	TAKE("192.0.2.0", "255.255.255.0", NULL, RTF_UP);
	TAKE("192.0.2.0", "255.255.255.0", NULL, RTF_UP);
	ADD("192.0.2.7", "0.0.0.0", "10.0.2.2", RTF_UP | RTF_GATEWAY | RTF_HOST);
	shown(__LINE__, "070200C0");
	TAKE("192.0.2.7", "0.0.0.0", NULL, RTF_UP | RTF_HOST);
	ADD("192.0.2.7", "255.255.255.0", "10.0.2.2", RTF_UP | RTF_GATEWAY);
	ADD("192.0.2.0", "255.0.255.0", "10.0.2.2", RTF_UP | RTF_GATEWAY);
	ADD("192.0.2.0", "255.255.255.0", "203.0.113.1", RTF_UP | RTF_GATEWAY);
	ADD("192.0.2.0", "255.255.255.0", NULL, RTF_UP | RTF_GATEWAY);
	ADD("192.0.2.0", "255.255.255.0", NULL, RTF_UP);
	TAKE("203.0.113.0", "255.255.255.0", NULL, RTF_UP);
	shown(__LINE__, "000200C0");
}

CASE(routes_by_device)
{
	static char eth[] = "eth0", lo[] = "lo", none[] = "none0", empty[] = "",
		    big[] = "0123456789abcdef";
	char *names[] = { eth, lo, none, empty, big, BAD };
	int s = udp();

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct rtentry r = route("198.51.100.0", "255.255.255.0", NULL, RTF_UP);

		r.rt_dev = names[i];
		change(__LINE__, s, SIOCADDRT, names[i] == BAD ? "nowhere" : names[i], r);
		shown(__LINE__, "006433C6");
		change(__LINE__, s, SIOCDELRT, names[i] == BAD ? "nowhere" : names[i], r);
	}
}

CASE(routes_by_metric_and_family)
{
	struct rtentry r = route("198.51.100.0", "255.255.255.0", "10.0.2.2", RTF_UP | RTF_GATEWAY);
	int s = udp();

	r.rt_metric = 6;
	R(ioctl(s, SIOCADDRT, &r));
	shown(__LINE__, "006433C6");
	r.rt_metric = 4;
	R(ioctl(s, SIOCADDRT, &r));
	shown(__LINE__, "006433C6");
	R(ioctl(s, SIOCDELRT, &r));
	r.rt_metric = 0;
	R(ioctl(s, SIOCDELRT, &r));
	R(ioctl(s, SIOCDELRT, &r));
	r.rt_dst.sa_family = AF_UNIX;
	R(ioctl(s, SIOCADDRT, &r));
	r.rt_dst.sa_family = AF_UNSPEC;
	R(ioctl(s, SIOCADDRT, &r));
	R(ioctl(s, SIOCDELRT, &r));
	r = route("198.51.100.0", "255.255.255.0", "10.0.2.2", RTF_UP | RTF_GATEWAY);
	r.rt_genmask.sa_family = AF_UNIX;
	R(ioctl(s, SIOCADDRT, &r));
	R(ioctl(s, SIOCDELRT, &r));
	r.rt_genmask.sa_family = AF_INET;
	r.rt_gateway.sa_family = AF_UNIX;
	R(ioctl(s, SIOCADDRT, &r));
	R(ioctl(s, SIOCDELRT, &r));
}

static int as_a_user(void *arg)
{
	struct rtentry r = route("192.0.2.0", "255.255.255.0", "10.0.2.2", RTF_UP | RTF_GATEWAY);
	int s;

	(void)arg;
	one_network();
	if (setuid(1000))
		return 1;
	s = udp();
	for (int i = 0; i < ASKINGS; i++)
		ask(s, &askings[i], "eth0");
	SET_NUMBER(s, SIOCSIFFLAGS, "lo", IFF_UP);
	SET_NUMBER(s, SIOCSIFFLAGS, "none0", IFF_UP);
	SET_NUMBER(s, SIOCSIFMTU, "eth0", 1400);
	SET_NUMBER(s, SIOCSIFMTU, "none0", 1400);
	SET_ADDRESS(s, SIOCSIFADDR, "eth0", AF_INET, "10.0.2.16");
	SET_ADDRESS(s, SIOCSIFADDR, "none0", AF_INET, "10.0.2.16");
	SET_ADDRESS(s, SIOCSIFADDR, "eth0", AF_UNIX, "10.0.2.16");
	SET_ADDRESS(s, SIOCSIFNETMASK, "eth0", AF_INET, "255.0.0.0");
	SET_ADDRESS(s, SIOCSIFBRDADDR, "eth0", AF_INET, "10.0.2.254");
	R(ioctl(s, SIOCADDRT, &r));
	R(ioctl(s, SIOCDELRT, &r));
	R(ioctl(s, SIOCADDRT, BAD));
	R(ioctl(s, SIOCSIFFLAGS, BAD));
	return 0;
}

CASE(of_a_user)
{
	REAP(start_child(as_a_user, NULL));
}
