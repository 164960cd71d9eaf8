# SPDX-License-Identifier: MIT
"""A disk, seen from both sides: what the guest writes is in the host's file, and what is in the file the guest reads (I-TEST-1).
PERF-007: who waits for a slow disk sleeps, and an error of the disk is an error of the call."""
import hashlib
import os
import re

import pytest

SIZE = 8 << 20


@pytest.fixture
def disk(tmp_path):
    file = tmp_path / "disk.img"
    file.write_bytes(os.urandom(SIZE))
    return file


def sha(data):
    return hashlib.sha256(data).hexdigest()


def test_what_the_host_wrote(boot, disk):
    g = boot(options=["--disk", str(disk)])
    data = disk.read_bytes()
    assert g.ssh("sha256sum /dev/vda").stdout.split()[0].decode() == sha(data)
    assert g.ssh("dd if=/dev/vda bs=1 skip=1021 count=700 2>/dev/null").stdout == data[1021:1721]
    assert g.ssh("blockdev --getsize64 /dev/vda; blockdev --getss /dev/vda; blockdev --getro /dev/vda").stdout.split() == [
        b"%d" % SIZE, b"512", b"0"]
    assert g.ssh("stat -c '%F %t %T %a' /dev/vda").stdout == b"block special file fe 0 600\n"
    # who may not is refused, and a node of that number made elsewhere is the same disk
    assert g.ssh("mknod /tmp/disk b 254 0; head -c 100 /tmp/disk; rm /tmp/disk").stdout == data[:100]
    assert b"No such device or address" in g.ssh("mknod /tmp/disk c 254 0; cat /tmp/disk; rm /tmp/disk").stderr


def test_what_the_guest_wrote(boot, disk):
    """Whole blocks, parts of blocks at every alignment, the end and what lies behind it; all of it in the host's file."""
    g = boot(options=["--disk", str(disk)])
    data = bytearray(disk.read_bytes())
    big = os.urandom(1_000_003)
    g.ssh("dd of=/dev/vda bs=70001 seek=3 conv=notrunc,fsync", data=big, check=True)
    data[3 * 70001:3 * 70001 + len(big)] = big
    for at, n in ((0, 1), (511, 2), (1024, 512), (5000, 5000), (SIZE - 1, 1), (SIZE - 700, 600)):
        part = os.urandom(n)
        g.ssh(f"dd of=/dev/vda bs=1 seek={at} conv=notrunc,fsync", data=part, check=True)
        data[at:at + n] = part
    done = g.ssh(f"dd of=/dev/vda bs=1000 seek={SIZE - 500}B conv=notrunc oflag=seek_bytes", data=b"x" * 1000)
    if b"invalid" not in done.stderr:
        assert b"No space left" in done.stderr
        data[SIZE - 500:] = b"x" * 500
    g.ssh("sync", check=True)
    assert sha(disk.read_bytes()) == sha(data)


def test_many_at_once(boot, disk):
    """Writers of neighbouring parts of the same blocks: none undoes another's bytes."""
    g = boot(options=["--disk", str(disk)])
    g.ssh("for i in 0 1 2 3 4 5 6 7; do (for k in 0 1 2 3 4 5 6 7 8 9; do n=$((k * 8 + i)); "
          "dd if=/dev/zero bs=100 count=1 2>/dev/null | tr '\\0' $i | "
          "dd of=/dev/vda bs=100 seek=$n conv=notrunc 2>/dev/null; done) & done; wait; sync", check=True)
    want = b"".join(b"%d" % i * 100 for _ in range(10) for i in range(8))
    assert disk.read_bytes()[:len(want)] == want


def test_read_only_and_a_second_disk(boot, disk, tmp_path):
    second = tmp_path / "second.img"
    second.write_bytes(b"the second\n" + bytes(1013))
    g = boot(options=["--disk", f"{disk},readonly=on", "--disk", str(second)])
    done = g.ssh("echo x >/dev/vda; blockdev --getro /dev/vda; head -n 1 /dev/vdb")
    assert done.stdout == b"1\nthe second\n" and b"not permitted" in done.stderr


def test_slow_disk_is_slept_for(boot, disk):
    """Twenty transfers a second: the CPU does other things meanwhile, and the reader is asleep."""
    g = boot(smp=1, options=["--disk", f"{disk},throttling.iops-total=20"])
    done = g.ssh("dd if=/dev/vda of=/dev/null bs=64k count=20 2>/dev/null & "
                 "cat /proc/stat | head -n 1; wait; cat /proc/stat | head -n 1")
    before, after = ([int(v) for v in line.split()[1:]] for line in done.stdout.splitlines())
    busy = sum(after[:3]) - sum(before[:3])
    idle = after[3] - before[3]
    assert idle > busy, (before, after)


def test_bad_sector(boot, disk, tmp_path):
    """What the disk cannot read is EIO, for whoever reads it, and for nobody else."""
    rules = tmp_path / "rules"
    rules.write_text('[inject-error]\nevent = "read_aio"\nerrno = "5"\nsector = "2048"\n')
    g = boot(options=["--disk", f"blkdebug:{rules}:{disk}"])
    done = g.ssh("dd if=/dev/vda of=/dev/null bs=512 skip=2048 count=1; dd if=/dev/vda bs=512 count=4 2>/dev/null")
    assert b"Input/output error" in done.stderr and done.stdout == disk.read_bytes()[:2048]
    assert not re.search("is reset", g.console())
