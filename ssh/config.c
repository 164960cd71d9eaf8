/* SPDX-License-Identifier: MIT */
#include "ssh/config.h"
#include "lib/errno.h"
#include "lib/passwd.h"
#include "lib/string.h"
#include "ssh/authkeys.h"
#include "ssh/kex_priv.h"
#include "ssh/namelist.h"
#include "ssh/pattern.h"

#define SECONDS_MAX INT32_MAX

/* A line: its words are taken off rest, the last is in word. */
struct line {
	struct ssh_config *cfg;
	struct ssh_config unused; /* what a keyword says that has been said */
	struct bytes rest, word;
	const char *why;
};

struct choice {
	const char *name;
	unsigned value;
};

struct setting {
	const char *name; /* in lower case */
	/* Take the words. What is wrong, or NULL. */
	const char *(*parse)(struct line *l, const struct setting *s);
	size_t at;		 /* of the member of struct ssh_config */
	bool all;		 /* the words of all its lines count */
	uint64_t min, max, zero; /* of a number; what 0 stands for */
	const struct choice *choices;
	bool (*good)(struct bytes word); /* of a list */
	const char *only, *why; /* of what cannot be otherwise; of a path, the word for none */
};

/* --- lines and words -------------------------------------------------------------------------------------------- */

/* False: there is no further word, or *why says what is wrong. A '#' before a word begins a comment. */
static bool take_word(struct bytes *rest, struct bytes *word, const char **why)
{
	const uint8_t *end;

	bytes_skip_blanks(rest);
	*word = (struct bytes){ rest->p, 0 };
	if (rest->n == 0 || *rest->p == '#')
		return false;
	if (*rest->p == '"') {
		end = memchr(rest->p + 1, '"', rest->n - 1);
		word->p++;
		word->n = end ? (size_t)(end - word->p) : 0;
		bytes_skip(rest, end ? word->n + 2 : 1);
	} else {
		end = rest->p;
		while (word->n < rest->n && !bytes_is_blank(rest->p[word->n]) &&
		       rest->p[word->n] != '"')
			word->n++;
		bytes_skip(rest, word->n);
	}
	if (!end || (rest->n > 0 && !bytes_is_blank(*rest->p)))
		*why = "a quote in the wrong place";
	return !*why;
}

/* The keyword, up to a blank or one '='. False: nothing is on the line. */
static bool take_key(struct bytes *rest, struct bytes *key)
{
	bytes_skip_blanks(rest);
	*key = (struct bytes){ rest->p, 0 };
	if (rest->n == 0 || *rest->p == '#')
		return false;
	while (key->n < rest->n && !bytes_is_blank(rest->p[key->n]) && rest->p[key->n] != '=')
		key->n++;
	bytes_skip(rest, key->n);
	bytes_skip_blanks(rest);
	if (rest->n > 0 && *rest->p == '=')
		bytes_skip(rest, 1);
	return true;
}

static bool next(struct line *l)
{
	return take_word(&l->rest, &l->word, &l->why);
}

/* --- kinds of values -------------------------------------------------------------------------------------------- */

static void *member(struct line *l, const struct setting *s)
{
	return (char *)l->cfg + s->at;
}

static const char *number_value(struct line *l, const struct setting *s)
{
	uint64_t v;

	if (!next(l) || !ssh_number(l->word, s->max, &v) || v < s->min)
		return "not a number of its range";
	*(unsigned *)member(l, s) = (unsigned)(v == 0 ? s->zero : v);
	return NULL;
}

/* A number and one of "units", whose sizes are given; alone it counts units[0]. Taken off s. */
static bool take_quantity(struct bytes *s, const char *units, const uint64_t *sizes, uint64_t max,
			  uint64_t *out)
{
	struct bytes digits = { s->p, 0 };
	const char *unit = units;

	while (digits.n < s->n && s->p[digits.n] >= '0' && s->p[digits.n] <= '9')
		digits.n++;
	bytes_skip(s, digits.n);
	if (s->n > 0) {
		unit = strchr(units, *s->p | 0x20);
		bytes_skip(s, 1);
	}
	return unit && *unit && ssh_number(digits, max / sizes[unit - units], out) &&
	       (*out *= sizes[unit - units], true);
}

