#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Device registers are touched only by the accessors of arch/: one plain load or store each, from a base
register, without write-back and not of a pair, so that a hypervisor can emulate it. Elsewhere a pointer
into device memory is only handed on."""
import re

from lintlib import bad, code_of, files, finish, text_of

ACCESSOR = re.compile(r"\b(mmio_(?:read|write)\w*)\s*\([^;{]*\)\s*\{(.*?)\n\}", re.S)
TEMPLATE = re.compile(r'^(ldr|ldrb|ldrh|str|strb|strh) %[wx]?\[?\w+\]?, (\[%[x]?\[?\w+\]?\]|%\[?\w+\]?)$')

accessors = 0
for name in files(".c", ".h", under=("arch/",)):
    text = code_of(name)
    for found in ACCESSOR.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        strings = re.findall(r'\basm\s+volatile\s*\(\s*"([^"]*)"', found.group(2))
        strings += re.findall(r'\b__asm__\s+(?:__)?volatile(?:__)?\s*\(\s*"([^"]*)"', found.group(2))
        moves = [s for s in strings if not s.startswith(("dmb", "dsb"))]
        accessors += 1
        if len(moves) != 1 or not TEMPLATE.match(moves[0]):
            bad(name, line, f"{found.group(1)}: not one plain load or store: {moves}")
        constraints = re.findall(r'"(=?[+&]*[mQrZ]+)"\s*\(\*', found.group(2))
        if any("m" in c for c in constraints):
            bad(name, line, f"{found.group(1)}: an \"m\" operand may get write-back; use \"r\" and [%0]")
for name in files(".c", ".h", under=("lib/", "kernel/", "drivers/", "mm/", "sched/", "fs/", "net/", "ssh/")):
    for number, line in enumerate(text_of(name).split("\n"), 1):
        if re.search(r"\b(ioremap|mmio_map|device_map)\w*\(", line) and re.search(r"\)\s*->|\*\s*\(\s*\w+ \*\)", line):
            bad(name, number, "device memory dereferenced: use mmio_read or mmio_write")
finish(f"{accessors} accessors")
