#!/bin/bash
# SPDX-License-Identifier: MIT
# test.sh -- every test of tern by one command. Ends with "N passed, N failed" alone on a line.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
	cat <<'END'
usage: scripts/test.sh [SELECTION...] [OPTION...]
Installs, fetches and builds what is missing, runs tests, and ends with "N passed, N failed".

selections (default: every ring, as long as a pull request may take)
  quick          what to run before each commit: no build with warnings as errors, no user ring; each fuzz
                 seed once; the kernel on 4 CPUs; of lint, host and fuzz what has passed is left out as long as
                 nothing in it changes. Under a minute, plus what your change makes necessary to build
  all            every ring with every configuration: before a release
  lint           rules of the house, and warnings as errors
  host           ring 1: unit tests of the kernel's sources on this host, under ASan and UBSan
  fuzz           the fuzz targets, some seconds each
  kernel         ring 2: tests inside the booted kernel, on 1, 2, 4 and 8 CPUs
  user           ring 3: torture programs inside the guest
  diff           ring 4: the same programs under Linux and under tern; what Linux said is kept
  blackbox       ring 5: real clients from outside
  mutants [NAME] bugs put back by hand, each of which a test must notice; NAME: only those whose name contains it, or of this
                 row of docs/bug-classes.md. Where no ring is named, a tenth of them, by the commit.
                 mutants blind: those of tests/mutants/blind/, which name no test, against one whole ring after the other
  traffic        many connections at once and in sequence, and mixed traffic with kills, every byte checked
  weak           on an arm64 host with KVM or HVF: that its memory is weakly ordered, ten minutes of storms there, and
                 a block to send us. On any other it says why it cannot help, and exits with status 77
  soak MINUTES   sessions, traffic, processes, files, random system calls and kills beside each other while faults
                 happen, for MINUTES at each CPU count (default 1); memory must stay flat

options
  -k NAME        only tests whose name contains NAME
  --no-install   install nothing: list what is missing and stop
  --no-build     use the images that are there
  --help         this text

Full output of each ring: build/test/RING.log. What rotates (seeds, sizes) follows from the commit.
END
}

# weak needs a CPU of the host's under the guest.
cannot_help() {
	case $(uname -m) in
	aarch64 | arm64) say "test.sh: weak: QEMU cannot run guests on this arm64 host's own CPU: it needs write access to /dev/kvm, or macOS" ;;
	*)
		say "test.sh: weak: this host cannot help: its CPU is $(uname -m), and the order of memory that emulation shows is the host's." \
			"Of what arm64 allows only store buffering shows on x86, so no missing barrier can be found here." \
			"Run it on an arm64 host with KVM or HVF"
		;;
	esac
	exit 77
}

size=suite rings="" filter="" install=yes build=yes minutes="" tenth=""
while [ $# -gt 0 ]; do
	case $1 in
	quick | all) size=$1 ;;
	lint | host | fuzz | kernel | user | diff | blackbox | traffic) rings="$rings $1" ;;
	weak)
		rings="$rings weak" accel=$(host_accel)
		[ -n "$accel" ] || cannot_help
		;;
	mutants)
		rings="$rings mutants"
		case ${2--} in
		-*) ;;
		*) filter=$2 && shift ;;
		esac
		;;
	soak)
		rings="$rings soak" minutes=1
		if is_number "${2-}"; then
			minutes=$2
			shift
		fi
		;;
	-k)
		[ $# -ge 2 ] || die "-k needs a name; see --help"
		filter=$2
		shift
		;;
	--no-install) install=no ;;
	--no-build) build=no ;;
	--help | -h) usage && exit 0 ;;
	*) die "unknown word $1; see --help" ;;
	esac
	shift
done
if [ -z "$rings" ]; then
	rings="lint host fuzz kernel user diff blackbox traffic soak mutants"
	[ $size != quick ] || rings="lint host fuzz kernel blackbox"
	[ $size != suite ] || tenth=yes
fi

