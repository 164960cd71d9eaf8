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
for f in $(tests/lint/ours.sh '*.py'); do
	[ ! -f "$f" ] || python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$f" || status=1
done
exit $status
