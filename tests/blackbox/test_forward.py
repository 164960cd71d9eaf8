# SPDX-License-Identifier: MIT
"""TCP forwarding: ssh -L, -R, -D, -J and -W through the guest, with peers on this host (10.0.2.2 in the guest) and in it."""
import contextlib
import hashlib
import os
import random
import re
import socket
import struct
import subprocess
import threading

import pytest

import guest as guestlib
import sshraw
from sshraw import u32
from test_exec import flood_bytes
from test_sockets import echo, reset, serving

KEY_FILE = f"{guestlib.TOP}/build/ssh/id_ed25519"
WINDOW = 256 * 1024
SIZES = [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 20_000_000, pytest.param(200_000_000, marks=pytest.mark.long)]


@contextlib.contextmanager
def client(g, *options, command=()):
    """A client that forwards, from when it is logged in."""
    p = g.popen(*command, options=[*([] if command else ["-N"]), "-o", "ExitOnForwardFailure=yes", "-o", "PermitLocalCommand=yes",
                                   "-o", "LocalCommand=echo connected", "-o", "LogLevel=INFO", *options], stdin=subprocess.DEVNULL)
    try:
        assert p.stdout.readline() == b"connected\n", p.stderr.read()
        yield p
    finally:
        p.kill()
        p.communicate()


@contextlib.contextmanager
def program(g, command, **more):
    """One in the guest, whose client ends with the block."""
    with g.popen(command, **more) as p:
        try:
            yield p
        finally:
            p.kill()


@contextlib.contextmanager
def local(g, target, *options):
    """A port of this host that leads to target as the guest sees it."""
    port = guestlib.free_port()
    with client(g, "-L", f"{port}:{target}", *options):
        yield port


@contextlib.contextmanager
def remote(g, address, target, *options):
    """A port of the guest, which it chose, that leads to target as this host sees it."""
    with client(g, "-R", f"{address}:0:{target}", *options) as p:
        for line in p.stderr:
            if found := re.search(rb"Allocated port (\d+)", line):
                break
        yield int(found[1])


def connect(port):
    s = socket.create_connection(("127.0.0.1", port), 20)
    s.settimeout(60)
    return s


def read_all(s):
    parts = []
    while part := s.recv(65536):
        parts.append(part)
    return b"".join(parts)


def exchange(s, data):
    """Send and promise no more, while all is read."""
    def send():
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=send)
    thread.start()
    got = read_all(s)
    thread.join(60)
    return got


def digest(s):
    """All there is, until its end; then what it was: needs each way to end by itself."""
    s.sendall(hashlib.sha256(read_all(s)).digest())


class Crossing:
    """A target that takes one stream and gives another at the same time, and ends when it has taken all."""

    def __init__(self, size):
        self.up, self.down, self.took = os.urandom(size), os.urandom(size), b""

    def __call__(self, s):
        sender = threading.Thread(target=s.sendall, args=(self.down,))
        sender.start()
        self.took = read_all(s)
        sender.join(600 * guestlib.patience)

    def check(self, got):
        """Behind the serving: what came of each way."""
        for there, here in ((self.up, self.took), (self.down, got)):
            assert len(there) == len(here) and hashlib.sha256(there).digest() == hashlib.sha256(here).digest()


@pytest.mark.quick
@pytest.mark.parametrize("size", SIZES)
def test_local_both_ways(guest, size):
    target = Crossing(size)
    with serving(target) as port, local(guest, f"10.0.2.2:{port}") as here, connect(here) as s:
        got = exchange(s, target.up)
    target.check(got)


def test_local_half_close_by_the_client(guest):
    data = os.urandom(3_000_000)
    with serving(digest) as port, local(guest, f"10.0.2.2:{port}") as here, connect(here) as s:
        assert exchange(s, data) == hashlib.sha256(data).digest()


