/* SPDX-License-Identifier: MIT */
/* The shell: parse.c takes a text apart and hands each pipeline to run.c as soon as it is complete, so
 * that "$?" means what it should; main.c reads the text and keeps the terminal. */
#ifndef TERN_USER_SH_SH_H
#define TERN_USER_SH_SH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A text that grows; always ended by NUL. */
struct text {
	char *bytes;
	size_t length, room;
};

struct redirection {
	int fd;
	int from; /* duplicate this descriptor, or -1: open path */
	char *path;
	int flags;
};

struct command {
	char **words; /* ended by NULL */
	size_t count;
	struct redirection *redirections;
	size_t redirection_count;
};

struct pipeline {
	struct command *commands;
	size_t count;
	bool background;
	bool last; /* nothing follows it in the text */
};

struct shell {
	int status;	  /* $? */
	bool interactive; /* on a terminal: process groups, a prompt */
	bool may_exec; /* the text is all there will be: its last command may replace the shell */
	bool exiting;
};

extern struct shell shell;

enum parse_result { PARSE_OK, PARSE_MORE, PARSE_ERROR };

/* text.c */
void *grow(void *p, size_t size);
char *copy_string(const char *s);
void text_put(struct text *t, char c);
void text_puts(struct text *t, const char *s);
void text_clear(struct text *t);

/* Check a whole text, running nothing. PARSE_MORE: it ends inside quotes or behind an operator. */
enum parse_result parse_check(const char *text);
/* Parse and run a text that parse_check() has found good. */
void parse_run(const char *text);

/* Run a pipeline; sets shell.status. */
void run_pipeline(const struct pipeline *p);
/* Forget background processes that have ended; say so if interactive. */
void run_reap(void);
/* Wait for all background processes. */
void run_wait_all(void);

/* If the command is one of the shell's own, run it, set shell.status and return true. */
bool builtin_run(const struct command *c);

/* The terminal: as the shell wants it at the prompt, as programs find it. */
void terminal_for_prompt(void);
void terminal_for_program(void);
/* Make the process group the terminal's foreground one. */
void terminal_give(pid_t group);

#endif