/* "90", "1h30m". */
static bool parse_seconds(struct bytes s, uint64_t *out)
{
	static const uint64_t sizes[] = { 1, 60, 3600, 86400, 604800 };
	uint64_t v, sum = 0;

	do {
		if (!take_quantity(&s, "smhdw", sizes, SECONDS_MAX, &v))
			return false;
		sum += v;
	} while (s.n > 0 && sum <= SECONDS_MAX);
	*out = sum;
	return sum <= SECONDS_MAX;
}

static const char *time_value(struct line *l, const struct setting *s)
{
	uint64_t v;

	if (!next(l) || !parse_seconds(l->word, &v))
		return "not a time, as 90, 90s, 1h30m";
	*(uint64_t *)member(l, s) = v == 0 ? s->zero : v * NS_PER_S;
	return NULL;
}

/* Bytes, and perhaps a time. */
static const char *rekey_value(struct line *l, const struct setting *s)
{
	static const uint64_t sizes[] = { 1, 1UL << 10, 1UL << 20, 1UL << 30 };
	uint64_t v;

	if (!next(l))
		return "no size";
	if (!ssh_is_word(l->word, "default")) {
		struct bytes size = l->word;

		if (!take_quantity(&size, "bkmg", sizes, SSH_REKEY_BYTES, &v) || size.n > 0 ||
		    v < 16)
			return "not a size from 16 to 1G, as 512M";
		l->cfg->rekey_bytes = v;
	}
	if (!next(l))
		return NULL;
	if (ssh_is_word(l->word, "none")) {
		l->cfg->rekey_ns = SSH_FOREVER_NS;
		return NULL;
	}
	if (!parse_seconds(l->word, &v) || v == 0)
		return "not a time, as 90, 90s, 1h30m";
	l->cfg->rekey_ns = v * NS_PER_S;
	return NULL;
}

static const char *choice_value(struct line *l, const struct setting *s)
{
	if (next(l))
		for (const struct choice *c = s->choices; c->name; c++)
			if (ssh_is_word(l->word, c->name)) {
				*(unsigned *)member(l, s) = c->value;
				return NULL;
			}
	return "not one of its values";
}

static const char *fixed_value(struct line *l, const struct setting *s)
{
	return next(l) && s->only && ssh_is_word(l->word, s->only) ? NULL : s->why;
}

static const char *list_value(struct line *l, const struct setting *s)
{
	unsigned n = 0;

	for (; next(l); n++)
		if (!s->good(l->word))
			return s->why;
	return n > 0 ? NULL : "no value";
}

static const char *path_value(struct line *l, const struct setting *s)
{
	if (!next(l) || l->word.n == 0)
		return "no path";
	if (s->only && ssh_is_word(l->word, s->only))
		return NULL;
	if (*l->word.p != '/')
		return "not a path that begins with /";
	*(struct bytes *)member(l, s) = l->word;
	return NULL;
}

/* A command is all the rest of its line. */
static struct bytes take_command(struct line *l)
{
	struct bytes command;

	bytes_skip_blanks(&l->rest);
	command = l->rest;
	l->rest.n = 0;
	while (command.n > 0 && bytes_is_blank(command.p[command.n - 1]))
		command.n--;
	return command;
}

static const char *command_value(struct line *l, const struct setting *s)
{
	struct bytes command = take_command(l);

	if (command.n == 0)
		return "no command";
	if (!ssh_is_word(command, "none"))
		*(struct bytes *)member(l, s) = command;
	return NULL;
}

/* A name that is in everybody's path (user/root.list). */
static bool is_internal_sftp(struct bytes command)
{
	static const char name[] = "internal-sftp";
	size_t n = sizeof(name) - 1;

	return command.n >= n && !memcmp(command.p, name, n) &&
	       (command.n == n || command.p[n] == ' ');
}

