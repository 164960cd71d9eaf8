/* SPDX-License-Identifier: MIT */
/* Waiting for randomness: the generator never sleeps, so those who need it wait here and say so. */
#include "kernel/seed.h"
#include "fs/devfs.h"
#include "kernel/core/log.h"
#include "lib/atomic.h"
#include "kernel/core/random.h"
#include "sched/wait.h"

static struct waitq seeded_wq = WAITQ_INIT(seeded_wq);
static bool said; /* [atomic] */

static void on_seeded(void)
{
	wake_all(&seeded_wq);
	devfs_random_seeded();
}

void seed_init(void)
{
	random_on_seeded(on_seeded);
}

int random_wait(void)
{
	if (random_seeded())
		return 0;
	if (!atomic_exchange(&said, true))
		log_warn(
			"random: no seed yet; keys wait for virtio-rng, rng-seed or interrupts to give 256 bits");
	return wait_event_killable(&seeded_wq, random_seeded());
}
