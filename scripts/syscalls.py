#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Print docs/syscalls.md: which system calls of the packaged arm64 headers are implemented, which in part, which not.

scripts/syscalls.py              the page
scripts/syscalls.py --table      a line for each call: number, name, state, what is missing
scripts/syscalls.py --check      whether kernel/syscalls.notes and the hostile-pointer test know every implemented call"""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
UAPI = "deps/linux-libc-dev/usr/include"
NOTES = "kernel/syscalls.notes"
HOSTILE = "tests/diff/hostile.c"


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


def numbers():
    """{name: number} of all calls, as the compiler sees them."""
    done = subprocess.run(["aarch64-linux-gnu-gcc", "-E", "-dM", "-nostdinc", f"-I{UAPI}",
                           f"-I{UAPI}/aarch64-linux-gnu", "-include", "asm/unistd.h", "-xc", "/dev/null"],
                          cwd=TOP, check=True, stdout=subprocess.PIPE, text=True)
    defined = dict(re.findall(r"^#define (__NR\w*) (\w+)$", done.stdout, re.M))
    found = {}
    for name, value in defined.items():
        while value in defined:
            value = defined[value]
        if name.startswith("__NR_") and value.isdigit() and name[5:] not in ("syscalls", "arch_specific_syscall"):
            found[name[5:]] = int(value)
    return found


def notes():
    """{name: what is missing}"""
    lines = [line for line in read(NOTES).splitlines() if line and not line.startswith("#")]
    return dict(line.split(None, 1) for line in lines)


def implemented():
    table = read("kernel/sys_priv.h")
    return set(re.findall(r"\bX\((\w+)\)", table[table.index("#define SYSCALLS(X)"):table.index("DECLARE_SYSCALL")]))


def check(numbered, done, missing):
    source = read(HOSTILE)
    tried = set(re.findall(r"^CALL\((\w+)", source, re.M))
    tried |= set(re.findall(r"\w+", " ".join(re.findall(r"^NOT_TRIED\(([^)]*)\)", source, re.M))))
    wrong = [f"{HOSTILE}: no line for {name}" for name in sorted(done - tried)]
    wrong += [f"{NOTES}: {name} is not implemented" for name in sorted(set(missing) - done)]
    wrong += [f"kernel/sys_priv.h: {name} has no number" for name in sorted(done - set(numbered))]
    print("\n".join(wrong) or f"{len(done)} calls")
    return 1 if wrong else 0


def fill(names):
    """The names as lines of up to 118 columns."""
    lines = [""]
    for name in sorted(names):
        word = f"`{name}`"
        if len(lines[-1]) + len(word) > 116:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return "\n".join(lines)


def page(numbered, done, missing):
    absent = set(numbered) - done
    print(f"""# System calls

Made by `scripts/syscalls.py` from `kernel/sys_priv.h` and `kernel/syscalls.notes`; `make lint` compares. Of the
{len(numbered)} calls in the packaged arm64 headers {len(done - set(missing))} are implemented, {len(missing)} in part, and {len(absent)} are absent: these
answer `ENOSYS` and are counted in `/proc/tern/syscalls` with the program that asked. None is accepted and ignored.
The differential ring (`docs/11b-testing.md`) compares what they do with Linux.

## Implemented

{fill(done - set(missing))}

## In part

| call | what is missing |
|---|---|""")
    for name in sorted(missing):
        print(f"| `{name}` | {missing[name]} |")
    print(f"""
## Absent

{fill(absent)}""")


def main():
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    if word == "--help":
        return print(__doc__)
    numbered, done, missing = numbers(), implemented(), notes()
    if word == "--check":
        return check(numbered, done, missing)
    if word == "--table":
        for name, number in sorted(numbered.items(), key=lambda item: item[1]):
            state = "absent" if name not in done else "partial" if name in missing else "implemented"
            print(f"{number:3} {name:24} {state:12} {missing.get(name, '')}".rstrip())
    elif word:
        sys.exit(__doc__)
    else:
        page(numbered, done, missing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
