#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the disassembly proves. In the linked kernel, no function but those of arch/aarch64/fpsimd.S touches a
vector register, so a thread's own survive in place; in vectors.o nothing addresses file-scope
data, so that no state is shared between CPUs there; a spinlock is taken by a load with acquire and left by a store with
release; no MMIO access is made by an instruction that a
hypervisor cannot decode (write-back or pair), since mmio.h's accessors are single plain loads and stores."""
import os
import re
import subprocess

from lintlib import bad, finish

VECTOR = re.compile(r"(?<![\w#<.+])(?:[vqdshb](?:[12]?\d|3[01])(?:\.\w+)?(?:\[\d+\])?)(?![\w>:])")
FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
# Integer mnemonics never have such operands; these do, in names of registers or barriers.
HARMLESS = re.compile(r"^(dmb|dsb|isb|msr|mrs|b|bl|b\.\w+|cbn?z|tbn?z|adrp?|\.word|\.inst|udf|hint)$")


def disassemble(path, *options):
    return subprocess.run(["aarch64-linux-gnu-objdump", "-d", *options, path], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.splitlines()


def functions_of(path):
    done = subprocess.run(["aarch64-linux-gnu-nm", path], check=True, text=True, stdout=subprocess.PIPE)
    return {line.split()[2] for line in done.stdout.splitlines() if len(line.split()) == 3}


def check_vectors(out):
    elf = f"{out}/tern.elf"
    allowed = set()
    for name in ("fpsimd.S", "fpsimd.c"):
        if os.path.exists(f"{out}/obj/arch/aarch64/{name}.o"):
            allowed |= functions_of(f"{out}/obj/arch/aarch64/{name}.o")
    function, count = "?", 0
    lines = disassemble(elf, "--no-show-raw-insn")
    check_ordered(out, "\n".join(lines))
    for line in lines:
        found = FUNCTION.match(line)
        if found:
            function = found.group(1)
            continue
        parts = line.split("\t")
        if len(parts) < 3:
            continue
        count += 1
        operands = parts[2].split("//")[0]
        if not HARMLESS.match(parts[1].strip()) and VECTOR.search(operands) and function not in allowed:
            bad(elf, function, f"uses a vector register: {parts[1]} {operands}")
    return count


def check_ordered(out, lines):
    """X-15: what is done under a lock is seen by who takes it next."""
    for name, wanted in (("spin_take_slowly", r"\t(ldaxr|casal?|swpal?)\t"), ("spin_unlock", r"\tstlr\t")):
        if f"<{name}>:" in lines and not re.search(rf"<{name}>:\n(?:.+\n)*?.*{wanted}", lines):
            bad(f"{out}/tern.elf", name, "orders nothing: no acquire, or no release")


def check_vectors_object(out):
    path = f"{out}/obj/arch/aarch64/vectors.S.o"
    if not os.path.exists(path):
        return
    for line in disassemble(path, "-r"):
        # nothing but calls: what else it needs, it finds by a register (L2)
        if re.search(r"R_AARCH64_(?!CALL26|JUMP26|CONDBR19|TSTBR14)", line):
            bad(path, 0, f"addresses data: {line.split()[-1]}")


total = 0
for out in ("build/release", "build/debug"):
    if os.path.exists(f"{out}/tern.elf"):
        total += check_vectors(out)
        check_vectors_object(out)
if not total:
    bad("build", 0, "no kernel is built: run make first")
finish(f"{total} instructions")