cd "$TOP" || exit 1
mkdir -p build/test || die "cannot write to build/test"
# One run at a time in one checkout; the lock goes with the process.
if have flock; then
	exec 9>build/test/.lock
	flock -n 9 || { say "another scripts/test.sh is at work in this checkout: waiting for it" && flock 9; }
fi
# The system's Python has the packaged pytest and paramiko; another one first in PATH may not.
PYTHON=/usr/bin/python3
[ -x $PYTHON ] || PYTHON=python3
start=$SECONDS
if [ $build = yes ]; then
	say "== set-up"
	set_up "$install" "" --tests
	case $rings in
	*kernel* | *user* | *diff* | *blackbox* | *traffic* | *soak* | *mutants* | *weak*)
		set_up "$install" debug --tests
		make -s build/tests.cpio >&2 || die "the torture programs do not build: see above"
		;;
	esac
	case "$size:$filter:$rings" in
	all:* | suite::*kernel* | suite::*user*)
		make -s DEBUG=1 SAN=address >&2 || die "the sanitizer image does not build: see above"
		make -s DEBUG=1 SAN=thread >&2 || die "the race detector's image does not build: see above"
		;;
	esac
fi
make_keys

passed=0 failed=0 failures=() beside=" " behind=""
COUNTS='^[0-9]+ passed, [0-9]+ failed$'
NO_TESTS=5 # exit status of a ring, as pytest's

# run_ring NAME: shows its lines as they come, and counts them.
run_ring() {
	local begin=$SECONDS status
	say "== $1"
	"ring_$1" 2>&1 | tee "build/test/$1.log" | grep --line-buffered -vE "$COUNTS"
	status=${PIPESTATUS[0]}
	count_ring "$1" "$status" $((SECONDS - begin))
}

# run_beside NAME...: these rings one after the other, in the background, for show_ended.
run_beside() {
	local name begin
	behind="nice -n 10"
	for name in "$@"; do
		begin=$SECONDS
		"ring_$name" >"build/test/$name.log" 2>&1
		echo "$? $((SECONDS - begin))" >"build/test/$name.part"
		mv "build/test/$name.part" "build/test/$name.end"
	done
}

# show_ended: the lines of those rings that have ended in the background since the last time, and count them.
show_ended() {
	local name status took
	for name in $beside; do
		[ -r "build/test/$name.end" ] || continue
		status=1 took=0
		read -r status took <"build/test/$name.end"
		show_ring "$name" "${status:-1}" "${took:-0}"
	done
}

# show_ring NAME STATUS SECONDS: one of $beside, once.
show_ring() {
	rm -f "build/test/$1.end"
	beside=${beside/ $1 / }
	say "== $1"
	grep -vE "$COUNTS" "build/test/$1.log"
	count_ring "$1" "$2" "$3"
}

# show_lost: a lane that died has not said of its later rings that they did not run.
show_lost() {
	local name
	for name in $beside; do
		printf '\nnot ok %s: its lane died before it ended\n' "$name" >>"build/test/$name.log"
		show_ring "$name" 1 0
		end_lanes
	done
}

# longest LOG: the tests that took longest, where they say it.
longest() {
	sed -nE 's/^ok (.{1,70}).* \(([0-9]+\.[0-9]) s\)$/\2 s \1/p' "$1" | sort -rn | head -n 3 | paste -s -d ';' - |
		sed 's/^./, longest &/; s/;/; /g'
}

# count_ring NAME STATUS SECONDS: counts the lines in its log, and adds a failure of its own if the command failed
# without naming a test; with -k a ring may have none of that name.
count_ring() {
	local name=$1 log=build/test/$1.log status=$2 good bad
	good=$(grep -cE '^ok ' "$log")
	bad=$(grep -cE '^not ok ' "$log")
	if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && ! { [ "$status" -eq $NO_TESTS ] && [ -n "$filter" ]; }; then
		echo "not ok $name: exit status $status, and no test to blame: see $log"
		failures+=("$name: exit status $status")
		bad=1
	fi
	while IFS= read -r line; do
		failures+=("$line")
	done < <(grep -E '^not ok ' "$log" | cut -c 1-160)
	passed=$((passed + good))
	failed=$((failed + bad))
	say "   $name: $good passed, $bad failed, $3 s$(longest "$log")"
}

