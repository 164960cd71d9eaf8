#!/bin/bash
# SPDX-License-Identifier: MIT
# Each header of the kernel compiles alone, in both kinds of build.
cd "$(dirname "$0")/../.." || exit 1
status=0
for debug in "" 1; do
	rm -f build/compile_commands.json
	make -s ${debug:+DEBUG=1} build/compile_commands.json >/dev/null || exit 1
	flags=$(python3 - <<-'END'
		import json, shlex
		entry = json.load(open("build/compile_commands.json"))[0]
		words = entry.get("arguments") or shlex.split(entry["command"])
		drop = {"-c", "-o", entry["file"], entry.get("output")}
		print(shlex.join(w for w in words if w not in drop and not w.endswith((".c", ".o"))))
	END
	) || exit 1
	# -Wno-unused: what a header defines for others is not used by itself.
	tests/lint/ours.sh 'lib/*.h' 'arch/*.h' 'kernel/*.h' 'drivers/*.h' 'mm/*.h' 'sched/*.h' \
		'fs/*.h' 'net/*.h' 'ssh/*.h' 'tests/kernel/*.h' | grep -v '^lib/libc/' | sort -u |
		xargs -P "$(nproc)" -I{} sh -c "[ ! -f '{}' ] || $flags -Werror -Wno-unused -x c -fsyntax-only '{}'" || status=1
done
exit $status
