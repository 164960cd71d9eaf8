#!/bin/bash
# SPDX-License-Identifier: MIT
# The lint ring: one line for each check-* beside this file, findings below a failed one, and
# "N passed, N failed" at the end.      tests/lint/run.sh [--quick] [-k NAME]
# --quick leaves out check-warnings, which builds everything once more, and of the slower checks those that
# have passed with the very files that are there now.
set -u
if [ "${1-}" = --help ]; then
	sed -n '3,6s/^# //p' "$0"
	exit 0
fi
cd "$(dirname "$0")/../.." || exit 1
filter="" quick=""
if [ "${1-}" = --quick ]; then
	quick=yes
	shift
fi
if [ "${1-}" = -k ]; then
	filter=${2-}
fi
passed=0 failed=0

# inputs_of NAME FILE: of a check that takes more than a moment, a name for all that its verdict depends on; of the
# others nothing.
inputs_of() {
	local names
	case $1 in
	lint_format) names=$(tests/lint/ours.sh '*.c' '*.h' .clang-format) ;;
	lint_headers) names=$(tests/lint/ours.sh '*.h' Makefile deps.lock) ;;
	lint_scripts) names=$(tests/lint/ours.sh | grep -vE '\.([chS]|md)$|^tests/(fuzz/seeds|bench/results)/') ;;
	lint_calls | lint_objects)
		names=$(tests/lint/ours.sh '*.[chS]' '*.def' Makefile linker.ld deps.lock docs/layers.txt docs/02-building.md
			printf '%s\n' build/debug/tern.elf build/release/tern.elf)
		;;
	*) return ;;
	esac
	printf '%s\n' "$names" | while IFS= read -r file; do
		[ ! -f "$file" ] || printf '%s\0' "$file"
	done | xargs -0 sha256sum "$2" | sha256sum
}

mkdir -p build/lint || exit 1
for check in tests/lint/check-*; do
	name=lint_$(basename "${check%.*}" | sed 's/^check-//; s/-/_/g')
	case $name in
	*"$filter"*) ;;
	*) continue ;;
	esac
	[ "$name" != lint_warnings ] || [ -z "$quick" ] || continue
	inputs=$(inputs_of "$name" "$check")
	if [ -n "$quick" ] && [ -n "$inputs" ] && [ "$inputs" = "$(cat "build/lint/$name" 2>/dev/null)" ]; then
		echo "ok $name (has passed, and nothing it reads has changed)"
		passed=$((passed + 1))
		continue
	fi
	if findings=$("$check" 2>&1); then
		echo "ok $name${findings:+ ($findings)}"
		passed=$((passed + 1))
		[ -z "$inputs" ] || printf '%s\n' "$inputs" >"build/lint/$name"
	else
		echo "not ok $name"
		printf '%s\n' "$findings" | sed 's/^/    /'
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] || exit 1
# none of that name: as pytest
[ "$passed" -gt 0 ] || exit 5
