/* SPDX-License-Identifier: MIT */
/* Poll sources: no event is lost between many sources, one poller and watches that come and go. */
#include "tests/kernel/ktest.h"
#include "kernel/core/panic.h"
#include "lib/errno.h"
#include "sched/poll.h"
#include "tests/kernel/crew.h"

#define ALL_CPUS (~(cpumask_t)0)
#define SOURCES	 8

/* A thing that counts: readable while in > out. */
struct counter {
	struct poll_source source;
	uint64_t in, out; /* [atomic] */
	uint64_t rounds;
};

static void feeder_fn(void *arg)
{
	struct counter *c = arg;

	for (uint64_t i = 0; i < c->rounds; i++) {
		atomic_fetch_add(&c->in, 1);
		poll_notify(&c->source, POLL_IN);
		if (i % 16 == 0)
			sched_yield();
	}
}

static uint64_t drain(struct counter *c)
{
	uint64_t in = atomic_load_acquire(&c->in), n = in - c->out;

	c->out = in;
	return n;
}

KTEST(poll_storm)
{
	static struct counter counters[SOURCES];
	static struct poll_watch watch[SOURCES];
	struct crew crew = { 0 };
	struct poller poller;
	uint64_t got = 0, want = 0;

	poller_init(&poller);
	for (unsigned i = 0; i < SOURCES; i++) {
		counters[i] = (struct counter){ .rounds = 500 * kt_scale() };
		poll_source_init(&counters[i].source);
		poll_watch_add(&poller, &watch[i], &counters[i].source, POLL_IN, &counters[i]);
		crew_add(&crew, feeder_fn, &counters[i], ALL_CPUS);
		want += counters[i].rounds;
	}
	while (got < want) {
		struct poll_watch *w;
		uint32_t events;
		int ret = poller_wait(&poller, WAIT_UNINTERRUPTIBLE, crew_hang_deadline());

		KT_CHECK(ret == 0);
		if (ret)
			break;
		while ((w = poller_next(&poller, &events)) != NULL) {
			struct counter *c = w->cookie;

			KT_CHECK(events == POLL_IN);
			got += drain(c);
			/* A watch that goes and comes back must look again itself. */
			if (got % 8 == 0) {
				poll_watch_remove(w);
				poll_watch_add(&poller, w, &c->source, POLL_IN, c);
				if (atomic_load_acquire(&c->in) != c->out)
					poll_watch_kick(w, POLL_IN);
			}
		}
	}
	KT_CHECK(got == want);
	crew_join(&crew);
	for (unsigned i = 0; i < SOURCES; i++) {
		poll_watch_remove(&watch[i]);
		poll_source_check_idle(&counters[i].source);
	}
}

KTEST(poll_interest)
{
	struct poll_source source;
	struct poll_watch watch;
	struct poller poller;
	uint32_t events = 0;

	poll_source_init(&source);
	poller_init(&poller);
	poll_watch_add(&poller, &watch, &source, POLL_IN, NULL);
	poll_notify(&source, POLL_OUT);
	KT_CHECK(poller_next(&poller, &events) == NULL);
	poll_notify(&source, POLL_HUP);
	KT_CHECK(poller_next(&poller, &events) == &watch && events == POLL_HUP);
	poll_watch_set(&watch, POLL_OUT);
	poll_notify(&source, POLL_OUT);
	poll_notify(&source, POLL_IN | POLL_ERR);
	KT_CHECK(poller_next(&poller, &events) == &watch && events == (POLL_OUT | POLL_ERR));
	KT_CHECK(poller_next(&poller, &events) == NULL);
	KT_CHECK(poller_wait(&poller, WAIT_UNINTERRUPTIBLE, clock_now_ns()) == -ETIMEDOUT);
	poll_notify(&source, POLL_OUT);
	poll_watch_remove(&watch);
	KT_CHECK(poller_next(&poller, &events) == NULL);
	poll_source_check_idle(&source);
}
