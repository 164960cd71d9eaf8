/* SPDX-License-Identifier: MIT */
/* lwIP's timers, its own code, with a pool of their own. It takes it for a bug when it gets no memory for a timer, so
 * they must not come from the heap; and nothing else may come from here: packets are told to the device by physical
 * address, which the kernel's image has none of. So the one file that allocates timers is compiled here with its
 * allocator named otherwise, and lwIP counts for us how many there can be. */
#include "net/core.h"

#include <lwip/memp.h>
#include <lwip/timeouts.h>
#include <netif/ppp/ppp_opts.h>

static struct timer_slot {
	struct sys_timeo timer;
	bool taken; /* [NET_CORE] */
} pool[MEMP_NUM_SYS_TIMEOUT];

/* NULL: there are more than lwIP says, and it stops the machine. */
static struct sys_timeo *timer_take(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(pool); i++) {
		if (!pool[i].taken) {
			pool[i].taken = true;
			return &pool[i].timer;
		}
	}
	return NULL;
}

static void timer_give(struct sys_timeo *t)
{
	struct timer_slot *s = container_of(t, struct timer_slot, timer);

	ASSERT(s >= pool && s < pool + ARRAY_SIZE(pool) && s->taken);
	s->taken = false;
}

#define memp_malloc(kind)  timer_take()
#define memp_free(kind, t) timer_give(t)
/* net/neighbour.c stands before it */
#define etharp_tmr net_neighbour_tmr
#define nd6_tmr	   net_neighbour6_tmr
#include <../core/timeouts.c>

struct net_timer net_next_timer(void)
{
	return next_timeout ? (struct net_timer){ next_timeout->time, true }
			    : (struct net_timer){ 0 };
}
