# SPDX-License-Identifier: MIT
"""Each client that Debian has against one guest with both host keys: every algorithm that it shares with us, by name; every
kind of user key, and those that are refused; and what it can do: commands, shells, terminals, files, forwarding.

A client is a class with a table SHARED (of each axis what it can be told to use alone, or None: ask it), and a method for what
it can do. All give what it printed and its status; `only` names an algorithm of an axis."""
import asyncio
import itertools
import os
import random
import re
import subprocess
import warnings

import paramiko
import pytest

import guest as guestlib
import sshraw
from test_clients import CIPHERS, KEXES, MACS, newer_ssh, own_line  # noqa: F401  (a fixture)

with warnings.catch_warnings():
    # of old ciphers that nobody asks for
    warnings.simplefilter("ignore")
    import asyncssh

HOST_KEYS = ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"]
OURS = {"kex": KEXES, "hostkey": HOST_KEYS, "cipher": CIPHERS, "mac": MACS}
BUILD = f"{guestlib.TOP}/build/clients"
SOURCES = f"{guestlib.TOP}/tests/blackbox/clients"
FAILED = 255
LINE = b"SSH-2.0-tern"


def run(command, data=b"", **how):
    return subprocess.run([str(word) for word in command], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60 * guestlib.patience, **how)


def built(target, source, command, **environment):
    """A client made from source, if it is not newer than that."""
    os.makedirs(BUILD, exist_ok=True)
    if not os.path.exists(target) or os.path.getmtime(target) < os.path.getmtime(source):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment})
        assert done.returncode == 0, f"{done.stdout}\nscripts/setup.sh --tests installs what it needs"
    return target


class Client:
    KINDS = {"ed25519", "ecdsa", "rsa"}
    OFFERS = {"p384", "rsa1024"}    # of those that are refused; the others it does not even show

    def __init__(self, guest, keys, tmp):
        self.guest, self.keys, self.tmp, self.port = guest, keys, tmp, guest.port

    def key(self, name=None):
        return self.keys / (name or "ed25519")

    def shared(self, axis):
        return [name for name in self.SHARED.get(axis, ()) if name in OURS[axis]]

    def exec(self, command, key=None, **only):
        return self.result(run(self.command(command, key=key, **only)))

    @staticmethod
    def result(done):
        return done.stdout, done.returncode, done.stderr


