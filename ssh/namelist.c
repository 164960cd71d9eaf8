/* SPDX-License-Identifier: MIT */
#include "ssh/namelist.h"
#include "lib/string.h"

bool ssh_namelist_next(struct bytes *list, struct bytes *name)
{
	if (list->n == 0)
		return false;
	*name = bytes_until(list, ',');
	return true;
}

bool ssh_namelist_is_good(struct bytes list)
{
	uint8_t before = ',';

	for (size_t i = 0; i < list.n; i++) {
		uint8_t c = list.p[i];

		if (c <= ' ' || c >= 0x7f || (c == ',' && before == ','))
			return false;
		before = c;
	}
	return true;
}

bool ssh_namelist_has(struct bytes list, const char *name)
{
	struct bytes one;

	while (ssh_namelist_next(&list, &one))
		if (bytes_is(one, name))
			return true;
	return false;
}
