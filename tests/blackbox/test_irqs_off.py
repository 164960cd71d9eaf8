# SPDX-License-Identifier: MIT
"""The longest time with interrupts off, counted in instructions: -icount makes one instruction one nanosecond.

The aim is 10 us in a release image; the debug image, which alone measures, does more under its locks. One CPU: with
more, -icount runs the others' instructions meanwhile."""
import os
import re
import subprocess

import pytest

import guest as guestlib

LIMIT_NS = 20000
# Not timer_storm: its callbacks spin on purpose, in the interrupt.
TESTS = "spawn_storm,wait_storm,log_storm,lock_contended,poll_storm,mutex_contention,random_draws"


def test_interrupts_are_never_off_for_long():
    image = guestlib.IMAGES["debug"]
    if not os.path.exists(image):
        pytest.fail("the debug image is not built: make DEBUG=1")
    done = subprocess.run(
        [guestlib.QEMU, "-M", "virt", "-cpu", "cortex-a76", "-smp", "1", "-m", "128M", "-nographic", "-nic", "none",
         "-semihosting", "-icount", "shift=0,sleep=off", "-kernel", image, "-append", "seed=5 test=" + TESTS],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 0, text[-3000:]
    found = re.search(r"longest time with interrupts off: (\d+) ns, to (\S+)", text)
    assert found and int(found.group(1)) > 0, text[-500:]
    assert int(found.group(1)) < LIMIT_NS, found.group(0)