# The seed of this commit.
seed=$((0x$(git rev-parse --short=7 HEAD 2>/dev/null || echo 1)))

# By the clock, and beside other rings.
fuzz_seconds=8
[ $size != quick ] || fuzz_seconds=0
[ $size != all ] || fuzz_seconds=60
scale=1
[ $size != all ] || scale=10
changed=""
[ $size != quick ] || changed=--changed

ring_lint() {
	if [ $size = quick ]; then
		$behind tests/lint/run.sh --quick -k "$filter"
	else
		$behind tests/lint/run.sh -k "$filter"
	fi
}

ring_host() {
	$behind "$PYTHON" tests/host/run.py -k "$filter" --seed $seed --scale $scale $changed
}

ring_fuzz() {
	"$PYTHON" tests/fuzz/run.py -k "$filter" --seed $seed --seconds $fuzz_seconds $changed
}

ring_kernel() {
	local status=0
	case $size in
	quick) ktest --smp 4 --seconds 30 ;;
	suite)
		ktest --smp 1,2,4,8
		ktest --smp 4,8 --seeds 1
		[ -n "$filter" ] || scripts/explore.sh --seeds $((seed % 999999 + 1)) --batch 1 --keep-going || status=1
		[ -n "$filter" ] || ktest --smp 4 --image asan --part 10 --seconds 180
		[ -n "$filter" ] || ktest --smp 4 --image tsan --part 10 --seconds 300
		;;
	all)
		ktest --smp 1,2,3,4,8
		ktest --smp 4,8 --seeds 20
		# address-space numbers run out thousands of times
		[ -n "$filter" ] || ktest -k asid_rollover --smp 4,8 --scale 10 --seconds 600
		ktest --smp 4 --mem 8G
		ktest --smp 4 --gic 3
		ktest --smp 4 --qemu '-global virtio-mmio.force-legacy=true'
		ktest --smp 4 --image asan --seconds 180
		ktest --smp 4 --image tsan --seconds 300
		;;
	esac
	return $status
}

# part COMMAND: one of a ring; status is 1 once one has failed. With -k a part may have no test of that name.
part() {
	"$@" || { [ $? -eq $NO_TESTS ] && [ -n "$filter" ]; } || status=1
}

ktest() {
	part "$PYTHON" scripts/ktest.py -k "$filter" "$@"
}

ring_blackbox() {
	# no plugin that happens to be there: they change the order, or the time a test has
	local k=(env PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 "$PYTHON" -m pytest tests/blackbox ${filter:+-k "$filter"}) status=0
	case $size in
	quick) part "${k[@]}" -m quick ;;
	suite) part "${k[@]}" -m "not long" ;;
	all)
		part "${k[@]}"
		[ -n "$filter" ] || part "${k[@]}" --image asan
		[ -n "$filter" ] || part "${k[@]}" --image tsan
		;;
	esac
	return $status
}

# A minute of storm, twenty before a release. Half of the usual memory takes half as long to fill.
ring_user() {
	local k=("$PYTHON" tests/user/run.py -k "$filter" --seed "$seed") status=0
	if [ $size = all ]; then
		part "${k[@]}" --scale 10 --storm 1200
		part "${k[@]}" --smp 4 --image asan
		part "${k[@]}" --smp 4 --image tsan
		part "${k[@]}" --smp 4 --mem 24M
		part "${k[@]}" --smp 4 --append asid_bits=4
	else
		part "${k[@]}" --mem 128M --storm 60
		[ -n "$filter" ] || part "${k[@]}" --smp 4 --image asan --part 10
		[ -n "$filter" ] || part "${k[@]}" --smp 4 --image tsan --mem 128M --part 10
	fi
	return $status
}

