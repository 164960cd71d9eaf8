# SPDX-License-Identifier: MIT
"""The network against a peer that delays, loses, refuses, reorders, repeats and lies (wire.py): rows N1 to N12 of the bug classes
as they are seen from outside. After each test the guest's counters agree with what the wire has carried, frame by frame,
and what it sent is judged (tests/capture.py)."""
import hashlib
import os
import random
import re
import threading
import time

import pytest

import frames
import guest as guestlib
import wire as wirelib
from frames import RST, SYN
from test_machine import boot_and_read, qemu_words
from test_sockets import serving
from wire import FAR, GATEWAY, RESOLVER, SILENT, Faults, Raw


def page(body):
    """A web server with one page, for Wire.serve()."""
    def serve(c):
        def data(c, part):
            c.asked = c.asked + part
            if b"\r\n\r\n" in c.asked:
                c.send(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                c.close()
        c.asked, c.on_data = b"", data
        c.on_end = lambda c: c.close()
    return serve


def sink(c):
    """Takes all, and says its sum at the end."""
    c.sum = hashlib.sha256()
    c.on_data = lambda c, part: c.sum.update(part)

    def end(c):
        c.send(c.sum.hexdigest().encode())
        c.close()
    c.on_end = end


def echo(c):
    c.on_data = lambda c, part: c.send(part)
    c.on_end = lambda c: c.close()


# ---- N1, I-SOCK-5: a request is answered, whoever asks

def test_asked_by_the_first_process():
    """N15, too: the server at home is asked as soon as it listens."""
    greeted = 'nc %s 22 -e sh -c "head -n 1 >/dev/console"'
    # there is no network before there is an address
    asks = (f"until ping -c 1 {GATEWAY}; do :; done; ping -c 1 {FAR}; nslookup peer.example; wget -q -O - http://peer.example:%d/; "
            f"until {greeted % '127.0.0.1'} 2>/dev/null; do :; done; {greeted % '::1'}")
    with wirelib.Wire() as w:
        w.names["peer.example"] = "192.0.2.77"
        port = w.serve(page(b"at your service\n"))
        words = qemu_words(smp=2, options=["--wire", w.path], add=["-append", f"run='{asks % port}'"])
        _, text = boot_and_read(words, until=r"run ended")
    assert text.count("1 packets received, 0% packet loss") == 2 and "192.0.2.77" in text and "at your service" in text, text[-2000:]
    assert len(re.findall(r"^SSH-2.0-", text, re.M)) == 2, text[-2000:]
    assert not guestlib.forbidden_lines(text)


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_the_server_answers_at_home(wired, user):
    """N15: whoever one is, it is there."""
    nc = wired.popen(f"su {user} -s /bin/sh -c 'nc 127.0.0.1 22'")
    assert nc.stdout.readline().startswith(b"SSH-2.0-")
    nc.communicate(timeout=20)


# ---- N6, N7: memory comes back, and neither direction waits for the other

def test_both_ways_at_once(wired):
    """Neither end gets ahead by more than 128 KiB: whichever direction stood still, the other would too."""
    size, ahead = 1 << 20, 1 << 17
    data = os.urandom(size)
    took = hashlib.sha256()

    def serve(c):
        c.got = c.put = 0

        def more(c):
            part = data[c.put:c.got + ahead]
            c.put += len(part)
            c.send(part)
            if c.put == size:
                c.close()

        def taken(c, part):
            took.update(part)
            c.got += len(part)
            more(c)

        c.on_open, c.on_data = more, taken
    port = wired.wire.serve(serve)
    before = wired.account()
    done = wired.ssh(f"head -c {size} /dev/zero | tr '\\0' x | nc {GATEWAY} {port} | sha256sum")
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest(), done
    assert took.hexdigest() == hashlib.sha256(b"x" * size).hexdigest()
    wired.wait_for_account(before)


def test_a_closed_window_does_not_stop_the_other_direction(wired):
    """N7: what is received is acknowledged by a segment that the peer looks at: within its window, not behind a probe."""
    raw = Raw(wired.wire)
    with wired.popen(f"nc {GATEWAY} {raw.port} </dev/zero") as nc:
        raw.accept(window=0)
        first = raw.receive(lambda p: p.data)
        assert len(first.data) == 1
        for _ in range(3):
            raw.send(data=b"x" * 100, ack=first.seq, window=0)
            assert raw.receive(lambda p: p.ack == raw.next).seq == first.seq
        raw.send(RST)
        assert nc.wait(20) == 1
    raw.close()


def test_sent_and_received_memory_comes_back(guest):
    """N6: many times what buffers there are, through QEMU's own network. A thousand times as much: tests/traffic.py --bulk."""
    size = 10_000_000

    def serve(s):
        got = 0
        while got < size and (part := s.recv(1 << 20)):
            got += len(part)
        s.sendall(b"%d\n" % got)
        for _ in range(size // 1_000_000):
            s.sendall(bytes(1_000_000))
    with serving(serve) as port:
        before = guest.account()
        done = guest.ssh(f"head -c {size} /dev/zero | nc 10.0.2.2 {port} | wc -c")
    assert int(done.stdout) == size + len(f"{size}\n"), done
    guest.wait_for_account(before)


# ---- N8: an idle guest is woken by a frame, and by nothing else

def test_idle_guest_is_woken_by_a_frame(wired):
    """Without a connection it looks seldom, and yet no SYN waits for its next look. A host that halts spoils both counts, so
    they are taken until they are right."""
    show = "cat /proc/uptime /proc/tern/net"
    raws = []

    def looks_seldom():
        # TCP's timers run while there is a connection, or what is left of one; the guest says by a ping that it is done
        told, done = "192.0.2.200", threading.Event()
        with wired.wire.seeing(lambda p: done.set() if p.dst == frames.address(told) else None):
            wired.ssh("setsid sh -c 'until grep -q \"tcp_active *0\" /proc/tern/net && grep -q \"tcp_time_wait *0\" /proc/tern/net; do "
                      f"sleep 0.2; done; {show} >/tmp/a; sleep 1; {show} >/tmp/b; ping -c 1 {told}' </dev/null >/dev/null 2>&1 &")
            assert done.wait(60)
        text = wired.ssh("cat /tmp/a /tmp/b").stdout.decode()
        times, polls = re.findall(r"^(\d+\.\d+) ", text, re.M), re.findall(r"^polls +(\d+)", text, re.M)
        return len(polls) == 2 and int(polls[1]) - int(polls[0]) <= 8 * (float(times[1]) - float(times[0]))

    def answers_soon():
        begin = time.monotonic()
        for _ in range(10):
            raw = Raw(wired.wire)
            raw.connect(22)
            raw.send(RST)
            raws.append(raw)
        return time.monotonic() - begin < 10 * 0.05
    guestlib.until("few looks of an idle guest", looks_seldom, seconds=60)
    guestlib.until("SYNs that are answered before a timer runs", answers_soon, seconds=60)
    for raw in raws:
        raw.close()


# ---- N9: the route that is shown is used

def test_route_shown_is_route_used(wired):
    """A neighbour is sent to by its own hardware address, all others by the gateway's."""
    used = {}

    def see(p):
        if p.kind == frames.IPV4 and p.proto == frames.ICMP:
            used[frames.dotted(p.dst)] = p.mac_dst
    shown = wired.ssh("route -n").stdout.decode()
    assert any(line.split()[:4] == ["0.0.0.0", GATEWAY, "0.0.0.0", "UG"] for line in shown.splitlines()), shown
    with wired.wire.seeing(see):
        for host in (GATEWAY, RESOLVER, FAR, "198.51.100.7"):
            assert b"1 packets received" in wired.ssh(f"ping -c 1 {host}").stdout
    gateway = wirelib.HOSTS[GATEWAY]
    assert used == {GATEWAY: gateway, RESOLVER: wirelib.HOSTS[RESOLVER], FAR: gateway, "198.51.100.7": gateway}


# ---- N10: each reply reaches who asked

def test_pings_lose_nothing(wired):
    done = wired.ssh(f"ping -c 100 -i 0.01 {GATEWAY} >/tmp/a & ping -c 100 -i 0.01 {RESOLVER} >/tmp/b; wait; cat /tmp/a /tmp/b; "
                     "rm /tmp/a /tmp/b")
    text = done.stdout.decode()
    assert text.count("100 packets received, 0% packet loss") == 2 and "DUP" not in text, text[-1000:]
    assert text.count(f"bytes from {GATEWAY}") == text.count(f"bytes from {RESOLVER}") == 100


# ---- N11: a connection that takes its time is made; one that is refused fails at once, with the reason

def test_late_answers_to_a_connect(wired):
    """After 70 ms, 1 s and 5 s; and never: that is told too, after as many SYNs as are to be sent."""
    port = wired.wire.serve(page(b"late\n"))
    delays = iter([0.07, 1, 5])
    first = {}

    def delayed(frame):
        try:
            p = frames.Packet(frame)
        except frames.Malformed:
            return [(0, frame)]
        if p.kind == frames.IPV4 and p.proto == frames.TCP and p.flags & SYN and p.sport == port:
            return [(first.setdefault(p.dport, next(delays, 0) if p.dport not in first else 0), frame)]
        return [(0, frame)]
    syns = []

    def see(p):
        if p.dst == frames.address(SILENT) and p.kind == frames.IPV4 and p.proto == frames.TCP:
            syns.append(p)
    with wired.wire.faulty(to_guest=delayed), wired.wire.seeing(see):
        done = wired.ssh(f"nc {SILENT} 80 & for i in 1 2 3; do wget -q -O - http://{GATEWAY}:{port}/ & done; wait")
    assert done.stdout == b"late\n" * 3, done
    assert sorted(first.values()) == [0.07, 1, 5]
    assert b"timed out" in done.stderr, done
    assert all(p.flags == SYN and p.seq == syns[0].seq for p in syns) and len(syns) > 4, [str(p) for p in syns]


@pytest.mark.parametrize("code, words", [(0, b"Network is unreachable"), (1, b"No route to host"), (3, b"Connection refused"),
                                         (13, b"No route to host"), (None, b"Connection refused")])
def test_refused(wired, code, words):
    """By an ICMP error, or by a reset. At once: nothing is sent twice."""
    port = wired.wire.free_port()
    syns = []

    def see(p):
        if p.proto == frames.TCP and p.kind == frames.IPV4 and p.dport == port:
            syns.append(p)
            if code is not None:
                wired.wire.send_unreachable(p, code)
                return True
        return False
    with wired.wire.seeing(see):
        done = wired.ssh(f"nc {FAR} {port} </dev/null")
    assert done.returncode == 1 and words in done.stderr, done
    assert len(syns) == 1, [str(p) for p in syns]


# ---- N12: no answer is seen late, or never

@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.long)])
def test_answers_after_any_delay(wired, count):
    """Each byte is answered by the guest after it was sent at a random moment; the next goes only then."""
    r = random.Random(guestlib.commit_number())
    done = []

    def serve(c):
        def data(c, part):
            done.append(part)
            if len(done) < count:
                c.wire.at(r.choice([0, 0, r.uniform(0, 0.05)]), lambda: c.send(b"%c" % (len(done) & 255)))
            else:
                c.close()
        c.on_open, c.on_data = lambda c: c.send(b"\0"), data
    port = wired.wire.serve(serve)
    assert wired.ssh(f"nc {GATEWAY} {port} -e cat", timeout=1800).returncode == 0
    assert b"".join(done) == bytes(n & 255 for n in range(count))


