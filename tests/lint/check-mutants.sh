#!/bin/bash
# SPDX-License-Identifier: MIT
# Every bug that tests/mutants puts back still has its place: the patch applies. Its head names rings that there are.
cd "$(dirname "$0")/../.." || exit 1
bad=0
for f in tests/mutants/*.patch; do
	patch -p1 --dry-run --force --silent -F0 <"$f" >/dev/null || {
		echo "$f does not apply: put that bug back anew"
		bad=1
	}
done
tests/mutants/run.py --list >/dev/null || bad=1
exit $bad
