#!/bin/bash
# SPDX-License-Identifier: MIT
# The kernel, the user programs and the torture programs build without a warning, by gcc; clang finds nothing to warn of either.
cd "$(dirname "$0")/../.." || exit 1
status=0
for debug in "" 1; do
	if ! out=$(make -s -k WERROR=1 ${debug:+DEBUG=1} all user 2>&1); then
		printf '%s\n' "$out" | grep -vE '^  [A-Z]+	'
		status=1
	fi
done
clang=$(command -v clang-14 || command -v clang) || {
	echo "clang is missing: install the package clang"
	exit 1
}
rm -f build/compile_commands.json
make -s DEBUG=1 build/compile_commands.json >/dev/null || exit 1
python3 tests/lint/clang-flags.py | while IFS=$'\t' read -r file flags; do
	printf '%s %s -fsyntax-only -Werror %q\n' "$clang" "$flags" "$file"
done | xargs -r -P "$(nproc)" -d '\n' -n 1 sh -c || status=1
exit $status
