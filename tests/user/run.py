#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Ring 3: run the torture programs tests/user/NAME.c inside the guest, at 1 and 4 CPUs, twice each: the
second time the page and slab accounts must return to where they were. A program passes if it exits with 0.
Programs whose head says "helper" or that only serve other tests are listed in HELPERS.

The storm is given a seed and SECONDS times the scale; on its failure the seed is in what it says.

tests/user/run.py [-k NAME] [--smp 1,4] [--image debug|asan] [--seed N] [--scale N]"""
import argparse
import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import guest as guestlib  # noqa: E402  (the path above leads to it)

HELPERS = {"winsize", "crash", "layout"}
STORM_SECONDS = 6


def run_one(g, name, arguments=""):
    """Returns None or what went wrong."""
    for round_number in range(2):
        before = g.account()
        try:
            done = g.ssh(f"/tests/{name}{arguments}", timeout=240)
        except subprocess.TimeoutExpired:
            return "still running after 240 s"
        if done.returncode != 0:
            text = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
            return f"status {done.returncode}: " + " | ".join(text[-5:])
        if round_number == 1:
            g.wait_for_account(before)
    g.check_console()
    return None


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-k", metavar="NAME", default="")
    parser.add_argument("--smp", default="1,4")
    parser.add_argument("--image", default="debug")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=int, default=1)
    args = parser.parse_args()
    arguments = {"storm": f" {args.seed} {STORM_SECONDS * args.scale}"}
    names = [os.path.basename(p)[:-2] for p in sorted(glob.glob(os.path.join(guestlib.TOP, "tests/user/*.c")))]
    names = [n for n in names if args.k in n and n not in HELPERS]
    passed = failed = 0
    for smp in args.smp.split(",") if names else []:
        g = guestlib.Guest(f"user-{smp}", smp=int(smp), image=args.image)
        for name in names:
            try:
                if not g.alive():
                    g.start()
                why = run_one(g, name, arguments.get(name, ""))
                if why is None and not g.alive():
                    why = "the guest ended"
            except (AssertionError, subprocess.TimeoutExpired) as error:
                why = str(error).strip()
            if why is None:
                print(f"ok user[smp={smp}] {name}", flush=True)
                passed += 1
                continue
            first, _, rest = why.partition("\n")
            print(f"not ok user[smp={smp}] {name}: {first}\n{rest}", flush=True)
            print("\n".join("    " + line for line in g.tail(20).splitlines()), flush=True)
            failed += 1
            g.stop()
        g.stop()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


sys.exit(main())
