/* SPDX-License-Identifier: MIT */
/* The commands that must run in the shell itself. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/lib/say.h"
#include "user/sh/sh.h"

static int complain(const char *command, const char *what)
{
	say(2, "sh: %s: %s: %s\n", command, what, strerror(errno));
	return 1;
}

static int builtin_cd(size_t count, char **words)
{
	const char *dir = count > 1 ? words[1] : getenv("HOME");

	if (!dir)
		dir = "/";
	return chdir(dir) ? complain("cd", dir) : 0;
}

static int builtin_pwd(size_t count, char **words)
{
	char *dir = getcwd(NULL, 0);

	if (!dir)
		return complain("pwd", "here");
	say(1, "%s\n", dir);
	free(dir);
	return 0;
}

static int builtin_exit(size_t count, char **words)
{
	unsigned long status = shell.status;

	if (count > 1 && parse_number(words[1], &status)) {
		say(2, "sh: exit: %s: not a number\n", words[1]);
		status = 2;
	}
	shell.exiting = true;
	return status & 255;
}

static int builtin_export(size_t count, char **words)
{
	for (size_t i = 1; i < count; i++) {
		char *equals = strchr(words[i], '=');

		if (!equals)
			continue;
		*equals = 0;
		if (setenv(words[i], equals + 1, 1))
			return complain("export", words[i]);
	}
	return 0;
}

static int builtin_wait(size_t count, char **words)
{
	run_wait_all();
	return 0;
}

static int builtin_kill(size_t count, char **words)
{
	unsigned long sig = SIGTERM, pid;
	size_t i = 1;

	if (count > 1 && words[1][0] == '-' && parse_number(words[1] + 1, &sig))
		count = 0;
	else if (count > 1 && words[1][0] == '-')
		i = 2;
	if (i >= count) {
		say(2, "usage: kill [-NUMBER] PID...\n");
		return 2;
	}
	for (; i < count; i++) {
		bool group = words[i][0] == '-';

		if (parse_number(words[i] + group, &pid)) {
			say(2, "sh: kill: %s: not a process\n", words[i]);
			return 2;
		}
		if (kill(group ? -(pid_t)pid : (pid_t)pid, (int)sig))
			return complain("kill", words[i]);
	}
	return 0;
}

static const struct builtin {
	const char *name;
	int (*run)(size_t count, char **words);
} builtins[] = {
	{ "cd", builtin_cd },	      { "pwd", builtin_pwd },	{ "exit", builtin_exit },
	{ "export", builtin_export }, { "wait", builtin_wait }, { "kill", builtin_kill },
};

static const struct builtin *find(const char *name)
{
	for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
		if (!strcmp(builtins[i].name, name))
			return &builtins[i];
	return NULL;
}

/* A builtin writes only to descriptor 1, so that is all that is redirected for it. Returns where the old
 * one is kept, -1 if nothing was done, -2 after an error. */
static int redirect_output(const struct command *c)
{
	int kept = -1;

	for (size_t i = 0; i < c->redirection_count; i++) {
		const struct redirection *r = &c->redirections[i];
		int fd;

		if (r->fd != 1 || !r->path)
			continue;
		fd = open(r->path, r->flags | O_CLOEXEC, 0666);
		if (fd < 0) {
			complain(c->words[0], r->path);
			return -2;
		}
		if (kept < 0)
			kept = fcntl(1, F_DUPFD_CLOEXEC, 10);
		dup2(fd, 1);
		close(fd);
	}
	return kept;
}

bool builtin_run(const struct command *c)
{
	const struct builtin *b = c->count ? find(c->words[0]) : NULL;
	int kept;

	if (!b)
		return false;
	kept = redirect_output(c);
	shell.status = kept == -2 ? 1 : b->run(c->count, c->words);
	if (kept >= 0) {
		dup2(kept, 1);
		close(kept);
	}
	return true;
}
