#!/bin/bash
# SPDX-License-Identifier: MIT
# The lint ring: one line for each check-* beside this file, findings below a failed one, and
# "N passed, N failed" at the end.      tests/lint/run.sh [-k NAME]
set -u
cd "$(dirname "$0")/../.." || exit 1
filter=
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
