#!/bin/bash
# SPDX-License-Identifier: MIT
# docs/syscalls.md is what the table of calls makes of it, and each call has its line in the hostile-pointer test.
cd "$(dirname "$0")/../.." || exit 1
python3 scripts/syscalls.py --check || exit 1
python3 scripts/syscalls.py | diff -u docs/syscalls.md - || {
	echo "docs/syscalls.md is old: run python3 scripts/syscalls.py >docs/syscalls.md"
	exit 1
}