def test_local_half_close_by_the_target(guest):
    data, got, done = os.urandom(3_000_000), [], threading.Event()

    def speaks_first(s):
        s.sendall(b"all I say")
        s.shutdown(socket.SHUT_WR)
        got.append(hashlib.sha256(read_all(s)).digest())
        done.set()

    with serving(speaks_first) as port, local(guest, f"10.0.2.2:{port}") as here, connect(here) as s:
        assert read_all(s) == b"all I say"
        s.sendall(data)
        s.close()
        assert done.wait(60)
    assert got == [hashlib.sha256(data).digest()]


def test_answer_behind_the_end_of_the_question(guest):
    """The client's EOF is the first that comes; what the target says then still arrives, and all of it."""
    for _ in range(5):
        assert guest.ssh(options=["-W", "127.0.0.1:22"]).stdout == b"SSH-2.0-tern\r\n"
    data = os.urandom(3_000_000)

    def says_all(s):
        assert read_all(s) == b""
        s.sendall(data)

    with serving(says_all) as port:
        assert guest.ssh(options=["-W", f"10.0.2.2:{port}"]).stdout == data


def test_banner_for_who_says_nothing(guest):
    """A client that promises to send nothing is told the version, and then the end."""
    for _ in range(20):
        with connect(guest.port) as s:
            s.shutdown(socket.SHUT_WR)
            assert read_all(s) == b"SSH-2.0-tern\r\n"


def test_local_to_the_guest_by_name(guest):
    start = ("mkdir -p /tmp/fwd; echo at home >/tmp/fwd/index.html; httpd -p 127.0.0.1:8091 -h /tmp/fwd; "
             "until wget -q -O - http://127.0.0.1:8091/; do :; done")
    assert guest.ssh(start).stdout == b"at home\n"
    with local(guest, "localhost:8091") as here:
        for _ in range(5):
            with connect(here) as s:
                s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert read_all(s).endswith(b"at home\n")
    guest.ssh("killall httpd; rm -r /tmp/fwd")


@pytest.mark.quick
@pytest.mark.parametrize("target, why", [
    ("127.0.0.1:1", "connection refused"), ("no.such.name:80", "unknown host name"), ("10.0.2.77:80", "no way to the host")])
def test_cannot_connect(guest, target, why):
    done = guest.ssh(options=["-o", "LogLevel=INFO", "-W", target])
    assert done.returncode != 0
    assert f"open failed: connect failed: {why}".encode() in done.stderr
    host, port = target.split(":")
    assert f"forwarding refused: connect to {host} port {port}: {why}" in guest.console()


def test_reset_by_the_target(guest):
    with serving(reset) as port, local(guest, f"10.0.2.2:{port}") as here:
        for _ in range(5):
            with connect(here) as s, contextlib.suppress(ConnectionResetError):
                assert read_all(s) == b""


def test_jump_to_itself(guest):
    """-J: a session within a forwarded connection, with its own half-closes and its status."""
    data = os.urandom(1_000_000)
    jump = ["-o", "ProxyJump=tern", "-o", "HostName=localhost", "-p", "22"]
    assert guest.ssh("cat", data=data, options=jump, check=True).stdout == data
    assert guest.ssh("exit 7", options=jump).returncode == 7


def test_jump_to_another(guest, boot):
    other = boot(smp=1)
    done = other.ssh("cat /proc/cpuinfo", options=["-o", f"ProxyCommand=ssh -F {guest.config} -W 10.0.2.2:{other.port} tern"])
    assert done.stdout.count(b"processor") == 1, done.stderr


def socks(port, host, target):
    """A connection by way of SOCKS 5, to a name or an address."""
    s = connect(port)
    s.sendall(b"\5\1\0")
    assert s.recv(2) == b"\5\0"
    s.sendall(b"\5\1\0\3" + bytes([len(host)]) + host.encode() + struct.pack(">H", target))
    answer = s.recv(10)
    assert answer[:2] == b"\5\0", answer
    return s


