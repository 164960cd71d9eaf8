/* SPDX-License-Identifier: MIT */
/* sources: lib/date.c lib/fmt.c */
#include "lib/date.h"
#include "tests/host/test.h"

#include <time.h>

TEST(dates_are_those_of_the_library)
{
	const time_t last = 253402300799;

	for (unsigned i = 0; i < 20000; i++) {
		/* a moment near each turn of a year first, then any second */
		time_t t = i < 8030 ? (time_t)i * 31556952 - (time_t)(i % 3) * 86400
				    : (time_t)(test_random() % (uint64_t)(last + 1));
		char ours[DATE_TEXT], theirs[DATE_TEXT];
		struct tm tm;

		t = t < 0 ? 0 : t;
		CHECK(gmtime_r(&t, &tm));
		date_format(ours, (uint64_t)t);
		CHECK_EQ(strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%SZ", &tm),
			 DATE_TEXT - 1);
		CHECK_STR(ours, theirs);
		CHECK_EQ(date_days((uint64_t)tm.tm_year + 1900, (uint64_t)tm.tm_mon + 1,
				   (uint64_t)tm.tm_mday),
			 t / 86400);
	}
}

TEST(dates_end_with_four_digits)
{
	char out[DATE_TEXT];

	date_format(out, UINT64_MAX);
	CHECK_STR(out, "9999-12-31T23:59:59Z");
}
