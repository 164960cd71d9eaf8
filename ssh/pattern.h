/* SPDX-License-Identifier: MIT */
/* What authorized_keys and sshd_config have in common: numbers, and patterns. In those '*' is any characters, '?' one;
 * in a list, with ',' between, a '!' before one turns it round. */
#ifndef TERN_SSH_PATTERN_H
#define TERN_SSH_PATTERN_H

#include "lib/cursor.h"

/* Decimal digits, at most max. */
bool ssh_number(struct bytes s, uint64_t max, uint64_t *out);
/* Is it this, in either case? The name is in lower case. */
bool ssh_is_word(struct bytes s, const char *name);

bool ssh_pattern_match(struct bytes s, struct bytes pattern);
/* 1: one fits, and none with a '!'; -1: one with a '!' fits; 0: none does. */
int ssh_pattern_list(struct bytes s, struct bytes list);
/* The same for an address, in text; in the list are addresses, ADDRESS/BITS, and patterns of the text. */
int ssh_address_list(struct bytes address, struct bytes list);
/* Is it a list of those? */
bool ssh_address_list_is_good(struct bytes list);

#endif
