/* SPDX-License-Identifier: MIT */
/* sources: @tests/model/model.sources kernel/core/trace.c */
/* flags: -DTRACE_HOSTED */
/* The trace's rings (I-TRACE-1): what a reader gets is whole, in the order of its CPU and there once, however often the writer
 * writes over it and whoever interrupts the writer; got and lost are all. */
#include "kernel/core/percpu.h"
#include "kernel/core/trace.h"
#include "tests/model/env.h"

#define RECORDS 2
#define WRITERS 2

/* Of a reader, of one ring. */
struct reading {
	struct trace_ring *ring;
	uint64_t next, got, lost, time;
};
static struct reading readings[WRITERS];
static unsigned nr_writers, events;
static unsigned ticks[WRITERS], written[WRITERS]; /* [cpu] */

uint64_t arch_counter(void)
{
	return ++ticks[model_cpu()];
}

static void open_ring(unsigned cpu)
{
	trace_ring_open(readings[cpu].ring, model_alloc(RECORDS * sizeof(struct trace_record)),
			RECORDS);
}

static void begin(unsigned writers)
{
	env_cpus(writers + 1);
	nr_writers = writers;
	trace_mask = BIT(TRACE_TEST / 2);
	for (unsigned i = 0; i < writers; i++) {
		env_thread(i)->base.id = (int)i + 1;
		readings[i].ring = trace_ring_of(cpu_get(i));
	}
}

static void setup(void)
{
	begin(1);
	open_ring(0);
}

static void setup_closed(void)
{
	begin(1);
}

static void setup_two(void)
{
	begin(2);
	open_ring(0);
	open_ring(1);
}

/* Of another CPU's, of another interrupt's or of another event, no two words fit. */
static uint64_t seal(uint64_t n, unsigned cpu)
{
	return n * 16 + cpu;
}

static void event(void)
{
	unsigned cpu = model_cpu();
	uint64_t n = ++written[cpu];

	trace(TRACE_TEST, n, seal(n, cpu));
}

static void writes(void)
{
	env_enter();
	for (unsigned i = 0; i < events; i++)
		event();
}

static void interrupts(void)
{
	shim_cpu->irq_depth++;
	event();
	shim_cpu->irq_depth--;
}

static void drain(unsigned cpu)
{
	struct reading *r = &readings[cpu];
	uint64_t end = trace_ring_end(r->ring);
	struct trace_record e;

	while (trace_ring_get(r->ring, &r->next, end, &e, &r->lost)) {
		MODEL_CHECK(e.word[3] == seal(e.word[2], cpu));
		MODEL_CHECK(trace_record_kind(&e) == TRACE_TEST);
		MODEL_CHECK(trace_record_thread(&e) == (int)cpu + 1);
		MODEL_CHECK(e.word[0] > r->time);
		r->time = e.word[0];
		r->got++;
	}
}

static void reads(void)
{
	env_enter();
	(void)arch_irq_save();
	for (unsigned i = 0; i < nr_writers; i++)
		drain(i);
}

static void reads_twice(void)
{
	reads();
	reads();
}

static void opens(void)
{
	open_ring(0);
	reads();
}

/* Those that found a ring. */
static void all_told(void)
{
	for (unsigned i = 0; i < nr_writers; i++) {
		drain(i);
		MODEL_CHECK(readings[i].got + readings[i].lost == ticks[i]);
	}
}

static void explore(const char *name, struct modelled m, unsigned of)
{
	events = of;
	m.end = all_told;
	model_explore(name, &m);
}

TEST(model_trace)
{
	struct modelled m = { .cpus = 2, .setup = setup, .run = { writes, reads_twice } };

	explore("trace, an event and its reader", m, 1);
	explore("trace, written over as it is read", m, test_scale > 1 ? 4 : 3);
}

TEST(model_trace_interrupted)
{
	struct modelled m = {
		.cpus = 2, .setup = setup, .run = { writes, reads }, .interrupt = interrupts
	};

	explore("trace, the writer is interrupted", m, 2);
}

TEST(model_trace_opened)
{
	struct modelled m = { .cpus = 2, .setup = setup_closed, .run = { writes, opens } };

	explore("trace, a ring comes while events do", m, 2);
}

TEST(model_trace_cpus)
{
	struct modelled m = { .cpus = 3, .setup = setup_two, .run = { writes, writes, reads } };

	explore("trace, two CPUs and a reader", m, 2);
}
