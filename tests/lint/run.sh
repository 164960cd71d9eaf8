#!/bin/bash
# SPDX-License-Identifier: MIT
# The lint ring: one line for each check-* beside this file, findings below a failed one, and
# "N passed, N failed" at the end.      tests/lint/run.sh [--quick] [-k NAME]
# --quick leaves out check-warnings, which builds everything once more.
set -u
cd "$(dirname "$0")/../.." || exit 1
filter="" slow=warnings
if [ "${1-}" = --quick ]; then
	slow=""
	shift
fi
if [ "${1-}" = -k ]; then
	filter=${2-}
fi
passed=0 failed=0
for check in tests/lint/check-*; do
	name=lint_$(basename "${check%.*}" | sed 's/^check-//; s/-/_/g')
	case $name in
	*"$filter"*) ;;
	*) continue ;;
	esac
	[ "$name" != lint_warnings ] || [ -n "$slow" ] || continue
	if findings=$("$check" 2>&1); then
		echo "ok $name${findings:+ ($findings)}"
		passed=$((passed + 1))
	else
		echo "not ok $name"
		printf '%s\n' "$findings" | sed 's/^/    /'
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
