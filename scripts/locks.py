#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Print docs/locks.md, the table of lock classes, from kernel/core/lock_ranks.def."""
import os
import re
import sys

if sys.argv[1:2] == ["--help"]:
    sys.exit(print(__doc__))

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEF = os.path.join(TOP, "kernel/core/lock_ranks.def")
ROW = re.compile(r'^LOCK_CLASS\(\s*(\w+)\s*,\s*(MUTEX|SPIN)\s*,\s*(IRQ|NOIRQ)\s*,\s*"([^"]*)"\s*,'
                 r'\s*((?:"[^"]*"\s*)+)\)\s*$', re.M)
HEAD = """# Lock classes, outermost first

Made by `scripts/locks.py` from `kernel/core/lock_ranks.def`; `make lint` compares. A lock is taken only
while every lock held is of a class further up in this table; of two locks of one class, the one at the
lower address first (run queues: the lower CPU number). A mutex may sleep and is never taken with a
spinlock held. An irq-safe spinlock is taken with interrupts off; any other is never taken in an
interrupt handler.

| rank | class | kind | floor | protects |
|---:|---|---|---|---|"""


def main():
    with open(DEF, encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    rows = ROW.findall(text)
    if not rows or len(rows) != len(re.findall(r"^LOCK_CLASS\(", text, re.M)):
        sys.exit(f"{DEF}: a row does not have the form LOCK_CLASS(NAME, MUTEX|SPIN, IRQ|NOIRQ, \"floor\", \"...\")")
    print(HEAD)
    for rank, (name, kind, irq, floor, protects) in enumerate(rows, 1):
        what = "mutex" if kind == "MUTEX" else "spinlock, irq-safe" if irq == "IRQ" else "spinlock"
        text = "".join(re.findall(r'"([^"]*)"', protects))
        print(f"| {rank} | {name} | {what} | {floor} | {text} |")


main()