def test_dynamic(guest):
    here = guestlib.free_port()
    with serving(echo) as port, client(guest, "-D", str(here)):
        for _ in range(5):
            with socks(here, "10.0.2.2", port) as s:
                assert exchange(s, b"x" * 100_000) == b"x" * 100_000


def test_many_at_once_and_a_slow_one(guest):
    """One that is not read stands still, and no other."""
    stop = threading.Event()

    def endless(s):
        with contextlib.suppress(OSError):
            while not stop.is_set():
                s.sendall(b"y" * 65536)

    def each(s):
        threading.Thread(target=lambda t: t.sendall(read_all(t)) or t.close(), args=(s.dup(),), daemon=True).start()

    with serving(endless) as flood, serving(each) as port:
        here, there = guestlib.free_port(), guestlib.free_port()
        with client(guest, "-L", f"{here}:10.0.2.2:{port}", "-L", f"{there}:10.0.2.2:{flood}"), connect(there):
            sockets = [connect(here) for _ in range(30)]
            for k, s in enumerate(sockets):
                s.sendall(bytes([k]) * 30_000)
                s.shutdown(socket.SHUT_WR)
            for k, s in enumerate(sockets):
                assert read_all(s) == bytes([k]) * 30_000
                s.close()
            stop.set()


@pytest.mark.quick
@pytest.mark.parametrize("size", SIZES)
def test_remote_both_ways(guest, size):
    """The guest's own nc connects to its port, and reaches this host."""
    target = Crossing(size)
    with serving(target) as port, remote(guest, "localhost", f"127.0.0.1:{port}") as there:
        got = guest.ssh(f"nc 127.0.0.1 {there}", data=target.up, timeout=600, check=True).stdout
    target.check(got)


@contextlib.contextmanager
def through_both(g, serve):
    """A connection of this host to a port of the guest's (-L), which leads back here (-R), to serve(socket)."""
    with serving(serve) as port, remote(g, "localhost", f"127.0.0.1:{port}") as there, local(g, f"127.0.0.1:{there}") as here:
        with connect(here) as s:
            yield s


def test_remote_half_close_by_who_comes(guest):
    data = os.urandom(3_000_000)
    with through_both(guest, digest) as s:
        assert exchange(s, data) == hashlib.sha256(data).digest()


def test_remote_half_close_by_the_target(guest):
    data, got, done = os.urandom(3_000_000), [], threading.Event()

    def speaks_first(s):
        s.sendall(b"all I say")
        s.shutdown(socket.SHUT_WR)
        got.append(hashlib.sha256(read_all(s)).digest())
        done.set()

    with through_both(guest, speaks_first) as s:
        assert read_all(s) == b"all I say"
        s.sendall(data)
        s.close()
        assert done.wait(60)
    assert got == [hashlib.sha256(data).digest()]


def read_slowly(read):
    """All that read(n) gives, by a reader slower than the writer."""
    parts = []
    while part := read(100_000):
        parts.append(part)
        guestlib.let_pass(0.05)
    return b"".join(parts)


@pytest.mark.parametrize("slow", ["target", "who comes"])
def test_remote_slow_reader(guest, slow):
    data, got = flood_bytes(3_000_000, 6), []

    def serve(s):
        if slow == "target":
            got.append(read_slowly(s.recv))
        else:
            s.sendall(data)

    with serving(serve) as port, remote(guest, "localhost", f"127.0.0.1:{port}") as there:
        if slow == "target":
            guest.ssh(f"flood 3000000 6 | nc 127.0.0.1 {there}", timeout=180, check=True)
        else:
            with program(guest, f"nc 127.0.0.1 {there}", bufsize=0) as p:
                got.append(read_slowly(p.stdout.read))
    assert got == [data]


