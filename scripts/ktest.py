#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""usage: scripts/ktest.py [OPTION...]
Ring 2: runs the in-kernel tests of an image and judges them. A run is judged by: the plan line, each test once and no other,
the end line, QEMU's exit status, and the forbid list over console and QEMU's stderr. A run that hangs is a failure; the
registers of every CPU are printed with the function each is in. Tests called icount_* run once, on one CPU whose clock
counts instructions: the host's load is not in their times.

  -k NAME[,NAME...] only tests whose name contains one of these
  --smp LIST        CPUs, a run for each (1,2,4,8)
  --mem SIZE        memory (256M)
  --image NAME      debug, asan, tsan or release (debug)
  --seeds N         N runs for each number of CPUs, each with a schedule perturbed by a seed of this commit's
  --perturb SEED    the one run with that seed
  --scale N         how long the longer tests are (1)
  --seconds N       how long no test may end before the run hangs (60)
  --part N          only every Nth test, others with each commit (1)
  --cpu MODEL       QEMU's CPU model (cortex-a76)
  --accel NAME      tcg, kvm or hvf (tcg)
  --gic N           the interrupt controller's version, 2 or 3
  --append TEXT     words for the kernel's command line
  --qemu OPTIONS    more options of QEMU, as one word
  --verbose         what each test says too
  --help            this text

