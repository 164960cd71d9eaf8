/* SPDX-License-Identifier: MIT */
/* The options of a line of authorized_keys: what the line's key may be used for. Nothing of this runs before a signature by that
 * key was good (I-SSH-18). */
#include "lib/date.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/authkeys.h"
#include "ssh/pattern.h"

#define CLOCK_SET 1000000000 /* seconds: a clock before 2001 was never set */

/* Does s start with name, in either case? Then take it off. */
static bool take_name(struct bytes *s, const char *name)
{
	size_t n = strlen(name);

	if (s->n < n || !ssh_is_word((struct bytes){ s->p, n }, name))
		return false;
	bytes_skip(s, n);
	return true;
}

/* The value of name="value", still quoted, taken off s. False if it is malformed or empty. */
static bool take_value(struct bytes *s, struct bytes *value)
{
	size_t i = 1;

	if (s->n < 2 || s->p[0] != '"')
		return false;
	while (i < s->n && s->p[i] != '"')
		i += s->p[i] == '\\' && i + 1 < s->n && s->p[i + 1] == '"' ? 2 : 1;
	if (i >= s->n || i == 1)
		return false;
	*value = (struct bytes){ s->p + 1, i - 1 };
	bytes_skip(s, i + 1);
	return true;
}

/* One walk over a line's options: what they grant, and an answer if one is asked for. */
struct walk {
	struct ssh_grant grant;
	const struct ssh_login *login; /* NULL: the form alone counts */
	bool listen, granted;	       /* of permitlisten, or permitopen: is this one there? */
	struct bytes host;	       /* p is NULL: not asked */
	uint32_t port;
	unsigned variable; /* which one comes next to environment */
	struct bytes *name, *value;
	unsigned wanted; /* of them; NULL above: none */
};

/* The port at the end of "host:port", taken off s with its colon: 0 for "*". */
static bool take_port(struct bytes *s, uint64_t *port)
{
	struct bytes digits;
	size_t at = s->n;

	while (at > 0 && s->p[at - 1] != ':')
		at--;
	digits = (struct bytes){ s->p + at, s->n - at };
	s->n = at > 0 ? at - 1 : 0;
	*port = 0;
	return bytes_is(digits, "*") || (ssh_number(digits, UINT16_MAX, port) && *port > 0);
}

bool ssh_permit_parse(struct bytes value, bool listen, struct bytes *host, uint64_t *port)
{
	bool bare = listen && !memchr(value.p, ':', value.n);
	bool good = take_port(&value, port);

	if (bare)
		value = BYTES_LIT("*");
	if (value.n > 2 && value.p[0] == '[' && value.p[value.n - 1] == ']')
		value = (struct bytes){ value.p + 1, value.n - 2 };
	*host = value;
	return good && value.n > 0;
}

bool ssh_permit_fits(struct bytes value, bool listen, struct bytes host, uint32_t port)
{
	struct bytes name;
	uint64_t number;

	return ssh_permit_parse(value, listen, &name, &number) && (number == 0 || number == port) &&
	       (bytes_is(name, "*") || bytes_equal(name, host));
}

static const char *permit(struct walk *w, struct bytes value, bool listen)
{
	struct bytes host;
	uint64_t port;

	if (!ssh_permit_parse(value, listen, &host, &port))
		return "bad permit option";
	if (w->host.p && w->listen == listen && ssh_permit_fits(value, listen, w->host, w->port))
		w->granted = true;
	return NULL;
}

static const char *permitopen_option(struct walk *w, struct bytes value)
{
	w->grant.limits_open = true;
	return permit(w, value, false);
}

static const char *permitlisten_option(struct walk *w, struct bytes value)
{
	w->grant.limits_listen = true;
	return permit(w, value, true);
}

static const char *command_option(struct walk *w, struct bytes value)
{
	if (w->grant.command.p)
		return "two commands";
	w->grant.command = value;
	return NULL;
}

static bool is_name(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned c = s.p[i] | 0x20u;

		if (s.p[i] != '_' && !(c >= 'a' && c <= 'z') && !(s.p[i] >= '0' && s.p[i] <= '9'))
			return false;
	}
	return s.n > 0;
}

static const char *environment_option(struct walk *w, struct bytes value)
{
	const uint8_t *equals = memchr(value.p, '=', value.n);
	struct bytes name = { value.p, equals ? (size_t)(equals - value.p) : 0 };

	if (!is_name(name))
		return "bad environment option";
	w->grant.environment = true;
	if (w->name && w->variable++ == w->wanted) {
		*w->name = name;
		*w->value = (struct bytes){ equals + 1, value.n - name.n - 1 };
		w->granted = true;
	}
	return NULL;
}

static const char *from_option(struct walk *w, struct bytes value)
{
	if (!ssh_address_list_is_good(value))
		return "bad from option";
	if (w->login && ssh_address_list(w->login->from, value) != 1)
		return "not from this address";
	return NULL;
}