class Offered(sshraw.Raw):
    """Listens at a port of the guest's, .there, and says to each connection that comes what it is told."""

    def listen(self):
        self.handshake().login(sshraw.load_key(KEY_FILE))
        self.send(bytes([sshraw.GLOBAL_REQUEST]) + sshraw.string("tcpip-forward") + b"\1" + sshraw.string("localhost") + u32(0))
        self.there = sshraw.Reader(self.receive_type(sshraw.REQUEST_SUCCESS)[1:]).u32()
        return self

    def offer(self):
        """The next one's number of the server's, and its window."""
        reader = sshraw.Reader(self.receive_type(sshraw.OPEN)[1:])
        assert reader.string() == b"forwarded-tcpip"
        number, window, most = reader.u32(), reader.u32(), reader.u32()
        assert (most, reader.string(), reader.u32(), reader.string()) == (32768, b"localhost", self.there, b"127.0.0.1")
        assert 0 < reader.u32() < 65536 and not reader.data
        return number, window

    def agree(self, channel, number, window):
        self.send(bytes([sshraw.OPEN_OK]) + u32(channel) + u32(number) + u32(window) + u32(32768))

    def say(self, kind, channel, data=None):
        self.send(bytes([kind]) + u32(channel) + (b"" if data is None else sshraw.string(data)))

    def widen(self, channel, window):
        self.send(bytes([sshraw.WINDOW_ADJUST]) + u32(channel) + u32(window))

    def answered(self):
        """What the server says before the answer to a question of now: where nothing else is due, nothing."""
        self.send(bytes([sshraw.GLOBAL_REQUEST]) + sshraw.string("no-such@tern") + b"\1")
        said = []
        while (payload := self.receive())[0] != sshraw.REQUEST_FAILURE:
            said.append(payload)
        return said


@pytest.fixture
def offered(guest):
    with Offered(guest.port) as r:
        yield r.listen()


def test_remote_with_a_closed_window(guest, offered):
    """What the guest's side writes comes as the window lets it through."""
    with program(guest, f"(flood 400000 8; cat) | nc 127.0.0.1 {offered.there}") as p:
        channel, _ = offered.offer()
        offered.agree(channel, 5, 0)
        got = b""
        for grant in (0, 1, 10, 32768, 32769, 70_000, 1 << 20):
            offered.widen(channel, grant)
            end = min(len(got) + grant, 400_000)
            while len(got) < end:
                got += offered.receive_type(sshraw.DATA)[9:]
            assert len(got) == end
            for _ in range(10):
                assert offered.answered() == []
                # in which more than the window allows could come
                guestlib.let_pass(0.02)
        assert got == flood_bytes(400_000, 8)
        p.stdin.close()
        offered.receive_type(sshraw.EOF)
        offered.say(sshraw.EOF, channel)
        offered.receive_type(sshraw.CLOSE)
        offered.say(sshraw.CLOSE, channel)
        assert (p.stdout.read(), p.wait(60 * guestlib.patience)) == (b"", 0)


def test_remote_to_who_does_not_read(guest, offered):
    """The server gives no window for what is not taken; when it is, all of it comes."""
    data = random.Random(9).randbytes(5_000_000)
    guest.ssh("rm -f /tmp/held; mkfifo /tmp/held", check=True)
    with program(guest, f"nc 127.0.0.1 {offered.there} | (read word </tmp/held; sink)") as p:
        channel, window = offered.offer()
        assert window == WINDOW
        offered.agree(channel, 5, 1 << 20)
        sent = idle = 0

        def widened(payloads):
            assert {payload[0] for payload in payloads} <= {sshraw.WINDOW_ADJUST}
            return sum(sshraw.Reader(payload[5:]).u32() for payload in payloads)

        while idle < 10:
            n = min(window, 32768)
            offered.say(sshraw.DATA, channel, data[sent:sent + n])
            sent, window, more = sent + n, window - n, widened(offered.answered())
            window, idle = window + more, 0 if n or more else idle + 1
            if idle:
                # in which more window could come
                guestlib.let_pass(0.02)
        # its window, and what the queues of two sockets and two pipes hold
        assert WINDOW <= sent < 2_000_000
        guest.ssh("echo go >/tmp/held", check=True)
        while sent < len(data):
            if not (n := min(window, 32768)):
                window += widened([offered.receive_type(sshraw.WINDOW_ADJUST)])
                continue
            offered.say(sshraw.DATA, channel, data[sent:sent + n])
            sent, window = sent + n, window - n
        offered.say(sshraw.EOF, channel)
        out, _ = p.communicate(timeout=60 * guestlib.patience)
    assert out.decode().split() == [str(len(data)), hashlib.sha256(data).hexdigest()]
    guest.ssh("rm /tmp/held", check=True)


