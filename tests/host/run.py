#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Ring 1: build and run the host unit tests.

tests/host/run.py [-k NAME] [--seed N] [--scale N] [--changed] [--build-only] [FILE_test.c...]
-k keeps the tests whose name, or whose file's name, contains NAME. --changed runs no program that has
passed and is the same since, byte for byte: it counts as one test. Ends with "N passed, N failed".
"""
import argparse
import concurrent.futures
import glob
import itertools
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import hostbuild  # noqa: E402  (the path above leads to it)

FLAGS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
# What ships is modelled, without the debug image's checks (tests/model/model.h).
MODEL_FLAGS = ["-fsanitize=thread", "-UDEBUG", "-iquotetests/model/shim"]
# Of a whole program; the longest takes a minute on a busy host.
HANG_SECONDS = 900


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-k", metavar="NAME", default="")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--scale", default="1")
    parser.add_argument("--changed", action="store_true")
    parser.add_argument("--build-only", action="store_true")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    os.chdir(hostbuild.TOP)
    paths = [os.path.relpath(f, hostbuild.TOP) for f in args.files] or sorted(glob.glob("tests/host/*_test.c") +
                                                                                    glob.glob("tests/model/*_test.c"))
    env = dict(os.environ, TEST_SEED=args.seed, TEST_SCALE=args.scale)
    passed = failed = 0

    def run_program(stem, program):
        filter_word = "" if args.k in stem else args.k
        try:
            return subprocess.run([program, filter_word], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, errors="replace", timeout=HANG_SECONDS * int(args.scale))
        except subprocess.TimeoutExpired as late:
            text = (late.stdout or b"").decode(errors="replace")
            return subprocess.CompletedProcess(program, 1, f"{text}\nnot ok {stem}: hangs, behind the test named last\n")

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        jobs = []
        models = [path for path in paths if path.startswith("tests/model/")]
        plain = [path for path in paths if path not in models]
        built = itertools.chain(hostbuild.build_all(models, ["tests/host/main.c"], MODEL_FLAGS),
                                hostbuild.build_all(plain, ["tests/host/main.c"], FLAGS))
        for path, program, error in built:
            stem = os.path.basename(path)[:-len(".c")]
            if program is None:
                print(f"not ok {stem}: does not build:\n{error}", flush=True)
                failed += 1
            elif args.changed and not args.k and hostbuild.has_passed(program):
                print(f"ok {stem} (has passed, and is unchanged since)", flush=True)
                passed += 1
            elif not args.build_only:
                jobs.append((stem, program, pool.submit(run_program, stem, program)))
        for stem, program, job in jobs:
            done = job.result()
            sys.stdout.write(done.stdout)
            sys.stdout.flush()
            lines = done.stdout.splitlines()
            good = sum(line.startswith("ok ") for line in lines)
            bad = sum(line.startswith("not ok ") for line in lines)
            if bad == 0 and done.returncode != 0:
                print(f"not ok {stem}: exit status {done.returncode} with no test to blame", flush=True)
                bad = 1
            passed += good
            failed += bad
            if bad == 0 and not args.k:
                hostbuild.note_passed(program)
    if args.build_only and failed == 0:
        return 0
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0 if passed else hostbuild.NO_TESTS


sys.exit(main())