static const char *subsystem_value(struct line *l, const struct setting *s)
{
	struct bytes command;

	if (!next(l))
		return "no name";
	command = take_command(l);
	l->word = command.n > 0 ? command : l->word;
	return command.n > 0 && (*command.p == '/' || is_internal_sftp(command))
		       ? NULL
		       : "neither internal-sftp nor a command that begins with /";
}

/* Which of the algorithms name(i) are there: those in the list; with a '+' those too; with a '-' all but those. The order is
 * the client's to choose. */
static const char *algorithms_value(struct line *l, const struct setting *s, ssh_name_fn *name)
{
	uint32_t *mask = member(l, s), named = 0, one;
	struct bytes list, pattern;
	uint8_t sign;

	if (!next(l) || l->word.n == 0)
		return "no value";
	list = l->word;
	sign = *list.p;
	if (sign == '+' || sign == '-')
		bytes_skip(&list, 1);
	while (ssh_namelist_next(&list, &pattern)) {
		one = 0;
		for (unsigned i = 0; name(i); i++)
			if (sign == '-'
				    ? ssh_pattern_match((struct bytes){ (const uint8_t *)name(i),
									strlen(name(i)) },
							pattern)
				    : bytes_is(pattern, name(i)))
				one |= 1u << i;
		if (!one && sign != '-') {
			l->word = pattern;
			return "there is no such algorithm";
		}
		named |= one;
	}
	if (sign != '+')
		*mask = sign == '-' ? *mask & ~named : named;
	for (unsigned i = 0; name(i); i++)
		if (*mask & 1u << i)
			return NULL;
	return "no algorithm is left";
}

static const char *kexes_value(struct line *l, const struct setting *s)
{
	return algorithms_value(l, s, ssh_kex_name);
}

static const char *hostkey_algs_value(struct line *l, const struct setting *s)
{
	return algorithms_value(l, s, ssh_hostkey_alg_name);
}

static const char *ciphers_value(struct line *l, const struct setting *s)
{
	return algorithms_value(l, s, ssh_cipher_name);
}

static const char *macs_value(struct line *l, const struct setting *s)
{
	return algorithms_value(l, s, ssh_mac_name);
}

/* --- words of lists --------------------------------------------------------------------------------------------- */

static bool is_pattern(struct bytes word)
{
	return word.n > 0 && !memchr(word.p, ',', word.n) && *word.p != '!';
}

/* USER or USER@ADDRESSES. */
static bool split_user(struct bytes word, struct bytes *user, struct bytes *from)
{
	const uint8_t *at = word.n > 0 ? memchr(word.p, '@', word.n) : NULL;

	*user = (struct bytes){ word.p, at ? (size_t)(at - word.p) : word.n };
	*from = (struct bytes){ at ? at + 1 : word.p, at ? word.n - user->n - 1 : 0 };
	return at;
}

static bool is_user(struct bytes word)
{
	struct bytes user, from;
	bool has_from = split_user(word, &user, &from);

	return is_pattern(user) && (!has_from || ssh_address_list_is_good(from));
}

static bool is_open_permit(struct bytes word)
{
	struct bytes host;
	uint64_t port;

	return ssh_is_word(word, "any") || ssh_is_word(word, "none") ||
	       (word.n > 0 && ssh_permit_parse(word, false, &host, &port));
}

static bool is_listen_permit(struct bytes word)
{
	struct bytes host;
	uint64_t port;

	return is_open_permit(word) || (word.n > 0 && ssh_permit_parse(word, true, &host, &port));
}

/* After a % is %, h, u or U. */
static bool is_template(struct bytes word)
{
	for (size_t i = 0; i < word.n; i++)
		if (word.p[i] == '%' && (++i == word.n || !strchr("%huU", word.p[i])))
			return false;
	return word.n > 0;
}

