/* SPDX-License-Identifier: MIT */
/* Running pipelines. Children are made the way posix_spawn makes them, by clone with CLONE_VM and
 * CLONE_VFORK on a stack of their own, with the one step added that posix_spawn lacks: a foreground
 * child takes the terminal itself, before its program can read from it. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/lib/say.h"
#include "user/sh/sh.h"

#define CHILD_STACK 65536

/* The signals that an interactive shell ignores and its children do not. */
static const int quiet_signals[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU };

/* Background processes not yet waited for. */
static pid_t *background;
static size_t background_count;

/* What the child is to do. It shares the shell's memory until execve, so it changes nothing of it. */
struct child {
	const struct command *command;
	const char *path;
	int in, out;
	pid_t group;	 /* join this group, or make one of its own (0), or stay (-1) */
	bool foreground; /* take the terminal */
};

static int apply_redirections(const struct command *c)
{
	for (size_t i = 0; i < c->redirection_count; i++) {
		const struct redirection *r = &c->redirections[i];
		int fd = r->from;

		if (r->path)
			fd = open(r->path, r->flags | O_CLOEXEC, 0666);
		if (fd < 0 || dup2(fd, r->fd) < 0) {
			say(2, "sh: %s: %s\n", r->path ? r->path : "redirection", strerror(errno));
			return -1;
		}
		if (r->path && fd != r->fd)
			close(fd);
		else if (r->path)
			fcntl(fd, F_SETFD, 0);
	}
	return 0;
}

static int execute(const struct command *c, const char *path)
{
	int error;

	execve(path, c->words, environ);
	error = errno;
	if (error == ENOEXEC)
		say(2, "sh: %s: not a program for this machine\n", c->words[0]);
	else
		say(2, "sh: %s: %s\n", c->words[0], strerror(error));
	return error == ENOENT ? 127 : 126;
}

static int child_main(void *arg)
{
	const struct child *c = arg;

	if (c->group >= 0)
		setpgid(0, c->group);
	if (c->foreground)
		terminal_give(c->group ? c->group : getpid());
	if (shell.interactive)
		for (size_t i = 0; i < sizeof(quiet_signals) / sizeof(quiet_signals[0]); i++)
			signal(quiet_signals[i], SIG_DFL);
	if ((c->in != 0 && dup2(c->in, 0) < 0) || (c->out != 1 && dup2(c->out, 1) < 0))
		_exit(126);
	if (apply_redirections(c->command))
		_exit(1);
	if (!c->command->count)
		_exit(0);
	_exit(execute(c->command, c->path));
}

/* Where the program lies: the name itself if it has a slash, else the first hit in PATH. To be freed;
 * NULL if there is none. */
static char *find_program(const char *name)
{
	const char *dirs = getenv("PATH");

	if (strchr(name, '/'))
		return copy_string(name);
	for (const char *dir = dirs ? dirs : "/bin:/tests"; *dir;) {
		size_t n = strcspn(dir, ":");
		struct text path = { 0 };

		for (size_t i = 0; i < n; i++)
			text_put(&path, dir[i]);
		text_put(&path, '/');
		text_puts(&path, name);
		if (!access(path.bytes, X_OK))
			return path.bytes;
		free(path.bytes);
		dir += n + (dir[n] == ':');
	}
	return NULL;
}

/* Start one command. Returns its pid, or -1 with shell.status set. */
static pid_t spawn(struct child *c, char *stack)
{
	const char *name = c->command->count ? c->command->words[0] : NULL;
	char *path = name ? find_program(name) : NULL;
	pid_t pid;

	if (name && !path) {
		say(2, "sh: %s: not found\n", name);
		shell.status = 127;
		return -1;
	}
	c->path = path;
	pid = clone(child_main, stack + CHILD_STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, c);
	if (pid < 0) {
		say(2, "sh: %s: %s\n", name ? name : "", strerror(errno));
		shell.status = 126;
	}
	free(path);
	return pid;
}

static int status_of(int wait_status)
{
	if (WIFEXITED(wait_status))
		return WEXITSTATUS(wait_status);
	return 128 + WTERMSIG(wait_status);
}

