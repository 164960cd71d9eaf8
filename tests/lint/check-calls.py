#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Do calls go downward too? Each symbol that an object file of ours leaves undefined must be defined on a floor
that docs/layers.txt lets it use, in third-party code, or be one of the up-calls: functions that a lower
floor declares in its own header and an upper one defines (docs/02-building.md, "Holes in the floor")."""
import os
import re
import subprocess

from lintlib import bad, files, finish, text_of

UPCALLS = set(re.findall(r"`(\w+)`", re.search(r"The functions:(.*?)The tables:", text_of("docs/02-building.md"),
                                               re.S).group(1)))
# What the compiler calls by itself, and the first CPU's structure, which boot.S puts into TPIDR_EL1.
IMPLIED = re.compile(r"__(stack_chk|asan|ubsan|tsan)_|boot_cpu$")
OUT = next((o for o in ("build/debug", "build/release") if os.path.isdir(f"{o}/obj")), None)
if OUT is None:
    bad("build", 0, "nothing is built: run make first")
    finish()

floors = {}
for line in open("docs/layers.txt", encoding="utf-8"):
    words = line.split("#")[0].replace(":", " ").split()
    if words and words[0] != "door":
        floors[words[0]] = set(words[1:]) | {words[0]}


def floor_of(path):
    above = [f for f in floors if path == f or path.startswith(f + "/")]
    return max(above, key=len, default=None)


defined, wanted = {}, []
sources = [s for s in files(".c", ".S") if floor_of(s) and os.path.exists(f"{OUT}/obj/{s}.o")]
listing = subprocess.run(["aarch64-linux-gnu-nm", "-A"] + [f"{OUT}/obj/{s}.o" for s in sources],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
for line in listing.splitlines():
    source = line.partition(":")[0][len(f"{OUT}/obj/"):-len(".o")]
    kind, symbol = line.split()[-2:]
    if kind == "U":
        wanted.append((source, floor_of(source), symbol))
    elif kind in "TDBRVWGS":
        defined[symbol] = (source, floor_of(source))
for source, floor, symbol in wanted:
    where, theirs = defined.get(symbol, (None, None))
    if theirs and theirs not in floors[floor] and symbol not in UPCALLS and not IMPLIED.match(symbol):
        bad(source, 0, f"{floor} calls {symbol} of {where}: {theirs} is not below it")
finish(f"{len(wanted)} references, {len(UPCALLS)} up-calls")