/* --- the settings ----------------------------------------------------------------------------------------------- */

static const struct choice yes_no[] = { { "yes", true }, { "no", false }, { NULL, 0 } };
static const struct choice levels[] = {
	{ "quiet", SSH_LOG_QUIET },	{ "error", SSH_LOG_ERROR }, { "info", SSH_LOG_INFO },
	{ "verbose", SSH_LOG_VERBOSE }, { "debug", SSH_LOG_DEBUG }, { NULL, 0 },
};
static const struct choice roots[] = {
	{ "yes", SSH_ROOT_YES },
	{ "prohibit-password", SSH_ROOT_YES },
	{ "without-password", SSH_ROOT_YES },
	{ "forced-commands-only", SSH_ROOT_FORCED },
	{ "no", SSH_ROOT_NO },
	{ NULL, 0 },
};
static const struct choice forwards[] = {
	{ "yes", SSH_FORWARD_LOCAL | SSH_FORWARD_REMOTE },
	{ "all", SSH_FORWARD_LOCAL | SSH_FORWARD_REMOTE },
	{ "local", SSH_FORWARD_LOCAL },
	{ "remote", SSH_FORWARD_REMOTE },
	{ "no", 0 },
	{ NULL, 0 },
};
static const struct choice gateways[] = {
	{ "yes", SSH_GATEWAY_YES },
	{ "no", SSH_GATEWAY_NO },
	{ "clientspecified", SSH_GATEWAY_CLIENT },
	{ NULL, 0 },
};

#define AT(m) .at = offsetof(struct ssh_config, m)
#define USERS                                                                                      \
	.parse = list_value, .all = true, .good = is_user, .why = "not a USER or USER@ADDRESSES"
#define GROUPS		  .parse = list_value, .all = true, .good = is_pattern, .why = "not a group"
#define PERMIT		  .parse = list_value, .why = "not HOST:PORT, any or none"
#define ONLY(value, text) .parse = fixed_value, .only = (value), .why = (text)

static const struct setting settings[] = {
	{ "loglevel", choice_value, AT(log_level), .choices = levels },
	{ "logingracetime", time_value, AT(grace_ns), .zero = SSH_FOREVER_NS },
	{ "maxauthtries", number_value, AT(max_tries), .min = 1, .max = 63 },
	{ "maxsessions", number_value, AT(max_sessions), .max = 1000 },
	{ "maxstartups", number_value, AT(max_newcomers), .min = 1, .max = 10000 },
	{ "clientaliveinterval", time_value, AT(keepalive_ns) },
	{ "clientalivecountmax", number_value, AT(keepalive_max), .max = 1000, .zero = UINT32_MAX },
	{ "rekeylimit", .parse = rekey_value },
	{ "permitrootlogin", choice_value, AT(root), .choices = roots },
	{ "allowusers", USERS },
	{ "denyusers", USERS },
	{ "allowgroups", GROUPS },
	{ "denygroups", GROUPS },
	{ "authorizedkeysfile", list_value, .good = is_template,
	  .why = "a path, in it %% %h %u %U and no other %" },
	{ "acceptenv", list_value, .all = true, .good = is_pattern, .why = "not a pattern" },
	{ "permittty", choice_value, AT(permit_tty), .choices = yes_no },
	{ "allowtcpforwarding", choice_value, AT(forward), .choices = forwards },
	{ "gatewayports", choice_value, AT(gateway), .choices = gateways },
	{ "permitopen", PERMIT, .good = is_open_permit },
	{ "permitlisten", PERMIT, .good = is_listen_permit },
	{ "forcecommand", command_value, AT(force_command) },
	{ "subsystem", subsystem_value, .all = true },
	{ "banner", path_value, AT(banner_file), .only = "none" },
	{ "hostkey", path_value, AT(hostkey_file), .all = true },
	{ "permituserenvironment", choice_value, AT(user_environment), .choices = yes_no },
	{ "kexalgorithms", kexes_value, AT(kexes) },
	{ "ciphers", ciphers_value, AT(ciphers) },
	{ "macs", macs_value, AT(macs) },
	{ "hostkeyalgorithms", hostkey_algs_value, AT(hostkey_algs) },
	{ "pubkeyauthentication", ONLY("yes", "there is no other way to log in") },
	{ "passwordauthentication", ONLY("no", "there are no passwords") },
	{ "kbdinteractiveauthentication", ONLY("no", "there are no passwords") },
	{ "permitemptypasswords", ONLY("no", "there are no passwords") },
	{ "usepam", ONLY("no", "there is no PAM") },
	{ "usedns", ONLY("no", "no name server is asked") },
	{ "strictmodes", ONLY("yes", "files that others may write are never believed") },
	{ "printmotd", ONLY("no", "/etc/profile prints at a login") },
	{ "x11forwarding", ONLY("no", "there is no X11") },
	{ "allowagentforwarding", ONLY("no", "there is no forwarding of agents") },
	{ "port", ONLY(NULL, "the port is on the kernel's command line: ssh_port=N") },
	{ "match", ONLY(NULL, "there are no Match blocks") },
};

