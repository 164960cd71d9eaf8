# SPDX-License-Identifier: MIT
"""Row A6: very many frames of 1 to 1514 bytes through QEMU's own device. QEMU looks at each descriptor and says on its
stderr what it does not like; the transmit ring's index passes 65536 several times, the receive ring's at least once."""
import re
import subprocess

import pytest

import guest as guestlib


@pytest.mark.parametrize("packets", [200000, pytest.param(1000000, marks=pytest.mark.long)])
def test_packets(packets):
    done = subprocess.run(
        [guestlib.QEMU, "-M", "virt", "-cpu", "cortex-a76", "-smp", "2", "-m", "128M", "-nographic",
         "-global", "virtio-mmio.force-legacy=false", "-netdev", "user,id=n0", "-device",
         "virtio-net-device,netdev=n0", "-device", "virtio-rng-device", "-semihosting", "-kernel", guestlib.image_path(),
         "-append", f"test=long_packets packets={packets}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600 * guestlib.patience)
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 0, text[-3000:]
    assert not guestlib.forbidden_lines(text), text[-3000:]
    found = re.search(r"(\d+) frames sent, (\d+) received", text)
    assert found and int(found.group(1)) >= packets, text[-500:]
    assert int(found.group(2)) >= min(packets // 2, 65537), found.group(0)
