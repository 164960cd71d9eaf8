#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The differential ring: what the programs tests/diff/AREA.c print under tern is what they print under Linux.

tests/diff/run.py [-k AREA[/CASE]] [--smp 4] [--image debug|asan|tsan|release]     run under tern, compare
tests/diff/run.py --record [-k AREA[/CASE]] run under Debian's kernel, write tests/diff/expected/AREA, or the case's part of it
tests/diff/run.py --again [-k AREA]        run under Debian's kernel, compare with what was written

A case is a test. tests/diff/gaps lists the cases in which tern is known to differ, a reason each; one that has
stopped to differ fails until its line is gone."""
import argparse
import difflib
import glob
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))
import guest as guestlib  # noqa: E402  (the paths above lead to these two)
import guests  # noqa: E402
import peer  # noqa: E402

sys.path.insert(0, os.path.join(HERE, "..", "..", "scripts"))
import syscalls  # noqa: E402

FOLDER = "/tests/diff"
SECONDS = 300
NO_TESTS = 5  # the exit status of a run without any, as pytest's
# What Linux is given for what it does in workers of its own: settle() in lib/diff.h.
SETTLE_MS = 100


def expected_path(area):
    return os.path.join(HERE, "expected", area)


def parse(text):
    """{case: [(line, number of its source line)]} and whether the program came to its end."""
    cases, now = {}, None
    for line in text.splitlines():
        text, tab, number = line.rpartition("\t")
        line = text if tab else line
        if line == "== end":
            return cases, True
        if line.startswith("== "):
            now = cases.setdefault(line[3:], [])
        elif now is not None:
            now.append((line, number))
    return cases, False


def words_of(lines):
    return [text for text, _ in lines]


def read_expected(area):
    text = guestlib.read_file(expected_path(area))
    return parse("".join(f"{line}\t\n" for line in text.splitlines() if not line.startswith("# ")))[0]


def source_cases(area):
    """Of a C program, or of a script for BusyBox's shell."""
    return (re.findall(r"^(?:CASE|CALL|STATE)\((\w+)", guestlib.read_file(os.path.join(HERE, area + ".c")), re.M) or
            re.findall(r"^case_(\w+)\(\)", guestlib.read_file(os.path.join(HERE, area + ".sh")), re.M))


def read_gaps():
    """{AREA/CASE: reason}"""
    lines = guestlib.read_file(os.path.join(HERE, "gaps")).splitlines()
    return dict(line.split(None, 1) for line in lines if line and not line.startswith("#"))


def show(area, want, got):
    """A unified diff, tern's lines with where they are printed."""
    numbers = {}
    for text, number in got:
        numbers.setdefault(text, []).append(number)
    for line in list(difflib.unified_diff(words_of(want), words_of(got), lineterm="", n=2))[2:]:
        where = ""
        if line[0] in "+ " and numbers.get(line[1:]):
            where = f"    [{area}.c:{numbers[line[1:]].pop(0)}]"
        print(f"    {line}{where}")


class Count:
    def __init__(self):
        self.passed = self.failed = 0

    def test(self, name, why):
        if why is None:
            self.passed += 1
            print(f"ok {name}", flush=True)
        else:
            self.failed += 1
            print(f"not ok {name}: {why}", flush=True)
        return why is None

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0 if self.passed else NO_TESTS


# ---- under tern

def run_cases(g, host, area, cases):
    """Run them, all at once and, behind one that took the program or the guest with it, those that are left."""
    found, left, trouble = {}, list(cases), ""
    while left:
        if not g.alive():
            g.start()
        try:
            done = g.ssh(host.words(), f"{FOLDER}/{area}", *left, timeout=SECONDS)
            text, trouble = done.stdout.decode(errors="replace"), f"the program ended with {done.returncode}"
        except subprocess.TimeoutExpired as late:
            text, trouble = (late.stdout or b"").decode(errors="replace"), "no end"
            g.stop()
        part, ended = parse(text)
        found.update(part)
        if ended:
            break
        last = list(part)[-1] if part else left[0]
        found.setdefault(last, []).append((f"({trouble})", "0"))
        left = left[left.index(last) + 1:]
    return found


def absent(area, case, got, implemented):
    """Of hostile's cases, one a call: that the call is not there, and says so whatever it is given."""
    answers = set(re.findall(r"\b(?:ok|E[A-Z0-9]+)\b", " ".join(words_of(got))))
    return area == "hostile" and case not in implemented and answers == {"ENOSYS"}


def compare(count, g, host, area, only):
    expected, gaps, implemented = read_expected(area), read_gaps(), syscalls.implemented()
    cases = [c for c in source_cases(area) if only in (None, c)]
    found = run_cases(g, host, area, cases)
    for case in cases:
        name = f"{area}/{case}"
        want, got = expected.get(case), found.get(case, [])
        same = want is not None and words_of(want) == words_of(got) or absent(area, case, got, implemented)
        if name in gaps:
            if same:
                count.test(f"diff {name}", "the gap is closed: take its line out of tests/diff/gaps")
            else:
                count.test(f"diff {name} (known gap: {gaps[name]})", None)
        elif want is None:
            count.test(f"diff {name}", "never recorded: tests/diff/run.py --record")
        elif not count.test(f"diff {name}", None if same else "differs from Linux"):
            show(area, want, got)
    if g.alive():
        g.check_console()
    else:
        count.test(f"diff {area}", "the guest ended")
        print("\n".join("    " + line for line in g.tail(20).splitlines()), flush=True)


