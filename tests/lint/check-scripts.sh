#!/bin/bash
# SPDX-License-Identifier: MIT
# Shell scripts pass shellcheck at level "warning"; Python files compile.
cd "$(dirname "$0")/../.." || exit 1
status=0
mapfile -t shell < <(tests/lint/ours.sh | while read -r f; do
	[ -f "$f" ] && head -c 64 "$f" | head -n 1 | grep -aqE '^#!.*\b(ba)?sh\b' && echo "$f"
done)
if command -v shellcheck >/dev/null; then
	[ ${#shell[@]} -eq 0 ] || shellcheck -S warning -f gcc "${shell[@]}" || status=1
else
	for f in "${shell[@]}"; do
		bash -n "$f" || status=1
	done
fi
tests/lint/ours.sh '*.py' | python3 -c '
import ast, os, sys
for name in filter(os.path.isfile, sys.stdin.read().splitlines()):
    ast.parse(open(name, encoding="utf-8").read(), name)' || status=1
exit $status
