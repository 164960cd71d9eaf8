#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Bugs put back by hand: each tests/mutants/NAME.patch is one, and its head names the test that must fail with it.

    row: RC-008                            of docs/bug-classes.md
    bug: what is wrong with it
    test: RING WORDS [; RING WORDS]        kernel, user or host, and what their run.py or ktest.py is told

In a copy of the tree (build/mutants/tree, kept, so that only what changes is built) each test first passes as it is;
then each patch is applied, the test must fail, and the patch is taken back. A patch that does not apply fails:
whoever changes such a place puts the bug back there anew.

tests/mutants/run.py [-k NAME] [--list]"""
import argparse
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import guest  # noqa: E402  (the path above leads to it)

TREE = os.path.join(guest.TOP, "build", "mutants", "tree")
RINGS = {"kernel": "scripts/ktest.py", "user": "tests/user/run.py", "host": "tests/host/run.py"}


class Mutant:
    def __init__(self, path):
        self.name, self.path = os.path.basename(path)[:-len(".patch")], path
        head = dict(re.findall(r"^(row|bug|test): (.*)$", guest.read_file(path), re.M))
        self.row, self.bug = head["row"], head["bug"]
        self.tests = [shlex.split(words) for words in head["test"].split(";")]


def run(*command):
    return subprocess.run(command, cwd=TREE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")


def copy_tree():
    """Only what differs: what is the same keeps its time, and is not built again."""
    names = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=guest.TOP, check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split("\0")
    for name in filter(None, names):
        source, target = os.path.join(guest.TOP, name), os.path.join(TREE, name)
        if not os.path.exists(source):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(source, "rb") as f:
            data = f.read()
        if not os.path.exists(target) or open(target, "rb").read() != data:
            shutil.copy(source, target)
    for path in glob.glob(TREE + "/**/*.[chS]", recursive=True):
        name = os.path.relpath(path, TREE)
        if not name.startswith(("build/", "deps/")) and not os.path.exists(os.path.join(guest.TOP, name)):
            os.unlink(path)
    if not os.path.exists(os.path.join(TREE, "deps")):
        os.symlink(os.path.join(guest.TOP, "deps"), os.path.join(TREE, "deps"))


def build(rings):
    """What the rings need; host tests build by themselves. Returns None, or what went wrong."""
    for words in [["DEBUG=1"]] * (rings != {"host"}) + [["build/tests.cpio"]] * ("user" in rings):
        made = run("make", "-s", *words)
        if made.returncode:
            return "does not build: " + " | ".join(re.findall(r".*error.*", made.stdout)[:3])
    return None


def run_tests(tests):
    """The first failure's line, or None if all pass."""
    for ring, *words in tests:
        done = run(RINGS[ring], *words)
        lines = done.stdout.splitlines()
        wrong = [line for line in lines if line.startswith("not ok ")]
        if done.returncode:
            return (wrong or lines[-1:] or [f"exit status {done.returncode}"])[0]
    return None


def try_mutant(mutant, sound):
    """None if its tests notice it, else what is wrong; how it was noticed is printed."""
    rings = {test[0] for test in mutant.tests}
    key = str(mutant.tests)
    if key not in sound:
        sound[key] = build(rings) or run_tests(mutant.tests)
    if sound[key]:
        return f"its test fails without it: {sound[key]}"
    applied = run("patch", "-p1", "-s", "-f", "-F2", "--no-backup-if-mismatch", "-i", mutant.path)
    try:
        if applied.returncode:
            return "does not apply: " + " ".join(applied.stdout.split())
        wrong = build(rings)
        if wrong:
            return wrong
        seen = run_tests(mutant.tests)
        if not seen:
            return f"survives ({mutant.row}: {mutant.bug})"
        print(f"#   {mutant.row}: {mutant.bug}\n#   {seen[:200]}", flush=True)
    finally:
        copy_tree()
    return None


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-k", metavar="NAME", default="")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    mutants = [Mutant(path) for path in sorted(glob.glob(os.path.join(guest.TOP, "tests/mutants/*.patch")))]
    mutants = [m for m in mutants if args.k in m.name or args.k == m.row]
    if args.list:
        for m in mutants:
            print(f"{m.name}: {m.row}: {m.bug}: " + "; ".join(" ".join(test) for test in m.tests))
        return 0
    os.makedirs(TREE, exist_ok=True)
    copy_tree()
    passed = failed = 0
    sound = {}
    for mutant in mutants:
        wrong = try_mutant(mutant, sound)
        print(f"not ok mutant {mutant.name}: {wrong}" if wrong else f"ok mutant {mutant.name}", flush=True)
        passed, failed = passed + (not wrong), failed + bool(wrong)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


sys.exit(main())