# Before a release, what Linux says is asked again.
ring_diff() {
	local status=0
	part "$PYTHON" tests/diff/run.py -k "$filter"
	if [ $size = all ]; then
		part "$PYTHON" tests/diff/run.py --again -k "$filter"
		part "$PYTHON" tests/diff/run.py -k "$filter" --image asan
		part "$PYTHON" tests/diff/run.py -k "$filter" --image tsan
	fi
	return $status
}

ring_mutants() {
	if [ "$filter" = blind ]; then
		"$PYTHON" tests/mutants/run.py --blind
	else
		"$PYTHON" tests/mutants/run.py -k "$filter" ${tenth:+--part "$seed/10"}
	fi
}

# Longer than a minute of mixed traffic is asked for by hand: tests/traffic.py --minutes 30.
ring_traffic() {
	if [ $size = all ]; then
		"$PYTHON" tests/traffic.py --at-once 1000 --sequence 10000 --bulk 1000 --minutes 1
	else
		"$PYTHON" tests/traffic.py --at-once 200 --sequence 200 --minutes 0.3
	fi
}

ring_weak() {
	"$PYTHON" scripts/weak.py --accel "$accel"
}

# In the suite sessions alone. An hour on 4 CPUs: tests/mix.py --minutes 60 --smp 4.
ring_soak() {
	[ $size != all ] || minutes=${minutes:-5}
	if [ -n "$minutes" ]; then
		"$PYTHON" tests/mix.py --minutes "$minutes" --seed $seed
	else
		"$PYTHON" tests/soak.py --minutes 0.25
	fi
}

# Rings run side by side, those of a lane one after the other: most guests wait for most of their time. What needs no guest
# stays behind and has the CPU that the others leave, since a guest that gets none looks like one that hangs. Before a
# release nothing is in a hurry. The first lane is shown as it runs, of the others each ring when it has ended.
case $size in
quick) all_lanes=("kernel blackbox user diff traffic soak mutants weak" "lint host fuzz") ;;
suite) all_lanes=("kernel user diff traffic soak weak" "blackbox" "lint host fuzz mutants") ;;
all) all_lanes=("$rings") ;;
esac
lanes=()
for lane in "${all_lanes[@]}"; do
	chosen=""
	for ring in $lane; do
		case " $rings " in
		*" $ring "*) ;;
		*) continue ;;
		esac
		case $ring in
		soak | traffic) [ -z "$filter" ] || continue ;;
		mutants) [ -z "$filter" ] || [ -z "$tenth" ] || continue ;;
		esac
		chosen="$chosen $ring" && rm -f "build/test/$ring.end" "build/test/$ring.log"
	done
	[ -z "$chosen" ] || lanes+=("$chosen")
done

# Each lane in the background is a group of processes that Ctrl-C ends.
pids=()
end_lanes() {
	local pid
	for pid in ${pids[@]+"${pids[@]}"}; do
		kill -TERM -- "-$pid" 2>/dev/null
	done
}
trap end_lanes EXIT
trap 'exit 130' INT TERM HUP
for lane in ${lanes[@]+"${lanes[@]:1}"}; do
	beside="$beside$lane "
	set -m
	# shellcheck disable=SC2086  # words
	run_beside $lane </dev/null &
	pids+=($!)
	set +m
done
for ring in ${lanes[0]-}; do
	run_ring "$ring"
	show_ended
done
for pid in ${pids[@]+"${pids[@]}"}; do
	wait "$pid"
	show_ended
done
show_lost
pids=()

if [ ${#failures[@]} -gt 0 ]; then
	say "== failed"
	printf '%s\n' "${failures[@]}" >&2
fi
if [ -n "$filter" ] && [ $((passed + failed)) -eq 0 ]; then
	say "test.sh: no test has \"$filter\" in its name; asked: ${rings# }"
fi
say "== $((SECONDS - start)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