static const struct setting *find_setting(struct bytes key)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (ssh_is_word(key, settings[i].name))
			return &settings[i];
	return NULL;
}

/* What is wrong with the line, or NULL. *seen: a bit for each setting. */
static const char *parse_line(struct line *l, uint64_t *seen)
{
	static_assert(ARRAY_SIZE(settings) <= 64, "a bit for each");
	const struct setting *s;
	const char *why;
	uint64_t bit;

	if (l->rest.n > 0 && memchr(l->rest.p, 0, l->rest.n))
		return "NUL in line";
	if (!take_key(&l->rest, &l->word))
		return NULL;
	s = find_setting(l->word);
	if (!s)
		return "unknown keyword";
	bit = 1UL << (s - settings);
	if ((*seen & bit) && !s->all) {
		l->unused = *l->cfg;
		l->cfg = &l->unused;
	}
	*seen |= bit;
	why = s->parse(l, s);
	if (!why && next(l))
		return "one value too many";
	return l->why ?: why;
}

static void report(struct ssh_config_error *e, unsigned line, const char *why, struct bytes word)
{
	size_t n = MIN(word.n, sizeof(e->word) - 1);

	e->line = line;
	e->why = why;
	for (size_t i = 0; i < n; i++)
		e->word[i] = word.p[i] >= ' ' && word.p[i] < 0x7f ? (char)word.p[i] : '?';
	e->word[n] = 0;
}

int ssh_config_parse(struct ssh_config *cfg, struct bytes text, struct ssh_config_error *e)
{
	struct bytes rest = text, line;
	uint64_t seen = 0;

	for (unsigned number = 1; bytes_line(&rest, &line); number++) {
		struct line l = { .cfg = cfg, .rest = line };
		const char *why = parse_line(&l, &seen);

		if (why) {
			report(e, number, why, l.word);
			return -EINVAL;
		}
	}
	cfg->text = text;
	return 0;
}

/* --- questions -------------------------------------------------------------------------------------------------- */

struct ssh_words ssh_config_words(const struct ssh_config *cfg, const char *key)
{
	return (struct ssh_words){ cfg->text, { NULL, 0 }, key, true };
}

struct ssh_words ssh_config_first_words(const struct ssh_config *cfg, const char *key)
{
	return (struct ssh_words){ cfg->text, { NULL, 0 }, key, false };
}

/* The rest of the next line with the keyword. */
static bool next_line(struct ssh_words *w, struct bytes *rest)
{
	struct bytes key;

	while (bytes_line(&w->text, rest))
		if (take_key(rest, &key) && ssh_is_word(key, w->key)) {
			w->text.n = w->all ? w->text.n : 0;
			return true;
		}
	return false;
}

