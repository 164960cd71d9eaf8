/* SPDX-License-Identifier: MIT */
#include "lib/date.h"
#include "lib/fmt.h"

#define LAST_SECOND 253402300799UL

uint64_t date_days_of_month(uint64_t year, uint64_t month)
{
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	if (month == 2)
		return leap ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

uint64_t date_days(uint64_t year, uint64_t month, uint64_t day)
{
	uint64_t days = day - 1;

	for (uint64_t y = 1970; y < year; y++)
		days += 337 + date_days_of_month(y, 2);
	for (uint64_t m = 1; m < month; m++)
		days += date_days_of_month(year, m);
	return days;
}

void date_format(char *out, uint64_t seconds)
{
	uint64_t s = MIN(seconds, LAST_SECOND), days = s / 86400, year = 1970, month = 1;

	while (days >= 337 + date_days_of_month(year, 2))
		days -= 337 + date_days_of_month(year++, 2);
	while (days >= date_days_of_month(year, month))
		days -= date_days_of_month(year, month++);
	s %= 86400;
	fmt_print(out, DATE_TEXT, "%04llu-%02llu-%02lluT%02llu:%02llu:%02lluZ",
		  (unsigned long long)year, (unsigned long long)month, (unsigned long long)days + 1,
		  (unsigned long long)s / 3600, (unsigned long long)s / 60 % 60,
		  (unsigned long long)s % 60);
}
