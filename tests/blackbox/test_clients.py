# SPDX-License-Identifier: MIT
"""Other clients, and every algorithm by name."""
import hashlib
import itertools
import random
import subprocess

import paramiko
import pytest

import guest as guestlib

OWN_KEY = f"{guestlib.TOP}/build/ssh/id_ed25519"
CIPHERS = ["chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com", "aes128-ctr", "aes256-gcm@openssh.com",
           "aes256-ctr"]
MACS = ["hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-256"]
KEXES = ["mlkem768x25519-sha256", "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com", "curve25519-sha256",
         "curve25519-sha256@libssh.org"]

FAST_KEX = ["-o", "KexAlgorithms=curve25519-sha256"]  # a key of sntrup761 costs a client 70 ms of CPU


def run(command, data=b"", timeout=60):
    return subprocess.run([str(word) for word in command], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout * guestlib.patience)


def query(what):
    return run(["ssh", "-Q", what]).stdout.decode().split()


def dbclient(guest, keys, *command):
    return ["dbclient", "-y", "-y", "-T", "-i", keys / "id.dropbear", "-p", str(guest.port), "root@127.0.0.1", *command]


def plink(guest, keys, *command):
    print_ = run(["ssh-keygen", "-lf", f"{guestlib.TOP}/build/ssh/host_ed25519.pub"]).stdout.decode().split()[1]
    return ["plink", "-batch", "-T", "-hostkey", print_, "-P", str(guest.port), "-i", keys / "id.ppk",
            "root@127.0.0.1", *command]


@pytest.mark.parametrize("client", [dbclient, plink])
def test_client_runs_commands(guest, keys, client):
    done = run(client(guest, keys, "hello", "3", "0"))
    assert done.stdout == b"hello (1/3)\nhello (2/3)\nhello (3/3)\n", done.stderr
    assert done.returncode == 0
    assert run(client(guest, keys, "false")).returncode == 1


@pytest.mark.parametrize("client", [dbclient, plink])
def test_client_round_trip(guest, keys, client):
    data = random.Random(4).randbytes(1000000)
    done = run(client(guest, keys, "cat"), data=data, timeout=120)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest(), done.stderr


def test_dbclient_repeatedly(guest, keys):
    """dbclient always sends a guessed key exchange packet; it must be used or dropped rightly each time."""
    for _ in range(10):
        assert run(dbclient(guest, keys, "true")).returncode == 0


def openssh(guest, keys, *command):
    return guest.ssh_command(*command)


def own_line(text):
    """Of /proc/tern/ssh, read by a client: what is said of the newest connection, its own."""
    lines = [line.split() for line in text.decode().splitlines() if " root " in line]
    return max(lines, key=lambda words: int(words[0]))


@pytest.mark.parametrize("client, kex", [(openssh, "sntrup761x25519-sha512@openssh.com"), (dbclient, "curve25519-sha256"),
                                         (plink, "sntrup761x25519-sha512@openssh.com")])
def test_each_client_has_the_exchange_it_wants(guest, keys, client, kex):
    """Its own order decides. The host's ssh and plink may be newer: then it is ML-KEM, or the name without a domain."""
    done = run(client(guest, keys, "cat", "/proc/tern/ssh"))
    assert own_line(done.stdout)[4] in {kex, *(KEXES[:3] if "sntrup" in kex else ())}, done.stderr


@pytest.fixture(scope="module")
def newer_ssh():
    """An ssh that prefers ML-KEM: the pinned one, whatever the host has."""
    folder = f"{guestlib.TOP}/build/openssh"
    done = run([f"{guestlib.TOP}/tests/blackbox/openssh.sh", folder], timeout=1200)
    assert done.returncode == 0, done.stderr
    return f"{folder}/ssh"


@pytest.mark.parametrize("limit", ["1G", "16K"])
def test_newer_openssh_uses_mlkem_and_warns_of_nothing(guest, newer_ssh, limit):
    command = guest.ssh_command("head -c 100000 /dev/zero; cat /proc/tern/ssh", options=["-o", f"RekeyLimit={limit}"])
    done = run([newer_ssh, *command[1:]])
    assert (done.returncode, done.stderr) == (0, b"")
    assert own_line(done.stdout.lstrip(b"\0"))[4] == KEXES[0]


def paramiko_client(guest):
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect("127.0.0.1", guest.port, "root", key_filename=OWN_KEY, allow_agent=False, look_for_keys=False)
    return client


def test_paramiko_has_its_exchange(guest):
    client = paramiko_client(guest)
    text = client.exec_command("cat /proc/tern/ssh", timeout=60)[1].read()
    assert own_line(text)[4].startswith("curve25519-sha256")
    client.close()


def test_rekeys_of_a_session(guest):
    """A session's stack is too small for a key exchange: each borrows one. With each method in turn, and with ssh's own. The
    client says nothing more behind its limit before it has new keys, so what it says last comes behind an exchange."""
    for kex in sorted(set(KEXES) & set(query("kex"))):
        done = guest.ssh("head -c 300000 /dev/zero; cat >/dev/null; cat /proc/tern/ssh", check=True, data=bytes(100000),
                         options=["-o", "RekeyLimit=16K", "-o", f"KexAlgorithms={kex}"])
        words = own_line(done.stdout.lstrip(b"\0"))
        assert words[4] == kex
        assert int(words[words.index("rekeys") + 1]) >= 1


