# SPDX-License-Identifier: MIT
"""A peer that lies (wire.py): in segments, in options, in fragments, in ICMP, ARP, DHCP and DNS. Each lie is an errno, a counted drop or
nothing; the connection that it is about goes on if a stranger could have told it (RFC 5961), and all others in any case."""
import random
import re
import struct
import threading

import pytest

import frames
import guest as guestlib
import wire as wirelib
from frames import ACK, FIN, PSH, RST, SYN, URG
from wire import FAR, GATEWAY, GUEST, RESOLVER, SILENT, Raw

# ---- in a connection

@pytest.fixture
def talk(wired):
    """A connection of the guest's "nc -e cat" to a Raw: what we send comes back."""
    raw = Raw(wired.wire)
    nc = wired.popen(f"nc {GATEWAY} {raw.port} -e cat")
    raw.accept(options=b"\2\4" + struct.pack(">H", 1460))
    yield raw
    still_talks(raw)
    ends(raw, nc)


def ends(raw, nc):
    raw.send(FIN | ACK)
    if not raw.ended:
        raw.receive(lambda p: p.flags & FIN)
    raw.send(ACK)
    assert nc.wait(20) == 0
    nc.communicate()
    raw.close()


def still_talks(raw, data=b"still there?"):
    """Every byte comes back."""
    raw.send(ACK | PSH, data)
    got = b""
    while len(got) < len(data):
        got += raw.receive(lambda p: p.data).data
        raw.send(ACK)
    assert got == data


LIES = {
    "ack of what was never sent": dict(ack=1 << 20),
    "old acknowledgement": dict(ack=-(1 << 20)),
    "data before the window": dict(seq=-5000, data=b"lie"),
    "data behind the window": dict(seq=1 << 24, data=b"lie"),
    "reset outside of the window": dict(flags=RST, seq=1 << 24),
    "reset before the window": dict(flags=RST, seq=-1),
    "reset inside of the window": dict(flags=RST, seq=100),
    "SYN in the window": dict(flags=SYN, seq=10),
    "SYN again": dict(flags=SYN, seq=-1),
    "SYN-ACK again": dict(flags=SYN | ACK, seq=-1),
    "SYN and FIN": dict(flags=SYN | FIN, seq=3),
    "FIN behind the window": dict(flags=FIN | ACK, seq=1 << 24),
    "no flags": dict(flags=0),
    "header of 4 words": dict(offset=4),
    "header of 15 words": dict(offset=15),
    "wrong checksum": dict(data=b"lie", checksum=0x1234, seq=0),
}


@pytest.mark.parametrize("lie", LIES)
def test_lie_in_a_connection(talk, lie):
    """RFC 5961: what may be a stranger's guess is answered by an acknowledgement or by nothing; the connection goes on."""
    words = dict(LIES[lie])
    words["seq"] = talk.next + words.get("seq", 0)
    words["ack"] = talk.guest_next + words.get("ack", 0)
    talk.send(**words)


def test_reset_with_the_right_number(wired):
    raw = Raw(wired.wire)
    nc = wired.popen(f"nc {GATEWAY} {raw.port} -e cat")
    raw.accept()
    still_talks(raw)
    raw.send(RST)
    assert nc.wait(20) == 1
    assert b"reset" in nc.communicate()[1]
    raw.close()


def test_data_that_overlaps_and_differs(talk):
    """What fills a gap is taken once, from one or the other; what has been taken is not taken again."""
    at = talk.next
    talk.send(ACK, b"BBBBB", seq=at + 5)
    talk.send(ACK, b"CCCCC", seq=at + 3)
    talk.send(ACK, b"AAAAA", seq=at)
    talk.next += 10
    talk.send(ACK, b"DDDDDDDDDD", seq=at)
    got = b""
    while len(got) < 10:
        got += talk.receive(lambda p: p.data).data
    assert len(got) == 10 and got[:3] == b"AAA" and set(got[3:5]) <= set(b"AC") and set(got[5:8]) <= set(b"BC") and got[8:] == b"BB", got


@pytest.mark.parametrize("urgent", [0, 1, 3, 65535])
def test_urgent_data_is_data(talk, urgent):
    talk.send(ACK | PSH | URG, b"abc", urgent=urgent)
    assert talk.receive(lambda p: p.data).data == b"abc"


