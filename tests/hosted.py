# SPDX-License-Identifier: MIT
"""A stand-in for a guest: ssh/ built as a process of this host (tests/host/ssh_hosted.c, ASan and UBSan), with
our user programs built for the host. What fails against it is the protocol's fault, not the kernel's."""
import os
import shutil
import subprocess

import guest
import hostbuild

TOP = hostbuild.TOP
BIN = os.path.join(TOP, "build/host/bin")


def build():
    """Build the server and the programs; return the server's path."""
    flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    for _, program, error in hostbuild.build_all(["tests/host/ssh_hosted.c"], [], flags):
        if program is None:
            raise RuntimeError(error)
    os.makedirs(BIN, exist_ok=True)
    bearssl = "deps/bearssl"
    extra = {"sink": [f"{bearssl}/src/{f}" for f in ("hash/sha2small.c", "codec/dec32be.c", "codec/enc32be.c")]}
    for name in ("hello", "flood", "sink", "burn"):
        subprocess.run([hostbuild.find_clang(), "-w", "-O2", "-D_GNU_SOURCE", "-I.", f"-I{bearssl}/inc", f"-I{bearssl}/src",
                        f"user/{name}.c", "user/lib/say.c", *extra.get(name, []), "-o", os.path.join(BIN, name)],
                       cwd=TOP, check=True)
    return os.path.join(TOP, program)


class HostedGuest(guest.Client):
    """The part of guest.Guest that has a meaning without a kernel."""

    def __init__(self, name="hosted"):
        self.name, self.smp, self.mem, self.image = name, os.cpu_count(), "", "hosted"
        self.folder = os.path.join(TOP, "build/run", name)
        self.config = os.path.join(self.folder, "config")
        self.log = os.path.join(self.folder, "console")
        self.server = None
        self.port = None

    def start(self):
        program = build()
        os.makedirs(self.folder, exist_ok=True)
        keys = os.path.join(TOP, "build/ssh")
        shutil.copy(f"{keys}/id_ed25519.pub", f"{self.folder}/authorized_keys")
        env = dict(os.environ, PATH=BIN + ":" + os.environ["PATH"])
        with open(self.log, "w", encoding="utf-8") as log:
            self.server = subprocess.Popen([program, "0", f"{keys}/host_ed25519", f"{self.folder}/authorized_keys"],
                                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, env=env)
        self.port = int(self.server.stdout.readline().split()[1])
        subprocess.run(["bash", "-c", '. scripts/lib.sh; write_ssh_config "$0" "$1"', self.config, str(self.port)],
                       cwd=TOP, check=True)
        return self

    def stop(self):
        if self.server:
            self.server.terminate()
            self.server.wait()

    def alive(self):
        return self.server is not None and self.server.poll() is None

    def console(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            # A report of a sanitizer, or a leak, must fail the test like a panic.
            return f.read().replace("ERROR: AddressSanitizer", "BUG: AddressSanitizer").replace(
                "runtime error:", "BUG: runtime error:").replace(": LEAK of", ": BUG: LEAK of")

    def tail(self, lines=40):
        return "\n".join(self.console().splitlines()[-lines:])

    def account(self):
        return {"MemFree": 0}, {}

    def wait_for_account(self, before, **_):
        pass