/* Wait for one process. Returns its status as $? shows it. */
static int await(pid_t pid)
{
	int wait_status;

	while (waitpid(pid, &wait_status, 0) < 0)
		if (errno != EINTR)
			return 127;
	if (WIFSIGNALED(wait_status)) {
		int sig = WTERMSIG(wait_status);

		if (sig == SIGINT && shell.interactive)
			say(2, "\n");
		else if (sig != SIGINT && sig != SIGPIPE)
			say(2, "%s\n", strsignal(sig));
	}
	return status_of(wait_status);
}

static void add_background(pid_t pid)
{
	background = grow(background, (background_count + 1) * sizeof(*background));
	background[background_count++] = pid;
}

static void drop_background(size_t i, int wait_status)
{
	if (shell.interactive)
		say(2, "[%d] ended with %d\n", (int)background[i], status_of(wait_status));
	background[i] = background[--background_count];
}

void run_reap(void)
{
	int wait_status;

	for (size_t i = 0; i < background_count;) {
		if (waitpid(background[i], &wait_status, WNOHANG) == background[i])
			drop_background(i, wait_status);
		else
			i++;
	}
}

void run_wait_all(void)
{
	int wait_status;

	while (background_count > 0) {
		if (waitpid(background[0], &wait_status, 0) == background[0])
			drop_background(0, wait_status);
		else if (errno != EINTR)
			background[0] = background[--background_count];
	}
}

/* Start all commands of the pipeline, each one's output joined to the next one's input. Returns how many
 * pids[] holds; a command that could not be started leaves a -1 there. */
static void start_all(const struct pipeline *p, pid_t *pids)
{
	char *stack = grow(NULL, CHILD_STACK);
	pid_t group = shell.interactive ? 0 : -1;
	int in = 0;

	for (size_t i = 0; i < p->count; i++) {
		bool last = i + 1 == p->count;
		int ends[2] = { -1, 1 };
		struct child c = {
			.command = &p->commands[i],
			.in = in,
			.group = group,
			.foreground = shell.interactive && !p->background,
		};

		pids[i] = -1;
		if (!last && pipe2(ends, O_CLOEXEC) < 0) {
			say(2, "sh: no pipe: %s\n", strerror(errno));
			shell.status = 126;
		} else {
			c.out = ends[1];
			pids[i] = spawn(&c, stack);
		}
		if (group == 0 && pids[i] > 0)
			group = pids[i];
		if (in > 0)
			close(in);
		if (!last)
			close(ends[1]);
		in = ends[0];
	}
	free(stack);
}

static bool replaces_shell(const struct pipeline *p)
{
	return shell.may_exec && p->last && p->count == 1 && !p->background && !background_count &&
	       p->commands[0].count > 0;
}

/* "sh -c COMMAND": the one or the last command takes the shell's place. */
static void exec_last(const struct command *c)
{
	char *path = find_program(c->words[0]);

	if (!path) {
		say(2, "sh: %s: not found\n", c->words[0]);
		shell.status = 127;
		return;
	}
	if (apply_redirections(c))
		shell.status = 1;
	else
		shell.status = execute(c, path);
	free(path);
}

void run_pipeline(const struct pipeline *p)
{
	pid_t *pids;
	int last_status = -1;

	if (p->count == 1 && !p->background && builtin_run(&p->commands[0]))
		return;
	if (replaces_shell(p)) {
		exec_last(&p->commands[0]);
		return;
	}
	pids = grow(NULL, p->count * sizeof(*pids));
	start_all(p, pids);
	for (size_t i = 0; i < p->count; i++) {
		if (pids[i] < 0)
			last_status = shell.status;
		else if (p->background)
			add_background(pids[i]);
		else
			last_status = await(pids[i]);
	}
	if (!p->background)
		shell.status = last_status;
	else if (pids[p->count - 1] > 0)
		shell.status = 0;
	if (p->background && shell.interactive && pids[p->count - 1] > 0)
		say(2, "[%d]\n", (int)pids[p->count - 1]);
	free(pids);
	if (shell.interactive)
		terminal_give(getpgrp());
}
