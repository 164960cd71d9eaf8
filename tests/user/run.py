#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Ring 3: run the torture programs tests/user/NAME.c inside the guest, at 1 and 4 CPUs, twice each: the
second time the page and slab accounts must return to where they were. A program passes if it exits with 0.
Programs whose head says "helper" or that only serve other tests are listed in HELPERS.

Programs find the scale in SCALE. The storm is given a seed, and --storm seconds on 4 CPUs; --seed repeats one.
--part N: only every Nth program, another set for each seed.

tests/user/run.py [-k NAME] [--smp 1,4] [--image debug|asan|tsan] [--mem SIZE] [--append TEXT]
                  [--seed N] [--scale N] [--storm SECONDS] [--part N]"""
import argparse
import glob
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import guest as guestlib  # noqa: E402  (the path above leads to it)

HELPERS = {"ptys", "winsize", "crash", "layout", "traffic"}
# Of a program; nothing is slow enough for it but what hangs. More on images and machines that are slower.
LIMIT = 240
SHORT_STORM = 6
NO_TESTS = 5  # the exit status of a run without any, as pytest's


def run_one(g, args, name):
    """Returns None or what went wrong."""
    for round_number in range(2):
        before = g.account()
        words, limit = f"SCALE={args.scale} /tests/{name}", LIMIT
        if name == "storm":
            # the first one fills what is filled but once
            seconds = args.storm if round_number and g.smp >= 4 else min(args.storm, SHORT_STORM)
            words += f" {args.seed + round_number} {seconds}"
            limit += seconds
        try:
            done = g.ssh(words, timeout=limit)
        except subprocess.TimeoutExpired as hang:
            return f"still running after {hang.timeout:.0f} s: {words}\n" + (hang.stdout or b"").decode(errors="replace")[-500:]
        if done.returncode != 0:
            text = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
            return f"status {done.returncode}: {words}: " + " | ".join(text[-5:])
        if done.stdout:
            print("#", ", ".join(done.stdout.decode(errors="replace").splitlines()), flush=True)
        if round_number == 1:
            g.wait_for_account(before)
    g.check_console()
    return None


def choose(args):
    names = [os.path.basename(p)[:-2] for p in sorted(glob.glob(os.path.join(guestlib.TOP, "tests/user/*.c")))]
    names = [n for n in names if n not in HELPERS]
    return [n for i, n in enumerate(names) if args.k in n and (i + args.seed) % args.part == 0]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-k", metavar="NAME", default="")
    parser.add_argument("--smp", default="1,4")
    parser.add_argument("--image", default="debug")
    parser.add_argument("--mem", default="256M")
    parser.add_argument("--append", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--storm", metavar="SECONDS", type=int, default=SHORT_STORM)
    parser.add_argument("--part", type=int, default=1)
    args = parser.parse_args()
    guestlib.choose(args.image)
    names = choose(args)
    other = "".join(f",{word}" for word in (args.image, args.mem, args.append) if word not in ("debug", "256M", ""))
    passed = failed = 0
    for smp in args.smp.split(",") if names else []:
        g = guestlib.Guest(f"user-{smp}{other}".replace(",", "-").replace("=", "-"), smp=int(smp),
                           mem=args.mem, append=args.append)
        for name in names:
            begin = time.monotonic()
            try:
                if not g.alive():
                    g.start()
                why = run_one(g, args, name)
                if why is None and not g.alive():
                    why = "the guest ended"
            except (AssertionError, subprocess.TimeoutExpired) as error:
                why = str(error).strip()
            if why is None:
                print(f"ok user[smp={smp}{other}] {name} ({time.monotonic() - begin:.1f} s)", flush=True)
                passed += 1
                continue
            first, _, rest = why.partition("\n")
            print(f"not ok user[smp={smp}{other}] {name}: {first}\n{rest}", flush=True)
            print("\n".join("    " + line for line in g.tail(20).splitlines()), flush=True)
            failed += 1
            g.stop()
        g.stop()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0 if passed else NO_TESTS


sys.exit(main())
