/* SPDX-License-Identifier: MIT */
/* What /proc tells of the machine and the scheduler: interrupts, cpuinfo, uptime, stat, loadavg, version, cmdline, and
 * /proc/tern/{motd,sched,syscalls,threads,net}. */
#include "kernel/procinfo.h"
#include "fs/vfs.h"
#include "kernel/core/clock.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/core/percpu.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/syscall.h"
#include "kernel/version.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "net/net.h"
#include "sched/thread.h"

static void interrupt_line(unsigned irq, const char *name, uint64_t count, void *arg)
{
	proc_printf(arg, "%u: %lu %s\n", irq, (unsigned long)count, name);
}

static void show_interrupts(struct proc_text *t)
{
	irq_for_each(interrupt_line, t);
}

static void show_cpuinfo(struct proc_text *t)
{
	char text[128];
	struct cpu *c;

	arch_describe_cpu(text, sizeof(text));
	for_each_cpu (c)
		proc_printf(t, "processor\t: %u\nmpidr\t\t: %#lx\nmodel name\t: %s\n\n", c->id,
			    (unsigned long)c->mpidr, text);
}

static void show_uptime(struct proc_text *t)
{
	uint64_t up = clock_now_ns(), idle = 0;

	for (unsigned i = 0; i < cpu_count(); i++) {
		struct sched_cpu_stats s;

		sched_stats(i, &s);
		idle += s.idle_ns;
	}
	proc_printf(t, "%lu.%02lu %lu.%02lu\n", (unsigned long)(up / NS_PER_S),
		    (unsigned long)(up / 10000000 % 100), (unsigned long)(idle / NS_PER_S),
		    (unsigned long)(idle / 10000000 % 100));
}

static unsigned long cpu_ticks(uint64_t ns)
{
	return (unsigned long)(ns / (NS_PER_S / 100));
}

/* Threads that run or could, now. */
static void count_running(struct thread *th, void *arg)
{
	enum thread_state state = READ_ONCE(th->state);

	*(unsigned *)arg += state == THREAD_READY || (state == THREAD_RUNNING && th->process);
}

/* A CPU's time: in user mode, in the kernel, idle. */
static void show_cpu(struct proc_text *t, uint64_t up, uint64_t user, uint64_t idle)
{
	proc_printf(t, " %lu 0 %lu %lu 0 0 0 0 0 0\n", cpu_ticks(user),
		    cpu_ticks(up - MIN(user + idle, up)), cpu_ticks(idle));
}

static void show_stat(struct proc_text *t)
{
	uint64_t up = clock_now_ns(), user = 0, idle = 0, irqs = 0, switches = 0;
	unsigned running = 0;
	struct sched_cpu_stats s;
	struct cpu *c;

	for_each_cpu (c) {
		sched_stats(c->id, &s);
		idle += s.idle_ns;
		user += s.user_ns;
		switches += s.switches;
		irqs += READ_ONCE(c->irq_count);
	}
	thread_for_each(count_running, &running);
	proc_printf(t, "cpu ");
	show_cpu(t, up * cpu_count(), user, idle);
	for_each_cpu (c) {
		sched_stats(c->id, &s);
		proc_printf(t, "cpu%u", c->id);
		show_cpu(t, up, s.user_ns, s.idle_ns);
	}
	proc_printf(t,
		    "intr %lu\nctxt %lu\nbtime %lu\nprocesses %u\nprocs_running %u\n"
		    "procs_blocked 0\n",
		    (unsigned long)irqs, (unsigned long)switches,
		    (unsigned long)((clock_wall_ns() - up) / NS_PER_S), process_count(), running);
}

/* Linux's decaying means of the number of running threads over 1, 5 and 15 minutes, in 1/2048, a step every 5 s. Nothing
 * ticks here: the steps since the last reader are made up for by the next, who finds what runs now. */
static void show_loadavg(struct proc_text *t)
{
	static const uint64_t keep[3] = { 1884, 2014, 2037 };
	static spinlock_t lock = SPINLOCK_INIT(LOADAVG);
	static uint64_t mean[3], done; /* [lock] */
	uint64_t steps = clock_now_ns() / (5 * NS_PER_S), now[3];
	unsigned running = 0;

	thread_for_each(count_running, &running);
	spin_lock(&lock);
	for (unsigned n = 0; done < steps; done++, n++)
		for (unsigned k = 0; k < 3 && n < 2000; k++)
			mean[k] = (mean[k] * keep[k] + running * 2048UL * (2048 - keep[k])) / 2048;
	memcpy(now, mean, sizeof(now));
	spin_unlock(&lock);
	for (unsigned k = 0; k < 3; k++)
		proc_printf(t, "%lu.%02lu ", (unsigned long)(now[k] / 2048),
			    (unsigned long)(now[k] % 2048 * 100 / 2048));
	proc_printf(t, "%u/%u %d\n", running, process_count(),
		    current_process() ? current_process()->pid : 0);
}