class OpenSSH(Client):
    """The machine's."""
    program = "ssh"
    OPTIONS = {"kex": "KexAlgorithms", "hostkey": "HostKeyAlgorithms", "cipher": "Ciphers", "mac": "MACs"}

    def shared(self, axis):
        known = run([self.program, "-Q", self.OPTIONS[axis]]).stdout.decode().split()
        return [name for name in OURS[axis] if name in known]

    def command(self, *words, key=None, options=(), **only):
        options = [*options, *(word for axis, name in only.items() for word in ("-o", f"{self.OPTIONS[axis]}={name}"))]
        return [self.program, "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o",
                "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.tmp}/hosts", "-i", self.key(key), "-p", self.port,
                *options, "root@127.0.0.1", *words]

    def shell(self, text):
        return self.result(run(self.command(options=["-T"]), text))

    def pty(self, command):
        return self.result(run(self.command(command, options=["-tt"])))

    def forward(self):
        with subprocess.Popen([str(w) for w in self.command(options=["-W", "127.0.0.1:22"])], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as p:
            return p.stdout.readline(), 0, b""

    def sftp(self, path, data):
        (self.tmp / "to").write_bytes(data)
        words = ["-P" if word == "-p" else word for word in self.command()[1:]]
        done = run(["sftp", "-q", "-b", "-", "-S", self.program, *words], f"put {self.tmp}/to {path}\nget {path} {self.tmp}/from\n".encode())
        return (self.tmp / "from").read_bytes() if done.returncode == 0 else b"", done.returncode, done.stderr


class NewerOpenSSH(OpenSSH):
    """The one that deps.lock pins, without OpenSSL: it has no RSA, no ECDSA and no GCM."""
    program = f"{guestlib.TOP}/build/openssh/ssh"
    KINDS = {"ed25519"}
    OFFERS = set()


class Dropbear(Client):
    OFFERS = {"rsa1024"}
    SHARED = {"cipher": ["chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-ctr"], "mac": ["hmac-sha2-256"]}
    OPTIONS = {"cipher": "-c", "mac": "-m"}

    def key(self, name=None):
        return f"{super().key(name)}.dropbear"

    def command(self, *words, key=None, options=("-T",), **only):
        only = [word for axis, name in only.items() for word in (self.OPTIONS[axis], name)]
        return ["dbclient", "-y", "-y", *options, "-i", self.key(key), "-p", self.port, *only, "root@127.0.0.1", *words]

    def shell(self, text):
        return self.result(run(self.command(), text))

    def pty(self, command):
        """It wants a terminal of its own for that."""
        ours, theirs = os.openpty()
        try:
            done = subprocess.run([str(w) for w in self.command(command, options=["-t"])], stdin=theirs, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=60 * guestlib.patience)
        finally:
            os.close(ours)
            os.close(theirs)
        return self.result(done)

    def forward(self):
        with subprocess.Popen([str(w) for w in self.command(options=["-B", "127.0.0.1:22"])], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
            return p.stdout.readline(), 0, b""


class PuTTY(Client):
    """What is to be used alone is said in a saved session, in words of its own; the MAC cannot be."""
    SHARED = {"kex": ["sntrup761x25519-sha512@openssh.com", "curve25519-sha256"], "hostkey": ["ssh-ed25519", "rsa-sha2-512"],
              "cipher": ["chacha20-poly1305@openssh.com", "aes256-ctr"]}
    # What comes after WARN is refused in batch mode; what is not named at all would come first.
    WORDS = {"kex": ("KEX", {"sntrup761x25519-sha512@openssh.com": "ntru-curve25519", "curve25519-sha256": "ecdh"},
                     "ntru-curve25519,ecdh,dh-gex-sha1,dh-group18-sha512,dh-group17-sha512,dh-group16-sha512,dh-group15-sha512,"
                     "dh-group14-sha1,dh-group1-sha1,rsa"),
             "hostkey": ("HostKey", {"ssh-ed25519": "ed25519", "rsa-sha2-512": "rsa"}, "ed25519,ed448,ecdsa,rsa,dsa"),
             "cipher": ("Cipher", {"chacha20-poly1305@openssh.com": "chacha20", "aes256-ctr": "aes"},
                        "aes,chacha20,aesgcm,3des,des,blowfish,arcfour")}

    def key(self, name=None):
        return f"{super().key(name)}.ppk"

    def words(self, key=None, **only):
        session = ["Present=1", "Protocol=ssh", "PreferKnownHostKeys=0"]
        for axis, name in only.items():
            setting, words, every = self.WORDS[axis]
            session.append(",".join([f"{setting}={words[name]}", "WARN", *(w for w in every.split(",") if w != words[name])]))
        os.makedirs(f"{self.tmp}/putty/sessions", exist_ok=True)
        with open(f"{self.tmp}/putty/sessions/tern", "w", encoding="ascii") as f:
            f.write("\n".join(session) + "\n")
        prints = [word for host in ("host_ed25519", "host_rsa")
                  for word in ("-hostkey", run(["ssh-keygen", "-lf", f"{guestlib.TOP}/build/ssh/{host}.pub"]).stdout.decode().split()[1])]
        return ["-load", "tern", "-batch", *prints, "-P", self.port, "-i", self.key(key)]

    def run(self, program, *words, data=b"", key=None, options=(), **only):
        return self.result(run([program, *self.words(key, **only), *options, "root@127.0.0.1", *words], data,
                               env={**os.environ, "PUTTYDIR": f"{self.tmp}/putty"}))

    def exec(self, command, key=None, **only):
        return self.run("plink", command, key=key, options=["-T"], **only)

    def shell(self, text):
        return self.run("plink", data=text, options=["-T"])

    def pty(self, command):
        return self.run("plink", command, options=["-t"])

    def forward(self):
        command = ["plink", *self.words(), "-nc", "127.0.0.1:22", "root@127.0.0.1"]
        with subprocess.Popen([str(w) for w in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              env={**os.environ, "PUTTYDIR": f"{self.tmp}/putty"}) as p:
            return p.stdout.readline(), 0, b""

    def sftp(self, path, data):
        """psftp there, pscp back."""
        (self.tmp / "to").write_bytes(data)
        (self.tmp / "batch").write_text(f"put {self.tmp}/to {path}\n")
        there = self.run("psftp", options=["-b", self.tmp / "batch"])
        if there[1]:
            return there
        done = run(["pscp", "-q", "-sftp", *self.words(), f"root@127.0.0.1:{path}", self.tmp / "from"],
                   env={**os.environ, "PUTTYDIR": f"{self.tmp}/putty"})
        return (self.tmp / "from").read_bytes() if done.returncode == 0 else b"", done.returncode, done.stderr


class Paramiko(Client):
    AXES = {"kex": "_preferred_kex", "hostkey": "_preferred_keys", "cipher": "_preferred_ciphers", "mac": "_preferred_macs"}

    def shared(self, axis):
        known = getattr(paramiko.Transport, self.AXES[axis])
        return [name for name in OURS[axis] if name in known]

    def connected(self, use, key=None, **only):
        transport = paramiko.Transport(("127.0.0.1", self.port))
        for axis, name in only.items():
            setattr(transport, self.AXES[axis], (name,))
        try:
            load = {"ecdsa": paramiko.ECDSAKey, "p384": paramiko.ECDSAKey, "rsa": paramiko.RSAKey, "rsa1024": paramiko.RSAKey}
            pkey = load.get(key, paramiko.Ed25519Key).from_private_key_file(str(self.key(key)))
            transport.connect(username="root", pkey=pkey)
            return use(transport)
        except (paramiko.SSHException, EOFError) as error:
            return b"", FAILED, str(error)
        finally:
            transport.close()

    @staticmethod
    def finish(channel, data=b""):
        channel.sendall(data)
        channel.shutdown_write()
        return channel.makefile("rb").read(), channel.recv_exit_status(), b""

    def exec(self, command, key=None, pty=False, **only):
        def use(transport):
            channel = transport.open_session()
            if pty:
                channel.get_pty("vt100", 77, 33)
            channel.exec_command(command)
            return channel.makefile("rb").read(), channel.recv_exit_status(), b""
        return self.connected(use, key, **only)

    def pty(self, command):
        return self.exec(command, pty=True)

    def shell(self, text):
        def use(transport):
            channel = transport.open_session()
            channel.invoke_shell()
            return self.finish(channel, text)
        return self.connected(use)

    def forward(self):
        return self.connected(lambda t: (t.open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1)).recv(100), 0, b""))

    def sftp(self, path, data):
        def use(transport):
            files = paramiko.SFTPClient.from_transport(transport)
            with files.open(path, "wb") as f:
                f.write(data)
            with files.open(path, "rb") as f:
                return f.read(), 0, b""
        return self.connected(use)


class AsyncSSH(Client):
    AXES = {"kex": "kex_algs", "hostkey": "server_host_key_algs", "cipher": "encryption_algs", "mac": "mac_algs"}
    SHARED = {"kex": ["curve25519-sha256", "curve25519-sha256@libssh.org"], "hostkey": HOST_KEYS, "cipher": CIPHERS, "mac": MACS}

    def connected(self, use, key=None, **only):
        async def work():
            options = {self.AXES[axis]: [name] for axis, name in only.items()}
            async with asyncssh.connect("127.0.0.1", self.port, username="root", client_keys=[str(self.key(key))], known_hosts=None,
                                        agent_path=None, config=None, **options) as c:
                return await use(c)
        try:
            return asyncio.run(work())
        except (asyncssh.Error, OSError) as error:
            return b"", FAILED, str(error)

    def exec(self, command, key=None, **how):
        only = {axis: how.pop(axis) for axis in self.AXES if axis in how}

        async def use(c):
            done = await c.run(command, encoding=None, **how)
            return done.stdout, done.exit_status, done.stderr
        return self.connected(use, key, **only)

    def shell(self, text):
        return self.exec(None, input=text)

    def pty(self, command):
        return self.exec(command, term_type="vt100", term_size=(77, 33))

    def forward(self):
        async def use(c):
            reader, _ = await c.open_connection("127.0.0.1", 22)
            return await reader.readline(), 0, b""
        return self.connected(use)

    def sftp(self, path, data):
        async def use(c):
            async with c.start_sftp_client() as files:
                async with files.open(path, "wb") as f:
                    await f.write(data)
                async with files.open(path, "rb") as f:
                    return await f.read(), 0, b""
        return self.connected(use)


class Go(Client):
    """Of golang-golang-x-crypto-dev."""
    SHARED = {"kex": ["curve25519-sha256", "curve25519-sha256@libssh.org"], "hostkey": HOST_KEYS,
              "cipher": ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-ctr"],
              "mac": ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-256"]}

    def program(self):
        return built(f"{BUILD}/go", f"{SOURCES}/client.go", ["go", "build", "-o", f"{BUILD}/go", f"{SOURCES}/client.go"],
                     GO111MODULE="off", GOFLAGS="", GOPATH="/usr/share/gocode", GOCACHE=f"{BUILD}/go-cache")

    def verb(self, verb, *words, data=b"", key=None, **only):
        return self.result(run([self.program(), self.port, self.key(key), *(only.get(axis, "-") for axis in OURS), verb, *words], data))

    def exec(self, command, key=None, **only):
        return self.verb("exec", command, key=key, **only)

    def shell(self, text):
        return self.verb("shell", data=text)

    def pty(self, command):
        return self.verb("pty", command)

    def forward(self):
        return self.verb("forward")


class LibSSH(Go):
    SHARED = {"kex": ["curve25519-sha256", "curve25519-sha256@libssh.org"], "hostkey": HOST_KEYS, "cipher": CIPHERS, "mac": MACS}

    def program(self):
        return built(f"{BUILD}/libssh", f"{SOURCES}/client.c",
                     ["clang", "-O1", "-Wall", "-o", f"{BUILD}/libssh", f"{SOURCES}/client.c", "-lssh"])

    def sftp(self, path, data):
        return self.verb("sftp", path, data=data)


class Curl(Client):
    """libssh2, which chooses everything by itself."""
    SHARED = {}
    exec = None

    def sftp(self, path, data, key=None):
        common = ["curl", "-sSk", "-u", "root:", "--key", self.key(key), "--pubkey", f"{self.key(key)}.pub"]
        url = f"sftp://127.0.0.1:{self.port}{path}"
        there = run([*common, "-T", "-", url], data)
        return self.result(there if there.returncode else run([*common, url]))


CLIENTS = [OpenSSH, NewerOpenSSH, Dropbear, PuTTY, Paramiko, AsyncSSH, LibSSH, Go, Curl]


@pytest.fixture(scope="module")
def user_keys(tmp_path_factory):
    """Those that are good, and two that are refused though they are in authorized_keys."""
    folder = tmp_path_factory.mktemp("user-keys")
    for name, kind, bits in (("ed25519", "ed25519", 256), ("ecdsa", "ecdsa", 256), ("rsa", "rsa", 2048), ("p384", "ecdsa", 384),
                             ("rsa1024", "rsa", 1024)):
        run(["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-f", folder / name], check=True)
        run(["dropbearconvert", "openssh", "dropbear", folder / name, folder / f"{name}.dropbear"])
        run(["puttygen", folder / name, "-O", "private", "-o", folder / f"{name}.ppk"], check=True)
    (folder / "all.pub").write_text("".join((folder / f"{name}.pub").read_text() for name in ("ed25519", "ecdsa", "rsa", "p384", "rsa1024")))
    return folder


@pytest.fixture(scope="module")
def machine(user_keys):
    with guestlib.Guest("matrix", smp=4, options=["--rsa", "--key", f"{user_keys}/all.pub"]) as g:
        yield g


@pytest.fixture
def client(request, machine, user_keys, tmp_path):
    if request.param is NewerOpenSSH:
        request.getfixturevalue("newer_ssh")
    return request.param(machine, user_keys, tmp_path)


def each(*features):
    """The clients that have one of these methods."""
    return pytest.mark.parametrize("client", [c for c in CLIENTS if all(getattr(c, f, None) for f in features)], indirect=True,
                                   ids=lambda c: c.__name__)


def test_offered_is_exactly_this(machine):
    with sshraw.Raw(machine.port) as r:
        r.hello()
        r.exchange_kexinit()
        lists = sshraw.Reader(r.their_kexinit[17:])
        names = [lists.string().decode().split(",") for _ in range(10)]
    assert names == [KEXES + ["kex-strict-s-v00@openssh.com"], HOST_KEYS, CIPHERS, CIPHERS, MACS, MACS, ["none"], ["none"], [""], [""]]


def audit(machine, *options):
    return run(["ssh-audit", "-n", *options, "-p", machine.port, "127.0.0.1"])


def test_ssh_audit_finds_what_the_policy_says(machine, tmp_path):
    policy = f"{guestlib.TOP}/tests/blackbox/ssh-audit.policy"
    done = audit(machine, "-P", policy)
    assert done.returncode == 0, done.stdout.decode()
    # and it does compare
    with open(policy, encoding="ascii") as f:
        (tmp_path / "other").write_text(f.read().replace("hmac-sha2-512-etm@openssh.com, ", ""))
    assert audit(machine, "-P", tmp_path / "other").returncode == 3


def test_ssh_audit_warns_of_nothing_else(machine):
    """Its own grades: no failure, and the warnings that docs/10-ssh.md explains. Which it has depends on its version."""
    out = audit(machine).stdout.decode()
    found = re.findall(r"^\(\w+\) (\S+).*?-- \[(warn|fail)\] (.*)$", out, re.M)
    assert "(enc) chacha20" in out and "[fail]" not in out, out
    known = {(name, "unknown algorithm") for name in (*KEXES, "kex-strict-s-v00@openssh.com")}
    known |= {("sntrup761x25519-sha512@openssh.com", "using experimental algorithm"), ("hmac-sha2-256", "using encrypt-and-MAC mode")}
    known |= {(name, "does not provide protection against post-quantum attacks") for name in KEXES[3:]}
    assert {(name, why) for name, _, why in found} <= known, found


def used(client, **only):
    """By what the server says of the connection. The cipher is one that needs a MAC if that is named."""
    if "mac" in only:
        only.setdefault("cipher", "aes128-ctr")
    out, status, err = client.exec("cat /proc/tern/ssh", **only)
    assert status == 0, (only, err)
    words = own_line(out)
    for place, axis in ((4, "kex"), (5, "cipher"), (6, "mac")):
        if axis in only and not (axis == "mac" and "implicit" in words[place]):
            assert set(words[place].split("/")) <= {only[axis], only[axis].partition("@")[0]}, (only, words)


@each("exec")
def test_every_algorithm(client):
    for axis in OURS:
        for name in client.shared(axis):
            used(client, **{axis: name})


@pytest.mark.long
@each("exec")
def test_every_combination(client):
    axes = {axis: client.shared(axis) or [None] for axis in OURS}
    for names in itertools.product(*axes.values()):
        only = {axis: name for axis, name in zip(axes, names) if name}
        # with an AEAD there is no MAC: once
        if "@" not in only.get("cipher", "") or only.pop("mac", None) in (None, axes["mac"][0]):
            used(client, **only)


def gave(done, out, status):
    """What a client's method did."""
    assert done[:2] == (out, status), done[2]


@each("exec")
def test_exec(client):
    gave(client.exec("echo on; exit 3"), b"on\n", 3)


@each("shell")
def test_shell(client):
    gave(client.shell(b"echo $((40 + 2))\nexit 4\n"), b"42\n", 4)


@each("pty")
def test_pty(client):
    gave(client.pty("test -t 0 && echo terminal; exit 5"), b"terminal\r\n", 5)


@each("forward")
def test_forward(client):
    out, status, err = client.forward()
    assert out.rstrip() == LINE and status == 0, err


@each("sftp")
def test_sftp(client):
    data = random.Random(11).randbytes(100000)
    gave(client.sftp("/root/matrix", data), data, 0)


def offers(client, kind):
    """How many connections have ended in which the key was refused, and that was counted, by the server's record of them."""
    key = run(["ssh-keygen", "-lf", client.keys / f"{kind}.pub"], check=True).stdout.decode().split()[1]
    text = client.guest.ssh("cat /proc/tern/logins", check=True).stdout.decode()
    return len(re.findall(rf"{re.escape(key)} refused \d+ s refused [1-9]", text))


@each("exec")
def test_user_keys(client):
    for kind in sorted(client.KINDS):
        gave(client.exec("echo in", key=kind), b"in\n", 0)
    for kind in ("p384", "rsa1024"):
        before = offers(client, kind)
        out, status, err = client.exec("echo in", key=kind)
        assert b"in" not in out and status != 0, (kind, err)
        if kind in client.OFFERS:
            guestlib.until(lambda: f"{kind} to be refused: {err}", lambda: offers(client, kind) > before)


def test_both_host_keys_are_learned(machine, user_keys, tmp_path):
    """A client that knows one is told of the other, which proves itself: hostkeys-00@openssh.com."""
    client = OpenSSH(machine, user_keys, tmp_path)
    with open(f"{guestlib.TOP}/build/ssh/host_ed25519.pub", encoding="ascii") as f:
        (tmp_path / "hosts").write_text(f"[127.0.0.1]:{machine.port} {f.read()}")
    for kind in ("ed25519", "rsa"):
        done = run(client.command("true", options=["-o", "UpdateHostKeys=yes", "-o", "LogLevel=INFO"]))
        assert done.returncode == 0 and b"WARNING" not in done.stderr, done.stderr
    hosts = (tmp_path / "hosts").read_text()
    for kind in ("ed25519", "rsa"):
        with open(f"{guestlib.TOP}/build/ssh/host_{kind}.pub", encoding="ascii") as f:
            assert hosts.count(f.read().split()[1]) == 1, hosts
    # and with the new one alone
    (tmp_path / "hosts").write_text("".join(line for line in hosts.splitlines(True) if " ssh-rsa " in line))
    done = run(client.command("true", options=["-o", "StrictHostKeyChecking=yes"]))
    assert done.returncode == 0, done.stderr
