#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Name the file and line of each address in the panic reports of a console log.

scripts/symbolize.py [--elf FILE] [LOG]

LOG (default: standard input) is what the console printed. A report is what stands between its two marks, or up to the
end if the log breaks off. Of build/*/tern.elf the one is taken in which the report's addresses have the report's names.
Other lines are not shown. Status 1: no report, or no image that fits."""
import argparse
import glob
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BEGIN, END = "core: ---- panic report ----", "core: ---- end of report ----"
PLACE = re.compile(r"\b([0-9a-f]{16}) (\S+)\+0x([0-9a-f]+)")
RETURN = ("core:   ", "taken at ")


def reports(text):
    """The lines of each report, without their marks."""
    found = []
    for part in text.replace("\r", "").split(BEGIN)[1:]:
        found.append(part.split(END)[0].strip("\n").split("\n"))
        # before the mark of the end stands the time of its line
        if END in part:
            found[-1].pop()
    return found


def names_of(elf, addresses):
    """For each address the chain of (function, file:line), innermost first."""
    done = subprocess.run(["aarch64-linux-gnu-addr2line", "-afie", elf], input="\n".join(f"{a:x}" for a in addresses),
                          stdout=subprocess.PIPE, text=True, check=True)
    chains = []
    for part in re.split(r"^0x[0-9a-f]+\n", done.stdout, flags=re.M)[1:]:
        lines = part.splitlines()
        chains.append([(lines[i], os.path.relpath(lines[i + 1].split(" (")[0], TOP)
                        if lines[i + 1].startswith("/") else lines[i + 1].split(" (")[0].removeprefix("./"))
                       for i in range(0, len(lines), 2)])
    return chains


def places(lines):
    """(line number, address to look up, its name) of every place; a return address is that of the instruction behind."""
    return [(n, int(m[1], 16) - (4 if line[:m.start()].endswith(RETURN) else 0), m[2])
            for n, line in enumerate(lines) for m in PLACE.finditer(line)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elf")
    parser.add_argument("log", nargs="?")
    args = parser.parse_args()
    with open(args.log, encoding="utf-8", errors="replace") if args.log else sys.stdin as f:
        found = reports(f.read())
    if not found:
        sys.exit(f"no line says {BEGIN!r}")
    for lines in found:
        wanted = places(lines)
        best, chains = -1, None
        for elf in [args.elf] if args.elf else sorted(glob.glob(os.path.join(TOP, "build/*/tern.elf"))):
            these = names_of(elf, [address for _, address, _ in wanted])
            fit = sum(name in (function for function, _ in chain) or name == "?"
                      for (_, _, name), chain in zip(wanted, these))
            if fit > best:
                best, chains, image = fit, these, elf
        if chains is None or best * 2 < len(wanted):
            sys.exit("no image in build/ has this report's functions where it says they are: give --elf")
        print(f"{os.path.relpath(image)}: {best} of {len(wanted)} addresses have the same name")
        for n, line in enumerate(lines):
            print(line)
            for (at, _, _), chain in zip(wanted, chains):
                if at == n:
                    print("\n".join(f"        {function} {place}" for function, place in chain))


main()
