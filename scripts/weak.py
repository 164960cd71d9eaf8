#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""usage: scripts/weak.py --accel kvm|hvf|tcg [OPTION...]
The tests that a missing barrier would break, where the guest's CPUs are the host's own: an arm64 one, under KVM or HVF.
First tests/kernel/litmus_kt.c: outcomes that only a weak memory order allows must occur, else the rest proves nothing and is
left out. Then the storms of virtqueue, run queue, wait queue and futex, boot after boot. It ends with a block to send us.
scripts/test.sh weak builds the image and calls this with what the host has.

  --accel NAME  kvm or hvf; tcg tries this script on any host, and proves nothing
  --seconds N   for the storms (600)
  --smp N       CPUs (those of the host, 2 to 8)
  --scale N     how long each test is (20; the storms a tenth of it)
  --help        this text

Exit status: 0 all passed; 1 one failed, the host proves nothing, or there is no image; 2 a wrong option."""
import hashlib
import os
import platform
import re
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests"))
import guest  # noqa: E402  (the path above leads to it)
from options import Options  # noqa: E402

STORMS = "vq_storm,steal_storm,spawn_storm,wake_idle,switch_w,wait_storm,wait_mutex,pingpong,futex_requeue,futex_wake,lock_contended"
WEAK = re.compile(r"litmus (\w+)( ordered)?: (\d+) weak of (\d+)")


def boot(args, names, scale):
    """One guest; what scripts/ktest.py says of it."""
    done = subprocess.run([sys.executable, f"{TOP}/scripts/ktest.py", "--accel", args.accel, "--smp", str(args.smp), "-k", names,
                           "--scale", str(scale), "--verbose"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    bad = [line for line in done.stdout.splitlines() if line.startswith("not ok ")]
    if done.returncode and not bad:
        bad = [f"not ok {names}: exit status {done.returncode}"]
    if bad:
        print(done.stdout, flush=True)
    return done.stdout, len(re.findall(r"^ok ", done.stdout, re.M)), bad


def cpu_name():
    """Whose core it is: Linux tells numbers of Arm's, macOS a name."""
    try:
        words = dict(re.findall(r"^CPU (\w+)\s*: (\S+)", guest.read_file("/proc/cpuinfo"), re.M))
        return "CPU " + " ".join(f"{k} {v}" for k, v in words.items()) if words else platform.processor()
    except OSError:
        return subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], stdout=subprocess.PIPE, text=True, check=False).stdout.strip()


def storms(args):
    """Boots until time is up: how many, tests passed, and what failed."""
    boots = passed = 0
    failed, begin = [], time.monotonic()
    while time.monotonic() - begin < args.seconds and len(failed) < 10:
        _, good, bad = boot(args, STORMS, max(1, args.scale // 10))
        boots, passed, failed = boots + 1, passed + good, failed + bad
        print(f"weak: {time.monotonic() - begin:.0f} s of {args.seconds}: {boots} boots, {passed} tests passed, {len(failed)} failed",
              file=sys.stderr, flush=True)
    return boots, passed, failed


def first_line(*command):
    done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return (done.stdout.splitlines() or ["?"])[0]


def main():
    parser = Options(__doc__)
    parser.add_argument("--accel", choices=("kvm", "hvf", "tcg"), required=True)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--smp", type=int, default=max(2, min(8, os.cpu_count() or 2)))
    parser.add_argument("--scale", type=int, default=20)
    args = parser.parse_args()
    image = guest.IMAGES["debug"]
    if not os.path.exists(image):
        sys.exit(f"weak: {image} is missing: run make DEBUG=1")
    text, _, failed = boot(args, "litmus", args.scale)
    counts = [(name + ordered, int(weak), tries) for name, ordered, weak, tries in WEAK.findall(text)]
    shown = any(weak for name, weak, _ in counts if name in ("MP", "LB"))
    if not shown:
        failed.append("not ok weak_litmus: nobody saw message passing or load buffering come out weak: this host proves nothing")
    boots, passed, seconds = 0, 0, 0
    if shown or args.accel == "tcg":
        begin = time.monotonic()
        boots, passed, bad = storms(args)
        failed, seconds = failed + bad, time.monotonic() - begin
    with open(image, "rb") as f:
        name = hashlib.sha256(f.read()).hexdigest()[:16]
    print("\n".join(failed + ([] if failed else ["ok weak_litmus", "ok weak_storms"])))
    print("-----BEGIN TERN WEAK-----")
    print(f"tern {first_line('git', 'describe', '--always', '--dirty')}, debug image {name}")
    print(f"host {platform.system()} {platform.release()} {platform.machine()}, {cpu_name()}, {os.cpu_count()} CPUs; {args.accel}; "
          f"{first_line(guest.QEMU, '--version')}")
    print("litmus " + ", ".join(f"{name} {weak} of {tries}" for name, weak, tries in counts))
    print(f"storms {seconds:.0f} s, {boots} boots of {args.smp} CPUs, {passed} tests passed; failures: {len(failed)}")
    print("\n".join(failed + ["-----END TERN WEAK-----"]), flush=True)
    return 1 if failed else 0


sys.exit(main())