# ---- faults by seed

FAULTS = {
    "losing": dict(lose=0.03),
    "repeating": dict(repeat=0.2),
    "reordering": dict(swap=0.2),
    "slow": dict(delay=(0.005, 0.03)),
    "spoiling": dict(spoil=0.03, cut=0.02),
    "all": dict(lose=0.02, repeat=0.05, swap=0.1, spoil=0.01, cut=0.01, delay=(0, 0.005)),
}


def not_login(p):
    return not (p.kind == frames.IPV4 and p.proto == frames.TCP and not p.fragment & 0x3FFF and 22 in (p.sport, p.dport))


@pytest.mark.parametrize("faults", FAULTS)
def test_bad_wire(wired, faults):
    """Both directions, and at the end every byte is there once, in its place."""
    seed = guestlib.commit_number() + len(faults)
    body = random.Random(seed).randbytes(300_000)
    down, up = wired.wire.serve(page(body)), wired.wire.serve(sink)
    how = [Faults(seed + n, only=not_login, **FAULTS[faults]) for n in (0, 1)]
    with wired.wire.faulty(*how):
        done = wired.ssh(f"wget -q -O /tmp/down http://{GATEWAY}:{down}/; sha256sum </tmp/down; "
                         f"nc {GATEWAY} {up} </tmp/down; rm /tmp/down; ping -c 3 -i 0.1 {GATEWAY} >/dev/null; true")
    digest = hashlib.sha256(body).hexdigest().encode()
    assert done.stdout.count(digest) == 2, (seed, done)
