#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""docs/bug-classes.md: each demanded row is there once, its invariant is stated in the book, its file exists, and
each test it names is defined: in a host or kernel test, a fuzz target, a torture or differential program, pytest or lint."""
import glob
import os
import re

from lintlib import bad, files, finish, text_of

TABLE = "docs/bug-classes.md"
DEMANDED = """A1-13 H1-7 L1-7 L9 RC-001-005 RC-009-011 RC-013-014 MS-001-003 MS-005 PERF-001-005 REL-003 REL-005 REL-008
ARCH-001-003 X-01-02 X-05-24 X-26-27 X-30-33 RC-012 RC-021 MS-007 RC-015 RC-016 RC-017 RC-018 RC-019 X-03 X-04
MS-004 MS-006 L8 N1-16 REL-007 PERF-006-008 REL-001-002 REL-004 RC-006-008 RC-020 REL-006 X-28 USER-001-003 OWN-1-7""".split()
HANDLE = re.compile(r"^[\s>*`_-]*(I-[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*-[0-9]+)[`*_]*\s*[:.]", re.M)


def demanded():
    for word in DEMANDED:
        stem, first, last = re.fullmatch(r"([A-Z]+-?)(\d+)(?:-(\d+))?", word).groups()
        for number in range(int(first), int(last or first) + 1):
            yield f"{stem}{number:0{len(first)}d}" if stem.endswith("-") else f"{stem}{number}"


def tests():
    names = {"soak"} | {os.path.basename(p)[:-2] for p in glob.glob("tests/user/*.c") + glob.glob("tests/fuzz/*_fuzz.c")}
    names |= {"diff_" + os.path.basename(p)[:-2] for p in glob.glob("tests/diff/*.c")}
    names |= {"lint_" + os.path.basename(p).split(".")[0][6:].replace("-", "_") for p in glob.glob("tests/lint/check-*")}
    for name in files("_kt.c", "_test.c", under="tests/"):
        names |= set(re.findall(r"^K?TEST\((\w+)\)", text_of(name), re.M))
    for name in files(".py", under="tests/blackbox/"):
        names |= set(re.findall(r"^def (test_\w+)", text_of(name), re.M))
    return names


stated = {h for name in files(".md", under="docs/") for h in HANDLE.findall(text_of(name))}
known, want, seen = tests(), list(demanded()), set()
gaps = 0
for number, line in enumerate(text_of(TABLE).split("\n"), 1):
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    if len(cells) != 5 or cells[0] in ("row", "---"):
        continue
    row, _, handle, where, proof = cells
    if row in seen or row not in want:
        bad(TABLE, number, f"{row} is there twice, or nobody asks for it")
    seen.add(row)
    if handle not in stated:
        bad(TABLE, number, f"{handle} is stated nowhere in docs/")
    if not os.path.exists(where.strip("`")):
        bad(TABLE, number, f"{where} does not exist")
    named = re.findall(r"`(\w+)`", proof)
    if not named:
        bad(TABLE, number, f"{row} names no test")
    for test in named:
        if test not in known:
            bad(TABLE, number, f"no test is called {test}")
    gaps += "gap:" in proof
for row in want:
    if row not in seen:
        bad(TABLE, 1, f"{row} is missing")
finish(f"{len(seen)} rows, {gaps} with a gap")