static void show_cmdline(struct proc_text *t)
{
	proc_printf(t, "%s\n", machine.cmdline);
}

static void show_sched(struct proc_text *t)
{
	struct cpu *c;

	proc_printf(t, "cpu ready switches steals interrupts idle_ms irqs_off_max_us\n");
	for_each_cpu (c) {
		struct sched_cpu_stats s;

		sched_stats(c->id, &s);
		proc_printf(
			t, "%u %u %lu %lu %lu %lu %lu\n", c->id, s.nr_ready,
			(unsigned long)s.switches, (unsigned long)s.steals,
			(unsigned long)READ_ONCE(c->irq_count),
			(unsigned long)(s.idle_ns / NS_PER_MS),
			(unsigned long)(READ_ONCE(c->irqs_off_max) * 1000000 / arch_counter_hz()));
	}
}

/* Threads are copied under the registry's lock, which forbids to allocate, and printed after it. */
struct thread_row {
	int id;
	char name[16];
	const char *state;
	uint64_t runtime_ns, switches;
};

static void thread_row_fill(struct thread *th, unsigned i, void *arg)
{
	struct thread_row *r = (struct thread_row *)arg + i;

	*r = (struct thread_row){ .id = th->base.id,
				  .state = thread_state_name(READ_ONCE(th->state)),
				  .runtime_ns = READ_ONCE(th->runtime_ns),
				  .switches = READ_ONCE(th->switches) };
	str_copy(r->name, th->base.name, sizeof(r->name));
}

static void show_threads(struct proc_text *t)
{
	struct thread_row row[12];
	unsigned n;

	proc_printf(t, "id name state runtime_ms switches\n");
	for (int last = 0; (n = thread_batch(last, ARRAY_SIZE(row), thread_row_fill, row)) > 0;
	     last = row[n - 1].id)
		for (unsigned i = 0; i < n; i++)
			proc_printf(t, "%d %s %s %lu %lu\n", row[i].id, row[i].name, row[i].state,
				    (unsigned long)(row[i].runtime_ns / NS_PER_MS),
				    (unsigned long)row[i].switches);
}

static void syscall_line(unsigned nr, const char *program, uint64_t count, void *arg)
{
	proc_printf(arg, "%u %lu %s\n", nr, (unsigned long)count, program);
}

static void show_syscalls(struct proc_text *t)
{
	proc_printf(t, "missing asked program\n");
	syscall_for_each_unknown(syscall_line, t);
}

static void net_line(void *arg, const char *text)
{
	proc_printf(arg, "%s\n", text);
}

static void show_net(struct proc_text *t)
{
	net_report(net_line, t);
}

static uint64_t booted_ns; /* [init] */

/* What the shell of a login says first. */
static void show_motd(struct proc_text *t)
{
	struct page_stats s;

	page_stats(&s);
	proc_printf(t,
		    "tern " TERN_VERSION
		    ": %u CPU%s, %lu of %lu KiB of memory used, booted in %lu ms\n"
		    "Three things to try:\n"
		    "  hello 5 500          a line every half second; Ctrl-C ends it\n"
		    "  cat /proc/meminfo    where the memory went\n"
		    "  burn & burn & burn   keep some CPUs busy, then cat /proc/tern/sched\n",
		    cpu_count(), cpu_count() == 1 ? "" : "s",
		    (unsigned long)((s.total - s.free) * (PAGE_SIZE / 1024)),
		    (unsigned long)(s.total * (PAGE_SIZE / 1024)),
		    (unsigned long)(booted_ns / NS_PER_MS));
}

static void show_version(struct proc_text *t)
{
	proc_printf(t, "Linux version 6.1.0-tern-" TERN_VERSION " (tern " TERN_VERSION ")\n");
}

void procinfo_init(void)
{
	static const struct {
		const char *path;
		void (*show)(struct proc_text *t);
	} entries[] = {
		{ "interrupts", show_interrupts }, { "cpuinfo", show_cpuinfo },
		{ "uptime", show_uptime },	   { "tern/sched", show_sched },
		{ "tern/threads", show_threads },  { "tern/syscalls", show_syscalls },
		{ "tern/net", show_net },	   { "tern/motd", show_motd },
		{ "version", show_version },	   { "stat", show_stat },
		{ "loadavg", show_loadavg },	   { "cmdline", show_cmdline },
	};

	booted_ns = clock_now_ns();
	procpid_init();
	lockstat_init();
	faults_init();

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		if (procfs_register(entries[i].path, entries[i].show) < 0)
			log_warn("proc: no memory for /proc/%s", entries[i].path);
}
