/* SPDX-License-Identifier: MIT */
/* The program on the console. */
#include "kernel/console.h"
#include "drivers/tty/tty.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/spawn.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"

#define RESPAWN_PAUSE_NS (1 * NS_PER_S)

static const char *const environment[] = { "PATH=/bin:/usr/bin:/tests", "HOME=/root", "TERM=vt100",
					   "USER=root", NULL };

static int spawn(const char *const *argv, struct process **out)
{
	struct spawn_args a = {
		.path = "/bin/sh", .argv = argv, .envp = environment, .cwd = "/root"
	};
	struct file *tty;
	int err = tty_open_console(&tty);

	if (err < 0)
		return err;
	a.tty = tty;
	for (unsigned i = 0; i < 3; i++)
		a.stdio[i] = tty;
	err = process_spawn(&a, out);
	file_put(tty);
	return err;
}

/* Run to the end. The wait status, or -errno. */
static int run(const char *const *argv)
{
	struct process *p;
	int status = 0, err = spawn(argv, &p);

	if (err < 0)
		return err;
	wait_event(&p->exited.wq, process_exited(p, &status));
	process_put(p);
	return status;
}

/* The shell's convention: 128 and the signal's number for a death by signal. */
static int exit_code(int status)
{
	if (status < 0)
		return 127;
	return WSTATUS_EXITED(status) ? WSTATUS_CODE(status) : 128 + WSTATUS_SIGNAL(status);
}

char *cmdline_dup(const char *name)
{
	size_t room = strlen(machine.cmdline) + 1;
	char *value = kmalloc(room);

	if (value && cmdline_get(name, value, room) < 0) {
		kfree(value);
		return NULL;
	}
	return value;
}

static void run_command(void *arg)
{
	char *command = cmdline_dup("run");
	const char *const argv[] = { "sh", "-c", command, NULL };
	int status = command ? run(argv) : -ENOMEM;

	(void)arg;
	if (status < 0)
		log_warn("console: cannot run %s: error %d", command, -status);
	log_info("console: run ended with status %d", exit_code(status));
	arch_machine_exit(exit_code(status));
}

static void keep_shell(void *arg)
{
	static const char *const argv[] = { "-sh", NULL };

	(void)arg;
	for (;;) {
		int status = run(argv);

		if (status < 0)
			log_warn("console: cannot start /bin/sh: error %d", -status);
		sleep_until(clock_now_ns() + RESPAWN_PAUSE_NS, WAIT_UNINTERRUPTIBLE);
	}
}

void console_start(void)
{
	if (thread_spawn("console", cmdline_has("run") ? run_command : keep_shell, NULL) < 0)
		log_warn("console: no memory for its thread");
}
