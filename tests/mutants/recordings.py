# SPDX-License-Identifier: MIT
"""docs/recordings.md: for each row of docs/bug-classes.md the bugs put back, what to type to meet them, and what was said.
Made by tests/mutants/run.py --record; what no run has said anew stays as the chapter has it."""
import os
import re
import shlex

TOP = os.path.realpath(__file__ + "/../../..")
CHAPTER, TABLE = "docs/recordings.md", "docs/bug-classes.md"
HEAD = """# Bugs put back, and what was said

A section for each row of [bug-classes.md](bug-classes.md) of whose bugs put back one is recorded, in its order. Each opens
with a recording: a bug, what to type to meet it, and what tern or the test said. Of the row's others the line that names the bug
is there. What is of one run alone is replaced: times, addresses, numbers of CPUs, threads and runs. What is to be typed
in the guest is typed after `scripts/run-qemu.sh --mutant NAME`; a line that boots meets the bug by itself, by the test. Else the
test's command is named, which `scripts/test.sh mutants NAME` runs with that bug put back ([11b](11b-testing.md), "Bugs put back").

This chapter is written by `tests/mutants/run.py --record` from what the last run of each left in `build/mutants/`.
"""
LINES, WIDTH = 6, 150
# What is of one run alone.
NOISE = [(r"^\s*\[ *\d+\.\d+\] ", ""), (r"\[ *\d+\.\d+\] ", ""), (r" \(\d+\.\d+ s\)", ""), (r"(\.\.)?/\S*/build/mutants/tree/", ""),
         (re.escape(TOP) + r"/(\./)?", ""),
         (r"\b0x[0-9a-f]{5,}\b|\bf{4}[0-9a-f]{12}\b", "ADDRESS"), (r"(?<=[0-9a-z])\+0x[0-9a-f]+\b", ""), (r"ADDRESS (?=taken|\w+$)", ""),
         (r"\b(cpu|thread|run|pid|process) \d+\b", r"\1 N"), (r"==\d+==", ""), (r" ?\(TEST_SEED=\d+\)", ""),
         (r"SHA256:\S{43}", "FINGERPRINT"), (r"\d+(\.\d+)? ?(us|ms|ns)\b", r"N \2"), (r"`", "'")]
# Of a report not what names the bug: registers, and its frame; of a model not its steps.
REST = re.compile(r"^core: (x ?\d|pc |lr |---- panic|frame)|^  cpu \d+: |^QEMU |^\(qemu\)|^core: +[0-9a-f]{16} (panic|bug)\+|^model |^the run, its|^kernel\[|^ok |^[\s=]*$|^\d+ passed, \d+ failed$")
END = re.compile(r"---- end of report|^\s*again: ")


def clean(line, expect):
    """Without the noise, but for what must be there to say what was expected."""
    for pattern, word in NOISE:
        less = re.sub(pattern, word, line)
        line = line if expect.search(line) and not expect.search(less) else less
    return re.sub(r"\s+", " ", line).strip()


def cut(line, expect):
    """At most WIDTH of it, or what it takes to see what was expected."""
    short = clean(line, expect)
    found = expect.search(short)
    if not found:
        return short[:WIDTH].rstrip()
    need = next(end for end in range(found.start(), len(short) + 1) if expect.search(short, found.start(), end))
    begin = max(0, min(need + 20 - WIDTH, found.start()))
    return ("..." if begin else "") + short[begin:max(need, begin + WIDTH)].rstrip()


def said(expect, text):
    """The lines of a test's output that name the bug; the first of them is, or leads to, what was expected. None: it is not there."""
    lines = text.splitlines()
    hits = [n for n, line in enumerate(lines) if expect.search(line)]
    if not hits:
        return None
    # The kernel's own words rather than the ring's, which repeat them.
    report = [n for n in hits if re.match(r"\s+\[ *\d+\.\d+\] ", lines[n])]
    first = (report or hits)[0]
    failed = next((line for line in lines if line.startswith(("not ok ", "FAILED "))), "")
    chosen = [] if report and " run: " in failed or failed == lines[first] else [failed] if failed else []
    chosen += [line for line in lines[max(0, first - 2):first] if re.match(r"cpu \d+ (reads|writes|has)", line)]
    # A host program that dies says why above.
    chosen += [line for line in lines if re.search(r"^BUG at |ERROR: AddressSanitizer|runtime error:", line)][:1]
    for line in lines[first:first + (40 if report else 3)]:
        if END.search(line):
            break
        if not REST.search(re.sub(r"^\s*\[ *\d+\.\d+\] ", "", line)):
            chosen.append(line)
    kept = []
    for line in (cut(line, expect) for line in chosen):
        if line and line not in kept:
            kept.append(line)
    kept = kept[:LINES]
    return kept if expect.search("\n".join(kept)) else None


