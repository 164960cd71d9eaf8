# SPDX-License-Identifier: MIT
"""A BREAK on the serial line: the report on the console, and no byte for who reads there."""
import subprocess

import guest as guestlib


def test_break_reports(tmp_path):
    log = tmp_path / "console.log"
    with open(log, "wb") as f:
        qemu = subprocess.Popen(
            [guestlib.QEMU, "-M", "virt", "-cpu", "cortex-a76", "-smp", "2", "-m", "128M", "-display", "none", "-nic", "none",
             "-semihosting", "-serial", "mon:stdio", "-kernel", guestlib.image_path()],
            stdin=subprocess.PIPE, stdout=f, stderr=subprocess.STDOUT)
    try:
        guestlib.until("the boot", lambda: b"tern: up after" in log.read_bytes(), seconds=120)
        # of QEMU's multiplexer: Ctrl-A B
        qemu.stdin.write(b"\x01b")
        qemu.stdin.flush()
        guestlib.until("the report", lambda: b"---- end of report ----" in log.read_bytes(), seconds=120)
    finally:
        qemu.kill()
        qemu.wait()
    text = log.read_text(errors="replace").replace("\r", "")
    assert "core: ---- report ----" in text and "core: cpu 0: " in text and "core: cpu 1: " in text, text[-3000:]
    assert "reaper: blocked, cpu" in text and "sched_block+" in text, text[-3000:]