OPTIONS = {
    "none": b"", "segments of 0": b"\2\4\0\0", "segments of 1": b"\2\4\0\1", "segments of 65535": b"\2\4\xff\xff",
    "scale 15": b"\3\3\x0f", "scale 255": b"\3\3\xff", "no length": b"\5\0", "length 1": b"\3\1", "beyond its end": b"\1\1\2\4",
    "far beyond its end": b"\x55\xff", "sizes twice": b"\2\4\2\x18\2\4\5\xb4", "all that is known": b"\2\4\5\xb4\4\2\x08\x0a" + bytes(8) + b"\3\3\7",
    "unknown": b"\xfe\x06tern", "40 times nothing": b"\1" * 40, "scale of 4 bytes": b"\3\4\2\2", "size of 3 bytes": b"\2\3\5"}


@pytest.mark.parametrize("options", OPTIONS)
def test_options_of_a_connection(wired, options):
    raw = Raw(wired.wire)
    nc = wired.popen(f"nc {GATEWAY} {raw.port} -e cat")
    raw.accept(options=OPTIONS[options])
    # and once more where they have no business
    raw.send(ACK, options=OPTIONS[options])
    still_talks(raw, b"x" * 60)
    ends(raw, nc)


def test_window_that_opens_and_closes(wired):
    """By nothing, by single bytes, and drawn back: no byte is sent beyond what was promised, and every byte is there."""
    size = 20_000
    raw = Raw(wired.wire)
    nc = wired.popen(f"nc {GATEWAY} {raw.port} -e head -c {size} /dev/zero")
    syn = raw.receive(lambda p: p.flags & SYN)
    raw.guest_port = syn.sport
    raw.send(SYN | ACK, options=b"\2\4\5\xb4", window=0)
    start, windows = raw.guest_next, [0, 1, 0, 3, 700, 5000, 100, 0, 65535]
    raw.receive(lambda p: p.data and len(p.data) == 1)
    for window in windows:
        raw.send(ACK, window=window)
        if window:
            raw.receive(lambda p: p.data)
    while frames.signed(raw.guest_next - start) < size:
        raw.send(ACK)
        raw.receive(lambda p: p.data and frames.signed(p.seq + len(p.data) - raw.guest_next) > 0)
    raw.send(ACK)
    ends(raw, nc)


def test_both_connect_at_once(wired):
    """Our SYN crosses the guest's. lwIP waits for the answer to its own; that comes too."""
    raw = Raw(wired.wire)
    nc = wired.popen(f"nc {GATEWAY} {raw.port} -e cat")
    syn = raw.receive(lambda p: p.flags & SYN)
    raw.guest_port = syn.sport
    raw.send(SYN, seq=raw.next, ack=0)
    raw.send(SYN | ACK)
    raw.receive(lambda p: p.flags & ACK and p.ack == raw.next)
    still_talks(raw)
    ends(raw, nc)


def test_both_close_at_once(wired):
    raw = Raw(wired.wire)
    nc = wired.popen(f"nc {GATEWAY} {raw.port} </dev/null")
    raw.accept()
    fin = raw.receive(lambda p: p.flags & FIN)
    raw.send(FIN | ACK, ack=fin.seq)
    raw.receive(lambda p: p.ack == raw.next)
    raw.send(ACK)
    assert nc.wait(20) == 0
    nc.communicate()
    raw.close()


# ---- to a listener, and to nobody

def test_segments_drawn_by_lot(wired):
    """Any flags, numbers and ports, from an address that exists and from many that do not."""
    seed = guestlib.commit_number()
    r = random.Random(seed)
    before = wired.account()
    for _ in range(600):
        host = r.choice([GATEWAY, RESOLVER, "10.0.2.77", "203.0.113.%d" % r.randrange(256), GUEST, "127.0.0.1", "255.255.255.255", "224.0.0.1", "0.0.0.0"])
        flags = r.choice([r.randrange(64), SYN, ACK, FIN | ACK, RST, RST | ACK, 0, 63])
        wired.wire.send_tcp(host, r.choice([r.randrange(65536), 0, 22]), r.choice([22, r.randrange(65536), 0]), r.getrandbits(32), r.getrandbits(32),
                            flags, r.randrange(65536), r.randbytes(r.choice([0, 1, 1400])), r.randbytes(r.choice([0, 0, 4, 40])),
                            urgent=r.randrange(65536))
    assert wired.ssh("echo alive").stdout == b"alive\n", seed
    wired.wait_for_account(before, seconds=60)