def test_a_thousand_come_one_after_another(guest):
    """Each has its own channel, answer and end, and none leaves anything."""
    guest.ssh("true", check=True)
    before = guest.account()
    with Offered(guest.port) as r:
        r.listen()
        with program(guest, f"for n in $(seq 1000); do echo $n | nc 127.0.0.1 {r.there}; done") as p:
            for number in range(1, 1001):
                channel, _ = r.offer()
                r.agree(channel, number, 1 << 20)
                got, kinds = b"", []
                while kinds[-1:] != [sshraw.EOF]:
                    payload = r.receive_type(sshraw.DATA, sshraw.EOF)
                    kinds.append(payload[0])
                    assert payload[1:5] == u32(number)
                    got += payload[9:]
                assert got == b"%d\n" % number
                r.say(sshraw.DATA, channel, b"<%d>" % number)
                r.say(sshraw.EOF, channel)
                assert r.receive_type(sshraw.CLOSE)[1:] == u32(number)
                r.say(sshraw.CLOSE, channel)
            out, _ = p.communicate(timeout=60 * guestlib.patience)
        assert out == b"".join(b"<%d>" % number for number in range(1, 1001))
        assert b" channels 0 " in guest.ssh("cat /proc/tern/ssh", check=True).stdout
    guest.wait_for_account(before, seconds=60)


@pytest.mark.parametrize("step", ["come", "offered", "agreed", "with its window closed", "half closed", "closed by us", "closed by both"])
def test_client_killed_with_one_that_came(guest, step):
    """At each step of its life it ends with the client, and all comes back."""
    guest.ssh("true", check=True)
    before = guest.account()
    # more than an account may be off by
    for _ in range(15):
        with Offered(guest.port) as r:
            r.listen()
            with program(guest, f"flood 100000000 1 | nc 127.0.0.1 {r.there} >/dev/null; echo ended") as p:
                if step != "come":
                    channel, _ = r.offer()
                if step not in ("come", "offered"):
                    r.agree(channel, 1, 0 if "window" in step else 1 << 20)
                if step == "half closed":
                    r.say(sshraw.EOF, channel)
                if "closed by" in step:
                    r.say(sshraw.CLOSE, channel)
                if step == "closed by both":
                    while r.receive()[0] != sshraw.CLOSE:
                        pass
                elif step == "come":
                    guest.wait_for_threads("nc")
                if "closed by" not in step:
                    assert p.poll() is None
                r.sock.close()
                assert p.communicate(timeout=60 * guestlib.patience)[0] == b"ended\n"
    guest.wait_for_no_thread("nc")
    guest.wait_for_account(before, seconds=60)


@pytest.mark.parametrize("address, reached", [("localhost", False), ("127.0.0.1", False), ("", True), ("*", True),
                                              ("0.0.0.0", True), ("[::]", False)])
def test_remote_addresses(guest, address, reached):
    with serving(echo) as port, remote(guest, address, f"127.0.0.1:{port}") as there:
        for at, expected in (("127.0.0.1", address != "[::]"), ("10.0.2.15", reached)):
            done = guest.ssh(f"nc {at} {there}", data=b"hello")
            assert (done.stdout == b"hello") == expected, (at, done.stderr)


