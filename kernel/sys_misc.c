/* SPDX-License-Identifier: MIT */
/* System calls on the scheduler, limits, randomness and the machine. */
#include <linux/random.h>
#include <linux/reboot.h>
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
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/vm/space.h"
#include "mm/vm/user_copy.h"

/* --- the machine's names ------------------------------------------------------------------------------------------------ */

static spinlock_t names_lock = SPINLOCK_INIT(UTSNAME);
static char node_name[__NEW_UTS_LEN + 1] = "tern",
				      domain_name[__NEW_UTS_LEN + 1] = "(none)"; /* [names_lock] */

static int64_t set_name(char name[__NEW_UTS_LEN + 1], const uint64_t a[6])
{
	char buf[__NEW_UTS_LEN + 1] = { 0 };

	if (!caller_is_root())
		return -EPERM;
	if ((int)a[1] < 0 || (int)a[1] > __NEW_UTS_LEN)
		return -EINVAL;
	if (user_copy_from(buf, a[0], (uint32_t)a[1]) < 0)
		return -EFAULT;
	spin_lock(&names_lock);
	memcpy(name, buf, sizeof(buf));
	spin_unlock(&names_lock);
	return 0;
}

int64_t sys_sethostname(const uint64_t a[6])
{
	return set_name(node_name, a);
}

int64_t sys_setdomainname(const uint64_t a[6])
{
	return set_name(domain_name, a);
}

int64_t sys_uname(const uint64_t a[6])
{
	struct new_utsname u;

	memset(&u, 0, sizeof(u));
	str_copy(u.sysname, "Linux", sizeof(u.sysname));
	str_copy(u.release, "6.1.0-tern-" TERN_VERSION, sizeof(u.release));
	str_copy(u.version, "tern " TERN_VERSION, sizeof(u.version));
	str_copy(u.machine, "aarch64", sizeof(u.machine));
	spin_lock(&names_lock);
	memcpy(u.nodename, node_name, sizeof(u.nodename));
	memcpy(u.domainname, domain_name, sizeof(u.domainname));
	spin_unlock(&names_lock);
	return user_copy_to(a[0], &u, sizeof(u));
}

/* --- the rest ----------------------------------------------------------------------------------------------------------- */

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

	if ((a[2] & ~(uint64_t)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) ||
	    (a[2] & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
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

	if (!caller_is_root())
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

/* --- the log -------------------------------------------------------------------------------------------------------------- */

/* What the first argument of syslog(2) asks for; the rest is EINVAL. */
enum {
	SYSLOG_CLOSE = 0,
	SYSLOG_OPEN,
	SYSLOG_READ_ALL = 3,
	SYSLOG_READ_CLEAR,
	SYSLOG_CLEAR,
	SYSLOG_SIZE = 10
};

/* The newest whole lines between from and end, both ends of lines, as many as len bytes hold. What others log may overwrite them
 * meanwhile: then those that are left. */
static int64_t copy_log(vaddr_t to, size_t len, uint64_t from, uint64_t end)
{
	uint64_t seq = MAX(from, end - MIN(len, end)), begin;
	bool within = seq > 0; /* a line that began before: left out, up to its end */
	char buf[256], *line;
	size_t done = 0, n;

	for (begin = seq -= within; begin < end; begin = seq) {
		n = log_read(&seq, buf, MIN(sizeof(buf), end - seq));
		if (seq - n > begin) {
			begin = seq - n;
			within = true;
			done = 0;
		}
		if (begin >= end)
			break;
		n = MIN(n, end - begin);
		line = within ? memchr(buf, '\n', n) : NULL;
		if (within && !line)
			continue;
		line = within ? line + 1 : buf;
		n -= (size_t)(line - buf);
		within = false;
		if (user_copy_to(to + done, line, n) < 0)
			return -EFAULT;
		done += n;
	}
	return (int64_t)done;
}

int64_t sys_syslog(const uint64_t a[6])
{
	static uint64_t cleared; /* [atomic] what came before it nobody wants to see any more */
	int type = (int)a[0], len = (int)a[2];
	uint64_t end = log_end();
	int64_t n = 0;

	if (type != SYSLOG_READ_ALL && type != SYSLOG_SIZE && !caller_is_root())
		return -EPERM;
	switch (type) {
	case SYSLOG_READ_ALL:
	case SYSLOG_READ_CLEAR:
		if (!a[1] || len < 0)
			return -EINVAL;
		n = copy_log(a[1], (size_t)len, atomic_load_relaxed(&cleared), end);
		if (n < 0 || type == SYSLOG_READ_ALL)
			return n;
		atomic_store_relaxed(&cleared, end);
		return n;
	case SYSLOG_CLEAR:
		atomic_store_relaxed(&cleared, end);
		return 0;
	case SYSLOG_SIZE:
		return LOG_RING_SIZE;
	case SYSLOG_OPEN:
	case SYSLOG_CLOSE:
		return 0;
	default:
		return -EINVAL;
	}
}