Exit status: 0 all passed; 1 one failed, or there is no image; 5 no test has such a name; 2 a wrong option."""
import glob
import os
import re
import shlex
import subprocess
import sys
import threading

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests"))
import guest  # noqa: E402  (the path above leads to it)
from options import Options  # noqa: E402

# Tests of a sanitizer are in its image alone.
OF_IMAGE = {"kasan_kt.c": "asan", "kcsan_kt.c": "tsan"}
NO_TESTS = 5  # the exit status, as pytest's
LINE = re.compile(r"^(?:\[\s*(\d+\.\d+)\] )?ktest: (.*?)\s*$")


def known_tests(image):
    """The names that the sources define; what runs is held against this."""
    names = []
    for path in sorted(glob.glob(os.path.join(TOP, "tests/kernel/*.c"))):
        if OF_IMAGE.get(os.path.basename(path), image) != image:
            continue
        names += re.findall(r"^KTEST\((\w+)\)", guest.read_file(path), re.M)
    # Those end the machine or take long: tests/blackbox/test_panic.py and test_packets.py run them.
    return [name for name in names if not name.startswith(("die_", "long_"))]


class Run:
    """One boot of the debug image."""

    def __init__(self, args, smp, perturb, names, icount=False):
        self.args, self.smp, self.names = args, smp, names
        self.label = "icount" if icount else f"smp={smp}" + (f",perturb={perturb}" if perturb else "")
        self.label += f",{args.image}" if args.image != "debug" else ""
        words = f"test={','.join(names) if args.k or icount or args.part > 1 else 'all'}"
        accel = "tcg,thread=single -icount shift=0,sleep=off" if icount else "tcg,thread=multi"
        words += f" seed={guest.commit_number() % 1000000 + 1}"
        words += f" perturb={perturb}" if perturb else ""
        words += f" scale={args.scale}" if args.scale > 1 else ""
        words += f" {args.append}" if args.append else ""
        cpu, gic = args.cpu, args.gic or (3 if smp > 8 else 2)
        if args.accel != "tcg":
            accel, cpu, gic = args.accel, "host", "host" if args.accel == "kvm" else gic
        self.command = [
            guest.QEMU, "-M", f"virt,gic-version={gic}", "-cpu", cpu,
            "-accel", *accel.split(), "-smp", str(smp), "-m", args.mem, "-kernel",
            guest.IMAGES[args.image], "-global", "virtio-mmio.force-legacy=false", "-netdev", "user,id=net0",
            "-device", "virtio-net-device,netdev=net0", "-device", "virtio-rng-device",
            "-semihosting-config", "enable=on,target=native", "-display", "none", "-no-reboot",
            "-serial", "mon:stdio", "-append", words] + shlex.split(args.qemu)
        self.console, self.errors = "", ""

    def go(self):
        """Boot, collect, and return QEMU's exit status, or None after a hang."""
        qemu = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, errors="replace")
        lines, errors = [], []
        finished = set()

        def drain(stream, into):
            for line in stream:
                into.append(line)
                found = LINE.match(line)
                if found and self.args.verbose:
                    print("    " + found.group(2), flush=True)
                if found and found.group(2).startswith(("ok ", "not ok ")):
                    finished.add(found.group(2))

        threads = [threading.Thread(target=drain, args=pair, daemon=True)
                   for pair in ((qemu.stdout, lines), (qemu.stderr, errors))]
        for t in threads:
            t.start()
        status = None
        try:
            # A test that makes progress may take its time; silence for --seconds is a hang.
            done = -1
            while status is None and len(finished) != done:
                done = len(finished)
                try:
                    status = qemu.wait(self.args.seconds)
                except subprocess.TimeoutExpired:
                    pass
            if status is None:
                # Ctrl-A c leads from the console to QEMU's monitor.
                qemu.stdin.write("\x01cinfo registers -a\n")
                qemu.stdin.flush()
                try:
                    guest.until("the registers", lambda: "".join(lines).count("PC=") >= self.smp or qemu.poll() is not None)
                except AssertionError as error:
                    errors.append(str(error))
        finally:
            killed = qemu.poll() is None
            if killed:
                qemu.kill()
            qemu.wait()
            # after an end of its own the pipes end too
            for t in threads:
                t.join(2 if killed else None)
            self.console, self.errors = "".join(lines), "".join(errors)
        return status

    def where_cpus_are(self):
        """One line a CPU: the function each program counter and link register lies in."""
        elf = os.path.join(os.path.dirname(guest.IMAGES[self.args.image]), "tern.elf")
        out = []
        for number, (pc, lr) in enumerate(re.findall(r"PC=([0-9a-f]{16}).*?X30=([0-9a-f]{16})", self.console, re.S)):
            done = subprocess.run(["aarch64-linux-gnu-addr2line", "-fspe", elf, pc, lr], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            out.append(f"cpu {number}: pc {pc} lr {lr}: " + "  <-  ".join(done.stdout.splitlines()))
        return out

    def judge(self, status):
        """Print a line for each test; return (passed, failed)."""
        passed, failed, plan, end = [], {}, None, None
        times, now = {}, 0.0  # by the guest's clock
        for line in self.console.splitlines():
            found = LINE.match(line)
            if not found:
                continue
            text = found.group(2)
            before, now = now, float(found.group(1) or now)
            if text.startswith("plan "):
                plan = int(text.split()[1])
            elif text.startswith("ok "):
                passed.append(text.split()[1])
                times[passed[-1]] = now - before
            elif text.startswith("not ok "):
                name, _, why = text[len("not ok "):].partition(": ")
                failed.setdefault(name.rstrip(":"), []).append(why)
            elif text.startswith("also "):
                name, _, why = text[len("also "):].partition(": ")
                failed.setdefault(name, []).append(why)
            elif text.startswith("end "):
                end = text
        passed = [name for name in passed if name not in failed]
        wrong = []
        if status is None:
            wrong.append(f"hangs: no test ended for {self.args.seconds} s")
        if plan is None:
            wrong.append("no plan line")
        elif plan != len(passed) + len(failed):
            wrong.append(f"planned {plan} tests, ran {len(passed) + len(failed)}")
        if len(set(passed)) != len(passed):
            wrong.append("a test reported twice")
        if sorted(set(passed) | set(failed)) != sorted(self.names):
            missing = sorted(set(self.names) - set(passed) - set(failed))
            extra = sorted((set(passed) | set(failed)) - set(self.names))
            wrong.append(f"did not run: {' '.join(missing) or 'none'}; unknown: {' '.join(extra) or 'none'}")
        if end != f"end {len(passed)} passed, {len(failed)} failed":
            wrong.append(f"the end line says {end!r}, counted {len(passed)} passed, {len(failed)} failed")
        if status is not None and (status == 0) != (not failed):
            wrong.append(f"exit status {status}")
        bad_lines = guest.forbidden_lines(self.console + self.errors)
        if bad_lines:
            wrong.append("forbidden: " + "; ".join(bad_lines[:5]))
        for name in passed:
            print(f"ok kernel[{self.label}] {name} ({times[name]:.1f} s)")
        for name, reasons in failed.items():
            print(f"not ok kernel[{self.label}] {name}: {'; '.join(reasons[:8])}")
        found = re.search(r"ktest: (longest time with interrupts off: .*)", self.console)
        if found and self.label == "icount":
            print(f"   kernel[{self.label}] {found.group(1).strip()}")
        if wrong:
            print(f"not ok kernel[{self.label}] run: {'; '.join(wrong)}")
            tail = self.console.splitlines()
            cut = next((n for n, line in enumerate(tail) if re.search(r"QEMU \d.* monitor", line)), len(tail))
            # what was forbidden may have been said long before
            early = [n for n, line in enumerate(tail[:max(0, cut - 60)]) if line in bad_lines]
            for n in early[:3]:
                print("\n".join("    " + line for line in tail[n:min(n + 25, cut - 60)]) + "\n    ...")
            print("\n".join("    " + line for line in tail[max(0, cut - 60):cut]))
            print("\n".join("    " + line for line in self.where_cpus_are() + self.errors.splitlines()[-10:]))
            print("    again: " + shlex.join(self.command))
        sys.stdout.flush()
        return len(passed), len(failed) + (1 if wrong else 0)


def main():
    parser = Options(__doc__)
    parser.add_argument("-k", metavar="NAME", default="")
    parser.add_argument("--smp", default="1,2,4,8")
    parser.add_argument("--mem", default="256M")
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--perturb", type=int)
    parser.add_argument("--image", choices=guest.IMAGES, default="debug")
    parser.add_argument("--cpu", default="cortex-a76")
    parser.add_argument("--accel", choices=("tcg", "kvm", "hvf"), default="tcg")
    parser.add_argument("--gic", type=int)
    parser.add_argument("--append", default="")
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--qemu", default="")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--part", type=int, default=1)
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    names = [n for i, n in enumerate(known_tests(args.image))
             if any(k in n for k in args.k.split(",")) and (i + guest.commit_number()) % args.part == 0]
    counting = [n for n in names if n.startswith("icount_")]
    names = [n for n in names if n not in counting]
    first = guest.commit_number() % 1000000
    seeds = [args.perturb] if args.perturb is not None else [0] if not args.seeds else [
        first + i + 1 for i in range(args.seeds)]
    runs = [Run(args, int(smp), seed, names) for smp in args.smp.split(",") for seed in seeds if names]
    # a sanitizer's calls are instructions, too
    if counting and args.image == "debug" and seeds == [0]:
        runs.insert(0, Run(args, 1, 0, counting, icount=True))
    passed = failed = 0
    if not os.path.exists(guest.IMAGES[args.image]):
        print(f"not ok kernel: {guest.IMAGES[args.image]} is missing: run make DEBUG=1")
        failed, runs = 1, []
    for run in runs:
        good, bad = run.judge(run.go())
        passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0 if passed else NO_TESTS


if __name__ == "__main__":
    sys.exit(main())