bool ssh_config_word(struct ssh_words *w, struct bytes *word)
{
	const char *why = NULL;

	do {
		if (w->line.n > 0 && take_word(&w->line, word, &why))
			return true;
	} while (next_line(w, &w->line));
	return false;
}

static bool is_listed(const struct ssh_config *cfg, const char *key, bool *given,
		      bool (*match)(const struct ssh_user *u, struct bytes word),
		      const struct ssh_user *u)
{
	struct ssh_words w = ssh_config_words(cfg, key);
	struct bytes word;
	bool found = false;

	*given = false;
	while (!found && ssh_config_word(&w, &word)) {
		*given = true;
		found = match(u, word);
	}
	return found;
}

static bool user_fits(const struct ssh_user *u, struct bytes word)
{
	struct bytes user, from;

	return (!split_user(word, &user, &from) || ssh_address_list(u->from, from) == 1) &&
	       ssh_pattern_match(u->name, user);
}

static bool name_fits(const struct ssh_user *u, struct bytes word)
{
	return ssh_pattern_match(u->name, word);
}

static bool group_fits(const struct ssh_user *u, struct bytes word)
{
	struct bytes text = u->groups, group;

	while (group_next(&text, u->name, u->gid, &group))
		if (ssh_pattern_match(group, word))
			return true;
	return false;
}

const char *ssh_config_refuses(const struct ssh_config *cfg, const struct ssh_user *u,
			       const struct ssh_grant *grant)
{
	bool given;

	if (u->uid == 0 &&
	    (cfg->root == SSH_ROOT_NO || (cfg->root == SSH_ROOT_FORCED && !grant->command.p)))
		return "PermitRootLogin";
	if (is_listed(cfg, "denyusers", &given, user_fits, u))
		return "DenyUsers";
	if (!is_listed(cfg, "allowusers", &given, user_fits, u) && given)
		return "AllowUsers";
	/* without the table of groups nobody knows who is denied */
	if (is_listed(cfg, "denygroups", &given, group_fits, u) || (given && !u->groups.p))
		return "DenyGroups";
	if (!is_listed(cfg, "allowgroups", &given, group_fits, u) && given)
		return "AllowGroups";
	return NULL;
}

bool ssh_config_permits(const struct ssh_config *cfg, bool listen, struct bytes host, uint32_t port)
{
	struct ssh_words w = ssh_config_first_words(cfg, listen ? "permitlisten" : "permitopen");
	struct bytes word;
	bool given = false;

	if (!(cfg->forward & (listen ? SSH_FORWARD_REMOTE : SSH_FORWARD_LOCAL)))
		return false;
	while (ssh_config_word(&w, &word)) {
		given = true;
		if (ssh_is_word(word, "any"))
			return true;
		if (!ssh_is_word(word, "none") && ssh_permit_fits(word, listen, host, port))
			return true;
	}
	return !given;
}

/* Unless it is said: nothing that tells the loader or a shell what to run. */
bool ssh_config_takes_variable(const struct ssh_config *cfg, struct bytes name)
{
	static const struct ssh_config otherwise = {
		.text = { (const uint8_t *)"AcceptEnv LANG LC_* TERM COLORTERM", 34 }
	};
	struct ssh_user u = { .name = name };
	bool given;

	return is_listed(cfg, "acceptenv", &given, name_fits, &u) ||
	       (!given && is_listed(&otherwise, "acceptenv", &given, name_fits, &u));
}

bool ssh_config_subsystem(const struct ssh_config *cfg, struct bytes name, struct bytes *command)
{
	struct ssh_words w = ssh_config_words(cfg, "subsystem");
	struct bytes rest, word;
	const char *why = NULL;

	while (next_line(&w, &rest)) {
		struct line l = { .rest = rest };

		if (take_word(&l.rest, &word, &why) && bytes_equal(word, name)) {
			*command = take_command(&l);
			return true;
		}
	}
	/* where Debian has it */
	*command = BYTES_LIT("/usr/lib/openssh/sftp-server");
	return bytes_is(name, "sftp");
}
