/* SPDX-License-Identifier: MIT */
/* System calls on signals. */
#include <asm/signal.h>
#include <linux/time_types.h>
#include "kernel/proc/lifecycle.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "mm/vm/user_copy.h"
#include "sched/wait.h"

#define INT(x) ((int)(uint32_t)(x))

/* --- sending ------------------------------------------------------------------------------------------------------ */

int64_t sys_kill(const uint64_t a[6])
{
	return process_kill(current_process(), INT(a[0]), INT(a[1]));
}

static int64_t kill_thread(int tgid, int tid, const struct signal_info *info)
{
	return tid <= 0 ? -EINVAL : process_kill_thread(current_process(), tgid, tid, info);
}

int64_t sys_tkill(const uint64_t a[6])
{
	struct signal_info info = signal_info_of(current_process(), INT(a[1]), SIC_TKILL);

	return kill_thread(0, INT(a[0]), &info);
}

int64_t sys_tgkill(const uint64_t a[6])
{
	struct signal_info info = signal_info_of(current_process(), INT(a[2]), SIC_TKILL);

	return INT(a[0]) <= 0 ? -EINVAL : kill_thread(INT(a[0]), INT(a[1]), &info);
}

/* What a program says of a signal it queues: only to itself may it claim that the kernel, or tkill, sent it. */
static int64_t get_info(vaddr_t from, int sig, int receiver, struct signal_info *info)
{
	if (user_copy_from(info, from, sizeof(*info)) < 0)
		return -EFAULT;
	if ((info->code >= 0 || info->code == SIC_TKILL) && receiver != current_process()->pid)
		return -EPERM;
	info->signo = sig;
	return 0;
}

int64_t sys_rt_sigqueueinfo(const uint64_t a[6])
{
	struct signal_info info;
	int64_t err = get_info(a[2], INT(a[1]), INT(a[0]), &info);

	if (err < 0)
		return err;
	if (info.signo < 0 || info.signo > NSIG)
		return -EINVAL;
	return process_kill_info(current_process(), INT(a[0]), &info);
}

int64_t sys_rt_tgsigqueueinfo(const uint64_t a[6])
{
	struct signal_info info;
	int64_t err = get_info(a[3], INT(a[2]), INT(a[0]), &info);

	if (err < 0)
		return err;
	return INT(a[0]) <= 0 ? -EINVAL : kill_thread(INT(a[0]), INT(a[1]), &info);
}

/* --- dispositions and masks ----------------------------------------------------------------------------------------- */

static_assert(sizeof(struct signal_action) == sizeof(struct sigaction), "copied as it is");
static_assert(offsetof(struct signal_action, restorer) == offsetof(struct sigaction, sa_restorer),
	      "copied as it is");

int64_t sys_rt_sigaction(const uint64_t a[6])
{
	struct process *p = current_process();
	struct signal_action old, act;
	int sig = INT(a[0]);

	if (a[3] != sizeof(sigset_t64) || sig < 1 || sig > NSIG)
		return -EINVAL;
	if (a[1] && user_copy_from(&act, a[1], sizeof(act)) < 0)
		return -EFAULT;
	if (a[1] && (sig == SIG_KILL || sig == SIG_STOP))
		return -EINVAL;
	signal_action(p, sig, a[1] ? &act : NULL, &old);
	return a[2] ? user_copy_to(a[2], &old, sizeof(old)) : 0;
}

/* A signal set of `size` bytes at `from`. */
static int64_t get_set(vaddr_t from, uint64_t size, sigset_t64 *set)
{
	if (size != sizeof(*set))
		return -EINVAL;
	return user_copy_from(set, from, sizeof(*set));
}

int64_t sys_rt_sigprocmask(const uint64_t a[6])
{
	sigset_t64 old = current_thread()->sig_blocked, set, now;

	if (a[3] != sizeof(set))
		return -EINVAL;
	if (a[1]) {
		if (user_copy_from(&set, a[1], sizeof(set)) < 0)
			return -EFAULT;
		switch (INT(a[0])) {
		case SIG_BLOCK:
			now = old | set;
			break;
		case SIG_UNBLOCK:
			now = old & ~set;
			break;
		case SIG_SETMASK:
			now = set;
			break;
		default:
			return -EINVAL;
		}
		signal_set_mask(now);
	}
	return a[2] ? user_copy_to(a[2], &old, sizeof(old)) : 0;
}

int64_t sys_rt_sigpending(const uint64_t a[6])
{
	sigset_t64 set = signal_get_pending();

	if (a[1] > sizeof(set))
		return -EINVAL;
	return user_copy_to(a[0], &set, a[1]);
}

/* --- waiting ----------------------------------------------------------------------------------------------------------- */

int64_t sys_rt_sigsuspend(const uint64_t a[6])
{
	sigset_t64 set;
	int64_t err = get_set(a[0], a[1], &set);

	if (err < 0)
		return err;
	signal_set_temp_mask(set);
	IGNORE(sleep_until(DEADLINE_NEVER, WAIT_INTERRUPTIBLE));
	return -ERESTARTNOHAND;
}

int64_t sys_rt_sigtimedwait(const uint64_t a[6])
{
	uint64_t deadline = DEADLINE_NEVER, ns;
	struct {
		struct signal_info info;
		uint8_t rest[128 - sizeof(struct signal_info)];
	} out = { 0 };
	sigset_t64 set;
	int64_t err = get_set(a[0], a[3], &set);
	int sig;

	if (err == 0 && a[2]) {
		err = time_from_user(a[2], &ns);
		deadline = ns ? clock_now_ns() + ns : 0;
	}
	if (err < 0)
		return err;
	sig = signal_wait(set, deadline, &out.info);
	if (sig > 0 && a[1] && user_copy_to(a[1], &out, sizeof(out)) < 0)
		return -EFAULT;
	return sig;
}
