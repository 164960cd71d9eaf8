# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2046
# The rest of every script of the differential ring, which is tests/diff/AREA.sh and this: [CASE...] runs the cases
# whose names are given, or all, each in a shell and an empty folder of its own, for a minute at most.
PATH=/bin

# The end of a child, without the words of whoever killed it.
finish() { { wait $1; } 2>/dev/null; echo $?; }

# await CONDITION: asks again until it is true, for a state that nobody tells of.
await() {
	asked=0
	until eval "$1" 2>/dev/null; do
		asked=$((asked + 1))
		[ $asked -lt 3000 ] || { echo "not within 30 s: $1"; return 1; }
		usleep 10000
	done
}

# Whether a process runs a program already, and sleeps in it already.
runs() { read -r name </proc/$1/comm && [ "$name" = $2 ]; }
sleeps() { runs $1 $2 && grep -q '^State:.S' /proc/$1/status; }

if [ "$1" = only ]; then
	"case_$2"
	exit
fi
[ $# -gt 0 ] || set -- $(sed -n 's/^case_\([a-z0-9_]*\)().*/\1/p' "$0")
for name; do
	printf '== %s\t0\n' "$name"
	chmod -R u+rwx /tmp/diff 2>/dev/null
	rm -rf /tmp/diff
	mkdir -p /tmp/diff
	cd /tmp/diff || exit 1
	# through a file of its own: what a case leaves running, and who watches the time, keep what they inherit
	rm -f /tmp/diff.out
	timeout 60 sh "$0" only "$name" </dev/null >/tmp/diff.out 2>&1
	echo "status $?" >>/tmp/diff.out
	sed 's/: line [0-9]*: /: /; s/$/\t0/' /tmp/diff.out
	cd /
done
printf '== end\t0\n'
