#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Each invariant I-NAME-N is stated once in docs/ ("I-NAME-N: ...") and cited at least once in code or
tests; each one cited is stated."""
import re

from lintlib import bad, files, finish, text_of

HANDLE = re.compile(r"\bI-[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*-[0-9]+\b")
STATED = re.compile(r"^[\s>*`_-]*(I-[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*-[0-9]+)[`*_]*\s*[:.]", re.M)

stated, cited = {}, {}
for name in files(".md", under="docs/"):
    text = text_of(name)
    for found in STATED.finditer(text):
        line = text.count("\n", 0, found.start(1)) + 1
        handle = found.group(1)
        if handle in stated:
            bad(name, line, f"{handle} is stated twice, first at {stated[handle]}")
        stated.setdefault(handle, f"{name}:{line}")
for name in files(".c", ".h", ".S", ".py", ".sh", ".def"):
    for number, line in enumerate(text_of(name).split("\n"), 1):
        for handle in HANDLE.findall(line):
            cited.setdefault(handle, (name, number))
for handle, (name, number) in sorted(cited.items()):
    if handle not in stated:
        bad(name, number, f"{handle} is stated nowhere in docs/")
for handle, where in sorted(stated.items()):
    if handle not in cited:
        bad(*where.split(":"), f"{handle} is neither asserted nor tested anywhere")
finish(f"{len(stated)} invariants")
