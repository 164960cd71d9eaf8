#!/bin/bash
# SPDX-License-Identifier: MIT
# docs/locks.md is what kernel/core/lock_ranks.def makes of it. A class that interrupts take is behind every one that is held
# with interrupts on.
cd "$(dirname "$0")/../.." || exit 1
python3 scripts/locks.py | diff -u docs/locks.md - || {
	echo "docs/locks.md is old: run python3 scripts/locks.py >docs/locks.md"
	exit 1
}
awk -F'[(, ]+' '/^LOCK_CLASS/ {
	if ($4 == "IRQ") irq = $2
	else if (irq) { print "kernel/core/lock_ranks.def: " $2 " is held with interrupts on, but stands behind " irq; bad = 1 }
} END { exit bad }' kernel/core/lock_ranks.def
