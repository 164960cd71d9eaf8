/* SPDX-License-Identifier: MIT */
/* The trace's ring and the virtqueue's indices under relacy. */
#include "tests/model/relacy_words.h"

#include "tests/model/relacy.h"

#define uint64_t shared_word<uint64_t>
#include "lib/trace_ring.h"
#undef uint64_t
#define uint16_t shared_word<uint16_t>
#include "drivers/virtio/virtq_index.h"
#undef uint16_t

/* A ring of two records, one of them written already: what it holds is written over while it is read, from the first or the
 * second on. */
template <int FROM> struct traces : rl::test_suite<traces<FROM>, 2> {
	struct trace_ring ring;
	struct trace_record at[2];

	void put(uint64_t n)
	{
		trace_ring_put(&ring, ring.at, n, n + 1, n + 2, n + 3);
	}
	void before()
	{
		threads_run = false;
		ring.at = at;
		ring.mask = 1;
		ring.done = 0;
		for (int i = 0; i < 2; i++)
			for (int k = 0; k < TRACE_WORDS; k++)
				at[i].word[k] = 0;
		put(10);
		threads_run = true;
	}
	void writes()
	{
		put(20);
		put(30);
	}
	void reads()
	{
		shared_word<uint64_t> next = FROM, lost = 0, end = trace_ring_end(&ring);
		struct trace_record e;
		uint64_t got = 0, last = 0;

		for (; trace_ring_get(&ring, &next, end, &e, &lost); got++) {
			RL_ASSERT(e.word[0] > last && e.word[0] % 10 == 0);
			last = e.word[0];
			for (int k = 1; k < TRACE_WORDS; k++)
				RL_ASSERT(e.word[k] == e.word[0] + k);
		}
		RL_ASSERT(FROM + got + lost >= end);
	}
	void thread(unsigned i)
	{
		i ? reads() : writes();
	}
};

/* Two buffers for a device that sleeps when there is none, and wants to be told of the next alone. */
struct indices : rl::test_suite<indices, 2> {
	enum { BUFFERS = 2 };
	shared_word<uint16_t> index, wish, notified;
	rl::var<int> entry[BUFFERS];

	void before()
	{
		threads_run = false;
		index = 0;
		wish = (uint16_t)-1;
		notified = 0;
		for (int i = 0; i < BUFFERS; i++)
			entry[i]($) = 0;
		threads_run = true;
	}
	void submits()
	{
		for (uint16_t i = 0; i < BUFFERS; i++) {
			entry[i]($) = i + 1;
			virtq_publish(&index, (uint16_t)(i + 1));
			if (virtq_wished(READ_ONCE(wish), (uint16_t)(i + 1), i))
				notified.shared.fetch_add(1, rl::mo_relaxed, $);
		}
	}
	bool take(uint16_t *taken)
	{
		uint16_t there = READ_ONCE(index);

		if (there == *taken)
			return false;
		arch_dma_rmb();
		for (; *taken < there; ++*taken)
			RL_ASSERT(entry[*taken]($) == *taken + 1);
		return true;
	}
	void serves()
	{
		uint16_t taken = 0, heard = 0;

		while (taken < BUFFERS) {
			if (take(&taken))
				continue;
			virtq_wish(&wish, taken);
			if (take(&taken))
				continue;
			while (READ_ONCE(notified) == heard)
				rl::yield(1, $);
			heard++;
		}
	}
	void thread(unsigned i)
	{
		i ? serves() : submits();
	}
};

unsigned long relacy_trace_ring(void)
{
	unsigned long first = explore<traces<0>>(3), second = explore<traces<1>>(3);

	return first && second ? first + second : 0;
}

unsigned long relacy_virtq_index(void)
{
	return explore<indices>(3);
}
