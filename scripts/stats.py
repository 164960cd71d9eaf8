#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stats.py [--debug-only PATTERNS] FLOOR... -- code lines (no blanks, no comments) of each floor, in the order of the
building. Files that match a PATTERN (as in make: % stands for anything) are no part of the release image: they have a
row of their own.

Also the length of functions, the spine: the files named in docs/spine.md, in reading order, and what a client reaches
before it is logged in (scripts/reach.py)."""
import fnmatch
import glob
import os
import re
import sys

import reach

if sys.argv[1:2] == ["--help"]:
    sys.exit(print(__doc__))

LIMIT, SPINE_LIMIT = 25000, 4000
NOT_KERNEL = ("tests/kernel",)


def strip_comments(text):
    def keep_lines(match):
        found = match.group(0)
        return "\n" * found.count("\n") if found.startswith("/") else found
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', keep_lines, text, flags=re.S)


def code_lines(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if path.endswith((".py", ".sh", "Makefile")):
        text = re.sub(r"(?m)^\s*#.*$", "", text)
    else:
        text = strip_comments(text)
    return [line for line in text.split("\n") if line.strip()]


def function_lengths(path):
    lengths, start = [], None
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f):
            if line == "{\n":
                start = number
            elif line == "}\n" and start is not None:
                lengths.append(number - start - 1)
                start = None
    return lengths


def files_of(folder, recursive=False):
    inner = "/**/*" if recursive else "/*"
    return sorted(f for f in glob.glob(folder + inner, recursive=recursive)
                  if f.endswith((".c", ".h", ".S", ".def")))


def row(name, files, lengths):
    lines = sum(len(code_lines(f)) for f in files)
    lengths = sorted(lengths)
    sizes = (f"{lengths[len(lengths) // 2]:>6} {lengths[len(lengths) * 9 // 10]:>6} {lengths[-1]:>6}"
             if lengths else "")
    print(f"{name:<18} {len(files):>5} {lines:>7}  {sizes}")
    return lines


def spine():
    try:
        with open("docs/spine.md", encoding="utf-8") as f:
            named = re.findall(r"`([\w./-]+\.(?:c|h|S|ld))`", f.read())
    except OSError:
        return
    files = [f for f in dict.fromkeys(named) if os.path.exists(f)]
    print()
    for f in files:
        print(f"{f:<40} {len(code_lines(f)):>6}")
    total = sum(len(code_lines(f)) for f in files)
    print(f"{'the spine (docs/spine.md)':<40} {total:>6} of at most {SPINE_LIMIT}")


def main():
    print(f"{'floor':<18} {'files':>5} {'lines':>7}  {'functions: half, nine in ten, longest':>6}")
    total, everything, floors, debug_only, debug_files = 0, [], sys.argv[1:], [], []
    if floors[:1] == ["--debug-only"]:
        debug_only, floors = [p.replace("%", "*") for p in floors[1].split()], floors[2:]
    for floor in floors:
        files = files_of(floor)
        if floor not in NOT_KERNEL:
            debug_files += [f for f in files if any(fnmatch.fnmatch(f, p) for p in debug_only)]
            files = [f for f in files if f not in debug_files]
        lengths = [n for f in files for n in function_lengths(f)]
        lines = row(floor, files, lengths)
        if floor not in NOT_KERNEL:
            total += lines
            everything += lengths
    print(f"{'kernel and ssh':<18} {'':>5} {total:>7}  of at most {LIMIT}; "
          f"{sum(n > 60 for n in everything)} functions of more than 60 lines")
    row("debug images only", debug_files, [n for f in debug_files for n in function_lengths(f)])
    for folder in ("user", "tests"):
        row(folder, files_of(folder, recursive=True), [])
    tools = glob.glob("scripts/*") + glob.glob("tests/**/*.py", recursive=True) + \
        glob.glob("tests/**/*.sh", recursive=True) + ["Makefile"]
    print(f"{'scripts':<18} {len(tools):>5} {sum(len(code_lines(f)) for f in tools if os.path.isfile(f)):>7}")
    spine()
    print()
    sys.exit(reach.show() or 0)


main()
