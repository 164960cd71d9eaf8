/* SPDX-License-Identifier: MIT */
/* sources: sched/eevdf.c sched/eevdf_check.c lib/rbtree.c lib/rbtree_check.c */
/* The queue against a model that keeps a plain list and recomputes the weighted mean for each question. */
#include "tests/host/test.h"
#include "sched/eevdf.h"

#define N 40

typedef __int128 wide;

struct model_entity {
	wide v, deadline, lag, left_at;
	uint64_t rest, seq;
	int64_t weight;
	bool in;
};

static struct eevdf queue;
static struct eevdf_entity real[N];
static struct model_entity model[N];
static wide model_base;
static uint64_t seq;

static wide floor_div_wide(wide a, wide b)
{
	wide d = a / b;

	return a % b < 0 ? d - 1 : d;
}

static unsigned model_mean(void)
{
	wide sum = 0, weight = 0;
	unsigned nr = 0;

	for (int i = 0; i < N; i++)
		if (model[i].in) {
			sum += model[i].weight * model[i].v;
			weight += model[i].weight;
			nr++;
		}
	if (nr)
		model_base = floor_div_wide(sum, weight);
	return nr;
}

static wide model_slice(const struct model_entity *m)
{
	return (wide)EEVDF_SLICE_NS * 1024 / m->weight;
}

static void model_ask(struct model_entity *m)
{
	m->deadline = m->v + model_slice(m);
	m->seq = ++seq;
}

static void model_settle(struct model_entity *m)
{
	wide up = model_base - m->left_at;

	if (m->lag < 0 && up > 0)
		m->lag = m->lag + up < 0 ? m->lag + up : 0;
	m->left_at = model_base;
}

static void model_add(struct model_entity *m)
{
	m->v = model_mean() ? model_base - m->lag : model_base;
	model_ask(m);
	m->in = true;
	model_mean();
}

static void model_remove(struct model_entity *m)
{
	wide limit = 2 * model_slice(m);

	m->in = false;
	if (model_mean()) {
		m->lag = model_base - m->v;
		if (m->lag > limit)
			m->lag = limit;
		if (m->lag < -limit)
			m->lag = -limit;
	} else {
		m->lag = 0;
		model_base = m->v;
	}
	m->left_at = model_base;
}

static bool model_charge(struct model_entity *m, uint64_t ns)
{
	uint64_t scaled = ns * 1024 + m->rest;

	m->v += scaled / (uint64_t)m->weight;
	m->rest = scaled % (uint64_t)m->weight;
	model_mean();
	if (m->v < m->deadline)
		return false;
	model_ask(m);
	return true;
}

static void model_yield(struct model_entity *m)
{
	m->in = false;
	if (model_mean()) {
		if (m->v <= model_base)
			m->v = model_base + 1;
		model_ask(m);
	}
	m->in = true;
	model_mean();
}

static void model_reweight(struct model_entity *m, int64_t weight)
{
	wide left = m->deadline - m->v;
	bool in = m->in;

	if (in)
		model_remove(m);
	m->lag = m->lag * m->weight / weight;
	left = left * m->weight / weight;
	m->rest = 0;
	m->weight = weight;
	if (!in)
		return;
	m->v = model_base - m->lag;
	m->deadline = m->v + left;
	m->seq = ++seq;
	m->in = true;
	model_mean();
}

static int model_pick(void)
{
	int best = -1;

	for (int i = 0; i < N; i++) {
		if (!model[i].in || model[i].v > model_base)
			continue;
		if (best < 0 || model[i].deadline < model[best].deadline ||
		    (model[i].deadline == model[best].deadline && model[i].seq < model[best].seq))
			best = i;
	}
	return best;
}

/* Virtual time starts close to the wrap of 64 bits: the model does not wrap. */
static void both_init(void)
{
	eevdf_init(&queue);
	queue.base = UINT64_MAX - 50000000;
	model_base = (wide)(UINT64_MAX - 50000000);
	for (int i = 0; i < N; i++) {
		int nice = (int)test_below(40) - 20;

		eevdf_entity_init(&real[i], eevdf_weight(nice));
		model[i] = (struct model_entity){ .weight = eevdf_weight(nice) };
	}
}

static int picked(void)
{
	struct eevdf_entity *e = eevdf_pick(&queue);

	return e ? (int)(e - real) : -1;
}

