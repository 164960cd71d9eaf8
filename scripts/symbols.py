#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The kernel's own symbol table, for backtraces: reads "nm -n" output, writes assembly.

    symbols.py --empty          the table of the first link: no symbol yet
    symbols.py <nm >ksyms.S     the table of the second link
    symbols.py --check ksyms.S <nm      does the table still say where things are?

In section .ksyms, which the linker script must place behind all code:

    uint64_t ksym_base          address of the first function
    uint32_t ksym_count         how many there are
    uint32_t ksym_offsets[]     of each, from ksym_base, ascending
    char     ksym_names[]       of each in the same order, each ended by NUL
"""
import sys

if sys.argv[1:2] == ["--help"]:
    sys.exit(print(__doc__))


def read_functions(lines):
    """(address, name) of each function, one name an address, ascending."""
    found = {}
    for line in lines:
        parts = line.split()
        if len(parts) != 3 or parts[1] not in "tTwW":
            continue
        address, name = int(parts[0], 16), parts[2]
        # $x and $d tell code from data; .L labels are the assembler's own.
        if name.startswith(("$", ".L")):
            continue
        found.setdefault(address, name)
    return sorted(found.items())


def table(functions):
    base = functions[0][0] if functions else 0
    out = ["/* Made by scripts/symbols.py. */", '\t.section .ksyms, "a"', "\t.balign 8",
           "\t.global ksym_base, ksym_count, ksym_offsets, ksym_names",
           f"ksym_base:\t.quad {base:#x}", f"ksym_count:\t.word {len(functions)}", "ksym_offsets:"]
    out += [f"\t.word {address - base:#x}" for address, _ in functions]
    out += ["ksym_names:"] + [f'\t.asciz "{name}"' for _, name in functions]
    out += ["\t.byte 0", '\t.section .note.GNU-stack, "", @progbits', ""]
    return "\n".join(out)


def main():
    if sys.argv[1:] == ["--empty"]:
        sys.stdout.write(table([]))
        return
    text = table(read_functions(sys.stdin))
    if sys.argv[1:2] == ["--check"]:
        # I-BUILD-1
        with open(sys.argv[2], encoding="ascii") as f:
            if f.read() != text:
                sys.exit("symbols: functions moved between the two links: is .ksyms behind all code in linker.ld?")
        return
    sys.stdout.write(text)


main()
