#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Build and run the fuzz targets tests/fuzz/NAME_fuzz.c (libFuzzer, ASan, UBSan).

tests/fuzz/run.py [-k NAME] [--seconds N] [--seed N] [--changed] [--build-only]
Each target first replays tests/fuzz/seeds/NAME/, then runs for N seconds (default 5; 0 for the replay alone) on a copy of
them kept in build/fuzz/NAME/. --changed replays nothing for a target that has passed and is, with its seeds, the
same since. What it finds is written to build/fuzz/NAME-crash-...: replay it with
build/host/NAME_fuzz FILE, mend the bug, and keep FILE among the seeds.
"""
import argparse
import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import hostbuild  # noqa: E402  (the path above leads to it)

FLAGS = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined"]


def run_target(name, program, args):
    """Run one target; print its line and return whether it found nothing."""
    corpus = f"build/fuzz/{name}"
    os.makedirs(corpus, exist_ok=True)
    seeds = f"tests/fuzz/seeds/{name}"
    kept = sorted(glob.glob(seeds + "/*"))
    if args.changed and hostbuild.has_passed(program, kept):
        print(f"ok fuzz_{name} (has passed, and is unchanged since)", flush=True)
        return True
    common = [program, "-timeout=10", "-rss_limit_mb=2048", f"-artifact_prefix=build/fuzz/{name}-",
              f"-seed={args.seed}"]
    steps = [common + kept] if kept else []
    if args.seconds or not kept:
        steps.append(common + [f"-max_total_time={args.seconds or 1}", "-print_final_stats=1", corpus]
                     + ([seeds] if kept else []))
    for step in steps:
        done = subprocess.run(step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace")
        if done.returncode != 0:
            print("\n".join(done.stdout.splitlines()[-60:]))
            print(f"not ok fuzz_{name}: exit status {done.returncode} (--seed {args.seed})", flush=True)
            return False
    hostbuild.note_passed(program, kept)
    runs = [line.split()[-1] for line in done.stdout.splitlines() if "number_of_executed_units" in line]
    print(f"ok fuzz_{name} ({len(kept)} seeds, {runs[0] if runs else '?'} runs)", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-k", metavar="NAME", default="")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--changed", action="store_true")
    parser.add_argument("--build-only", action="store_true")
    args = parser.parse_args()
    os.chdir(hostbuild.TOP)
    paths = [p for p in sorted(glob.glob("tests/fuzz/*_fuzz.c")) if args.k in os.path.basename(p)]
    passed = failed = 0
    for path, program, error in hostbuild.build_all(paths, [], FLAGS):
        name = os.path.basename(path)[:-len("_fuzz.c")]
        if program is None:
            print(f"not ok fuzz_{name}: does not build:\n{error}", flush=True)
            failed += 1
        elif args.build_only:
            continue
        elif run_target(name, program, args):
            passed += 1
        else:
            failed += 1
    if args.build_only and failed == 0:
        return 0
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0 if passed else hostbuild.NO_TESTS


sys.exit(main())
