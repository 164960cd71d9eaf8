/* SPDX-License-Identifier: MIT */
/* The grammar, by recursive descent straight from the characters:
 *
 *   text     = and_or { (";" | "&" | newline) [ and_or ] }
 *   and_or   = pipeline { ("&&" | "||") pipeline }
 *   pipeline = command { "|" command }
 *   command  = { word | redirection }          at least one word
 *
 * Words know 'single' and "double" quotes, \x, $?, $$, $NAME and ${NAME}; "#" begins a comment. */
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/lib/say.h"
#include "user/sh/sh.h"

struct parser {
	const char *at;
	bool dry;		  /* check only */
	enum parse_result result; /* PARSE_OK until something is wrong: then everybody returns */
};

static void fail(struct parser *p, const char *what)
{
	if (p->result != PARSE_OK)
		return;
	say(2, "sh: syntax error: %s\n", what);
	p->result = PARSE_ERROR;
}

static void need_more(struct parser *p)
{
	if (p->result == PARSE_OK)
		p->result = PARSE_MORE;
}

static void skip_blanks(struct parser *p)
{
	while (*p->at == ' ' || *p->at == '\t' || (*p->at == '\\' && p->at[1] == '\n'))
		p->at += *p->at == '\\' ? 2 : 1;
	if (*p->at == '#')
		p->at += strcspn(p->at, "\n");
}

static void skip_newlines(struct parser *p)
{
	skip_blanks(p);
	while (*p->at == '\n') {
		p->at++;
		skip_blanks(p);
	}
}

static bool ends_word(char c)
{
	return !c || strchr(" \t\n;&|<>", c);
}

static void put_number(struct text *word, unsigned long n)
{
	char digits[20];
	size_t i = sizeof(digits) - 1;

	digits[i] = 0;
	do {
		digits[--i] = '0' + n % 10;
		n /= 10;
	} while (n);
	text_puts(word, digits + i);
}

static void put_variable(struct text *word, const char *name, size_t length)
{
	struct text copy = { 0 };
	const char *value;

	for (size_t i = 0; i < length; i++)
		text_put(&copy, name[i]);
	value = getenv(copy.bytes);
	if (value)
		text_puts(word, value);
	free(copy.bytes);
}

/* Behind "$". */
static void parse_dollar(struct parser *p, struct text *word)
{
	size_t n = 0;
	bool braces;

	if (*p->at == '?' || *p->at == '$') {
		put_number(word,
			   *p->at == '?' ? (unsigned long)shell.status : (unsigned long)getpid());
		p->at++;
		return;
	}
	braces = *p->at == '{';
	p->at += braces;
	while (isalnum((unsigned char)p->at[n]) || p->at[n] == '_')
		n++;
	if (braces && (!n || p->at[n] != '}')) {
		fail(p, "after ${");
		return;
	}
	if (n)
		put_variable(word, p->at, n);
	else
		text_put(word, '$');
	p->at += n + braces;
}

static void parse_single_quotes(struct parser *p, struct text *word)
{
	while (*p->at && *p->at != '\'')
		text_put(word, *p->at++);
	if (*p->at)
		p->at++;
	else
		need_more(p);
}

static void parse_double_quotes(struct parser *p, struct text *word)
{
	while (p->result == PARSE_OK && *p->at != '"') {
		if (!*p->at) {
			need_more(p);
			return;
		}
		if (*p->at == '\\' && p->at[1] && strchr("\"\\$`\n", p->at[1])) {
			if (p->at[1] != '\n')
				text_put(word, p->at[1]);
			p->at += 2;
		} else if (*p->at == '$') {
			p->at++;
			parse_dollar(p, word);
		} else {
			text_put(word, *p->at++);
		}
	}
	p->at++;
}

/* A word. Unquoted variables are not split: a word stays one word. Returns NULL for a word made only of
 * unset variables, which is no word. */
static char *parse_word(struct parser *p)
{
	struct text word = { 0 };
	bool quoted = false;

	while (p->result == PARSE_OK && !ends_word(*p->at)) {
		char c = *p->at++;

		if (c == '\'' || c == '"') {
			quoted = true;
			if (c == '"')
				parse_double_quotes(p, &word);
			else
				parse_single_quotes(p, &word);
		} else if (c == '\\') {
			if (!*p->at || (*p->at == '\n' && !p->at[1]))
				need_more(p);
			else if (*p->at++ != '\n')
				text_put(&word, p->at[-1]);
		} else if (c == '$') {
			parse_dollar(p, &word);
		} else if (c == '(' || c == ')' || c == '`') {
			fail(p, "this shell has no ( ) or `");
		} else {
			text_put(&word, c);
		}
	}
	if (word.bytes || !quoted)
		return word.bytes;
	return copy_string("");
}

