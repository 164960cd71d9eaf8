# SPDX-License-Identifier: MIT
"""Connections that last: key exchanges begun by either side, by bytes and by time, in the midst of traffic both ways on many
channels; and keepalives, which end a connection whose client is gone, and no other."""
import concurrent.futures
import hashlib
import itertools
import random
import re
import signal
import threading

import paramiko
import pytest

import guest as guestlib
import sshraw
from sshraw import u32
from test_clients import FAST_KEX, own_line, paramiko_client
from test_exec import flood_bytes

SERVER_64K, SERVER_1S = "RekeyLimit 64K none\n", "RekeyLimit default 1\n"
LARGEST = 32768 + 64  # a packet of ours


class OwnGuest(guestlib.Guest):
    def configure(self, text):
        """For the connections from now on."""
        self.ssh("cat >/etc/ssh/sshd_config && echo reload >/proc/tern/ssh", data=text.encode(), check=True)


@pytest.fixture(scope="module")
def machine():
    # a test takes its cable out: what is sent meanwhile does not reach the recorder
    with OwnGuest("lasting", captures=False) as g:
        yield g


@pytest.fixture
def guest(machine):
    yield machine
    machine.configure("")


def rekeys(line):
    return int(line[line.index("rekeys") + 1])


# ---- key exchanges

def digest(data):
    return hashlib.sha256(data).hexdigest()


def traffic(run, round_):
    """Both ways on ten channels at once, all by run(command, input), which gives the output."""
    data = random.Random(round_).randbytes(400000)
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        both = [pool.submit(run, "cat", data) for _ in range(4)]
        up = [pool.submit(run, "sink", data) for _ in range(3)]
        down = [pool.submit(run, f"flood 400000 {seed}", b"") for seed in (1, 2, 3)]
        for job in both:
            assert digest(job.result()) == digest(data)
        for job in up:
            assert job.result().decode().split() == [str(len(data)), digest(data)]
        for seed, job in enumerate(down, 1):
            assert job.result() == flood_bytes(400000, seed)


def traffic_until_rekeyed(run, count):
    """At least so many exchanges amid it."""
    rounds = itertools.count()

    def enough():
        traffic(run, next(rounds))
        return rekeys(own_line(run("cat /proc/tern/ssh", b""))) >= count

    guestlib.until(f"{count} exchanges", enough, seconds=120, pause=0)


# 7 of 10 channels send 400 KB each way, so that one round has at least 2.8 MB either way.
WHO = {"client by bytes": ("64K", "", 20), "client by time": ("default 1", "", 3), "server by bytes": ("default none", SERVER_64K, 20),
       "server by time": ("default none", SERVER_1S, 3), "both": ("64K 1", SERVER_64K, 30)}


@pytest.mark.parametrize("who", WHO)
def test_openssh_rekeys_amid_traffic(guest, tmp_path, who):
    mine, theirs, count = WHO[who]
    guest.configure(theirs)
    path = str(tmp_path / "control")
    master = guest.popen(options=["-N", "-M", "-S", path, *FAST_KEX, "-o", f"RekeyLimit={mine}", "-o", "PermitLocalCommand=yes", "-o",
                                  "LocalCommand=echo connected"])
    try:
        assert master.stdout.readline() == b"connected\n"

        def run(command, data):
            return guest.ssh(command, data=data, options=["-S", path, "-o", "ProxyCommand=false"], timeout=120, check=True).stdout

        traffic_until_rekeyed(run, count)
        assert master.poll() is None
    finally:
        master.terminate()
        master.communicate()


def test_paramiko_rekeys_with_the_server(guest):
    guest.configure(SERVER_64K)
    client = paramiko_client(guest)

    def run(command, data):
        stdin, stdout, _ = client.exec_command(command, timeout=120)

        def send():
            stdin.write(data)
            stdin.channel.shutdown_write()

        thread = threading.Thread(target=send)
        thread.start()
        got = stdout.read()
        thread.join()
        assert stdout.channel.recv_exit_status() == 0
        return got

    traffic_until_rekeyed(run, 10)
    client.close()


def test_paramiko_rekeys_by_itself(guest):
    """While four channels carry data both ways. None may end meanwhile: the thread that reads would wait for the end of the
    key exchange to answer CLOSE."""
    client, data = paramiko_client(guest), random.Random(2).randbytes(500000)
    stop = threading.Event()

    def go_round():
        channel = client.get_transport().open_session()
        channel.exec_command("cat")
        while not stop.is_set():
            sender = threading.Thread(target=channel.sendall, args=(data,))
            sender.start()
            got = b""
            while len(got) < len(data):
                part = channel.recv(len(data) - len(got))
                assert part, "its end"
                got += part
            sender.join()
            assert got == data
        return channel

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(go_round) for _ in range(4)]
        try:
            guest.wait_for_threads("cat", 4)
            for _ in range(20):
                client.get_transport().renegotiate_keys()
        finally:
            stop.set()
        channels = [job.result() for job in jobs]
    text = client.exec_command("cat /proc/tern/ssh", timeout=60)[1].read()
    assert len(channels) == 4 and rekeys(own_line(text)) == 20, text
    client.close()