def test_remote_that_is_taken_or_goes(guest):
    """A port has one listener, and none when its connection has ended; cancelled it is free at once."""
    path = os.path.join(guest.folder, "forward")
    with serving(echo) as port:
        with remote(guest, "localhost", f"127.0.0.1:{port}") as there:
            done = guest.ssh("true", options=["-o", "ExitOnForwardFailure=yes", "-R", f"{there}:127.0.0.1:{port}"])
            assert b"remote port forwarding failed" in done.stderr
        spec = f"{there}:127.0.0.1:{port}"
        guestlib.until("the port to be free", lambda: guest.ssh(f"nc 127.0.0.1 {there}", data=b"x").stdout != b"x")
        master = guest.master(path)
        for _ in range(3):
            done = guest.ssh(options=["-S", path, "-O", "forward", "-R", spec])
            assert done.returncode == 0, done.stderr
            assert guest.ssh(f"nc 127.0.0.1 {there}", data=b"hello").stdout == b"hello"
            done = guest.ssh(options=["-S", path, "-O", "cancel", "-R", spec])
            assert done.returncode == 0, done.stderr
            assert guest.ssh(f"nc 127.0.0.1 {there}", data=b"hello").stdout == b""
        master.terminate()
        master.communicate()


def test_remote_that_the_client_refuses(guest):
    """Who came to the port is told that nobody took it: an orderly end would say that all had arrived."""
    with sshraw.Raw(guest.port) as r:
        r.handshake().login(sshraw.load_key(KEY_FILE))
        r.send(bytes([sshraw.GLOBAL_REQUEST]) + sshraw.string("tcpip-forward") + b"\1" + sshraw.string("localhost") + sshraw.u32(0))
        port = sshraw.Reader(r.receive_type(sshraw.REQUEST_SUCCESS)[1:]).u32()
        with guest.popen(f"nc 127.0.0.1 {port} -e cat") as p:
            opening = sshraw.Reader(r.receive_type(sshraw.OPEN)[1:])
            assert opening.string() == b"forwarded-tcpip"
            r.send(bytes([sshraw.OPEN_FAILED]) + sshraw.u32(opening.u32()) + sshraw.u32(1) + sshraw.string("no") + sshraw.string(""))
            assert p.stderr.read() == b"cat: read error: Connection reset by peer\n"


def test_strangers_at_a_port_leave_room_for_the_user(guest):
    """I-SSH-17: more come to a port that -R opened than may, by way of two other connections; the user's next session opens."""
    path = os.path.join(guest.folder, "strangers")
    hold = threading.Event()
    with serving(lambda s: hold.wait(300)) as port:
        master = guest.master(path)
        done = guest.ssh(options=["-S", path, "-O", "forward", "-R", f"8097:127.0.0.1:{port}"])
        assert done.returncode == 0, done.stderr
        with local(guest, "127.0.0.1:8097") as one, local(guest, "127.0.0.1:8097") as two:
            sockets = [connect(here) for here in (one, two) for _ in range(40)]
            guestlib.until("all places to be taken", lambda: b" channels 64 " in guest.ssh("cat /proc/tern/ssh").stdout)
            guestlib.until("one to find none", lambda: "no room for a connection that came: 127.0.0.1" in guest.console())
            done = guest.ssh("echo in", options=["-S", path])
            assert (done.stdout, done.stderr) == (b"in\n", b"")
            for s in sockets:
                s.close()
        hold.set()
        master.terminate()
        master.communicate()


