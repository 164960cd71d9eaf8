/* SPDX-License-Identifier: MIT */
/* What the stand-ins of every hosted program have alike, models included: who runs, and on which CPU; a log that nobody
 * reads, time that stands, and the texts of BUG() and panic(), with which shim_bug() does what the program wants. */
#include "tests/host/shim/shim.h"

#include "kernel/core/clock.h"
#include "kernel/core/log.h"
#include "kernel/core/spinlock.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

__thread struct cpu *shim_cpu;
__thread void *shim_current;
__thread struct thread_base shim_nobody = { .name = "host" };
__thread bool shim_irqs_off;
uintptr_t shim_linear_base;
uint64_t arch_linear_pa;
uint64_t shim_now_ns;

static struct cpu *cpus;
static unsigned nr_cpus;

void shim_cpus_are(struct cpu *all, unsigned n)
{
	cpus = all;
	nr_cpus = n;
}

void shim_cpu_begin(unsigned id, void *percpu)
{
	cpus[id].self = &cpus[id];
	cpus[id].id = id;
	cpus[id].online = 1;
	cpus[id].percpu_offset = (uintptr_t)percpu - (uintptr_t)__start_percpu_host;
}

unsigned cpu_count(void)
{
	return nr_cpus;
}

struct cpu *cpu_get(unsigned id)
{
	return &cpus[id];
}

void bug(const char *file, int line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	shim_bug(file, line, text);
}

void panic(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	bug("panic", 0, "%s", text);
}

void log_info(const char *fmt, ...)
{
}

void log_warn(const char *fmt, ...)
{
}

void log_debug(const char *fmt, ...)
{
}

/* Programs that link kernel/core/spinlock.c have its own. */
__attribute__((weak)) void spin_init(spinlock_t *l, enum lock_class cls)
{
	l->owner = 0;
	l->cls = (uint16_t)cls;
}

__attribute__((weak)) uint64_t clock_now_ns(void)
{
	return shim_now_ns;
}

__attribute__((weak)) uint64_t arch_counter(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}