class Rekeying(sshraw.Raw):
    """Knows what each set of the server's keys has carried, and takes part in the exchanges that the server begins."""

    def __init__(self, port):
        super().__init__(port)
        self.under = self.before = 0
        self.carried, self.data = [], {}

    def read_exactly(self, n):
        self.under += n
        return super().read_exactly(n)

    def receive(self):
        self.before = self.under
        return super().receive()

    def take(self, payload):
        """What is no part of a key exchange."""
        reader = sshraw.Reader(payload[1:])
        if payload[0] == sshraw.DATA:
            self.data.setdefault(reader.u32(), bytearray()).extend(reader.string())

    def finish(self, their_kexinit):
        """The message just received. RFC 4253 s7.1: until NEWKEYS any other of the server's is an error, to receive_type()."""
        self.carried.append(self.before)
        self.their_kexinit = their_kexinit
        self.exchange_keys(check=True)
        self.new_keys()
        self.under = 0

    def rekey(self):
        """Ours: what is under way comes before the server's KEXINIT."""
        self.my_kexinit = sshraw.kexinit()
        self.send(self.my_kexinit)
        while (payload := self.receive())[0] != sshraw.KEXINIT:
            self.take(payload)
        self.finish(payload)

    def step(self):
        payload = self.receive()
        if payload[0] != sshraw.KEXINIT:
            return self.take(payload)
        self.my_kexinit = sshraw.kexinit()
        self.send(self.my_kexinit)
        return self.finish(payload)

    def start(self, number, command, window):
        """A channel, whose answers are passed over."""
        self.send(bytes([sshraw.OPEN]) + sshraw.string("session") + u32(number) + u32(window) + u32(32768))
        while (payload := self.receive())[0] != sshraw.OPEN_OK:
            self.take(payload)
        reader = sshraw.Reader(payload[5:])
        channel = reader.u32()
        self.request(channel, "exec", sshraw.string(command), want_reply=False)
        return channel


def raw(guest):
    return Rekeying(guest.port).handshake().login(sshraw.load_key(f"{guestlib.TOP}/build/ssh/id_ed25519"))


def test_no_keys_carry_more_than_the_limit(guest):
    """I-SSH-21, as the client sees it: with two programs that write all the time."""
    guest.configure(SERVER_64K)
    with raw(guest) as r:
        for seed in (1, 2):
            r.start(seed, f"flood 1500000 {seed}", 1 << 24)
        while sum(map(len, r.data.values())) < 3000000:
            r.step()
        assert [bytes(r.data[seed]) == flood_bytes(1500000, seed) for seed in (1, 2)] == [True] * 2
        # the first were the login's, too
        assert all(65536 <= n < 65536 + LARGEST for n in r.carried[1:]), r.carried
        assert len(r.carried) > 3000000 // (65536 + LARGEST)


def test_raw_rekeys_at_every_message(guest):
    """The client begins one before each message of its own, with output of four programs under way; none is one too many."""
    piece = random.Random(1).randbytes(3000)
    with raw(guest) as r:
        channels = [r.start(number, "cat", 1 << 24) for number in range(4)]
        for _ in range(40):
            for channel in channels:
                r.rekey()
                r.send(bytes([sshraw.DATA]) + u32(channel) + sshraw.string(piece))
        while sum(map(len, r.data.values())) < 160 * len(piece):
            r.step()
        assert all(got == piece * 40 for got in r.data.values())
        lines = guest.ssh("cat /proc/tern/ssh", check=True).stdout.decode().splitlines()
        assert [rekeys(line.split()) for line in lines if "channels 4" in line] == [160], lines


# ---- keepalives

ALIVE = "ClientAliveInterval 1\nClientAliveCountMax 2\n"
GONE = "the client does not answer"


def ended(guest, seen):
    return re.findall(rf"ssh: (\d+) .*{GONE}", guest.console()[seen:])


def test_a_client_that_answers_is_kept(guest):
    """Idle for longer than one that does not answer has, which is more than a host halts; and in the midst of it nothing is said."""
    guest.configure("ClientAliveInterval 1\nClientAliveCountMax 8\n")
    seen = len(guest.console())
    with guest.popen("echo in; cat", options=["-vvv"]) as p:
        assert p.stdout.readline() == b"in\n"
        asked = (line for line in p.stderr if b"client_input_global_request: rtype keepalive@openssh.com want_reply 1" in line)
        assert len(list(itertools.islice(asked, 10))) == 10
        out, _ = p.communicate(b"still here", timeout=60)
    assert out == b"still here" and p.returncode == 0 and not ended(guest, seen)


@pytest.mark.parametrize("command", ["cat", "flood 1000000000 1", "sink"])
def test_a_stopped_client_is_ended(guest, command):
    """At rest, in the midst of what it does not read, and with input that comes no more: all of it is given back while it is
    still there."""
    guest.ssh("true", check=True)
    before = guest.account()
    guest.configure(ALIVE)
    seen = len(guest.console())
    with guest.popen(command) as p:
        try:
            p.stdin.write(b"x" * 50000)
            p.stdin.flush()
            guest.wait_for_threads(command.split()[0])
            p.send_signal(signal.SIGSTOP)
            guestlib.until("its end", lambda: ended(guest, seen), seconds=30)
            guest.configure("")
            guest.wait_for_no_thread(command.split()[0])
            guest.wait_for_account(before, seconds=60)
            assert p.poll() is None
        finally:
            p.kill()


def test_a_client_behind_a_pulled_cable_is_ended(guest):
    guest.ssh("true", check=True)
    before = guest.account()
    guest.configure(ALIVE)
    seen = len(guest.console())
    with guest.popen("echo in; cat") as p:
        assert p.stdout.readline() == b"in\n"
        guest.monitor("set_link net0 off")
        try:
            guestlib.until("its end", lambda: ended(guest, seen), seconds=30)
        finally:
            guest.monitor("set_link net0 on")
        p.kill()
    guest.configure("")
    guest.wait_for_no_thread("cat")
    guest.wait_for_account(before, seconds=90)
