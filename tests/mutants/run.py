#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Bugs put back by hand: each tests/mutants/NAME.patch is one, and its head says which test must fail with it, and how.

    row: RC-008                            of docs/bug-classes.md
    bug: what is wrong with it
    test: RING WORDS [; RING WORDS]        what the ring's own command is told; each must fail. {seed} counts the tries
    expect: REGEX                          what the failing test says: it fails for this reason, not for another; all it said is
                                           left in build/mutants/NAME.log
    hang: yes                              only then does it count that a test comes to no end
    tries: N                               the bug needs a schedule: up to N runs, until one fails (1 if not there)
    see: COMMAND                           what to type in the guest to meet it (scripts/run-qemu.sh --mutant NAME); of tests in the
                                           kernel and of programs in the guest the line that boots and runs them is said without
    boot: OPTIONS                          or with which options of scripts/run-qemu.sh a boot meets it

In a copy of the tree (build/mutants/tree, kept, so that only what changes is built) each test first passes as it is;
then each patch is applied, the test must fail, and the patch is taken back. A patch that does not apply fails:
whoever changes such a place puts the bug back there anew.

tests/mutants/run.py [-k NAME] [--part I/N] [--blind] [--list] [--record] [--image NAME]
-k: those whose name contains NAME, or whose row it is. --part: every Nth, from I on (modulo N); that the tests pass as
they are is then the whole suite's to say. --list: print them. --record: write docs/recordings.md from the logs that are
there. --image: put NAME back, and print the debug image's path.
--blind: those of tests/mutants/blind/, whose heads have no more than row and bug, against one whole ring after the other, from the
cheapest on, until one fails. What a ring says fails as the tree is does not count; a ring cut off by its limit has
noticed only if it said that something hangs."""
import argparse
import fcntl
import glob
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import guest  # noqa: E402  (the path above leads to it)
import recordings  # noqa: E402

NO_TESTS = 5  # the exit status of a run without any, as pytest's
# The copy; one of its own for what somebody boots.
TREE = os.path.join(guest.TOP, "build", "mutants", "boot" if "--image" in sys.argv else "tree")
PYTEST = ["env", "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1", "/usr/bin/python3", "-m", "pytest", "tests/blackbox"]
# From the cheapest on; a part takes some of each.
RINGS = {"lint": ["tests/lint/run.sh", "--quick"], "host": ["tests/host/run.py"], "fuzz": ["tests/fuzz/run.py"],
         "kernel": ["scripts/ktest.py"], "user": ["tests/user/run.py"], "diff": ["tests/diff/run.py"], "blackbox": PYTEST}
# What a copy starts with, so that little is built again.
BUILT = ("release", "debug", "asan", "tsan", "host", "obj-user", "user", "tests-user", "tests-diff", "initramfs.cpio", "tests.cpio", "ssh")
# How the rings say that time was up.
HANGS = re.compile(r"^.*(?:hangs: no test ended|hangs, behind|hangs, perturbed by|still running after|did not come up|timed out after).*$", re.M)
# Of a test, whatever the ring thinks of it; of a ring that is tried whole.
LIMIT, RING_LIMIT = 400, 2400
# Whole rings for the blind, from the cheapest on.
WHOLE = {"lint": [], "host": ["--changed"], "kernel": ["--smp", "4"], "user": ["--smp", "4"], "diff": [],
         "blackbox": ["-m", "not long", "--maxfail=3"]}
# What lint says of a patch's form, or of the other patches, is not that it has noticed the bug.
FORM = re.compile(r"lint_(format|mutants|bugs|text)$")


class Mutant:
    def __init__(self, path):
        self.name, self.path = os.path.basename(path)[:-len(".patch")], path
        head = dict(re.findall(r"^(\w+): (.*)$", guest.read_file(path).partition("\n--- ")[0], re.M))
        self.row, self.bug, self.see = head["row"], head["bug"], head.get("see")
        self.boot = head.get("boot")
        # A blind one has no test of its own.
        self.tests = [shlex.split(words) for words in head.get("test", "").split(";") if words]
        self.expect, self.hang = re.compile(head.get("expect", "^not ok "), re.M), head.get("hang") == "yes"
        self.tries = int(head.get("tries", 1))
        self.rings = {test[0] for test in self.tests}
        unknown = self.rings - set(RINGS)
        if unknown:
            sys.exit(f"{os.path.relpath(path, guest.TOP)}: no ring is called {' or '.join(sorted(unknown))}: one of {' '.join(RINGS)}")
        self.images = {after for test in self.tests for word, after in zip(test, test[1:]) if word == "--image"}
        self.cost = ([list(RINGS).index(test[0]) for test in self.tests[-1:]], self.name)

    def counted(self, out):
        """Of what a test said what may count: that it hangs only where the bug is one to hang."""
        return out if self.hang else HANGS.sub("", out)

    def noticed(self, out):
        """Where it says what was expected, of what may count; or None."""
        return self.expect.search(self.counted(out))


def run(*command, limit=None):
    """Status, and all that was said. What does not end within the limit is ended, with all that it started. The tree is no
    part of the checkout that it lies in: lint is to find its files."""
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": os.path.dirname(TREE)}
    with subprocess.Popen(command, cwd=TREE, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", start_new_session=True) as p:
        try:
            out, _ = p.communicate(timeout=limit)
        except BaseException as error:
            os.killpg(p.pid, signal.SIGTERM)
            out, _ = p.communicate()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            out += f"\nstill running after {limit} s: {shlex.join(command)}\n"
        return p.returncode, out


def copy_file(name):
    """Only what differs: what is the same keeps its time, and is not built again. Patches leave a newer file."""
    source, target = os.path.join(guest.TOP, name), os.path.join(TREE, name)
    with open(source, "rb") as f:
        data = f.read()
    if not os.path.exists(target) or open(target, "rb").read() != data:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(source, target)


def copy_tree():
    fresh = not os.path.exists(TREE)
    os.makedirs(os.path.join(TREE, "build"), exist_ok=True)
    names = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=guest.TOP, check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split("\0")
    for name in filter(os.path.isfile, (os.path.join(guest.TOP, name) for name in names if name)):
        name = os.path.relpath(name, guest.TOP)
        copy_file(name)
        if fresh:
            shutil.copystat(os.path.join(guest.TOP, name), os.path.join(TREE, name))
    for name in BUILT if fresh else ():
        if os.path.exists(os.path.join(guest.TOP, "build", name)):
            subprocess.run(["cp", "-a", os.path.join(guest.TOP, "build", name), os.path.join(TREE, "build")], check=True)
    for path in glob.glob(TREE + "/**/*.[chS]", recursive=True):
        name = os.path.relpath(path, TREE)
        if not name.startswith(("build/", "deps/")) and not os.path.exists(os.path.join(guest.TOP, name)):
            os.unlink(path)
    if not os.path.exists(os.path.join(TREE, "deps")):
        os.symlink(os.path.realpath(os.path.join(guest.TOP, "deps")), os.path.join(TREE, "deps"))


def build(rings, images):
    """What the rings need, and images by name; host tests and fuzz targets build by themselves. None, or what went wrong."""
    how = {"asan": ["SAN=address", "DEBUG=1"], "tsan": ["SAN=thread", "DEBUG=1"], "release": []}
    wanted = [[*how[image], "all"] for image in sorted(images)]
    wanted += [["DEBUG=1", "all"]] * bool(not images and rings & {"lint", "kernel", "user", "blackbox", "diff"})
    wanted += [["build/tests.cpio"]] * bool(rings & {"user", "blackbox"}) + [["diff"]] * ("diff" in rings)
    for words in wanted:
        status, out = run("make", "-s", *words)
        if status:
            return "does not build: " + " | ".join(re.findall(r".*error.*", out)[:3])
    return None


def command_of(test, seed):
    ring, *words = (word.replace("{seed}", str(seed)) for word in test)
    if ring == "host":
        # Not all programs are built for a test of one.
        name = words[words.index("-k") + 1]
        words += [p for p in sorted(glob.glob(os.path.join(TREE, "tests/*/*_test.c")))
                  if re.search(rf"^TEST\(\w*{name}", guest.read_file(p), re.M)]
    return RINGS[ring] + words


def passes(test, seed=1):
    """None if it passes as the tree is, else all it said."""
    status, out = run(*command_of(test, seed), limit=LIMIT)
    return out or f"exit status {status}" if status else None


def first_failure(out):
    lines = [line for line in out.splitlines() if line.startswith("not ok ")]
    return (lines or out.splitlines()[-1:] or [""])[0][:200]


def log_of(mutant):
    return os.path.join(guest.TOP, "build", "mutants", mutant.name + ".log")


def notice(mutant, test):
    """(the line that says what was expected, tries), or what is wrong as words. What fails otherwise is another schedule's: there
    is the next try."""
    out = None
    for seed in range(1, mutant.tries + 1):
        failed = passes(test, seed)
        out = failed or out
        if failed and mutant.noticed(failed):
            break
    if not out:
        return None, f"survives ({mutant.row}: {mutant.bug}): {shlex.join(test)}"
    with open(log_of(mutant), "w" if test is mutant.tests[0] else "a", encoding="utf-8") as log:
        log.write(f"$ {shlex.join(test)}\n{out}")
    found = mutant.noticed(out)
    if not found:
        return None, (f"its test fails, but not by {mutant.expect.pattern!r} (build/mutants/{mutant.name}.log): "
                      + first_failure(out))
    text = found.string
    begin, end = text.rfind("\n", 0, found.start()) + 1, text.find("\n", found.end())
    return (text[max(begin, found.end() - 100):end].strip()[:200]
            + (f" (try {seed})" if mutant.tries > 1 else "")), None


def apply(mutant):
    status, out = run("patch", "-p1", "-s", "-f", "-F0", "--no-backup-if-mismatch", "-i", mutant.path)
    return "does not apply: put that bug back anew: " + " ".join(out.split()) if status else None


def try_mutant(mutant, sound):
    """None if its tests notice it, else what is wrong; how it was noticed is printed."""
    for test in mutant.tests if sound is not None else ():
        key = str(test)
        if key not in sound:
            wrong = build(mutant.rings, mutant.images) or passes(test)
            sound[key] = wrong and first_failure(wrong)
        if sound[key]:
            return f"its test fails without it: {sound[key]}"
    try:
        wrong = apply(mutant) or build(mutant.rings, mutant.images)
        for test in mutant.tests if not wrong else ():
            seen, wrong = notice(mutant, test)
            if wrong:
                break
            print(f"#   {seen}", flush=True)
    finally:
        copy_tree()
    return wrong


def all_mutants(folder=""):
    return [Mutant(path) for path in sorted(glob.glob(os.path.join(guest.TOP, "tests/mutants", folder, "*.patch")))]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-k", metavar="NAME", default="")
    parser.add_argument("--part", metavar="I/N")
    parser.add_argument("--blind", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--image", metavar="NAME")
    args = parser.parse_args()
    mutants = all_mutants("blind/" if args.blind else "")
    mutants = sorted((m for m in mutants if args.k in m.name or args.k == m.row), key=lambda m: m.cost)
    if args.part:
        part, parts = (int(n) for n in args.part.split("/"))
        mutants = mutants[part % parts::parts]
    if not mutants:
        # the empty folder for the blind is no mistake, so that none were tried has its reason
        print("# tests/mutants/blind/ holds no NAME.patch to try: each is one bug, its head row: and bug: and nothing more"
              if args.blind and not args.k else f"# no bug put back is called, or is of the row, {args.k or args.part}: --list names them")
        print("0 passed, 0 failed")
        return NO_TESTS
    if args.list:
        for m in sorted(mutants, key=lambda m: (m.row, m.name)):
            print(f"{m.row:9}{m.name}: {m.bug}\n{'':9}" + "; ".join(shlex.join(test) for test in m.tests)
                  + f": {m.expect.pattern}")
        return 0
    if args.record:
        return record(mutants)
    os.makedirs(os.path.dirname(TREE), exist_ok=True)
    with open(TREE + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return put_back(mutants, args.image) if args.image else try_blindly(mutants) if args.blind else try_all(mutants, args)


def try_all(mutants, args):
    copy_tree()
    killed = failed = 0
    sound = None if args.part else {}
    for number, mutant in enumerate(mutants, 1):
        print(f"# {number}/{len(mutants)} {mutant.name}: {mutant.row}: {mutant.bug}", flush=True)
        begin = time.monotonic()
        wrong = try_mutant(mutant, sound)
        print((f"not ok mutant {mutant.name}: {wrong}" if wrong else f"ok mutant {mutant.name}")
              + f" ({time.monotonic() - begin:.0f} s)", flush=True)
        killed, failed = killed + (not wrong), failed + bool(wrong)
    print(f"# killed {killed}/{len(mutants)}")
    print(f"{killed} passed, {failed} failed")
    return 1 if failed else 0 if killed else NO_TESTS


def failures(out, status):
    """The names of what failed in a ring, each with its line."""
    found = {name: line for line, name in re.findall(r"^(not ok ((?:\w+\[[^]]*\] )?[^\s:]+).*)$", out, re.M) if not FORM.search(name)}
    formal = re.search(r"^not ok lint_", out, re.M)
    return found or ({"?": f"exit status {status}: " + out.strip()[-120:]} if status and not formal else {})


def try_whole(ring):
    """What fails in it, by name; all it said. A ring that its limit cut off has failed only by what it said before."""
    status, out = run(*RINGS[ring], *WHOLE[ring], limit=RING_LIMIT)
    before, late, _ = out.partition("\nstill running after")
    failed = failures(before, not late and status)
    hang = HANGS.search(before)
    return failed or ({"?": hang.group(0)} if late and hang else {}), out


def try_blind(mutant, sound):
    """(the first ring that notices it, in which line), or nothing; sound has what fails in each ring without it."""
    for ring in WHOLE:
        try:
            wrong = apply(mutant) or build(set(WHOLE), ())
            if wrong:
                return None, wrong
            failed, out = try_whole(ring)
        finally:
            copy_tree()
        print(f"#   {ring}: {len(failed)} failed", flush=True)
        with open(log_of(mutant), "a", encoding="utf-8") as log:
            log.write(f"$ {ring}\n{out}")
        if failed and ring not in sound:
            build(set(WHOLE), ())
            sound[ring], out = try_whole(ring)
            print(f"#   {ring} as it is: {' '.join(sound[ring]) or 'passes'}", flush=True)
        for name in failed.keys() - sound.get(ring, {}):
            return ring, failed[name][:300]
    return None, "survives all rings"


def try_blindly(mutants):
    copy_tree()
    killed, sound = 0, {}
    for number, mutant in enumerate(mutants, 1):
        print(f"# {number}/{len(mutants)} {mutant.name}: {mutant.row}: {mutant.bug}", flush=True)
        begin = time.monotonic()
        if os.path.exists(log_of(mutant)):
            os.unlink(log_of(mutant))
        ring, line = try_blind(mutant, sound)
        print(f"{'ok' if ring else 'not ok'} blind {mutant.name}: {ring + ': ' if ring else ''}{line} ({time.monotonic() - begin:.0f} s)",
              flush=True)
        killed += bool(ring)
    print(f"# killed {killed}/{len(mutants)}")
    print(f"{killed} passed, {len(mutants) - killed} failed")
    return 1 if killed < len(mutants) else 0 if killed else NO_TESTS


def record(mutants):
    """Write the chapter: what the logs say, and of what has none what the chapter says."""
    top, everything = guest.TOP, all_mutants()
    recorded = recordings.held(guest.read_file(os.path.join(top, recordings.CHAPTER)))
    for mutant in mutants:
        recorded[mutant.name] = (recordings.said(mutant.expect, mutant.counted(guest.read_file(log_of(mutant))))
                                 or recorded.get(mutant.name))
    recorded = {name: lines for name, lines in recorded.items() if lines}
    text = recordings.chapter(everything, recorded, recordings.read(top, recordings.TABLE), RINGS)
    with open(os.path.join(top, recordings.CHAPTER), "w", encoding="utf-8") as f:
        f.write(text)
    wrong = list(recordings.findings(top, everything, RINGS))
    print("\n".join(wrong + [f"# {len(recorded)} recordings"]))
    return 1 if wrong else 0


def put_back(mutants, name):
    """Leave the debug image with this bug in the copy; what to type, and what will be said, goes to stderr."""
    mutant = next((m for m in mutants if m.name == name), None)
    if mutant:
        copy_tree()
    wrong = apply(mutant) or build({"kernel"}, ()) if mutant else f"no mutant is called {name}: tests/mutants/run.py --list names them"
    if wrong:
        sys.exit(wrong)
    print(f"\n  {mutant.row}: {mutant.bug}", file=sys.stderr)
    line = recordings.booted(mutant)
    if mutant.see:
        print(f"  in the guest: {mutant.see}", file=sys.stderr)
    if line or not mutant.see:
        print(f"  by its test:  {line or f'scripts/test.sh mutants {name}'}", file=sys.stderr)
    said = recordings.held(recordings.read(guest.TOP, recordings.CHAPTER)).get(name, [mutant.expect.pattern])
    print("  our report:   " + "\n                ".join(said), file=sys.stderr)
    print(os.path.join(TREE, "build/debug/Image"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
