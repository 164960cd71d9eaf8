/* SPDX-License-Identifier: MIT */
/* The race detector finds a race, and none where both sides say what they do: the SAN=thread image. */
#include "tests/kernel/ktest.h"

#ifdef SAN_THREAD

#include "kernel/core/kcsan.h"
#include "kernel/core/spinlock.h"
#include "lib/string.h"
#include "sched/mutex.h"
#include "tests/kernel/crew.h"

/* Many more watches than on average, so that a pair of loops meets soon. */
#define EAGER 50
/* After so many rounds a pair that never met is taken to be without a race. */
#define ROUNDS 2000UL

static struct {
	unsigned long rounds; /* [init] of a race; 0: until it is found */
	uint64_t end;	      /* [init] */
} limit;

static struct {
	uint64_t word;
	spinlock_t lock;
	struct mutex mutex;
	uint8_t bytes[64];
} shared = { .lock = SPINLOCK_INIT(UTSNAME), .mutex = MUTEX_INIT(shared.mutex, BLOCK) };

static void pause_a_while(void)
{
	for (unsigned i = 0; i < 20; i++)
		__asm__ __volatile__("");
}

/* Until there is a report, or so many rounds are over, or until there ought to have been one for long. */
static bool go_on(unsigned long *n)
{
	pause_a_while();
	++*n;
	return !kcsan_expected() &&
	       (limit.rounds ? *n < limit.rounds : *n % 1024 || clock_now_ns() < limit.end);
}

static void plain_writer(void *unused)
{
	for (unsigned long n = 0; go_on(&n);)
		shared.word++;
}

static void plain_reader(void *unused)
{
	uint64_t sum = 0;

	for (unsigned long n = 0; go_on(&n);)
		sum += shared.word;
	KT_CHECK(sum != 77);
}

static void marked_writer(void *unused)
{
	for (unsigned long n = 0; go_on(&n);)
		WRITE_ONCE(shared.word, n);
}

static void atomic_writer(void *unused)
{
	for (unsigned long n = 0; go_on(&n);)
		atomic_fetch_add(&shared.word, 1);
}

static void marked_reader(void *unused)
{
	uint64_t sum = 0;

	for (unsigned long n = 0; go_on(&n);)
		sum += READ_ONCE(shared.word);
	KT_CHECK(sum != 77);
}

static void raced_reader(void *unused)
{
	uint64_t sum = 0;

	/* meant: the test is that it is believed */
	for (unsigned long n = 0; go_on(&n);)
		sum += data_race(shared.word);
	KT_CHECK(sum != 77);
}

static void spin_writer(void *unused)
{
	for (unsigned long n = 0; go_on(&n);) {
		spin_lock(&shared.lock);
		shared.word++;
		spin_unlock(&shared.lock);
	}
}

static void mutex_writer(void *unused)
{
	for (unsigned long n = 0; go_on(&n);) {
		mutex_lock(&shared.mutex);
		shared.word++;
		mutex_unlock(&shared.mutex);
	}
}

static void half_writer(void *half)
{
	uint8_t *p = shared.bytes + (size_t)half;

	for (unsigned long n = 0; go_on(&n);)
		*p = (uint8_t)n;
}

static void copier(void *unused)
{
	uint8_t copy[64];

	for (unsigned long n = 0; go_on(&n);) {
		memcpy(copy, shared.bytes, sizeof(copy));
		KT_CHECK(copy[63] == 0);
	}
}

/* The two on two CPUs. Returns how many races were reported. */
static unsigned race(unsigned long rounds, void (*a)(void *), void *arg_a, void (*b)(void *),
		     void *arg_b)
{
	struct crew c = { 0 };
	unsigned n;

	limit.rounds = rounds;
	limit.end = crew_deadline_ms(6 * CREW_HANG_MS);

	kcsan_expect(&shared, sizeof(shared));
	kcsan_watch_every(EAGER);
	crew_add(&c, a, arg_a, BIT(0));
	crew_add(&c, b, arg_b, BIT(1));
	crew_join(&c);
	kcsan_watch_every(0);
	n = kcsan_expected();
	kcsan_expect(NULL, 0);
	return n;
}

KTEST(races_are_found)
{
	if (cpu_count() < 2)
		return;
	KT_CHECK(race(0, plain_writer, NULL, plain_writer, NULL) > 0);
	KT_CHECK(race(0, plain_writer, NULL, plain_reader, NULL) > 0);
	KT_CHECK(race(0, plain_writer, NULL, marked_reader, NULL) > 0);
	KT_CHECK(race(0, marked_writer, NULL, plain_reader, NULL) > 0);
	KT_CHECK(race(0, atomic_writer, NULL, plain_reader, NULL) > 0);
	KT_CHECK(race(0, plain_writer, NULL, spin_writer, NULL) > 0);
	KT_CHECK(race(0, half_writer, (void *)40, copier, NULL) > 0);
}

KTEST(no_races_are_made_up)
{
	if (cpu_count() < 2)
		return;
	KT_CHECK(race(ROUNDS * kt_scale(), plain_reader, NULL, plain_reader, NULL) == 0);
	KT_CHECK(race(ROUNDS * kt_scale(), marked_writer, NULL, marked_writer, NULL) == 0);
	KT_CHECK(race(ROUNDS * kt_scale(), marked_writer, NULL, marked_reader, NULL) == 0);
	KT_CHECK(race(ROUNDS * kt_scale(), atomic_writer, NULL, marked_reader, NULL) == 0);
	KT_CHECK(race(ROUNDS * kt_scale(), spin_writer, NULL, spin_writer, NULL) == 0);
	KT_CHECK(race(ROUNDS * kt_scale(), mutex_writer, NULL, mutex_writer, NULL) == 0);
	KT_CHECK(race(ROUNDS * kt_scale(), plain_writer, NULL, raced_reader, NULL) == 0);
	KT_CHECK(race(ROUNDS * kt_scale(), half_writer, (void *)8, half_writer, (void *)9) == 0);
}

#endif