/* YYYYMMDD, then HHMM, then SS, then Z; UTC in any case, the zone of this machine. Seconds since 1970. */
static bool parse_time(struct bytes s, uint64_t *out)
{
	static const uint64_t from[] = { 1970, 1, 1, 0, 0, 0 }, to[] = { 9999, 12, 31, 23, 59, 59 };
	uint64_t v[ARRAY_SIZE(from)] = { 0 };

	if (s.n > 0 && s.p[s.n - 1] == 'Z')
		s.n--;
	if (s.n != 8 && s.n != 12 && s.n != 14)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(from) && s.n > 0; i++) {
		size_t n = i == 0 ? 4 : 2;

		if (!ssh_number((struct bytes){ s.p, n }, to[i], &v[i]) || v[i] < from[i])
			return false;
		bytes_skip(&s, n);
	}
	*out = ((date_days(v[0], v[1], v[2]) * 24 + v[3]) * 60 + v[4]) * 60 + v[5];
	return v[2] <= date_days_of_month(v[0], v[1]);
}

/* To this second it may be used. A clock that nobody has set says nothing. */
static const char *expiry_option(struct walk *w, struct bytes value)
{
	uint64_t end;

	if (!parse_time(value, &end))
		return "bad expiry-time option";
	if (w->login && w->login->now < CLOCK_SET)
		return "expiry-time, and the clock is not set";
	return w->login && w->login->now > end ? "the key has expired" : NULL;
}

static const char *certificate_option(struct walk *w, struct bytes value)
{
	return "certificates are not implemented";
}

/* What flags forbid we either do not have (agent, X11, rc files) or note. */
static const struct option {
	const char *name;
	bool pty, forwarding, allow;
	bool valued;
	const char *(*take)(struct walk *w, struct bytes value);
} options[] = {
	{ "restrict", .pty = true, .forwarding = true },
	{ "no-pty", .pty = true },
	{ "pty", .pty = true, .allow = true },
	{ "no-port-forwarding", .forwarding = true },
	{ "port-forwarding", .forwarding = true, .allow = true },
	{ .name = "no-agent-forwarding" },
	{ .name = "agent-forwarding" },
	{ .name = "no-x11-forwarding" },
	{ .name = "x11-forwarding" },
	{ .name = "no-user-rc" },
	{ .name = "user-rc" },
	{ "permitopen", .valued = true, .take = permitopen_option },
	{ "permitlisten", .valued = true, .take = permitlisten_option },
	{ "command", .valued = true, .take = command_option },
	{ "environment", .valued = true, .take = environment_option },
	{ "from", .valued = true, .take = from_option },
	{ "expiry-time", .valued = true, .take = expiry_option },
	{ "cert-authority", .take = certificate_option },
	{ "principals", .valued = true, .take = certificate_option },
};

/* The option at the beginning of s, its name taken off. */
static const struct option *take_option(struct bytes *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		struct bytes rest = *s;

		if (!take_name(&rest, options[i].name) ||
		    (rest.n > 0 ? rest.p[0] != (options[i].valued ? '=' : ',') : options[i].valued))
			continue;
		*s = rest;
		return &options[i];
	}
	return NULL;
}

static const char *parse_options(struct bytes s, struct walk *w)
{
	w->grant.options = s;
	while (s.n > 0) {
		const struct option *o = take_option(&s);
		struct bytes value = { NULL, 0 };
		const char *wrong;

		if (!o)
			return "unknown option";
		if (o->valued) {
			bytes_skip(&s, 1);
			if (!take_value(&s, &value))
				return "option without a value in quotes";
		}
		if (o->pty)
			w->grant.no_pty = !o->allow;
		if (o->forwarding)
			w->grant.no_forwarding = !o->allow;
		wrong = o->take ? o->take(w, value) : NULL;
		if (wrong)
			return wrong;
		if (s.n == 0)
			break;
		if (s.p[0] != ',' || s.n == 1)
			return "malformed options";
		bytes_skip(&s, 1);
	}
	return NULL;
}

int ssh_authkeys_find(struct bytes text, struct bytes key, const struct ssh_login *login,
		      struct ssh_grant *grant)
{
	struct ssh_key_line k;
	unsigned number = 0;

	while (ssh_authkeys_next(&text, key, &number, &k)) {
		struct walk w = { .login = login };
		const char *wrong = parse_options(k.options, &w);

		if (!wrong) {
			*grant = w.grant;
			return 0;
		}
		login->refused(login->arg, number, wrong);
	}
	return -EACCES;
}

bool ssh_authkeys_permit(struct bytes text, bool listen, struct bytes host, uint32_t port)
{
	struct walk w = { .host = { host.p ?: (const uint8_t *)"", host.n },
			  .port = port,
			  .listen = listen };

	return !parse_options(text, &w) && w.granted;
}

bool ssh_authkeys_variable(struct bytes text, unsigned i, struct bytes *name, struct bytes *value)
{
	struct walk w = { .name = name, .value = value, .wanted = i };

	return !parse_options(text, &w) && w.granted;
}

unsigned ssh_authkeys_check(struct bytes text,
			    void (*bad)(void *arg, unsigned line, const char *why), void *arg)
{
	struct bytes line;
	unsigned good = 0;

	for (unsigned number = 1; bytes_line(&text, &line); number++) {
		struct walk w = { 0 };
		struct ssh_key_line k;
		const char *form = ssh_authkeys_split(line, &k),
			   *why = parse_options(k.options, &w);

		if (why || form)
			bad(arg, number, why ?: form);
		else if (k.type.n > 0)
			good++;
	}
	return good;
}
