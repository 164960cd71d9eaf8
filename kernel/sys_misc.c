/* SPDX-License-Identifier: MIT */
/* System calls on the scheduler, limits, randomness and the machine. */
#include <linux/prctl.h>
#include <linux/random.h>
#include <linux/reboot.h>
#include <linux/resource.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>
#include "kernel/core/clock.h"
#include "kernel/core/log.h"
#include "kernel/core/percpu.h"
#include "kernel/core/random.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/seed.h"
#include "kernel/sys_priv.h"
#include "kernel/version.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/vm/space.h"
#include "mm/vm/user_copy.h"

/* --- scheduler ------------------------------------------------------------------------------------------------ */

int64_t sys_sched_yield(const uint64_t a[6])
{
	(void)a;
	sched_yield();
	return 0;
}

/* Only the caller's own thread: others come with threads. */
static bool is_self(uint64_t pid)
{
	return (int)pid == 0 || (int)pid == current_process()->pid;
}

int64_t sys_sched_getaffinity(const uint64_t a[6])
{
	cpumask_t mask = current_thread()->affinity;

	if (!is_self(a[0]))
		return -ESRCH;
	if (cpu_count() < CPU_MAX)
		mask &= BIT(cpu_count()) - 1;
	if (a[1] < sizeof(mask) || (a[1] & 7))
		return -EINVAL;
	return user_copy_to(a[2], &mask, sizeof(mask)) < 0 ? -EFAULT : (int64_t)sizeof(mask);
}

int64_t sys_sched_setaffinity(const uint64_t a[6])
{
	cpumask_t mask = 0;

	if (!is_self(a[0]))
		return -ESRCH;
	if (user_copy_from(&mask, a[2], MIN(a[1], sizeof(mask))) < 0)
		return -EFAULT;
	return thread_set_affinity(current_thread(), mask);
}

int64_t sys_getpriority(const uint64_t a[6])
{
	if ((int)a[0] != PRIO_PROCESS || !is_self(a[1]))
		return -ESRCH;
	return 20 - current_thread()->nice;
}

int64_t sys_setpriority(const uint64_t a[6])
{
	int nice = MAX(-20, MIN((int)a[2], 19));

	if ((int)a[0] != PRIO_PROCESS || !is_self(a[1]))
		return -ESRCH;
	if (nice < current_thread()->nice && current_process()->cred.euid != 0)
		return -EACCES;
	return thread_set_nice(current_thread(), nice);
}

int64_t sys_getcpu(const uint64_t a[6])
{
	uint32_t cpu = cpu_id_hint(), node = 0;

	if (a[0] && user_copy_to(a[0], &cpu, sizeof(cpu)) < 0)
		return -EFAULT;
	return a[1] ? user_copy_to(a[1], &node, sizeof(node)) : 0;
}

/* --- limits ---------------------------------------------------------------------------------------------------------- */

int64_t sys_prlimit64(const uint64_t a[6])
{
	struct process *p = current_process();
	struct rlimit_pair old, new;
	unsigned kind = (unsigned)a[1];

	if (!is_self(a[0]))
		return -ESRCH;
	if (kind >= RLIM_KINDS)
		return -EINVAL;
	old = process_get_limit(p, kind);
	if (a[2]) {
		int err;

		if (user_copy_from(&new, a[2], sizeof(new)) < 0)
			return -EFAULT;
		if (new.cur > new.max)
			return -EINVAL;
		err = process_set_limit(p, kind, &new);
		if (err < 0)
			return err;
		vm_set_limits(current_thread()->space, process_get_limit(p, RLIMIT_AS).cur,
			      process_get_limit(p, RLIMIT_DATA).cur,
			      process_get_limit(p, RLIMIT_STACK).cur);
	}
	return a[3] ? user_copy_to(a[3], &old, sizeof(old)) : 0;
}

/* --- the rest ----------------------------------------------------------------------------------------------------------- */

int64_t sys_prctl(const uint64_t a[6])
{
	struct process *p = current_process();
	char name[16];
	ssize_t n;

	switch ((int)a[0]) {
	case PR_SET_NAME:
		n = user_copy_string(name, a[1], sizeof(name));
		if (n == -ENAMETOOLONG)
			n = user_copy_from(name, a[1], sizeof(name) - 1);
		if (n < 0)
			return n;
		name[sizeof(name) - 1] = '\0';
		process_set_name(p, name);
		return 0;
	case PR_GET_NAME:
		return user_copy_to(a[1], p->name, sizeof(p->name));
	default:
		return -EINVAL;
	}
}

int64_t sys_uname(const uint64_t a[6])
{
	struct new_utsname u;

	memset(&u, 0, sizeof(u));
	str_copy(u.sysname, "Linux", sizeof(u.sysname));
	str_copy(u.nodename, "tern", sizeof(u.nodename));
	str_copy(u.release, "6.1.0-tern-" TERN_VERSION, sizeof(u.release));
	str_copy(u.version, "tern " TERN_VERSION, sizeof(u.version));
	str_copy(u.machine, "aarch64", sizeof(u.machine));
	str_copy(u.domainname, "(none)", sizeof(u.domainname));
	return user_copy_to(a[0], &u, sizeof(u));
}

int64_t sys_sysinfo(const uint64_t a[6])
{
	struct page_stats s;
	struct sysinfo info;

	page_stats(&s);
	memset(&info, 0, sizeof(info));
	info.uptime = (long)(clock_now_ns() / NS_PER_S);
	info.totalram = (s.total - s.reserved) * PAGE_SIZE;
	info.freeram = s.free * PAGE_SIZE;
	info.procs = (uint16_t)MIN(process_count(), 65535u);
	info.mem_unit = 1;
	return user_copy_to(a[0], &info, sizeof(info));
}

/* Waiting for the seed is right here: thread context, killable, and said once. */
static int wait_for_seed(uint64_t flags)
{
	if (random_seeded() || (flags & GRND_INSECURE))
		return 0;
	if (flags & GRND_NONBLOCK)
		return -EAGAIN;
	return random_wait();
}

int64_t sys_getrandom(const uint64_t a[6])
{
	uint8_t buf[256];
	size_t done = 0, n = MIN(a[1], 0x1ffffffUL);
	int err;

	if (a[2] & ~(uint64_t)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	err = wait_for_seed(a[2]);
	while (err == 0 && done < n) {
		size_t k = MIN(n - done, sizeof(buf));

		err = random_bytes(buf, k);
		if (err == 0)
			err = user_copy_to(a[0] + done, buf, k);
		if (err == 0)
			done += k;
		if (thread_killed(current_thread()))
			break;
	}
	secure_zero(buf, sizeof(buf));
	return done ? (int64_t)done : err;
}

int64_t sys_reboot(const uint64_t a[6])
{
	bool restart = (uint32_t)a[2] == LINUX_REBOOT_CMD_RESTART;

	if (current_process()->cred.euid != 0)
		return -EPERM;
	if ((uint32_t)a[0] != LINUX_REBOOT_MAGIC1 || (uint32_t)a[1] != LINUX_REBOOT_MAGIC2)
		return -EINVAL;
	/* a halted machine is switched off: nothing could be done with it */
	if (!restart && (uint32_t)a[2] != LINUX_REBOOT_CMD_POWER_OFF &&
	    (uint32_t)a[2] != LINUX_REBOOT_CMD_HALT)
		return -EINVAL;
	log_info("kernel: %s, asked for by %s[%d]", restart ? "restart" : "power off",
		 current_process()->name, current_process()->pid);
	if (restart)
		arch_machine_restart();
	arch_machine_exit(0);
}