def test_target_that_speaks_before_it_reads(guest):
    """The client is gone, and the target reads nothing before it has said all: it gets what the client had sent."""
    data = os.urandom(WINDOW)
    guest.ssh("echo 'head -c 4000000 /dev/zero; cat >/tmp/heard.part; mv /tmp/heard.part /tmp/heard' >/tmp/speaks; chmod +x /tmp/speaks; "
              "nc -l -p 8092 -e sh /tmp/speaks >/dev/null 2>&1 </dev/null & until netstat -tln | grep -q :8092; do :; done", check=True)
    with sshraw.Raw(guest.port) as r:
        r.handshake().login(sshraw.load_key(KEY_FILE))
        r.send(bytes([sshraw.OPEN]) + sshraw.string("direct-tcpip") + sshraw.u32(0) + sshraw.u32(1000) + sshraw.u32(32768)
               + sshraw.string("127.0.0.1") + sshraw.u32(8092) + sshraw.string("127.0.0.1") + sshraw.u32(1))
        reply = sshraw.Reader(r.receive_type(sshraw.OPEN_OK))
        reply.take(5)
        channel = reply.u32()
        for at in range(0, WINDOW, 32768):
            r.send(bytes([sshraw.DATA]) + sshraw.u32(channel) + sshraw.string(data[at:at + 32768]))
        r.send(bytes([sshraw.CLOSE]) + sshraw.u32(channel))
        guestlib.until("the target to have heard all", lambda: guest.ssh("cat /tmp/heard").stdout == data, 50)
    guest.ssh("rm /tmp/heard /tmp/speaks")


def test_in_the_background(guest):
    """-f: the client goes to the background when all is set up, and -N runs no program."""
    here = guestlib.free_port()
    path = os.path.join(guest.folder, "background")
    with serving(echo) as port:
        done = guest.ssh(options=["-f", "-N", "-M", "-S", path, "-o", "ExitOnForwardFailure=yes", "-E", "/dev/null", "-L",
                                  f"{here}:10.0.2.2:{port}"], timeout=60)
        assert done.returncode == 0
        with connect(here) as s:
            assert exchange(s, b"hello") == b"hello"
        assert guest.ssh(options=["-S", path, "-O", "exit"]).returncode == 0


def test_what_a_key_permits(guest):
    keys = "/root/.ssh/authorized_keys"
    refused = b"administratively prohibited"
    # of a login before: the others' may be forced to a command
    free = ["-S", os.path.join(guest.folder, "free")]
    master = guest.master(free[1])
    guest.ssh(f"cp {keys} /tmp/keys", options=free)
    with serving(echo) as port:
        def there(options, target=f"10.0.2.2:{port}"):
            guest.ssh(f"sed 's#^#{options} #' /tmp/keys >{keys}", options=free, check=True)
            try:
                return guest.ssh(data=b"hello", options=["-o", "LogLevel=INFO", "-W", target]), guest.ssh(
                    "true", options=["-o", "ExitOnForwardFailure=yes", "-R", "8099:localhost:1"])
            finally:
                guest.ssh(f"cp /tmp/keys {keys}", options=free, check=True)

        for options in ("no-port-forwarding", "restrict", 'restrict,command="echo forced"'):
            way, listening = there(options)
            assert refused in way.stderr and listening.returncode == 255, way
        for line in (f"connect to 10.0.2.2 port {port}", "listen at localhost port 8099"):
            assert f"forwarding refused: {line}: forwarding is not allowed" in guest.console()
        # as OpenSSH: who is forced to a command may forward, unless that is forbidden too
        way, listening = there('command="echo forced"')
        assert way.stdout == b"hello" and listening.stdout == b"forced\n"
        way, listening = there(f'permitopen="10.0.2.2:{port}",permitlisten="localhost:8099"')
        assert way.stdout == b"hello" and listening.returncode == 0
        way, listening = there('permitopen="10.0.2.2:1",permitlisten="8098"')
        assert refused in way.stderr and listening.returncode == 255
    guest.ssh("rm /tmp/keys")
    master.terminate()
    master.communicate()


def test_accounts_balance(guest):
    """Clients killed in the middle of all of it leave nothing."""
    guest.ssh("true")
    before = guest.account()
    with serving(echo) as port:
        for _ in range(5):
            here = guestlib.free_port()
            with client(guest, "-L", f"{here}:10.0.2.2:{port}", "-L", f"{guestlib.free_port()}:10.0.2.77:80", "-R",
                        f"0:127.0.0.1:{port}"):
                sockets = [connect(here) for _ in range(3)]
                for s in sockets:
                    s.sendall(b"x" * 100_000)
            for s in sockets:
                s.close()
    guest.wait_for_account(before)
