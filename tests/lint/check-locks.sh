#!/bin/bash
# SPDX-License-Identifier: MIT
# docs/locks.md is what kernel/core/lock_ranks.def makes of it.
cd "$(dirname "$0")/../.." || exit 1
python3 scripts/locks.py | diff -u docs/locks.md - || {
	echo "docs/locks.md is old: run python3 scripts/locks.py >docs/locks.md"
	exit 1
}