def under_tern(areas, only, smp, image, host):
    count = Count()
    options = []
    for area in areas:
        options += ["--put", f"{os.path.join(guestlib.TOP, 'build/tests-diff', area)}:{FOLDER}/{area}"]
    guestlib.choose(image)
    g = guestlib.Guest("diff", smp=smp, options=options)
    try:
        for area in areas:
            begin = time.monotonic()
            try:
                compare(count, g, host, area, only)
                print(f"# {area}: {time.monotonic() - begin:.1f} s", flush=True)
            except (AssertionError, subprocess.TimeoutExpired) as error:
                first, _, rest = str(error).partition("\n")
                count.test(f"diff {area}", first)
                print(rest)
                g.stop()
    finally:
        g.stop()
    return count.end()


# ---- under Linux

def run_on_linux(g, host, area, only):
    """Its output without source lines. It runs twice, to see that what it prints repeats. Of one case: that of the others
    is what was written."""
    rounds = []
    for _ in range(2):
        words = [f"{FOLDER}/{area}"] + ([only] if only else [])
        cases, ended = parse(g.ssh(host.words(), f"SETTLE_MS={SETTLE_MS}", *words, timeout=SECONDS).decode(errors="replace"))
        if not ended:
            raise guests.Failed("the program did not come to its end")
        if only:
            known = read_expected(area) | cases
            cases = {case: known[case] for case in source_cases(area) if case in known}
        rounds.append([line for case, lines in cases.items() for line in [f"== {case}"] + words_of(lines)])
    if rounds[0] != rounds[1]:
        raise guests.Failed("two runs differ:\n" + "\n".join(difflib.unified_diff(*rounds, lineterm="")))
    return rounds[0]


def under_linux(areas, only, write, host):
    """Run under Debian's kernel; write what comes out, or compare it with what was written."""
    count = Count()
    kernel = guests.linux("debian")
    version = re.match(r"Linux \S+", kernel.about).group(0)
    overlay = os.path.join(guests.WORK, "diff.cpio")
    subprocess.run(["scripts/mkcpio.py", "--strip", "aarch64-linux-gnu-strip", "-o", overlay] +
                   [f"{FOLDER}/{area}=build/tests-diff/{area}" for area in areas], cwd=guestlib.TOP, check=True)
    with open(kernel.initrd, "rb") as first, open(overlay, "rb") as second:
        files = first.read()
        files += bytes(-len(files) % 512) + second.read()
    kernel.initrd = os.path.join(guests.WORK, "with-diff.cpio")
    with open(kernel.initrd, "wb") as f:
        f.write(files)
    with guests.Running(kernel, smp=2) as g:
        g.ready()
        g.ssh("mount -t tmpfs tmp /tmp; for kind in hardlinks symlinks fifos regular; do "
              "echo 0 >/proc/sys/fs/protected_$kind; done; ifconfig lo 127.0.0.1 up; "
              "echo 0 2000 >/proc/sys/net/ipv4/ping_group_range")
        for area in areas:
            name = f"diff {area} under {version}"
            try:
                lines = run_on_linux(g, host, area, only)
            except guests.Failed as error:
                count.test(name, str(error))
                continue
            if write:
                with open(expected_path(area), "w", encoding="utf-8") as f:
                    f.write(f"# {version}, Debian's arm64 kernel: written by tests/diff/run.py --record\n")
                    f.writelines(line + "\n" for line in lines)
            want = guestlib.read_file(expected_path(area)).splitlines()[1:]
            if not count.test(name, None if want == lines else "not what was recorded"):
                print("\n".join("    " + d for d in difflib.unified_diff(want, lines, lineterm="", n=2)))
    return count.end()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-k", metavar="AREA", default="")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--smp", type=int, default=4)
    parser.add_argument("--image", default="debug")
    args = parser.parse_args()
    wanted, _, only = args.k.partition("/")
    areas = sorted(os.path.splitext(os.path.basename(p))[0] for kind in ("c", "sh")
                   for p in glob.glob(os.path.join(HERE, "*." + kind)))
    areas = [a for a in areas if wanted in a]
    if not areas:
        print("0 passed, 0 failed")
        return NO_TESTS
    subprocess.run(["make", "-s", *[f"build/tests-diff/{a}" for a in areas]], cwd=guestlib.TOP, check=True)
    if args.record or args.again:
        subprocess.run(["make", "-s", "build/bench/control", "build/bench/net"], cwd=guestlib.TOP, check=True)
        try:
            with peer.Peer() as host:
                return under_linux(areas, only or None, args.record, host)
        except guests.Failed as error:
            sys.exit(f"diff: {error}")
    with peer.Peer() as host:
        return under_tern(areas, only or None, args.smp, args.image, host)


sys.exit(main())
