# SPDX-License-Identifier: MIT
"""Each client that Debian has, and npm's ssh2, against one guest with both host keys: every algorithm that it shares with us, by
name; every kind of user key, and those that are refused; and what it can do: commands, shells, terminals, files, forwarding.

A client is a class with a method for what it can do. All give what it printed and its status; `only` names an algorithm of an
axis. What it shares with us its KEXINIT says; SHARED is what must be in there, of Debian 12's. What it cannot be told to use
alone (told()), the server offers alone."""
import asyncio
import contextlib
import copy
import functools
import itertools
import os
import random
import re
import socket
import subprocess
import warnings

import paramiko
import pytest

import guest as guestlib
import sshraw
from test_clients import CIPHERS, KEXES, MACS, newer_ssh, own_line  # noqa: F401  (a fixture)
from test_sockets import serving

with warnings.catch_warnings():
    # of old ciphers that nobody asks for
    warnings.simplefilter("ignore")
    import asyncssh

HOST_KEYS = ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"]
OURS = {"kex": KEXES, "hostkey": HOST_KEYS, "cipher": CIPHERS, "mac": MACS}
PLACES = {"kex": 0, "hostkey": 1, "cipher": 2, "mac": 4}    # of an axis in a KEXINIT
CURVE = ["curve25519-sha256", "curve25519-sha256@libssh.org"]
BUILD = f"{guestlib.TOP}/build/clients"
SOURCES = f"{guestlib.TOP}/tests/blackbox/clients"
FAILED = 255
# of keys of users; the last two are refused though they are in authorized_keys
KINDS = {"ed25519": ("ed25519", 256), "ecdsa": ("ecdsa", 256), "rsa": ("rsa", 2048), "rsa3072": ("rsa", 3072), "p384": ("ecdsa", 384),
         "rsa1024": ("rsa", 1024)}
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


def offered(client, known={}):
    """By axis, what of ours the client has: by its KEXINIT, to one who says no more than his version."""
    def hear(s):
        s.sendall(b"SSH-2.0-ear\r\n")
        with s.makefile("rb") as f:
            f.readline()
            lists = sshraw.Reader(f.read(int.from_bytes(f.read(4), "big"))[18:])
        heard.append([lists.string().decode().split(",") for _ in range(6)])

    if type(client) not in known:
        heard, deaf = [], copy.copy(client)
        with serving(hear) as deaf.port:
            said = deaf.reads("/")
        assert heard, said
        assert (heard[0][2], heard[0][4]) == (heard[0][3], heard[0][5])
        known[type(client)] = {axis: [name for name in OURS[axis] if name in heard[0][place]] for axis, place in PLACES.items()}
    return known[type(client)]


class Client:
    KINDS = {"ed25519", "ecdsa", "rsa", "rsa3072"}
    OFFERS = {"p384", "rsa1024"}    # of those that are refused; the others it does not even show
    SHARED = OURS

    def __init__(self, guest, keys, tmp):
        self.guest, self.keys, self.tmp, self.port = guest, keys, tmp, guest.port

    def key(self, name=None):
        return self.keys / (name or "ed25519")

    def told(self, axis, name):
        """Whether it can be, to use this alone."""
        return True

    def exec(self, command, key=None, **only):
        return self.result(run(self.command(command, key=key, **only)))

    def reads(self, path, key=None, **only):
        return self.exec(f"cat {path}", key=key, **only)

    @staticmethod
    def result(done):
        return done.stdout, done.returncode, done.stderr


class OpenSSH(Client):
    """The machine's."""
    program = "ssh"
    SHARED = {**OURS, "kex": KEXES[2:]}
    OPTIONS = {"kex": "KexAlgorithms", "hostkey": "HostKeyAlgorithms", "cipher": "Ciphers", "mac": "MACs"}

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

    def remote(self, there, here):
        return self.result(run(self.command(f"nc 127.0.0.1 {there} </dev/null", options=["-T", "-R", f"{there}:127.0.0.1:{here}"])))

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
    SHARED = {**OURS, "hostkey": ["ssh-ed25519"], "cipher": ["chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-ctr"]}


