/* SPDX-License-Identifier: MIT */
/* Inside net/: the lock around lwIP, the thread that owns its timers and the devices, and what both share. Nobody
 * above net/ includes this.
 *
 *   I-NET-1  lwIP is entered, and its memory allocated and freed, only with NET_CORE held.
 *   I-NET-2  a frame's memory is the device's from transmit or post until its cookie has come back.
 *   I-NET-3  whoever leaves NET_CORE has made visible to the devices what it submitted, announced what it changed,
 *            and woken the network thread if lwIP wants its timers earlier than the thread sleeps.
 *   I-NET-4  frames received = frames delivered to lwIP + frames dropped and counted. */
#ifndef TERN_NET_CORE_H
#define TERN_NET_CORE_H

#include "lib/list.h"
#include "sched/mutex.h"

struct netdev;
struct socket;

extern struct mutex net_core; /* NET_CORE */

/* Context: thread, may sleep, no lock held. */
void net_lock(void) __acquires(net_core);
void net_unlock(void) __releases(net_core);
/* Make the network thread look at everything soon. Any context, irq too. */
void net_kick_thread(void);

/* net/timers.c: lwIP's next timer, by its clock. */
struct net_timer {
	uint32_t ms;
	bool set;
};
struct net_timer net_next_timer(void) __requires(net_core);

/* Called by the network thread and by net_unlock(), NET_CORE held. */
void net_if_init(void) __requires(net_core);
/* Receive up to the budget, reclaim, mend what is broken. True: there is more. */
bool net_if_poll_all(void) __requires(net_core);
/* Ask for interrupts. True: there is work already. */
bool net_if_arm_all(void) __requires(net_core);
void net_if_flush_all(void) __requires(net_core);
/* The loop-back may carry as much again. */
void net_if_loop_refill(void) __requires(net_core);
/* Is the packet an answer of a DHCP server that must not be believed? (net/lease.c). It is counted. */
struct pbuf;
bool net_lease_lies(const struct pbuf *p) __requires(net_core);
/* One more SYN is let in: there is room for it (net/embryo.c). */
void net_embryo_make_room(void) __requires(net_core);
/* lwIP's timers for ARP and neighbour discovery, and what comes with them (net/neighbour.c). */
void net_neighbour_tmr(void) __requires(net_core);
void net_neighbour6_tmr(void) __requires(net_core);
/* Announce the readiness that lwIP's callbacks changed. */
void net_socket_notify_all(void) __requires(net_core);

/* [NET_CORE] What is written now goes over the loop-back, where nothing is summed: net_checksum_copy() only copies. */
extern bool net_sum_needless;

/* Connections in TIME_WAIT take a bounded part of memory: the oldest end early. Called for each new connection. */
void net_time_waits_trim(void) __requires(net_core);

/* Counts of the whole stack's edges. [NET_CORE] */
struct net_counters {
	uint64_t rx_frames;    /* from the devices */
	uint64_t rx_delivered; /* to lwIP */
	uint64_t rx_no_memory; /* dropped: no buffer to put in its place */
	uint64_t rx_shed; /* times a connection lost what came out of order, for want of memory */
	uint64_t rx_bad;  /* dropped: unusable length, or lwIP refused it */
	uint64_t tx_frames;
	uint64_t tx_full;	    /* lwIP was told to wait */
	uint64_t tx_errors;	    /* not sent: broken device, no memory */
	uint64_t tx_copied;	    /* frames in too many pieces */
	uint64_t resets;	    /* devices mended */
	uint64_t tolerated;	    /* lwIP assertions that a peer broke */
	uint64_t polls;		    /* rounds of the network thread */
	uint64_t wakes;		    /* of the network thread by others */
	uint64_t address_conflicts; /* times another machine had our address */
	uint64_t leases_refused;    /* answers of a DHCP server that cannot be meant */
	uint64_t embryos_dropped;   /* connections of one SYN that gave way to another */
	uint64_t time_waits_ended;  /* by a new connection between the same ports */
	uint64_t datagrams;	    /* queued for a socket */
	uint64_t datagrams_dropped; /* its queue was full, or memory */
};
extern struct net_counters net_counters;

#endif