def held(text):
    """What the chapter has, by name."""
    full = re.findall(r"^`(\w+)`: .*\n(?:.+\n)*\n```text\n((?:.*\n)*?)```$", text, re.M)
    return {**{name: lines.splitlines() for name, lines in full},
            **{name: [line] for name, line in re.findall(r"^- `(\w+)`: .*\n  `(.*)`$", text, re.M)}}


def rows(table):
    """(row, what goes wrong) of each line of the table of bug classes."""
    return re.findall(r"^\| ([A-Z0-9]+(?:-\d+)?) \| (.*?) \|(?: [^|]*\|){4}$", table, re.M)


def booted(mutant):
    """The line that boots the kernel with the bug and runs its test there, or None: of hosted tests and clients there is none, nor of
    another image than debug, nor where instructions are counted."""
    if mutant.boot:
        return f"scripts/run-qemu.sh --mutant {mutant.name} {mutant.boot}"
    for ring, *words in mutant.tests:
        said = dict(zip(words[::2], words[1::2]))
        name, smp = said.get("-k", ""), "9" if said.get("--gic") == "3" else said.get("--smp", "4")
        line = ["scripts/run-qemu.sh", "--mutant", mutant.name, "--smp", smp]
        if ring == "kernel" and "--image" not in said and not name.startswith("icount_"):
            seeds = f" perturb=1..{mutant.tries}" if "--perturb" in said else ""
            return shlex.join(line + ["--append", f"test={name}{seeds}"])
        if ring == "user":
            with open(os.path.join(TOP, "tests/user", name + ".c"), encoding="utf-8") as f:
                programs = sorted({name} | set(re.findall(r'"/tests/(\w+)"', f.read())))
            puts = [word for program in programs for word in ("--put", f"build/tests-user/{program}:/tests/{program}")]
            return "make build/tests.cpio && " + shlex.join(line + puts + ["--", f"/tests/{name}"])
    return None


def how(mutant, rings):
    told = f"In the guest: `{mutant.see}`\n" if mutant.see else ""
    line = booted(mutant)
    told += f"Boot: `{line}`\n" if line else ""
    return told + "Test: " + ", and ".join(f"`{shlex.join(rings[test[0]] + test[1:])}`" for test in mutant.tests)


def unrecorded_section(mutants, recorded):
    """By row, whom no run has left a recording of."""
    missing = {}
    for m in sorted(mutants, key=lambda m: m.name):
        if m.name not in recorded:
            missing.setdefault(m.row, []).append(f"`{m.name}`")
    return ["## Not recorded\n\nThese are put back and tried like the others; no log of theirs was there when this was written.\n\n"
            + "".join(f"- {row}: {' '.join(names)}\n" for row, names in missing.items())] if missing else []


def chapter(mutants, recorded, table, rings):
    """The text of the chapter. First of a row is who can be met by hand, then who can be met in a boot."""
    out = [HEAD]
    for row, what in rows(table):
        own = sorted((m for m in mutants if m.row == row and m.name in recorded), key=lambda m: (not m.see, not booted(m), m.name))
        for number, m in enumerate(own):
            lines = recorded[m.name]
            if number == 0:
                out.append(f"## {row}: {what}\n\n`{m.name}`: {m.bug}.\n{how(m, rings)}\n\n```text\n" + "\n".join(lines) + "\n```\n")
            else:
                line = next((line for line in lines if m.expect.search(line)), lines[0])
                out.append(("Also put back:\n\n" if number == 1 else "") + f"- `{m.name}`: {m.bug}:\n  `{line}`"
                           + ("\n" if m is own[-1] else ""))
    return "\n".join(out + unrecorded_section(mutants, recorded))


def read(top, name):
    with open(os.path.join(top, name), encoding="utf-8", errors="replace") as f:
        return f.read()


def findings(top, mutants, rings, unrecorded=0):
    """What is wrong with the chapter as it stands; so many have no recording yet."""
    text = read(top, CHAPTER)
    recorded = held(text)
    for m in mutants:
        if m.name not in recorded and len(mutants) - len(recorded) <= unrecorded:
            continue
        if m.name not in recorded:
            yield f"{m.name} has no recording: tests/mutants/run.py -k {m.name}, then --record"
        elif not m.expect.search("\n".join(recorded[m.name])):
            yield f"the recording of {m.name} does not say {m.expect.pattern!r}: run it, then --record"
    if text != chapter(mutants, recorded, read(top, TABLE), rings):
        yield "not what tests/mutants/run.py --record writes"