def test_paramiko(guest):
    client = paramiko_client(guest)
    data = random.Random(5).randbytes(300000)
    for _ in range(3):
        stdin, stdout, stderr = client.exec_command("cat", timeout=60)
        stdin.write(data[:1000])
        stdin.channel.shutdown_write()
        assert stdout.read() == data[:1000]
        assert stdout.channel.recv_exit_status() == 0
    # Often: a pipe that took a part of a packet and forgot the rest stopped 4 of 10 uploads.
    for _ in range(8):
        stdin, stdout, stderr = client.exec_command("sink", timeout=30)
        stdin.write(data)
        stdin.channel.shutdown_write()
        assert stdout.read().split()[1].decode() == hashlib.sha256(data).hexdigest()
    client.close()


@pytest.mark.parametrize("cipher", CIPHERS)
def test_cipher(guest, cipher):
    data = random.Random(cipher).randbytes(300000)
    done = guest.ssh("cat", data=data, options=["-c", cipher], check=True)
    assert done.stdout == data


@pytest.mark.parametrize("mac", MACS)
@pytest.mark.parametrize("cipher", ["aes128-ctr", "aes256-ctr"])
def test_mac(guest, cipher, mac):
    data = random.Random(mac).randbytes(300000)
    done = guest.ssh("cat", data=data, options=["-c", cipher, "-m", mac], check=True)
    assert done.stdout == data


def test_exactly_these_key_exchanges_work(guest):
    works = [k for k in query("kex") if guest.ssh("true", options=["-o", f"KexAlgorithms={k}"]).returncode == 0]
    assert set(works) == set(KEXES) & set(query("kex"))


def test_exactly_these_ciphers_work(guest):
    works = [c for c in query("cipher") if guest.ssh("true", options=["-c", c]).returncode == 0]
    assert sorted(works) == sorted(CIPHERS)


def test_exactly_these_macs_work(guest):
    works = [m for m in query("mac")
             if guest.ssh("true", options=["-c", "aes128-ctr", "-m", m]).returncode == 0]
    assert sorted(works) == sorted(MACS)


def test_wrong_key_is_refused(guest, keys):
    for kind in ("ed25519", "ecdsa", "rsa"):
        done = run(["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
                    "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i",
                    keys / f"other_{kind}", "-p", guest.port, "root@127.0.0.1", "true"])
        assert done.returncode == 255
        assert b"Permission denied" in done.stderr


def test_wrong_host_key_would_be_seen(guest):
    """The client's known_hosts holds our key: the server must have proved that one, not just any."""
    scan = run(["ssh-keyscan", "-p", guest.port, "-t", "ed25519", "127.0.0.1"]).stdout.decode().split()
    with open(f"{guestlib.TOP}/build/ssh/host_ed25519.pub", encoding="utf-8") as f:
        assert scan[1:3] == f.read().split()[:2]


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_login_with_each_kind_of_key(boot, keys, kind):
    everything = keys / "all.pub"
    if not everything.exists():
        everything.write_text("".join((keys / f"other_{k}.pub").read_text() for k in ("ed25519", "ecdsa", "rsa")))
    g = boot(smp=2, options=["--key", str(everything)])
    done = run(["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-i",
                keys / f"other_{kind}", "-p", g.port, "root@127.0.0.1", "echo", kind])
    assert (done.returncode, done.stdout) == (0, kind.encode() + b"\n"), done.stderr


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("command", ["cat", "sink"])
def test_client_rekeys_in_mid_stream(guest, cipher, command):
    data = random.Random(6).randbytes(3000000)
    done = guest.ssh(command, data=data, options=["-c", cipher, *FAST_KEX, "-o", "RekeyLimit=256K"], timeout=240, check=True)
    if command == "cat":
        assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()
    else:
        assert done.stdout.decode().split() == [str(len(data)), hashlib.sha256(data).hexdigest()]


@pytest.mark.long
def test_rekey_limit_of_16k(guest):
    data = random.Random(7).randbytes(10000000)
    done = guest.ssh("cat", data=data, options=[*FAST_KEX, "-o", "RekeyLimit=16K"], timeout=1200, check=True)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


def test_keepalive_is_answered(guest):
    """By what the client says of its packets: whether answers come in its time is the host's matter."""
    p = guest.popen("cat", options=["-vvv", "-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=60"])
    refusals = (line for line in p.stderr if b"receive packet: type 82" in line)
    assert len(list(itertools.islice(refusals, 3))) == 3, guest.tail()
    assert p.communicate(b"still here", timeout=60)[0] == b"still here"
    assert p.returncode == 0


def test_unsupported_requests_are_refused_not_fatal(guest):
    done = guest.ssh("echo", "on", options=["-A", "-X", "-o", "ForwardX11Trusted=yes", "-R", "0:127.0.0.1:1"])
    assert done.stdout == b"on\n", done.stderr