/* At "<" or ">", behind the descriptor's number if there was one. */
static void parse_redirection(struct parser *p, struct command *c, int fd)
{
	struct redirection r = { .fd = fd, .from = -1, .flags = O_RDONLY };
	bool output = *p->at++ == '>';

	if (output)
		r.flags = O_WRONLY | O_CREAT | O_TRUNC;
	if (output && *p->at == '>') {
		r.flags = O_WRONLY | O_CREAT | O_APPEND;
		p->at++;
	}
	if (fd < 0)
		r.fd = output;
	if (*p->at == '&' && isdigit((unsigned char)p->at[1])) {
		r.from = p->at[1] - '0';
		p->at += 2;
	} else {
		skip_blanks(p);
		r.path = parse_word(p);
		if (!r.path)
			fail(p, "no file behind < or >");
	}
	c->redirections = grow(c->redirections, (c->redirection_count + 1) * sizeof(r));
	c->redirections[c->redirection_count++] = r;
}

static void parse_command(struct parser *p, struct command *c)
{
	bool something = false;

	c->words = grow(NULL, sizeof(*c->words));
	for (skip_blanks(p); p->result == PARSE_OK; skip_blanks(p)) {
		const char *start = p->at;
		char *word;

		if (isdigit((unsigned char)start[0]) && (start[1] == '<' || start[1] == '>')) {
			p->at++;
			parse_redirection(p, c, start[0] - '0');
		} else if (start[0] == '<' || start[0] == '>') {
			parse_redirection(p, c, -1);
		} else if (ends_word(start[0])) {
			break;
		} else {
			word = parse_word(p);
			if (word) {
				c->words = grow(c->words, (c->count + 2) * sizeof(*c->words));
				c->words[c->count++] = word;
			}
		}
		something = true;
	}
	c->words[c->count] = NULL;
	if (!something && !*p->at)
		need_more(p);
	else if (!something)
		fail(p, "a command was expected");
}

static void free_pipeline(struct pipeline *line)
{
	for (size_t i = 0; i < line->count; i++) {
		struct command *c = &line->commands[i];

		for (size_t k = 0; k < c->count; k++)
			free(c->words[k]);
		for (size_t k = 0; k < c->redirection_count; k++)
			free(c->redirections[k].path);
		free(c->words);
		free(c->redirections);
	}
	free(line->commands);
}

/* Parse a pipeline and, unless it is only to be skipped, run it. */
static void parse_pipeline(struct parser *p, bool skip)
{
	struct pipeline line = { 0 };
	const char *rest;

	for (;;) {
		line.commands = grow(line.commands, (line.count + 1) * sizeof(*line.commands));
		memset(&line.commands[line.count], 0, sizeof(*line.commands));
		parse_command(p, &line.commands[line.count++]);
		if (p->result != PARSE_OK || *p->at != '|' || p->at[1] == '|')
			break;
		p->at++;
		skip_newlines(p);
	}
	if (p->result == PARSE_OK && !p->dry && !skip) {
		line.background = *p->at == '&' && p->at[1] != '&';
		rest = p->at + strspn(p->at, " \t\n;");
		line.last = !*rest;
		run_pipeline(&line);
	}
	free_pipeline(&line);
}

static void parse_and_or(struct parser *p)
{
	bool skip = false;

	parse_pipeline(p, false);
	while (p->result == PARSE_OK && (*p->at == '&' || *p->at == '|') && p->at[1] == *p->at) {
		bool and = *p->at == '&';

		p->at += 2;
		skip_newlines(p);
		skip = and? shell.status != 0 : shell.status == 0;
		parse_pipeline(p, skip || shell.exiting);
	}
}

static enum parse_result parse_text(const char *text, bool dry)
{
	struct parser p = { .at = text, .dry = dry, .result = PARSE_OK };

	skip_newlines(&p);
	while (p.result == PARSE_OK && *p.at && !(shell.exiting && !dry)) {
		parse_and_or(&p);
		if (p.result != PARSE_OK || !*p.at)
			break;
		if (*p.at != ';' && *p.at != '&' && *p.at != '\n')
			fail(&p, "unexpected character");
		p.at++;
		skip_newlines(&p);
	}
	return p.result;
}

enum parse_result parse_check(const char *text)
{
	return parse_text(text, true);
}

void parse_run(const char *text)
{
	(void)parse_text(text, false);
}
