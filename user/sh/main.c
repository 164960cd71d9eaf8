/* SPDX-License-Identifier: MIT */
/* sh [-l] [-c TEXT | FILE]: a small shell. On a terminal it prompts, and gives each job a process group
 * and the terminal. There is no line editor beside the terminal's own. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "user/lib/say.h"
#include "user/sh/sh.h"

#define CTRL_C 3

struct shell shell;

static struct termios program_mode, prompt_mode;
static bool at_prompt;

void terminal_give(pid_t group)
{
	tcsetpgrp(0, group);
}

/* At the prompt Ctrl-C is no signal but the end of a line, which read_line() then throws away. */
void terminal_for_prompt(void)
{
	if (!shell.interactive || at_prompt || tcgetattr(0, &program_mode))
		return;
	at_prompt = true;
	prompt_mode = program_mode;
	prompt_mode.c_lflag |= ICANON | ECHO;
	prompt_mode.c_lflag &= ~ISIG;
	prompt_mode.c_cc[VEOL] = CTRL_C;
	tcsetattr(0, TCSANOW, &prompt_mode);
}

void terminal_for_program(void)
{
	if (at_prompt)
		tcsetattr(0, TCSANOW, &program_mode);
	at_prompt = false;
}

static void start_interactive(void)
{
	static const int ignored[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU };

	shell.interactive = true;
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	if (getpgrp() != getpid())
		setpgid(0, 0);
	terminal_give(getpgrp());
}

static void print_file(const char *path, const char *otherwise)
{
	char buffer[1024];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 && otherwise)
		fd = open(otherwise, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		write_all(1, buffer, n);
	close(fd);
}

static void prompt(bool more)
{
	char *dir;

	if (!shell.interactive)
		return;
	if (more) {
		say(2, "> ");
		return;
	}
	dir = getcwd(NULL, 0);
	say(2, "tern:%s# ", dir ? dir : "?");
	free(dir);
}

/* Append one line of fd to text, byte by byte: what is behind the line belongs to the commands in it.
 * Returns 1, 0 at the end of input, or -1 when Ctrl-C ended the line. */
static int read_line(int fd, struct text *text)
{
	char c;

	for (;;) {
		ssize_t n = read(fd, &c, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return text->length > 0;
		if (c == CTRL_C && shell.interactive)
			return -1;
		text_put(text, c);
		if (c == '\n')
			return 1;
	}
}

/* Read and run to the end of fd. */
static void run_file(int fd)
{
	struct text text = { 0 };
	bool more = false;

	while (!shell.exiting) {
		size_t before = text.length;
		int got;

		run_reap();
		terminal_for_prompt();
		prompt(more);
		got = read_line(fd, &text);
		if (got < 0) {
			say(2, "\n");
			text_clear(&text);
			more = false;
			shell.status = 128 + SIGINT;
			continue;
		}
		if (got == 0 || text.length == before)
			break;
		switch (parse_check(text.bytes)) {
		case PARSE_MORE:
			more = true;
			continue;
		case PARSE_ERROR:
			shell.status = 2;
			break;
		case PARSE_OK:
			terminal_for_program();
			parse_run(text.bytes);
			break;
		}
		more = false;
		text_clear(&text);
	}
	if (more)
		say(2, "sh: syntax error: unexpected end\n");
	terminal_for_program();
	if (shell.interactive && !shell.exiting)
		say(2, "\n");
	free(text.bytes);
}

static void run_text(const char *text)
{
	shell.may_exec = true;
	switch (parse_check(text)) {
	case PARSE_OK:
		parse_run(text);
		break;
	case PARSE_MORE:
		say(2, "sh: syntax error: unexpected end\n");
		shell.status = 2;
		break;
	case PARSE_ERROR:
		shell.status = 2;
		break;
	}
}

static int usage(void)
{
	say(2, "usage: sh [-l] [-c TEXT | FILE]\n");
	return 2;
}

int main(int argc, char **argv)
{
	bool login = argv[0] && argv[0][0] == '-';
	int i = 1;
	int fd = 0;

	if (i < argc && !strcmp(argv[i], "-l")) {
		login = true;
		i++;
	}
	if (i < argc && !strcmp(argv[i], "-c")) {
		if (i + 1 >= argc)
			return usage();
		run_text(argv[i + 1]);
		return shell.status;
	}
	if (i < argc && argv[i][0] == '-')
		return usage();
	if (i < argc) {
		fd = open(argv[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			say(2, "sh: %s: %s\n", argv[i], strerror(errno));
			return 127;
		}
	} else if (isatty(0)) {
		start_interactive();
		if (login)
			print_file("/proc/tern/motd", "/etc/motd");
	}
	run_file(fd);
	return shell.status;
}