def quiet(wired, what, send):
    """Send, and see that the guest says no such thing: it would say it before it answers a ping that was sent later."""
    seen = []
    with wired.wire.seeing(lambda p: seen.append(p) if what(p) else None):
        send()
        ping(wired)
    assert not seen, [str(p) for p in seen]


def ping(wired, mac_dst=wirelib.GUEST_MAC):
    """The guest answers us."""
    mark = struct.pack(">HH", 7777, wired.wire.free_port())
    got = threading.Event()

    def see(p):
        if p.proto == frames.ICMP and p.kind == frames.IPV4 and p.icmp_type == 0 and p.data[:4] == mark:
            got.set()
    with wired.wire.seeing(see):
        wired.wire.send_ip(GATEWAY, frames.ICMP, frames.icmp(8, 0, mark, b"ping"), mac_dst=mac_dst)
        assert got.wait(20), "no answer to a ping"


@pytest.mark.parametrize("source", ["127.0.0.1", "127.1.2.3", GUEST, "0.0.0.0", "255.255.255.255", "224.0.0.1", "10.0.2.255"])
def test_sender_that_cannot_be(wired, source):
    """It is not let in, nor answered; what comes for the loop-back's address from outside neither."""
    w = wired.wire
    before = wired.counters()["ip_dropped"]

    def send():
        w.send_ip(source, frames.ICMP, frames.icmp(8, 0, b"\0\1\0\1"))
        w.send_ip(source, frames.UDP, frames.udp(source, GUEST, 9, 9, b"x"))
        w.send_tcp(source, 9, 22, 1, 0, SYN, 100)
        w.send_ip(GATEWAY, frames.ICMP, frames.icmp(8, 0, b"\0\1\0\1"), dst="127.0.0.1")
    quiet(wired, lambda p: p.kind == frames.IPV4 and (frames.dotted(p.dst) == source or frames.dotted(p.src) == "127.0.0.1"), send)
    assert wired.counters()["ip_dropped"] >= before + 4


# ---- packets and fragments

def echo(size, mark):
    return frames.icmp(8, 0, b"\x33\x33" + struct.pack(">H", mark), bytes(n & 255 for n in range(size)))


