#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""House rules that the eye of a grep can see: licence line, markers, extern in .c, volatile, #if inside
functions, pointer typedefs, tabs, line ends, header guards; what is read first fits a terminal's width."""
import re

from lintlib import KERNEL, bad, code_of, files, finish, text_of

SPDX = "SPDX-License-Identifier: MIT"
# Words that put a job off; split here so that this file passes.
MARKERS = re.compile(r"\b(TO" + r"DO|X" + r"XX|FIX" + r"ME|HA" + r"CK)\b")
# Read first, and as they are: their lines that are no table's.
FIRST, FIRST_COLUMNS = ("README.md", "CONTRIBUTING.md"), 120
OURS = (".c", ".h", ".S", ".s", ".ld", ".def", ".sh", ".py", "Makefile", ".ci/run", ".mk")


def check_head(name, text):
    head = text.split("\n", 3)[:2]
    if not any(SPDX in line for line in head):
        bad(name, 1, "no SPDX line")


def check_lines(name, text):
    for number, line in enumerate(text.split("\n"), 1):
        if MARKERS.search(line):
            bad(name, number, "a marker: mend it, or state the limit plainly")
        if line != line.rstrip():
            bad(name, number, "blanks at the end of the line")
        if line.startswith("        ") and name.endswith((".c", ".h", ".S")):
            bad(name, number, "indented with blanks, not tabs")
    if text and not text.endswith("\n"):
        bad(name, text.count("\n") + 1, "no line end at the end")


def check_waits(name, text):
    """A test waits for something that it names, by until(); what time itself does, let_pass() lets pass."""
    for number, line in enumerate(text.split("\n"), 1):
        if re.search(r"\btime\.sleep\(", line) and "re.search" not in line:
            bad(name, number, "time.sleep: use until() or let_pass() of tests/guest.py")
        if re.search(r"\busleep\([^)]", line) and name.endswith(".c"):
            bad(name, number, "usleep: use AWAIT() or let_pass() of tests/user/await.h, in tests/host a wait's other side")
        above = text.split("\n")[max(0, number - 5):number]
        if re.match(r"\s+([\w:.= ,]*\W)?let_pass(_us)?\([^)]", line) and not re.search(r'/\*|\*/|#|"""', "\n".join(above)):
            bad(name, number, "let_pass: a word above it why time itself must pass")


def check_c(name, code):
    inside = False
    for number, line in enumerate(code.split("\n"), 1):
        if line.startswith("{"):
            inside = True
        elif line.startswith("}"):
            inside = False
        if inside and re.match(r"\s*#\s*(if|ifdef|ifndef|else|elif|endif)\b", line):
            bad(name, number, "#if inside a function")
        if name.endswith(".c") and re.match(r"\s*extern\b", line):
            bad(name, number, "extern in a .c file: include the header that declares it")
        if re.match(r"\s*typedef\s+(struct|union|enum)?\s*\w+\s*\*+\s*\w+\s*;", line):
            bad(name, number, "a pointer typedef")
        # volatile is for assembly only; MMIO goes through the accessors, sharing through lib/atomic.h.
        if re.search(r"\bvolatile\b", re.sub(r"\b(__)?asm(__)?\s+(__)?volatile\b", "", line)):
            bad(name, number, "volatile: use the MMIO accessors or lib/atomic.h")
        if re.match(r"\t*(if|for|while|switch)\(", line):
            bad(name, number, "no blank after the keyword")


def check_guard(name, code):
    if "/host/shim/" in name or name.startswith("lib/libc/"):
        return
    guard = "TERN_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
    found = re.search(r"#ifndef (\w+)\n#define (\w+)", code)
    if not found or found.group(1) != found.group(2):
        bad(name, 1, "no header guard")
    elif found.group(1) != guard and "arch/" not in name:
        bad(name, 1, f"the guard is {found.group(1)}, the house calls it {guard}")


for name in FIRST:
    for number, line in enumerate(text_of(name).split("\n"), 1):
        if len(line) > FIRST_COLUMNS and not line.startswith("|"):
            bad(name, number, f"{len(line)} columns, {FIRST_COLUMNS} at most")
checked = 0
for name in files():
    if name.startswith(("tests/fuzz/seeds/", "tests/bench/results/")):
        continue
    if not name.endswith(OURS):
        continue
    checked += 1
    text = text_of(name)
    check_head(name, text)
    check_lines(name, text)
    if name.endswith((".py", ".c")) and name != "tests/guest.py":
        check_waits(name, text)
    if name.endswith((".c", ".h")):
        code = code_of(name)
        if name.startswith(KERNEL) or name.startswith("tests/kernel/"):
            check_c(name, code)
        if name.endswith(".h") and not name.startswith("tests/"):
            check_guard(name, code)
finish(f"{checked} files")
