#!/bin/bash
# SPDX-License-Identifier: MIT
# Every C file is as clang-format 14 leaves it (make fmt).
cd "$(dirname "$0")/../.." || exit 1
tool=$(command -v clang-format-14 || command -v clang-format) || {
	echo "clang-format is missing: install the package clang-format-14"
	exit 1
}
tests/lint/ours.sh '*.c' '*.h' | while read -r f; do
	[ ! -f "$f" ] || printf '%s\0' "$f"
done | xargs -0 -r "$tool" --dry-run -Werror 2>&1 | grep -E 'error:' |
	sed 's/: error: code should be clang-formatted.*/: not as make fmt leaves it/' |
	awk -F: '!seen[$1]++ { print; found = 1 } END { exit found }'
