# SPDX-License-Identifier: MIT
"""The two guests that are compared, tern and Linux, in the same QEMU: how they start, how one logs in, and
that all of them are gone at the end."""
import os
import select
import shlex
import socket
import subprocess
import sys
import time

BENCH = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(BENCH))
sys.path.insert(0, os.path.join(TOP, "tests", "blackbox"))
sys.path.insert(0, os.path.join(TOP, "tests"))
import guest as guestlib  # noqa: E402  (the paths above lead to these two)
import sshraw  # noqa: E402

WORK = os.path.join(TOP, "build", "bench")
KEY = os.path.join(WORK, "key")
CPU = "cortex-a72"
# One connection at a time waits for the banner this long, which is shorter than QEMU's network keeps the first
# packet of a connection for a guest that has not announced its address: see docs/12-figures.md.
PROBE_HOLD_S = 0.9
PROBE_PAUSE_S = 0.015


class Failed(Exception):
    """A measurement that could not be made; the text says why, for the table."""


def shell(script, *words):
    """Run lines of bash with scripts/lib.sh at hand."""
    done = subprocess.run(["bash", "-c", f". scripts/lib.sh\n{script}", "bench", *words], cwd=TOP,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise Failed(f"bash: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return done.stdout


def make_key():
    os.makedirs(WORK, mode=0o700, exist_ok=True)
    if not (os.path.exists(KEY) and os.path.exists(KEY + ".pub")):
        for name in (KEY, KEY + ".pub"):
            if os.path.exists(name):
                os.unlink(name)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tern-bench", "-f", KEY], check=True)


class Kernel:
    """One of the two: its files, and what is said about it."""

    def __init__(self, name, image, initrd, cmdline, about, ours=False):
        self.name, self.image, self.initrd = name, image, initrd
        self.cmdline, self.about, self.ours = cmdline, about, ours


def tern(name="tern", image="release"):
    """An image of ours. The overlay is made like run-qemu.sh makes its own, with the key of the bench."""
    path = guestlib.IMAGES[image]
    if not os.path.exists(path):
        raise Failed(f"no image at {path}: run make" + " DEBUG=1" * (image == "debug"))
    overlay = shell('make_keys && cpio_parents etc/ssh/x && '
                    'cpio_entry 100600 etc/ssh/ssh_host_ed25519_key build/ssh/host_ed25519 && '
                    'cpio_parents root/.ssh/x && cpio_entry 100600 root/.ssh/authorized_keys "$1" && '
                    'cpio_entry 100755 control "$2" && cpio_entry 100755 net "$3" && cpio_end', KEY + ".pub",
                    os.path.join(WORK, "control"), os.path.join(WORK, "net"))
    initrd = os.path.join(WORK, f"{name}.cpio")
    with open(initrd, "wb") as f:
        f.write(overlay)
    return Kernel(name, path, initrd, "", f"{image} image", ours=True)


def peer(name):
    """What tern is held to: its own debug image, or a Linux."""
    return tern("debug", "debug") if name == "debug" else linux(name)


def linux(name):
    """The peer that tests/bench/peer.sh makes; the control is laid over its files."""
    folder = os.path.join(WORK, "peer", name)
    if subprocess.run([os.path.join(BENCH, "peer.sh"), name], cwd=TOP, stdout=sys.stderr).returncode:
        raise Failed(f"tests/bench/peer.sh {name} failed")
    initrd = os.path.join(folder, "with-control.cpio")
    with open(os.path.join(folder, "initrd.cpio"), "rb") as f:
        files = f.read()
    with open(initrd, "wb") as f:
        f.write(files + bytes(-len(files) % 512))
        f.write(shell('cpio_entry 100755 control "$1" && cpio_entry 100755 net "$2" && cpio_end',
                      os.path.join(WORK, "control"), os.path.join(WORK, "net")))
    return Kernel("Linux", os.path.join(folder, "Image"), initrd,
                  guestlib.read_file(os.path.join(folder, "cmdline")).strip(),
                  guestlib.read_file(os.path.join(folder, "about")).strip() or name)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def qemu_command(smp, mem, port, image, initrd, cmdline, forward=()):
    """What run-qemu.sh would run, with other files."""
    words = shlex.split(subprocess.run(
        [os.path.join(TOP, "scripts", "run-qemu.sh"), "--print", "--image", guestlib.IMAGES["release"],
         "--smp", str(smp), "--mem", mem, "--port", str(port), "--cpu", CPU, *forward, "--", "true"],
        stdout=subprocess.PIPE, check=True, text=True).stdout)
    for option, value in (("-kernel", image), ("-initrd", initrd)):
        words[words.index(option) + 1] = value
    return words + (["-append", cmdline] if cmdline else [])


class Running:
    """A booted guest. Every one that was started is in Running.all until it is stopped."""
    all = []

    def __init__(self, kernel, smp=1, mem="256M", guest_port=None):
        """guest_port: a port of the guest that self.forwarded leads to."""
        self.kernel, self.smp, self.mem = kernel, smp, mem
        self.forwarded = free_port() if guest_port else None
        self.port = free_port()
        self.folder = os.path.join(WORK, f"run-{kernel.name}")
        os.makedirs(self.folder, exist_ok=True)
        self.config = os.path.join(self.folder, "config")
        with open(self.config, "w", encoding="ascii") as f:
            f.write(f"Host tern\n HostName 127.0.0.1\n Port {self.port}\n User root\n IdentityFile {KEY}\n"
                    " IdentitiesOnly yes\n IdentityAgent none\n StrictHostKeyChecking no\n"
                    " UserKnownHostsFile /dev/null\n GlobalKnownHostsFile /dev/null\n"
                    " PreferredAuthentications publickey\n ControlPath none\n LogLevel ERROR\n")
        command = qemu_command(smp, mem, self.port, kernel.image, kernel.initrd, kernel.cmdline,
                               ["--forward", f"{self.forwarded}:{guest_port}"] if guest_port else [])
        with open(self.path("console"), "wb") as out, open(self.path("qemu.err"), "wb") as err:
            self.begin = time.monotonic()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            start_new_session=True)
        self.masters = []
        Running.all.append(self)

    def path(self, name):
        return os.path.join(self.folder, name)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.stop()

    def stop(self):
        for master in self.masters:
            master.kill()
            master.wait()
        self.masters = []
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self in Running.all:
            Running.all.remove(self)

    @classmethod
    def stop_all(cls):
        for guest in list(cls.all):
            guest.stop()

    def since_start(self):
        return time.monotonic() - self.begin

    def last_words(self):
        text = (guestlib.read_file(self.path("qemu.err")) + guestlib.read_file(self.path("console"))).strip()
        return (text.splitlines() or ["nothing on its console"])[-1][-120:]

    # ---- logging in

    def probe(self):
        """One connection; whether a banner came on it."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as s:
                s.settimeout(PROBE_HOLD_S)
                return s.recv(4) == b"SSH-"
        except OSError:
            return False

    def wait_for_banner(self, limit=30):
        """Seconds from QEMU's start to the first byte of the banner. QEMU accepts before the guest listens, so that
        only that byte counts; the connection is held while the guest boots."""
        def answers():
            if self.process.poll() is not None:
                raise Failed(f"QEMU ended with {self.process.returncode}: {self.last_words()}")
            return self.probe()

        try:
            guestlib.until("the banner", answers, limit, PROBE_PAUSE_S)
        except AssertionError:
            raise Failed(f"no banner within {limit} s: {self.last_words()}") from None
        return self.since_start()

    def ssh_command(self, *words, options=()):
        return ["ssh", "-F", self.config, *options, "tern", *words]

    def ssh(self, *words, options=(), data=b"", timeout=120):
        """Run a command by the stock client; its output. Raises Failed when it fails."""
        try:
            done = subprocess.run(self.ssh_command(*words, options=options), input=data, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"ssh {' '.join(words)}: no end within {timeout} s") from None
        if done.returncode:
            raise Failed(f"ssh {' '.join(words)}: status {done.returncode}, "
                         f"{done.stderr.decode(errors='replace').strip()[-120:]}")
        return done.stdout

    def ready(self):
        """Wait until a login works."""
        self.wait_for_banner()
        self.ssh("true", timeout=60)
        return self

    def master(self, options=()):
        """Open a connection that others share; the options that use it. Ends with the guest, or by end_master."""
        path = os.path.join(self.folder, f"ctl{len(self.masters)}.{self.port}")
        # the local command runs when others can share it
        told = ("-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo ready")
        process = subprocess.Popen(self.ssh_command(options=(*options, *told, "-M", "-S", path, "-N")),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.masters.append(process)
        if not select.select([process.stdout], [], [], 30)[0]:
            raise Failed("ssh -M: not connected within 30 s")
        if process.stdout.readline() != b"ready\n":
            raise Failed(f"ssh -M: {process.stderr.read().decode(errors='replace').strip()[-120:]}")
        return ("-S", path)

    def raw(self, **kwargs):
        return sshraw.Raw(self.port, **kwargs)