def fragments(wired, body, cuts, ident, **kwargs):
    """body in pieces that begin at these places."""
    for at, end, more in cuts:
        wired.wire.send_ip(GATEWAY, frames.ICMP, body[at:end], ident=ident, flags=at // 8 | (0x2000 if more else 0), **kwargs)


PIECES = {
    "in order": [(0, 800, 1), (800, 2008, 0)],
    "the other way round": [(800, 2008, 0), (0, 800, 1)],
    "twice": [(0, 800, 1), (0, 800, 1), (800, 2008, 0)],
    "overlapping": [(0, 808, 1), (800, 2008, 0)],
    "one inside of another": [(0, 1600, 1), (800, 1200, 1), (1600, 2008, 0)],
    "two ends": [(1600, 2008, 0), (800, 1600, 0), (0, 800, 1)],
    "single words": [(n, n + 8, n + 8 < 2008) for n in range(0, 2008, 8)],
    "of nothing": [(0, 0, 1), (0, 800, 1), (800, 2008, 0)],
    "of odd lengths": [(0, 799, 1), (800, 2008, 0)],
    "beyond 64 KiB": [(65528, 66528, 0)],
}
WHOLE = ("in order", "the other way round")


@pytest.mark.parametrize("pieces", PIECES)
def test_fragments(wired, pieces):
    """Good ones are put together; of others an answer, if there is one, is that to the right packet. None is kept."""
    body, got = echo(2000, 1), []
    before = wired.account()

    def see(p):
        if p.proto == frames.ICMP and p.kind == frames.IPV4 and frames.dotted(p.dst) == GATEWAY and (p.fragment & 0x3FFF or p.data[:2] == b"\x33\x33"):
            got.append(p)
    with wired.wire.seeing(see):
        fragments(wired, (body + bytes(70000))[:70000], PIECES[pieces], 1000)
        ping(wired)
    whole = b"".join(p.body for p in sorted(got, key=lambda p: p.fragment & 0x1FFF))
    if pieces in WHOLE or whole:
        assert whole[8:] == body[8:] and whole[0] == 0, (len(whole), [str(p) for p in got])
    wired.wait_for_account(before, seconds=60)


PACKETS = {
    "version 5": dict(first=0x55), "header of 4 words": dict(first=0x44), "header beyond its end": dict(first=0x4F),
    "longer than its frame": dict(total=1000), "shorter than its header": dict(total=10), "wrong checksum": dict(checksum=0x1234),
    "for another": dict(dst="10.0.2.16"), "for all": dict(dst="255.255.255.255"), "for all of the network": dict(dst="10.0.2.255"),
    "for a group": dict(dst="224.0.0.1"), "time to live 0": dict(ttl=0),
    "option of no length": dict(options=b"\x83\0\0\0"), "option beyond its end": dict(options=b"\x83\x27\4\0"),
    "source route": dict(options=b"\x83\x07\4" + frames.address(FAR) + b"\0"), "route to be recorded": dict(options=b"\x07\x07\4" + bytes(5)),
    "unknown option": dict(options=b"\xfe\4\0\0")}
ANSWERED = ("route to be recorded", "unknown option", "option of no length", "option beyond its end", "time to live 0", "source route")


@pytest.mark.parametrize("packet", PACKETS)
def test_packet(wired, packet):
    """Only what is for this host and well-formed is answered; what lies in options, whose sense nobody asks for, may be."""
    words, got = PACKETS[packet], []
    with wired.wire.seeing(lambda p: got.append(p) if p.proto == frames.ICMP and p.data[:2] == b"\x33\x33" else None):
        wired.wire.send_ip(GATEWAY, frames.ICMP, echo(20, wired.wire.free_port()), **words)
        ping(wired)
    assert not got or packet in ANSWERED, [str(p) for p in got]


def test_protocol_and_port_that_nobody_has(wired):
    """Told by an ICMP error, which quotes what was sent; nothing to a broadcast (the capture's judge sees to that)."""
    got = []
    with wired.wire.seeing(lambda p: got.append((p.icmp_type, p.icmp_code, p.data[4:32])) if p.proto == frames.ICMP and p.icmp_type == 3 else None):
        wired.wire.send_ip(GATEWAY, 200, b"whatever")
        wired.wire.send_udp(GATEWAY, 5, 9, b"whatever")
        wired.wire.send_ip(GATEWAY, frames.UDP, frames.udp(GATEWAY, "10.0.2.255", 5, 9, b"all"), dst="10.0.2.255")
        wired.wire.send_ip(GATEWAY, frames.UDP, frames.udp(GATEWAY, GUEST, 5, 9, b"all"), mac_dst=frames.BROADCAST)
        ping(wired)
    assert [(kind, code) for kind, code, _ in got] in ([(3, 2), (3, 3)], [(3, 2), (3, 3), (3, 3)]), got
    assert got[0][2][9] == 200 and got[1][2][20:24] == struct.pack(">HH", 5, 9)


# ---- ICMP and ARP

@pytest.mark.parametrize("kind, code", [(3, 0), (3, 1), (3, 2), (3, 3), (3, 4), (3, 13), (4, 0), (5, 0), (5, 1), (11, 0), (12, 0), (255, 255)])
def test_error_about_a_connection(wired, talk, kind, code):
    """An established one goes on, whatever is said of it: of its own number, of a wrong one, of one that does not exist."""
    w = wired.wire
    for seq, port in ((talk.guest_next, talk.port), (talk.guest_next + (1 << 20), talk.port), (0, 1)):
        inner = frames.ipv4(GUEST, GATEWAY, frames.TCP, frames.tcp(GUEST, GATEWAY, talk.guest_port, port, seq, 0, ACK, 0))
        for size in (len(inner), 28, 24, 20, 0):
            w.send_ip(GATEWAY, frames.ICMP, frames.icmp(kind, code, frames.address(SILENT), inner[:size]))


def test_route_stays_where_it_is(wired):
    """A redirect, and ARP answers that nobody asked for about somebody whom the guest does not know."""
    macs = set()
    inner = frames.ipv4(GUEST, FAR, frames.ICMP, echo(8, 1))
    wired.wire.send_ip(GATEWAY, frames.ICMP, frames.icmp(5, 1, frames.address(SILENT), inner[:28]))
    with wired.wire.seeing(lambda p: macs.add(p.mac_dst) if p.dst == frames.address(FAR) else None):
        assert b"1 packets received" in wired.ssh(f"ping -c 1 {FAR}").stdout
    assert macs == {wirelib.HOSTS[GATEWAY]}


OTHER = bytes.fromhex("525566778899")


def arp_lies():
    def arp(*args, **wrong):
        return frames.ethernet(frames.BROADCAST, OTHER, frames.ARP, frames.arp(*args, **wrong))
    guest = wirelib.GUEST_MAC
    return {
        "our address": arp(1, OTHER, GUEST, bytes(6), GUEST),
        "our address, as an answer": arp(2, OTHER, GUEST, guest, GUEST),
        "everybody": arp(2, frames.BROADCAST, "255.255.255.255", guest, GUEST),
        "a group's hardware": arp(2, b"\1\0\x5e\0\0\1", "10.0.2.50", guest, GUEST),
        "nobody": arp(2, bytes(6), "0.0.0.0", guest, GUEST),
        "loop-back": arp(2, OTHER, "127.0.0.1", guest, GUEST),
        "far away": arp(2, OTHER, FAR, guest, GUEST),
        "another kind": arp(1, OTHER, "10.0.2.51", bytes(6), GUEST, hardware=7),
        "hardware addresses of 255": arp(1, OTHER, "10.0.2.51", bytes(6), GUEST, mac_size=255),
        "operation 0": arp(0, OTHER, "10.0.2.51", bytes(6), GUEST),
        "cut": arp(1, OTHER, "10.0.2.51", bytes(6), GUEST)[:38],
    }


@pytest.mark.parametrize("lie", arp_lies())
def test_arp(wired, lie):
    """The guest keeps its address and its ways: it is asked for and answers, and still reaches who it knows."""
    answers = []
    wired.wire.send(arp_lies()[lie])
    ping(wired)
    with wired.wire.seeing(lambda p: answers.append(p.sender_mac) if p.kind == frames.ARP and p.operation == 2 and p.dst == frames.address(GATEWAY) else None):
        mac = wirelib.HOSTS[GATEWAY]
        wired.wire.send(frames.ethernet(frames.BROADCAST, mac, frames.ARP, frames.arp(1, mac, GATEWAY, bytes(6), GUEST)))
        ping(wired)
    assert answers == [wirelib.GUEST_MAC]
    assert b"1 packets received" in wired.ssh(f"ping -c 1 {FAR}").stdout


def test_neighbour_that_moves(wired):
    """What a neighbour says of itself holds."""
    w = wired.wire
    assert b"1 packets received" in wired.ssh(f"ping -c 1 {RESOLVER}").stdout
    old = w.hosts[RESOLVER]
    try:
        w.hosts[RESOLVER] = OTHER
        w.send(frames.ethernet(frames.BROADCAST, OTHER, frames.ARP, frames.arp(1, OTHER, RESOLVER, bytes(6), RESOLVER)))
        assert b"1 packets received" in wired.ssh(f"ping -c 1 {RESOLVER}").stdout
    finally:
        w.hosts[RESOLVER] = old
        w.send(frames.ethernet(frames.BROADCAST, old, frames.ARP, frames.arp(1, old, RESOLVER, bytes(6), RESOLVER)))
        ping(wired)


@pytest.mark.parametrize("options", OPTIONS)
def test_options_of_a_client(wired, options):
    """The SSH server greets whoever connects, with whatever options."""
    raw, got = Raw(wired.wire), b""
    raw.connect(22, options=OPTIONS[options])
    while b"\n" not in got:
        got += raw.receive(lambda p: p.data).data
        raw.send(ACK)
    assert got.startswith(b"SSH-2.0-"), got
    raw.send(RST)
    raw.close()


def test_ipv6_address_that_another_has():
    """Somebody answers for each address that the guest is about to take: it takes none, and says nothing from there. It would be
    a mistake to drop these answers, since they come from an address that is on its way to be ours."""
    everybody = bytes.fromhex("ff02" + "00" * 13 + "01")
    asked, sources = threading.Event(), set()

    def see(p):
        if p.kind != frames.IPV6:
            return
        sources.add(p.src)
        if p.icmp_type == 135 and not any(p.src):
            target = p.data[4:20]
            rest = b"\x20\0\0\0" + target + b"\2\1" + OTHER
            answer = frames.icmpv6(target, everybody, 136, 0, rest)
            w.send(frames.ethernet(b"\x33\x33\0\0\0\1", OTHER, frames.IPV6, frames.ipv6(target, everybody, frames.ICMPV6, answer)))
            asked.set()
    with wirelib.Wire() as w, w.seeing(see), w.guest("double", smp=1) as g:
        assert asked.wait(20)
        shown = guestlib.until("an address found to be another's", lambda: re.search(
            r"^fe80\w+ \S+ \S+ \S+ (?!c0)(\S+) +eth0", g.ssh("cat /proc/net/if_inet6").stdout.decode(), re.M))
        # permanent, and no more to be used
        assert shown.group(1) == "a0"
    assert sources == {bytes(16)}, [frames.dotted(a) for a in sources]


# ---- DHCP and DNS

NO_LEASES = [dict(address=a) for a in ("255.255.255.255", "0.0.0.0", "127.0.0.1", "224.0.0.5", "10.0.2.255")] + [dict(mask="255.255.0.255")]
ODD_LEASES = {"mask of 0": dict(mask="0.0.0.0"), "no mask": dict(mask=None), "lease of 0 s": dict(lease=0),
              "router elsewhere": dict(router="192.0.2.9")}


def leased(w, name, lease):
    w.lease = lease
    with w.guest(name, smp=1) as g:
        assert g.ssh("echo there").stdout == b"there\n"
        g.check_counters()
        return g.console()


def test_first_offers_are_of_nothing():
    """Servers that offer and acknowledge what no host can have, before the honest one: it is the one that is heard."""
    with wirelib.Wire() as w:
        def lease(p):
            kind = {1: 2, 3: 5}.get(wirelib.dhcp_options(p.data).get(53, b"\0")[0])
            for lie in NO_LEASES:
                w.send_lease(p, kind, **dict(w.dhcp, **lie))
            w.send_lease(p, kind, **w.dhcp)
        assert f"address {GUEST}/24, gateway {GATEWAY}" in leased(w, "leases", lease)


@pytest.mark.parametrize("lie", ODD_LEASES)
def test_odd_lease(lie):
    """Not what one would wish, but an address: the guest can be reached there."""
    with wirelib.Wire() as w:
        w.dhcp.update(ODD_LEASES[lie])
        assert f"address {GUEST}/" in leased(w, "odd-lease", w.lease)


def test_segments_before_the_address():
    """More than are kept until there is an address."""
    with wirelib.Wire() as w:
        def lease(p):
            for port in range(1000, 1040):
                w.send_tcp(GATEWAY, port, 22, 1, 0, SYN, 65535)
            wirelib.Wire.lease(w, p)
        assert f"address {GUEST}/" in leased(w, "early", lease)


ANSWERS = {
    "another's number": lambda q, a: bytes([q[0] ^ 1]) + a[1:],
    "a question": lambda q, a: q,
    "cut": lambda q, a: a[:len(q) + 5],
    "only a header": lambda q, a: a[:12],
    "nothing": lambda q, a: b"",
    "a name that goes round": lambda q, a: a[:len(q)] + b"\xc0" + bytes([len(q)]) + a[len(q) + 2:],
    "counts that are not there": lambda q, a: a[:4] + b"\xff" * 8 + a[12:],
    "a length beyond the end": lambda q, a: a[:-6] + b"\xff\xff" + a[-4:],
    "more behind it": lambda q, a: a + bytes(1400),
}


def test_dns(wired):
    """nslookup believes no lie, or ends with an error; the address that is told is the true one."""
    w = wired.wire
    w.names["peer.example"] = "192.0.2.77"
    for lie, make in ANSWERS.items():
        def see(p, make=make):
            if p.kind == frames.IPV4 and p.proto == frames.UDP and p.dport == 53:
                answer = wirelib.dns_answer(p.data, w.names)
                w.send_udp(RESOLVER, 53, p.sport, make(p.data, answer))
                # from another host, to another port
                w.send_udp(FAR, 53, p.sport, answer[:-4] + b"\x01\x02\x03\x04")
                w.send_udp(RESOLVER, 53, p.sport ^ 1, answer[:-4] + b"\x01\x02\x03\x04")
                w.send_udp(RESOLVER, 53, p.sport, answer)
                return True
            return False
        with w.seeing(see):
            done = wired.ssh("nslookup peer.example")
        assert b"1.2.3.4" not in done.stdout and done.returncode in (0, 1), (lie, done)
