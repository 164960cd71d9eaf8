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
    image = guestlib.IMAGES["debug"]
    if not os.path.exists(image):
        pytest.fail("the debug image is not built: make DEBUG=1")
    done = subprocess.run(
        [guestlib.QEMU, "-M", "virt", "-cpu", "cortex-a76", "-smp", str(smp), "-m", "128M", "-nographic", "-nic", "none",
         "-semihosting", "-kernel", image, "-append", "test=" + name],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240)
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 1, text[-3000:]
    assert len(re.findall(once, text)) == 1, text[-3000:]
    assert len(re.findall("PANIC", text)) == 1, text[-3000:]
    for pattern in also:
        assert re.search(pattern, text), f"{pattern}\n{text[-3000:]}"
