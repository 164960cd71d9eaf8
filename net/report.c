/* SPDX-License-Identifier: MIT */
/* What the network tells of itself: for /proc, and for tests. */
#include "net/core.h"

#include <lwip/priv/tcp_priv.h>
#include <lwip/stats.h>

#include "lib/fmt.h"
#include "lib/string.h"
#include "net/interface.h"
#include "net/net.h"
#include "net/socket_impl.h"

static unsigned count_pcbs(const struct tcp_pcb *p)
{
	unsigned n = 0;

	for (; p; p = p->next)
		n++;
	return n;
}

static unsigned count_listeners(void)
{
	const struct tcp_pcb_listen *p;
	unsigned n = 0;

	for (p = tcp_listen_pcbs.listen_pcbs; p; p = p->next)
		n++;
	return n;
}

void net_usage(struct net_usage *out)
{
	net_lock();
	out->tcp_active = count_pcbs(tcp_active_pcbs);
	out->tcp_time_wait = count_pcbs(tcp_tw_pcbs);
	out->tcp_listening = count_listeners();
	out->sockets = socket_count();
	out->socket_bytes = socket_charged();
	out->rx_frames = net_counters.rx_frames;
	out->rx_delivered = net_counters.rx_delivered;
	out->rx_dropped = net_counters.rx_no_memory + net_counters.rx_bad;
	out->tx_frames = net_counters.tx_frames;
	out->resets = net_counters.resets;
	net_if_usage(out);
	net_unlock();
}

void net_forget_time_wait(void)
{
	net_lock();
	while (tcp_tw_pcbs)
		tcp_abort(tcp_tw_pcbs);
	net_unlock();
}

struct row {
	const char *name;
	uint64_t value;
};

void net_report(void (*line)(void *arg, const char *text), void *arg)
{
	struct net_counters c;
	struct net_usage u;
	struct stats_proto tcp, ip;
	char text[80];

	net_lock();
	c = net_counters;
	tcp = lwip_stats.tcp;
	ip = lwip_stats.ip;
	net_unlock();
	net_usage(&u);
	struct row rows[] = {
		{ "rx_frames", c.rx_frames },
		{ "rx_delivered", c.rx_delivered },
		{ "rx_no_memory", c.rx_no_memory },
		{ "rx_bad", c.rx_bad },
		{ "rx_shed", c.rx_shed },
		{ "tx_frames", c.tx_frames },
		{ "tx_full", c.tx_full },
		{ "tx_errors", c.tx_errors },
		{ "tx_copied", c.tx_copied },
		{ "tolerated", c.tolerated },
		{ "resets", c.resets },
		{ "polls", c.polls },
		{ "wakes", c.wakes },
		{ "address_conflicts", c.address_conflicts },
		{ "leases_refused", c.leases_refused },
		{ "embryos_dropped", c.embryos_dropped },
		{ "time_waits_ended", c.time_waits_ended },
		{ "datagrams", c.datagrams },
		{ "datagrams_dropped", c.datagrams_dropped },
		{ "rx_buffers", u.rx_buffers },
		{ "rx_posted", u.rx_posted },
		{ "sockets", u.sockets },
		{ "socket_bytes", (uint64_t)u.socket_bytes },
		{ "tcp_active", u.tcp_active },
		{ "tcp_time_wait", u.tcp_time_wait },
		{ "tcp_listening", u.tcp_listening },
		{ "tcp_sent", tcp.xmit },
		{ "tcp_received", tcp.recv },
		{ "tcp_dropped", tcp.drop },
		{ "tcp_bad_checksum", tcp.chkerr },
		{ "ip_received", ip.recv },
		{ "ip_dropped", ip.drop },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fmt_print(text, sizeof(text), "%-18s %llu", rows[i].name,
			  (unsigned long long)rows[i].value);
		line(arg, text);
	}
}
