/* SPDX-License-Identifier: MIT */
/* Pid 1. */
#include "kernel/init.h"
#include "drivers/tty/tty.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/spawn.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"

static struct process *first; /* [init] pid 1 */

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

static int spawn(const char *path, const char *const *argv, bool on_terminal)
{
	static const char *const environment[] = { "PATH=/bin:/sbin:/usr/bin:/usr/sbin:/tests",
						   "HOME=/root", "TERM=vt100", "USER=root", NULL };
	struct spawn_args a = { .path = path, .argv = argv, .envp = environment };
	struct file *tty;
	int err = tty_open_console(&tty);

	if (err < 0)
		return err;
	if (on_terminal) {
		a.tty = tty;
		a.cwd = "/root";
	}
	for (unsigned i = 0; i < 3; i++)
		a.stdio[i] = tty;
	err = process_spawn(&a, &first);
	file_put(tty);
	return err;
}

/* The shell's convention: 128 and the signal's number for a death by signal. */
static int exit_code(int status)
{
	return WSTATUS_EXITED(status) ? WSTATUS_CODE(status) : 128 + WSTATUS_SIGNAL(status);
}

void init_start(void)
{
	char *command = cmdline_dup("run"), *path = cmdline_dup("init");
	const char *program = command ? "/bin/sh" : path ? path : "/sbin/init";
	const char *argv[] = { program, command ? "-c" : NULL, command, NULL };
	int err = spawn(program, argv, command != NULL);

	if (err == 0 && !command)
		process_set_init(first);
	if (err < 0 && command) {
		log_warn("init: cannot run %s: error %d", command, -err);
		arch_machine_exit(127);
	}
	if (err < 0)
		log_warn("init: cannot start %s: error %d: no shell on the console, orphans stay",
			 program, -err);
	kfree(command);
	kfree(path);
}

void init_wait(void)
{
	int status;

	if (!first)
		return;
	wait_event(&first->exited.wq, process_exited(first, &status));
	log_info("init: %s ended with status %d", cmdline_has("run") ? "run" : "pid 1",
		 exit_code(status));
	arch_machine_exit(exit_code(status));
}
