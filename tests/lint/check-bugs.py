#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""docs/bug-classes.md: each demanded row is there once, its invariant is stated in the book, its file exists, each test it
names is defined (in a host or kernel test, a fuzz target, a torture or differential program, pytest or lint), and its last
column names exactly the patches of tests/mutants that put it back, or says "none: " and why. What a patch must fail is
among the tests of its row. docs/recordings.md has the recording of each patch, is of no other, and says what they say. Rows with neither may only
become fewer: UNPROVED is their number, UNRECORDED that of the patches without a recording. An older number stands for rows that there are.
What SECURITY.md names is there: tests (all names with a "_" but those of FILES), files, invariants.

check-bugs.py --write fills in the patches, their tests, and the number here."""
import glob
import os
import re
import sys

from lintlib import TOP, bad, files, finish, text_of

sys.path.insert(0, os.path.join(TOP, "tests/mutants"))
import recordings  # noqa: E402  (the path above leads to it)
import run  # noqa: E402

TABLE = "docs/bug-classes.md"
PATCHES = "tests/mutants"
UNPROVED = 0
UNRECORDED = 0
DEMANDED = """A1-13 H1-7 L1-9 RC-001-024 MS-001-007 PERF-001-008 REL-001-008 USER-001-003 ARCH-001-003 N1-16 X-01-33
OWN-1-29""".split()
OLDER = ["RC-001-024"]
PROMISES = "SECURITY.md"
FILES = {"authorized_keys", "sshd_config"}
HANDLE = re.compile(r"^[\s>*`_-]*(I-[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*-[0-9]+)[`*_]*\s*[:.]", re.M)


def rows_of(words):
    for word in words:
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


def patches():
    """The patches of each row."""
    found = {}
    for path in sorted(glob.glob(PATCHES + "/*.patch")):
        row = re.search(r"^row: (.*)$", text_of(path), re.M)
        found.setdefault(row.group(1) if row else "", []).append(os.path.basename(path)[:-len(".patch")])
    return found


def unnamed(row, proof):
    """What the row's patches are to fail and the row does not name."""
    named = re.findall(r"`(\w+)`", proof)
    for patch in back.get(row, []):
        for words in re.findall(r"^test: (.*)$", text_of(f"{PATCHES}/{patch}.patch"), re.M)[0].split(";"):
            word = re.search(r" -k ['\"]?([\w/]+)", words).group(1)
            wanted = {name for name in known if word in name or name == "diff_" + word.split("/")[0]}
            if not wanted & set(named):
                named.append(word if word in known else sorted(wanted)[0] if wanted else word)
                yield named[-1]


def lines_of(text):
    """Of each line of a table its number and cells, of other lines none."""
    for number, line in enumerate(text.split("\n"), 1):
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        yield number, line, cells if cells and not cells[0].startswith(("row", "old number", "---")) else []


def cell_for(names):
    return " ".join(f"`{name}`" for name in names)


def write(back):
    text, unproved = [], 0
    for _, line, cells in lines_of(text_of(TABLE)):
        if len(cells) == 6:
            if cells[0] in back or not cells[5].startswith("none: "):
                cells[5] = cell_for(back.get(cells[0], []))
            unproved += not cells[5]
            cells[4] += "".join(f" `{test}`" for test in unnamed(cells[0], cells[4]))
            line = "| " + " | ".join(cells[:5]) + f" | {cells[5]} |".replace("|  |", "| |")
        text.append(line)
    with open(TABLE, "w", encoding="utf-8") as f:
        f.write("\n".join(text))
    own = re.sub(r"^UNPROVED = \d+$", f"UNPROVED = {unproved}", text_of("tests/lint/check-bugs.py"), flags=re.M)
    with open("tests/lint/check-bugs.py", "w", encoding="utf-8") as f:
        f.write(own)


def check_row(number, cells):
    row, _, handle, where, proof, put_back = cells
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
    for test in unnamed(row, proof):
        bad(TABLE, number, f"{row} does not name {test}, which its patch fails (--write adds it)")
    if put_back != cell_for(back.get(row, [])) and not (row not in back and put_back.startswith("none: ")):
        bad(TABLE, number, f"{row} is put back by {cell_for(back.get(row, [])) or 'no patch'} (--write fills it in)")


def check_promises():
    for number, line in enumerate(text_of(PROMISES).split("\n"), 1):
        for handle in set(re.findall(r"\bI-[A-Z0-9-]+-\d+\b", line)) - stated:
            bad(PROMISES, number, f"{handle} is stated nowhere in docs/")
        for name in set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`", line)) - known - FILES:
            bad(PROMISES, number, f"no test is called {name}")
        for name in re.findall(r"`(\w[\w/]*(?:/|\.\w+))`", line):
            if not os.path.exists(name) and not glob.glob(f"tests/*/{name}"):
                bad(PROMISES, number, f"{name} does not exist")


def check_kernel_tests(mutant):
    """A boot wants the whole name of a test."""
    for ring, *words in mutant.tests:
        for name in words[words.index("-k") + 1].split(",") if ring == "kernel" else ():
            if name not in known:
                bad(f"{PATCHES}/{mutant.name}.patch", 3, f"no test of the kernel is called {name}")


back, known = patches(), tests()
if sys.argv[1:] == ["--write"]:
    write(back)
    sys.exit()
stated = {h for name in files(".md", under="docs/") for h in HANDLE.findall(text_of(name))}
want, older = list(rows_of(DEMANDED)), list(rows_of(OLDER))
seen, seen_older = set(), set()
gaps = unproved = 0
for number, _, cells in lines_of(text_of(TABLE)):
    if len(cells) not in (3, 6):
        continue
    full = len(cells) == 6
    if cells[0] in (seen if full else seen_older) or cells[0] not in (want if full else older):
        bad(TABLE, number, f"{cells[0]} is there twice, or nobody asks for it")
    (seen if full else seen_older).add(cells[0])
    if full:
        check_row(number, cells)
        gaps += "gap:" in cells[4]
        unproved += not cells[5]
    elif not cells[2].startswith("none: ") and (not cells[2] or set(cells[2].split()) - set(want)):
        bad(TABLE, number, f"{cells[0]} stands for no rows")
check_promises()
for row in set(want) - seen | set(older) - seen_older | set(back) - set(want):
    bad(TABLE, 1, f"{row} is missing")
if unproved > UNPROVED:
    bad(TABLE, 1, f"{unproved} rows have no patch and no reason, {UNPROVED} had none before")
for one in run.all_mutants():
    check_kernel_tests(one)
for wrong in recordings.findings(TOP, run.all_mutants(), run.RINGS, UNRECORDED):
    bad(recordings.CHAPTER, 1, wrong)
finish(f"{len(seen)} rows, {gaps} with a gap, {unproved} that nothing puts back")
