# SPDX-License-Identifier: MIT
"""The end of the machine: what it prints, and its exit status. The debug image's die_ tests end it on purpose."""
import os
import re
import subprocess

import pytest

import guest as guestlib

# test, what must be printed once, what else
CASES = [
    ("die_panic", r"PANIC: on purpose, number 42", [r"kt_die_panic\+", r"cpu \d holds PGCACHE", r"cpu 0.*thread"]),
    ("die_fault", r"PANIC: unexpected exception in the kernel: data abort", [r"pc \w+ kt_die_fault\+", r"x27 "]),
    ("die_overflow", r"PANIC: kernel stack overflow", [r"recurse\+"]),
    ("die_in_log", r"PANIC: inside the console's write", [r"backtrace"]),
    ("die_everywhere", r"PANIC: all at once", [r"panic_fn\+"]),
    ("die_in_irq", r"PANIC: in an interrupt", [r"timer_interrupt\+", r"irq depth 1"]),
]


@pytest.mark.parametrize("smp", [1, 4])
@pytest.mark.parametrize("name,once,also", CASES)
def test_panic(name, once, also, smp):
    done = subprocess.run(
        [guestlib.QEMU, "-M", "virt", "-cpu", "cortex-a76", "-smp", str(smp), "-m", "128M", "-nographic", "-nic", "none",
         "-semihosting", "-kernel", guestlib.image_path(), "-append", "test=" + name],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240 * guestlib.patience)
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 1, text[-3000:]
    assert len(re.findall(once, text)) == 1, text[-3000:]
    assert len(re.findall("PANIC", text)) == 1, text[-3000:]
    for pattern in also:
        assert re.search(pattern, text), f"{pattern}\n{text[-3000:]}"
    assert re.search(r"core: ---- panic report ----.*PANIC: .*core: ---- end of report ----", text, re.S), text[-3000:]


def test_report_in_lines(tmp_path):
    """scripts/symbolize.py names the line that panicked, from a file and from standard input; without a report it fails."""
    source = guestlib.read_file(os.path.join(guestlib.TOP, "tests/kernel/die_kt.c"))
    line = source[:source.index('panic("on purpose')].count("\n") + 1
    log = tmp_path / "console.log"
    with open(log, "wb") as f:
        subprocess.run(
            [guestlib.QEMU, "-M", "virt", "-cpu", "cortex-a76", "-m", "128M", "-nographic", "-nic", "none", "-semihosting",
             "-kernel", guestlib.image_path(), "-append", "test=die_panic"],
            stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT, timeout=240 * guestlib.patience, check=False)
    script = os.path.join(guestlib.TOP, "scripts/symbolize.py")
    for words, text in (([str(log)], None), ([], log.read_bytes())):
        done = subprocess.run([script] + words, input=text, stdout=subprocess.PIPE, check=True)
        out = done.stdout.decode()
        assert f"kt_die_panic tests/kernel/die_kt.c:{line}\n" in out, out
        assert f"build/{guestlib.run_image}/tern.elf: " in out and "PANIC: on purpose, number 42" in out and "mm: " not in out, out
        # and where the lock was taken that it holds
        assert re.search(rf"holds PGCACHE.*\n +kt_die_panic tests/kernel/die_kt.c:{line - 1}\n", out), out
    done = subprocess.run([script], input=b"nothing here\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1 and b"no line says" in done.stderr
