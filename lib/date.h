/* SPDX-License-Identifier: MIT */
/* Seconds since 1970 and the days of the Gregorian calendar, in UTC. */
#ifndef TERN_LIB_DATE_H
#define TERN_LIB_DATE_H

#include "lib/types.h"

#define DATE_TEXT 21 /* with the NUL */

/* year from 1970 on, month and day from 1. A day that the month does not have is one of the next. */
uint64_t date_days(uint64_t year, uint64_t month, uint64_t day);
uint64_t date_days_of_month(uint64_t year, uint64_t month);

/* "2026-11-22T18:20:07Z" into out of DATE_TEXT bytes; what is behind the year 9999 is its last second. */
void date_format(char *out, uint64_t seconds);

#endif
