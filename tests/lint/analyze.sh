#!/bin/bash
# SPDX-License-Identifier: MIT
# Static analysis (make analyze): clang's thread-safety analysis over the lock contracts, clang-tidy with the
# checks that find bugs rather than taste, cppcheck. Ends with "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0

result() {
	if [ -z "$2" ]; then
		echo "ok analyze_$1"
		passed=$((passed + 1))
	else
		echo "not ok analyze_$1"
		printf '%s\n' "$2" | head -n 200 | sed 's/^/    /'
		failed=$((failed + 1))
	fi
}

tool() {
	command -v "$1-14" || command -v "$1" || {
		echo "$1 is missing: install the package $1" >&2
		exit 1
	}
}

clang=$(tool clang) && tidy=$(tool clang-tidy) || exit 1
rm -f build/compile_commands.json
make -s DEBUG=1 build/compile_commands.json >/dev/null || exit 1

result thread_safety "$(python3 tests/lint/clang-flags.py | while IFS=$'\t' read -r file flags; do
	printf '%s %s -fsyntax-only -Wno-everything -Wthread-safety -Wthread-safety-beta -Werror %q\n' \
		"$clang" "$flags" "$file"
done | xargs -r -P "$(nproc)" -d '\n' -n 1 sh -c 2>&1)"

checks='-*,bugprone-*,-bugprone-suspicious-include,clang-analyzer-core*,clang-analyzer-unix.cstring*,clang-analyzer-deadcode*'
checks=$checks',-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier'
checks=$checks',-bugprone-macro-parentheses,-bugprone-narrowing-conversions,-bugprone-branch-clone'
checks=$checks',-bugprone-assignment-in-if-condition,-bugprone-implicit-widening-of-multiplication-result'
checks=$checks',-bugprone-sizeof-expression'
result tidy "$(python3 tests/lint/clang-flags.py | while IFS=$'\t' read -r file flags; do
	printf '%s -quiet -checks=%s --warnings-as-errors=* %q -- %s\n' "$tidy" "'$checks'" "$file" "$flags"
done | xargs -r -P "$(nproc)" -d '\n' -n 1 sh -c 2>&1 |
	grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed |^Use -header-filter|^Error while processing|^$')"

if command -v cppcheck >/dev/null; then
	result cppcheck "$(tests/lint/ours.sh '*.c' |
		grep -E '^(lib|arch|kernel|drivers|mm|sched|fs|net|ssh|user)/' | sort -u |
		xargs -r cppcheck -q -j "$(nproc)" --std=c11 --platform=unix64 -I. -DDEBUG=1 \
			--enable=warning,portability --inline-suppr --suppress=missingInclude \
			--suppress=comparePointers --suppress=internalAstError \
			--suppress=unknownMacro --suppress=syntaxError --suppress=preprocessorErrorDirective \
			--template='{file}:{line}: {severity}: {message} [{id}]' 2>&1)"
else
	result cppcheck "cppcheck is missing: install the package cppcheck"
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