static void step(int current)
{
	int i = (int)test_below(N);
	uint64_t ns = test_below(4) ? test_below(3000000) : test_below(20000);
	int nice = (int)test_below(40) - 20;

	switch (test_below(8)) {
	case 0:
		if (model[i].in)
			return;
		eevdf_settle(&queue, &real[i]);
		eevdf_add(&queue, &real[i]);
		model_settle(&model[i]);
		model_add(&model[i]);
		return;
	case 1:
		if (!model[i].in)
			return;
		ns = i == current ? ns : 0;
		eevdf_remove(&queue, &real[i], ns);
		model_charge(&model[i], ns);
		model_remove(&model[i]);
		return;
	case 2:
		if (current < 0)
			return;
		eevdf_yield(&queue, &real[current], ns);
		model_charge(&model[current], ns);
		model_yield(&model[current]);
		return;
	case 3:
		if (test_below(16))
			return;
		eevdf_reweight(model[i].in ? &queue : NULL, &real[i], eevdf_weight(nice));
		model_reweight(&model[i], eevdf_weight(nice));
		return;
	default:
		if (current < 0)
			return;
		CHECK_EQ(eevdf_charge(&queue, &real[current], ns),
			 model_charge(&model[current], ns));
	}
}

TEST(eevdf_picks_as_the_model)
{
	both_init();
	for (int n = 0; n < 1000000 * test_scale; n++) {
		step(picked());
		CHECK_EQ(picked(), model_pick());
		CHECK(queue.base == (uint64_t)model_base);
		if (n % 1024 == 0)
			CHECK(eevdf_check(&queue));
	}
}

/* Two that always want the CPU: the service follows the weights within one slice. */
TEST(eevdf_service_follows_weights)
{
	for (int nice = 0; nice < 20; nice++) {
		uint64_t served[2] = { 0, 0 }, total = 0;
		double share;

		eevdf_init(&queue);
		eevdf_entity_init(&real[0], eevdf_weight(0));
		eevdf_entity_init(&real[1], eevdf_weight(nice));
		eevdf_add(&queue, &real[0]);
		eevdf_add(&queue, &real[1]);
		for (int n = 0; n < 20000; n++) {
			int i = picked();
			uint64_t ns = eevdf_slice_left(&real[i]);

			eevdf_charge(&queue, &real[i], ns);
			served[i] += ns;
			total += ns;
			share = (double)total * eevdf_weight(0) /
				(eevdf_weight(0) + eevdf_weight(nice));
			CHECK((double)served[0] - share < EEVDF_SLICE_NS + 1000);
			CHECK(share - (double)served[0] < EEVDF_SLICE_NS + 1000);
		}
	}
}

/* One runs always, one runs for `run` and sleeps until `nap` of the other's service have passed: the sleeper never gets
 * more than half and a slice. */
TEST(eevdf_sleeper_gains_nothing)
{
	for (int round = 0; round < 200; round++) {
		uint64_t run = 1 + test_below(4000000), nap = test_below(3000000);
		uint64_t served[2] = { 0, 0 }, slept = 0, used = 0;
		bool asleep = false;

		eevdf_init(&queue);
		for (int i = 0; i < 2; i++) {
			eevdf_entity_init(&real[i], eevdf_weight(0));
			eevdf_add(&queue, &real[i]);
		}
		for (int n = 0; n < 20000; n++) {
			int i = picked();
			uint64_t ns = 1 + test_below(100000);

			eevdf_charge(&queue, &real[i], ns);
			served[i] += ns;
			if (asleep && (slept += ns) >= nap) {
				eevdf_settle(&queue, &real[1]);
				eevdf_add(&queue, &real[1]);
				asleep = false;
			} else if (i == 1 && (used += ns) >= run) {
				eevdf_remove(&queue, &real[1], 0);
				used = slept = 0;
				asleep = true;
			}
			CHECK(served[1] <= served[0] + 2 * EEVDF_SLICE_NS + 200000);
		}
	}
}

TEST(eevdf_yield_passes_the_turn)
{
	eevdf_init(&queue);
	for (int i = 0; i < 3; i++) {
		eevdf_entity_init(&real[i], eevdf_weight(0));
		eevdf_add(&queue, &real[i]);
	}
	for (int n = 0; n < 10000; n++) {
		int i = picked();

		eevdf_yield(&queue, &real[i], test_below(1000));
		CHECK(picked() != i);
	}
}

TEST(eevdf_weights)
{
	CHECK_EQ(eevdf_weight(0), 1024);
	CHECK_EQ(eevdf_weight(1), 819);
	CHECK_EQ(eevdf_weight(-1), 1280);
	CHECK_EQ(eevdf_weight(19), 15);
	CHECK_EQ(eevdf_weight(-20), 88818);
}
