/* SPDX-License-Identifier: MIT */
#include "lib/passwd.h"
#include "lib/string.h"

#define PASSWD_FIELDS 7
#define GROUP_FIELDS  4

/* The next line with n fields at least; false at the end. */
static bool next_line(struct bytes *text, struct bytes *field, unsigned n)
{
	while (text->n > 0) {
		struct bytes line = bytes_until(text, '\n');
		unsigned got = 0;

		while (got < n - 1 && line.n > 0 && memchr(line.p, ':', line.n))
			field[got++] = bytes_until(&line, ':');
		field[got++] = line;
		if (got == n)
			return true;
	}
	return false;
}

static bool number(struct bytes field, uint32_t *out)
{
	uint64_t v = 0;

	for (size_t i = 0; i < field.n; i++) {
		if (field.p[i] < '0' || field.p[i] > '9')
			return false;
		v = v * 10 + (field.p[i] - '0');
		/* the largest is "no id" to many a call */
		if (v >= UINT32_MAX)
			return false;
	}
	*out = (uint32_t)v;
	return field.n > 0;
}

bool passwd_find(struct bytes text, struct bytes name, struct passwd *out)
{
	struct bytes field[PASSWD_FIELDS];

	while (next_line(&text, field, PASSWD_FIELDS)) {
		struct passwd p = { .home = field[5], .shell = field[6] };

		if (name.n == 0 || !bytes_equal(field[0], name) || !number(field[2], &p.uid) ||
		    !number(field[3], &p.gid))
			continue;
		p.locked = field[1].n > 0 && field[1].p[0] == '!';
		*out = p;
		return true;
	}
	return false;
}

static bool is_member(struct bytes members, struct bytes name)
{
	while (members.n > 0)
		if (bytes_equal(bytes_until(&members, ','), name))
			return true;
	return false;
}

bool group_next(struct bytes *text, struct bytes name, uint32_t gid, struct bytes *group)
{
	struct bytes field[GROUP_FIELDS];
	uint32_t number_of;

	while (next_line(text, field, GROUP_FIELDS)) {
		*group = field[0];
		if (number(field[2], &number_of) &&
		    (number_of == gid || (name.n > 0 && is_member(field[3], name))))
			return true;
	}
	return false;
}

unsigned group_list(struct bytes text, struct bytes name, uint32_t *gids, unsigned max)
{
	struct bytes field[GROUP_FIELDS];
	unsigned n = 0;

	while (n < max && next_line(&text, field, GROUP_FIELDS))
		if (name.n > 0 && is_member(field[3], name) && number(field[2], &gids[n]))
			n++;
	return n;
}
