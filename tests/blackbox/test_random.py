# SPDX-License-Identifier: MIT
"""Keys and their seed (X-17): a machine that has none is given none until enough has happened to it, and no two boots
ever have a key in common. These guests have no disk, so each makes itself a host key."""
import re
import subprocess
import threading

import guest as guestlib
import sshraw


def command(*more, machine=""):
    return [guestlib.QEMU, "-M", "virt,gic-version=2" + machine, "-cpu", "cortex-a76", "-smp", "1", "-m", "128M",
            "-kernel", guestlib.image_path(), "-global", "virtio-mmio.force-legacy=false", "-display", "none", "-no-reboot",
            "-semihosting-config", "enable=on,target=native", "-serial", "stdio", "-monitor", "none", *more]


class Boot:
    """A guest whose console is read by a thread, and typed at."""

    def __init__(self, words):
        self.text = ""
        self.qemu = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.qemu.stdout:
            self.text += line.decode(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.qemu.kill()
        self.qemu.wait()
        self.reader.join()
        if kind is None:
            assert not guestlib.forbidden_lines(self.text), self.text[-2000:]

    def wait_for(self, pattern, seconds=60, typing=b""):
        """Wait until the console shows it, hitting the keys meanwhile."""
        def shown():
            for key in typing:
                self.qemu.stdin.write(bytes([key]))
                self.qemu.stdin.flush()
            return re.search(pattern, self.text) or self.qemu.poll() is not None

        guestlib.until(lambda: f"{pattern}:\n{self.text[-2000:]}", shown, seconds, pause=0.001)
        assert re.search(pattern, self.text), f"the guest ended before {pattern}:\n{self.text[-2000:]}"

    def host_key(self):
        self.wait_for(r"ssh: host key \S+\s")
        return re.search(r"ssh: host key (\S+)\s", self.text).group(1)


def keys_of_a_boot_without_a_seed():
    """Everything random that a client is shown: host key, cookie, and the key exchange's key, of two connections."""
    port = guestlib.free_port()
    words = command("-netdev", f"user,id=net0,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-net-device,netdev=net0",
                    machine=",dtb-randomness=off")
    with Boot(words) as b:
        b.wait_for("random: no seed yet")
        assert "host key" not in b.text, b.text
        b.wait_for("ssh: host key", typing=b"x\r")
        b.wait_for("net: .*: address")
        shown = []
        for _ in range(2):
            with sshraw.Raw(port) as raw:
                raw.handshake(check=True)
                shown += [raw.host_key, raw.kex_key, raw.their_kexinit[1:17]]
    assert shown[0] == shown[3]
    return shown[:3] + shown[4:]


def test_boots_without_a_seed_share_no_key():
    boots = [keys_of_a_boot_without_a_seed() for _ in range(2)]
    assert len(set(boots[0] + boots[1])) == 10


def test_keys_follow_the_seed():
    """Under -icount two boots are alike to the last instruction, unless their seeds in the device tree differ."""
    keys = []
    for seed in ("1", "2"):
        with Boot(command("-nic", "none", "-icount", "shift=0,sleep=off", "-seed", seed)) as b:
            keys.append(b.host_key())
    assert keys[0] != keys[1]