class Dropbear(Client):
    OFFERS = {"rsa1024"}
    SHARED = {"kex": CURVE, "hostkey": ["ssh-ed25519", "rsa-sha2-256"],
              "cipher": ["chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-ctr"], "mac": ["hmac-sha2-256"]}
    OPTIONS = {"cipher": "-c", "mac": "-m"}

    def told(self, axis, name):
        return axis in self.OPTIONS

    def key(self, name=None):
        return f"{super().key(name)}.dropbear"

    def command(self, *words, key=None, options=("-T",), **only):
        only = [word for axis, name in only.items() for word in (self.OPTIONS[axis], name)]
        return ["dbclient", "-y", "-y", *options, "-i", self.key(key), "-p", self.port, *only, "root@127.0.0.1", *words]

    remote = OpenSSH.remote

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
    """What is to be used alone is said in a saved session, in words of its own. Some stand for more than one: the first of them."""
    SHARED = {"kex": KEXES[2:], "hostkey": HOST_KEYS, "cipher": CIPHERS, "mac": MACS[1:]}
    # What comes after WARN is refused in batch mode; what is not named at all would come first.
    WORDS = {"kex": ("KEX", {"sntrup761x25519-sha512@openssh.com": "ntru-curve25519", "curve25519-sha256": "ecdh"},
                     "ntru-curve25519,ecdh,dh-gex-sha1,dh-group18-sha512,dh-group17-sha512,dh-group16-sha512,dh-group15-sha512,"
                     "dh-group14-sha1,dh-group1-sha1,rsa"),
             "hostkey": ("HostKey", {"ssh-ed25519": "ed25519", "rsa-sha2-512": "rsa"}, "ed25519,ed448,ecdsa,rsa,dsa"),
             "cipher": ("Cipher", {"chacha20-poly1305@openssh.com": "chacha20", "aes256-ctr": "aes", "aes128-gcm@openssh.com": "aesgcm"},
                        "aes,chacha20,aesgcm,3des,des,blowfish,arcfour")}

    def told(self, axis, name):
        return name in self.WORDS.get(axis, ("", ()))[1]

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

    def remote(self, there, here):
        return self.run("plink", f"nc 127.0.0.1 {there} </dev/null", options=["-T", "-R", f"{there}:127.0.0.1:{here}"])

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
    SHARED = {"kex": CURVE[1:], "hostkey": HOST_KEYS, "cipher": ["aes128-ctr", "aes256-ctr"], "mac": MACS}

    def connected(self, use, key=None, **only):
        transport = paramiko.Transport(("127.0.0.1", self.port))
        for axis, name in only.items():
            setattr(transport, self.AXES[axis], (name,))
        try:
            load = {"ecdsa": paramiko.ECDSAKey, "p384": paramiko.ECDSAKey, None: paramiko.Ed25519Key, "ed25519": paramiko.Ed25519Key}
            pkey = load.get(key, paramiko.RSAKey).from_private_key_file(str(self.key(key)))
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

    def remote(self, there, here):
        def use(transport):
            transport.request_port_forward("127.0.0.1", there)
            channel = transport.open_session()
            channel.exec_command(f"nc 127.0.0.1 {there} </dev/null")
            with transport.accept(60) as back, socket.create_connection(("127.0.0.1", here)) as s:
                back.sendall(s.recv(100))
            return self.finish(channel)
        return self.connected(use)

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
    SHARED = {**OURS, "kex": CURVE}

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

    def remote(self, there, here):
        async def use(c):
            await c.forward_remote_port("127.0.0.1", there, "127.0.0.1", here)
            done = await c.run(f"nc 127.0.0.1 {there} </dev/null", encoding=None)
            return done.stdout, done.exit_status, done.stderr
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
    SHARED = {"kex": CURVE, "hostkey": HOST_KEYS,
              "cipher": ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-ctr"],
              "mac": ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-256"]}

    def program(self):
        return [built(f"{BUILD}/go", f"{SOURCES}/client.go", ["go", "build", "-o", f"{BUILD}/go", f"{SOURCES}/client.go"],
                      GO111MODULE="off", GOFLAGS="", GOPATH="/usr/share/gocode", GOCACHE=f"{BUILD}/go-cache")]

    def verb(self, verb, *words, data=b"", key=None, **only):
        return self.result(run([*self.program(), self.port, self.key(key), *(only.get(axis, "-") for axis in OURS), verb, *words], data))

    def exec(self, command, key=None, **only):
        return self.verb("exec", command, key=key, **only)

    def shell(self, text):
        return self.verb("shell", data=text)

    def pty(self, command):
        return self.verb("pty", command)

    def forward(self):
        return self.verb("forward")

    def remote(self, there, here):
        return self.verb("remote", there, here)


class LibSSH(Go):
    SHARED = {**OURS, "kex": CURVE}

    def program(self):
        return [built(f"{BUILD}/libssh", f"{SOURCES}/client.c",
                      ["clang", "-O1", "-Wall", "-o", f"{BUILD}/libssh", f"{SOURCES}/client.c", "-lssh"])]

    def sftp(self, path, data):
        return self.verb("sftp", path, data=data)


@functools.cache
def fetched():
    """What npm has for the tests, in deps/; it is asked for once."""
    done = run([f"{guestlib.TOP}/scripts/fetch.sh", "--tests"])
    assert done.returncode == 0, done.stderr.decode()
    return f"{guestlib.TOP}/deps"


class Ssh2(LibSSH):
    """Of npm, without what it would compile."""

    def program(self):
        return ["env", f"NODE_PATH={fetched()}", "node", f"{SOURCES}/client.js"]


class Curl(Client):
    """libssh2, which chooses everything by itself. Before 1.11 it signs with an RSA key by SHA-1 alone, which nobody takes."""
    KINDS = Client.KINDS - ({"rsa", "rsa3072"} if re.search(r"libssh2/1\.([0-9]|10)\.", run(["curl", "-V"]).stdout.decode()) else set())
    OFFERS = {"p384", "rsa", "rsa3072", "rsa1024"} - KINDS
    SHARED = {"kex": CURVE, "hostkey": ["ssh-ed25519"], "cipher": ["aes128-ctr", "aes256-ctr"], "mac": ["hmac-sha2-256"]}
    exec = None

    def told(self, axis, name):
        return False

    def transfer(self, path, key, *options, data=b""):
        return run(["curl", "-sSk", "-u", "root:", "--key", self.key(key), "--pubkey", f"{self.key(key)}.pub", *options,
                    f"sftp://127.0.0.1:{self.port}{path}"], data)

    def reads(self, path, key=None):
        return self.result(self.transfer(path, key))

    def sftp(self, path, data):
        there = self.transfer(path, None, "-T", "-", data=data)
        return self.result(there) if there.returncode else self.reads(path)


CLIENTS = [OpenSSH, NewerOpenSSH, Dropbear, PuTTY, Paramiko, AsyncSSH, LibSSH, Go, Ssh2, Curl]


@pytest.fixture(scope="module")
def user_keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user-keys")
    for name, (kind, bits) in KINDS.items():
        run(["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-f", folder / name], check=True)
        run(["dropbearconvert", "openssh", "dropbear", folder / name, folder / f"{name}.dropbear"])
        run(["puttygen", folder / name, "-O", "private", "-o", folder / f"{name}.ppk"], check=True)
    (folder / "all.pub").write_text("".join((folder / f"{name}.pub").read_text() for name in KINDS))
    return folder


@pytest.fixture(scope="module")
def machine(user_keys):
    with guestlib.Guest("matrix", smp=4, options=["--rsa", "--key", f"{user_keys}/all.pub"]) as g:
        g.control = f"{user_keys}/control"
        with g.shared(g.control):
            yield g


@contextlib.contextmanager
def offering(machine, **only):
    """The server with these algorithms alone, if any are named. A connection that is there already does not mind."""
    def configure(text):
        machine.ssh("cat >/etc/ssh/sshd_config && echo reload >/proc/tern/ssh", options=["-S", machine.control], data=text.encode(),
                    check=True)

    if not only:
        yield
        return
    configure("".join(f"{OpenSSH.OPTIONS[axis]} {name}\n" for axis, name in only.items()))
    try:
        yield
    finally:
        configure("")


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
    # a line that begins with `- is of the name before
    lines = re.findall(r"^(?:\(\w+\) (\S+).*? -| +`)- \[(\w+)\] (.*)$", out, re.M)
    names = itertools.accumulate((name for name, _, _ in lines), lambda last, name: name or last)
    found = [(name, grade, why) for name, (_, grade, why) in zip(names, lines)]
    assert any(line[:2] == ("chacha20-poly1305@openssh.com", "info") and "since" in line[2] for line in found), out
    assert len(found) == len(re.findall(r" \[\w+\] ", out)) and "[fail]" not in out, out
    known = {(name, "unknown algorithm") for name in (*KEXES, "kex-strict-s-v00@openssh.com")}
    known |= {("sntrup761x25519-sha512@openssh.com", "using experimental algorithm"), ("hmac-sha2-256", "using encrypt-and-MAC mode")}
    known |= {(name, "does not provide protection against post-quantum attacks") for name in KEXES[3:]}
    assert {(name, why) for name, grade, why in found if grade == "warn"} <= known, found


def used(client, **only):
    """By what the server says of the connection, which it gives. The cipher is one that needs a MAC if that is named."""
    if "mac" in only:
        only.setdefault("cipher", "aes128-ctr")
    told = {axis: name for axis, name in only.items() if client.told(axis, name)}
    with offering(client.guest, **{axis: name for axis, name in only.items() if axis not in told}):
        out, status, err = client.reads("/proc/tern/ssh", **told)
    assert status == 0, (only, err)
    words = own_line(out)
    for place, axis in ((4, "kex"), (5, "cipher"), (6, "mac")):
        if axis in only and not (axis == "mac" and "implicit" in words[place]):
            assert set(words[place].split("/")) <= {only[axis], only[axis].partition("@")[0]}, (only, words)
    return words


@each("reads")
def test_every_algorithm(client):
    for axis, names in offered(client).items():
        assert set(names) >= set(client.SHARED[axis])
        for name in names:
            used(client, **{axis: name})


@pytest.mark.long
@each("reads")
def test_every_combination(client):
    axes = offered(client)
    for names in itertools.product(*axes.values()):
        only = dict(zip(axes, names))
        # with an AEAD there is no MAC: once
        if "@" not in only["cipher"] or only.pop("mac") == axes["mac"][0]:
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


@each("remote")
def test_remote_forward(client, ports=itertools.count(8100)):
    """From a port of the guest, which its nc asks, through the client to one of this host."""
    with serving(lambda s: s.sendall(LINE)) as here:
        gave(client.remote(next(ports), here), LINE, 0)


@each("sftp")
def test_sftp(client):
    data = random.Random(11).randbytes(100000)
    gave(client.sftp("/root/matrix", data), data, 0)


def offers(client, kind):
    """How many connections have ended in which the key was refused, and that was counted, by the server's record of them."""
    key = run(["ssh-keygen", "-lf", client.keys / f"{kind}.pub"], check=True).stdout.decode().split()[1]
    text = client.guest.ssh("cat /proc/tern/logins", check=True).stdout.decode()
    return len(re.findall(rf"{re.escape(key)} refused \d+ s refused [1-9]", text))


@each("reads")
def test_user_keys(client):
    for kind in sorted(client.KINDS):
        out, status, err = client.reads("/proc/tern/ssh", key=kind)
        assert status == 0 and own_line(out), (kind, err)
    for kind in sorted({*KINDS} - client.KINDS):
        before = offers(client, kind)
        out, status, err = client.reads("/proc/tern/ssh", key=kind)
        assert not out and status != 0, (kind, err)
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
