#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""usage: scripts/explore.sh [OPTION...]
Runs in-kernel tests under many schedules, each of which repeats itself.

A seed is one run of one test: the debug image draws from it, at each lock operation, wake-up, switch, interrupt return and
publication, who goes on (kernel/core/perturb.h). The clock counts instructions, so the same seeds give the same run:
scripts/run-qemu.sh --replay, by the line that is printed, runs a failing one again, also under --gdb.

  --seeds A..B      the seeds (1..50)
  --test NAMES      names of tests, as in tests/kernel/ (default: those about concurrency)
  --mode            random: all is drawn (default); pct: random priorities and D changes of them
  --smp LIST        CPUs: by turns, from test to test and from boot to boot (1,2)
  --mutant NAME     with that bug put back (tests/mutants/), against its own test: how many seeds until it is noticed, by what its
                    head expects; what fails otherwise is shown and does not count
  --depth D         of pct: how many changes (3)
  --batch N         seeds for each boot (10)
  --jobs N          guests at a time (one for each host CPU)
  --image FILE      the debug image to boot; with --mutant one that has the bug, which then is not built
  --keep-going      go on after a failure
  --forever         from seed A on, until a failure or Ctrl-C
  --help            this text

Logs of failing seeds are kept in build/explore/.

Exit status: 0; 1 a seed failed, or with --mutant none noticed it; 2 a wrong option, or the image has no such test."""
import concurrent.futures
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TOP, "tests"), os.path.join(TOP, "tests/mutants")]
import guest  # noqa: E402  (the paths above lead to them)
import ktest  # noqa: E402
import run as mutants  # noqa: E402
from options import Options  # noqa: E402

FOLDER = os.path.join(TOP, "build/explore")
# What more than one thread can be in, in a fraction of a second each.
CONCURRENCY = (
    "affinity asid_rollover ends_race epoll_exclusive epoll_storm file_append file_lock_has_one_holder file_lookup_against_close "
    "file_position_is_held file_shared_position fork_storm futex_pingpong futex_requeue_storm "
    "group_keeps_its_number irq_cpus_call lock_contended lock_pairs lock_readers log_storm mutex_contention mutex_pairs pid_visibility "
    "pingpong pipe_pingpong pipe_small_writes_are_whole pipe_stream poll_storm pty_lines_stay_whole realloc_against_free "
    "setpgid_against_setsid setsid_by_two_threads signal_each_taken_once signal_stops_all signal_versus_exit slab_storm space_storm "
    "spawn_and_kill spawn_storm stack_storm steal_storm syscall_borrowed_file_stays tick_vs_exit timer_cancel_rearmed timer_storm "
    "vfs_opens_side_by_side vfs_storm vfs_walks_against_changes vm_fault_race vm_shootdown vq_storm wait_mutex wait_storm "
    "wait_tells_once wake_idle").split()
# A guest whose last line is so much work of the host's CPU ago hangs; one that hangs by the clock says so itself.
HANG_CPU_S = 90


def cpu_seconds(pid):
    fields = guest.read_file(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if len(fields) > 12 else 0


class Batch:
    """One boot: a test with some seeds."""

    def __init__(self, args, test, smp, first, last):
        self.test, self.smp, self.first, self.last = test, smp, first, last
        self.args, self.failing, self.why, self.ran, self.counts, self.unknown = args, None, "", 0, False, False

    def command(self, first, last):
        seeds = f"{first}..{last}" if self.args.mode == "random" else f"pct:{first}..{last}:{self.args.depth}"
        words = [os.path.join(TOP, "scripts/run-qemu.sh"), "--image", self.args.image, "--replay", seeds, "--smp", str(self.smp),
                 "--append", f"test={self.test} seed=1"]
        return words

    def run(self, first=None, last=None):
        """The console of a boot, and the exit status, or None after a hang."""
        command = self.command(first or self.first, last or self.last)
        printed = subprocess.run(command + ["--print"], check=True, stdout=subprocess.PIPE, text=True).stdout
        qemu = subprocess.Popen(shlex.split(printed), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, errors="replace")
        lines, told = [], [0]

        def drain():
            for line in qemu.stdout:
                lines.append(line)
                told[0] = cpu_seconds(qemu.pid)

        reader = threading.Thread(target=drain, daemon=True)
        reader.start()
        status = None
        try:
            while status is None and cpu_seconds(qemu.pid) - told[0] < HANG_CPU_S and not stopping.is_set():
                try:
                    status = qemu.wait(1)
                except subprocess.TimeoutExpired:
                    pass
        finally:
            killed = qemu.poll() is None
            if killed:
                qemu.kill()
            qemu.wait()
            # after an end of its own the pipe ends too
            reader.join(5 if killed else None)
        return "".join(lines), status

    def explore(self):
        if stopping.is_set():
            return self
        text, status = self.run()
        if stopping.is_set() and status is None:
            return self
        seeds = [int(n) for n in re.findall(r"ktest: seed (\d+)", text)]
        bad = guest.forbidden_lines(text)
        self.ran = len(seeds)
        self.unknown = "ktest: plan 0" in text
        if self.unknown:
            return self
        if status != 0 or bad or f"ktest: ok {self.test}" not in text:
            found = re.findall(r"ktest: (?:not ok|also) \w+: (.*)", text)
            self.failing = seeds[-1] if seeds else 0
            if status is None or "hangs, perturbed by" in text:
                # as ktest.py says it, which is what a bug's head expects
                text += "hangs: no test ended\n"
            self.why = (bad + found + ["hangs" if status is None else f"exit status {status}"])[0].strip()
            self.counts = not self.args.mutant or bool(self.args.mutant.noticed(text))
            self.keep(text)
        return self

    def keep(self, text):
        """The log; and whether the seed fails alone too: else the replay is of the seeds before it, as well."""
        os.makedirs(FOLDER, exist_ok=True)
        self.log = os.path.join(FOLDER, f"{self.test}-{self.args.mode}-smp{self.smp}-{self.failing}.log")
        first = self.first
        if not self.args.mutant and self.failing:
            alone, status = self.run(self.failing, self.failing)
            if status != 0 or guest.forbidden_lines(alone):
                first, text = self.failing, alone
        with open(self.log, "w", encoding="utf-8") as f:
            f.write(text)
        self.again = shlex.join(self.command(first, self.failing or self.last))


stopping = threading.Event()


shown = time.monotonic()


def show(text, end="\n", file=None):
    """A line; progress, which does not end, replaces itself, and where it cannot it comes every ten seconds."""
    global shown
    if sys.stdout.isatty():
        text = "\r\033[K" + text
    elif end != "\n":
        if time.monotonic() < shown + 10:
            return
        text, end = "# " + text, "\n"
    shown = time.monotonic()
    print(text, end=end, file=file, flush=True)


def batches(args):
    """In the order in which seeds are counted."""
    first, last = args.range
    smps = args.smp.split(",")
    for low in itertools.count(first, args.batch) if args.forever else range(first, last + 1, args.batch):
        for n, test in enumerate(args.test):
            yield Batch(args, test, smps[(low // args.batch + n) % len(smps)], low, low + args.batch - 1 if args.forever else min(low + args.batch - 1, last))


def explore(args):
    """All batches, a few at a time; returns seeds run, those run before the first failure with it, and the failures."""
    begin, ran, killed, failures = time.monotonic(), 0, None, []
    source, pending = batches(args), []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        try:
            while True:
                while source and len(pending) < 2 * args.jobs:
                    batch = next(source, None)
                    if not batch:
                        source = None
                        break
                    pending.append(pool.submit(batch.explore))
                if not pending:
                    break
                batch = pending.pop(0).result()
                if batch.unknown:
                    show(f"explore.sh: {batch.test}: {args.image} has no test of that name", file=sys.stderr)
                    sys.exit(2)
                # the undisturbed run before the seeds counts only if it fails
                ran += batch.ran or batch.failing is not None
                minutes = (time.monotonic() - begin) / 60
                if batch.failing is not None:
                    failures.append(batch)
                    killed = killed or batch.counts and ran
                    show(f"not ok explore {batch.test} smp={batch.smp} seed {batch.failing}: {batch.why}")
                    if not batch.counts:
                        show(f"    does not count: not by {args.mutant.expect.pattern!r}")
                    if not args.mutant or not batch.counts:
                        show(f"    log:   {os.path.relpath(batch.log, TOP)}\n    again: {batch.again}")
                    if batch.counts and not args.keep_going:
                        break
                show(f"{ran} schedules, {len(failures)} failures, {ran / minutes:.0f} a minute; {batch.test} smp={batch.smp} "
                     f"seeds {batch.first}..{batch.last}", end="")
        finally:
            stopping.set()
    return ran, killed, failures, ran / ((time.monotonic() - begin) / 60)


def mutant_image(name, tests, given):
    """The debug image with this bug, what is known of it, and what must fail: tests, or else its own in-kernel test."""
    mutant = next((m for m in mutants.all_mutants() if m.name == name), None)
    words = next((test for test in mutant.tests if test[0] == "kernel" and "--image" not in test), ()) if mutant else ()
    part = words[words.index("-k") + 1] if words else None
    if part and not tests:
        # its words name a test by a part, the kernel's command line by the whole
        known = ktest.known_tests("debug")
        tests = [part] if part in known else [test for test in known if part in test]
    if not tests or not mutant:
        show(f"explore.sh: {name}: no mutant of that name whose test is in the debug image: --test names one", file=sys.stderr)
        sys.exit(2)
    if given:
        return given, mutant, tests
    done = subprocess.run([os.path.join(TOP, "tests/mutants/run.py"), "--image", name], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    os.makedirs(FOLDER, exist_ok=True)
    image = os.path.join(FOLDER, f"Image-{name}")
    shutil.copy(done.stdout.splitlines()[-1], image)
    return image, mutant, tests


def main():
    parser = Options(__doc__)
    parser.add_argument("--seeds", default="1..50")
    parser.add_argument("--test", default="")
    parser.add_argument("--mode", choices=("random", "pct"), default="random")
    parser.add_argument("--smp", default="1,2")
    parser.add_argument("--mutant", default="")
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--image", default="")
    parser.add_argument("--keep-going", action="store_true")
    parser.add_argument("--forever", action="store_true")
    args = parser.parse_args()
    found = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", args.seeds)
    args.range = (int(found.group(1)), int(found.group(2) or found.group(1))) if found else (0, 0)
    if not 1 <= args.range[0] <= args.range[1]:
        parser.error(f"--seeds {args.seeds}: A..B, from 1 on")
    args.test = args.test.split(",") if args.test else None
    if args.mutant:
        args.image, args.mutant, args.test = mutant_image(args.mutant, args.test, args.image)
    args.test, args.image = args.test or CONCURRENCY, args.image or guest.IMAGES["debug"]
    if not os.path.exists(args.image):
        sys.exit(f"explore.sh: {args.image} is missing: run make DEBUG=1")
    ran, killed, failures, rate = explore(args)
    if ran and not failures:
        show(f"ok explore {ran} schedules of {len(args.test)} tests")
    show(f"# {ran} schedules, {len(failures)} failures, {rate:.0f} a minute")
    if args.mutant:
        show(f"seeds to kill {args.mutant.name}: {killed or f'more than {ran}'}")
        return 0 if killed else 1
    return 1 if failures or not ran else 0


signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    sys.exit(main())
except KeyboardInterrupt:
    stopping.set()
    sys.exit(130)
