# SPDX-License-Identifier: MIT
"""The network of one guest, made by this process: QEMU hands it raw frames (run-qemu.sh --wire). On it are the hosts of HOSTS,
each answering ARP, ping, DNS and DHCP and serving TCP by an implementation small enough to lie with; and between them and
the guest there are faults, drawn from a seed.

All is done by one thread, with Wire.lock held: callbacks run there, and tests take the lock to send. A Connection is an
honest end; a Raw is a port at which a test reads and writes single segments. The guest's port 22 is at a port of this host,
as in QEMU's own network, so that a Guest on a Wire is a Guest like any other."""
import contextlib
import heapq
import os
import queue
import random
import select
import shutil
import socket
import struct
import tempfile
import threading
import time

import frames
import guest as guestlib
from frames import ACK, FIN, PSH, RST, SYN

GUEST, GATEWAY, RESOLVER, FAR = "10.0.2.15", "10.0.2.2", "10.0.2.3", "192.0.2.1"
SILENT = "10.0.2.98"      # answers ARP and nothing else
NOBODY = "10.0.2.99"      # not even that
GUEST_MAC = bytes.fromhex("525400123456")
HOSTS = {a: bytes([0x52, 0x55]) + frames.address(a) for a in (GATEWAY, RESOLVER, SILENT)}
PARTS = 1460              # bytes of a segment


class Faults:
    """What happens to the frames of one direction, by a seed: each is the part of frames, or a number of seconds. only(packet)
    says which frames; all others pass. A frame called is one that no parser need understand."""

    def __init__(self, seed, lose=0.0, repeat=0.0, swap=0.0, spoil=0.0, cut=0.0, delay=(0, 0), only=lambda p: True):
        self.random, self.only, self.delay = random.Random(seed), only, delay
        self.lose, self.repeat, self.swap, self.spoil, self.cut = lose, repeat, swap, spoil, cut
        self.lost = 0

    def __call__(self, frame):
        """[(seconds, frame)]: what becomes of it."""
        r = self.random
        try:
            if not self.only(frames.Packet(frame)):
                return [(0, frame)]
        except frames.Malformed:
            pass
        if r.random() < self.lose:
            self.lost += 1
            return []
        out = []
        for _ in range(1 + (r.random() < self.repeat)):
            copy, late = frame, r.uniform(*self.delay)
            if r.random() < self.swap:
                late += 0.02
            if r.random() < self.spoil:
                at = r.randrange(14, len(copy))
                copy = copy[:at] + bytes([copy[at] ^ 1 << r.randrange(8)]) + copy[at + 1:]
            if r.random() < self.cut:
                copy = copy[:r.randrange(1, len(copy))]
            out.append((late, copy))
        return out


class Connection:
    """An honest end of a TCP connection. on_open(c), on_data(c, bytes), on_end(c) - the guest's FIN - and on_close(c, why) are
    called once things are so; why is None when both ends have closed, "reset" or "timeout"."""

    def __init__(self, wire, key):
        self.wire, self.key = wire, key
        self.host, self.port, self.guest_port = key
        self.iss = wire.random.getrandbits(32)
        self.una = self.next = self.iss       # of what we send
        self.out = bytearray()                # from una on (the SYN not counted)
        self.rcv = None                       # the next we expect
        self.early = {}
        self.edge = 0                         # how far the guest lets us
        self.promised = None                  # how far we have let the guest
        self.room = 65535
        self.open = self.fin_wanted = self.fin_sent = self.ended = self.closed = False
        self.timer, self.tries = None, 0
        self.on_open = self.on_data = self.on_end = self.on_close = lambda *_: None
        wire.connections[key] = self

    # ---- what the user says

    def send(self, data):
        self.out += data
        self.push()

    def close(self):
        self.fin_wanted = True
        self.push()

    def reset(self):
        self.segment(RST | ACK, self.next)
        self.gone("reset")

    # ---- segments

    def segment(self, flags, seq, data=b"", options=b""):
        if self.rcv is not None:
            promised = (self.rcv + self.room) & 0xFFFFFFFF
            if self.promised is None or frames.signed(promised - self.promised) > 0:
                self.promised = promised
        window = (self.promised - self.rcv) & 0xFFFFFFFF if self.rcv is not None else self.room
        self.wire.send_tcp(self.host, self.port, self.guest_port, seq, self.rcv or 0, flags, min(window, 65535), data, options)

    def connect(self):
        self.segment(SYN, self.iss, options=struct.pack(">BBH", 2, 4, PARTS))
        self.next = self.iss + 1 & 0xFFFFFFFF
        self.arm()

    def accept(self, p):
        self.rcv = p.seq + 1 & 0xFFFFFFFF
        self.edge = p.window
        self.segment(SYN | ACK, self.iss, options=struct.pack(">BBH", 2, 4, PARTS))
        self.next = self.iss + 1 & 0xFFFFFFFF
        self.arm()

    def push(self):
        """Send what the window allows."""
        if not self.open or self.closed:
            return
        while True:
            sent = (self.next - self.una & 0xFFFFFFFF) - self.fin_sent
            room = min(frames.signed(self.edge - self.next), PARTS)
            data = bytes(self.out[sent:sent + max(room, 0)]) if not self.fin_sent else b""
            if data:
                self.segment(ACK | PSH, self.next, data)
                self.next = self.next + len(data) & 0xFFFFFFFF
            elif self.fin_wanted and not self.fin_sent and sent == len(self.out):
                self.fin_sent = True
                self.segment(ACK | FIN, self.next)
                self.next = self.next + 1 & 0xFFFFFFFF
            else:
                break
        if self.next != self.una or self.out:
            self.arm()

    def arm(self):
        if self.timer is None:
            self.timer = self.wire.at(min(0.25 * 2 ** self.tries, 3), self.again)

    def again(self):
        """The timer: all that is not acknowledged goes again, from the first on; or one byte asks for a window."""
        self.timer = None
        if self.closed or self.next == self.una and not self.out:
            return
        self.tries += 1
        if self.tries > 30:
            self.gone("timeout")
        elif not self.open:
            self.segment(SYN | (ACK if self.rcv is not None else 0), self.iss, options=struct.pack(">BBH", 2, 4, PARTS))
            self.arm()
        else:
            self.next, self.fin_sent = self.una, False
            if frames.signed(self.edge - self.una) <= 0 and self.out:
                self.segment(ACK, self.una, bytes(self.out[:1]))
            self.push()
            self.arm()

    def received(self, p):
        if p.flags & RST:
            return self.gone("reset")
        if p.flags & SYN:
            if self.rcv is None:
                self.rcv = p.seq + 1 & 0xFFFFFFFF
            else:
                self.segment(ACK if self.open else SYN | ACK, self.next if self.open else self.iss)
                return
        if p.flags & ACK:
            self.acknowledged(p)
        if not self.closed:
            self.take(p)

    def acknowledged(self, p):
        if not self.open:
            if p.ack != self.iss + 1 & 0xFFFFFFFF:
                return
            self.open, self.una, self.tries = True, p.ack, 0
            self.edge = p.ack + p.window
            if p.flags & SYN:
                self.segment(ACK, self.next)
            self.on_open(self)
        got = frames.signed(p.ack - self.una)
        end = self.una + len(self.out) + (self.fin_sent or self.fin_wanted) & 0xFFFFFFFF
        if got > 0 and frames.signed(p.ack - end) <= 0:
            fin = p.ack == end and self.fin_wanted and got > len(self.out)
            del self.out[:got]
            self.una, self.tries = p.ack, 0
            if frames.signed(self.next - self.una) < 0:
                self.next, self.fin_sent = self.una, fin
            if self.timer is not None:
                self.wire.cancel(self.timer)
                self.timer = None
            if fin and self.ended:
                return self.gone(None)
            if fin:
                self.fin_acked = True
        edge = p.ack + p.window & 0xFFFFFFFF
        if frames.signed(edge - self.edge) > 0:
            self.edge = edge
        self.push()

    fin_acked = False

    def take(self, p):
        if not p.length() or p.flags & SYN or self.rcv is None:
            return
        self.early[p.seq] = (p.data, p.flags & FIN)
        moved = True
        while moved:
            moved = False
            for seq in list(self.early):
                data, fin = self.early[seq]
                skip = frames.signed(self.rcv - seq)
                if skip > len(data) or skip == len(data) and not fin:
                    del self.early[seq]
                elif skip >= 0:
                    del self.early[seq]
                    self.rcv = seq + len(data) & 0xFFFFFFFF
                    if data[skip:]:
                        self.on_data(self, data[skip:])
                    if fin and not self.ended:
                        self.rcv = self.rcv + 1 & 0xFFFFFFFF
                        self.ended = True
                        self.on_end(self)
                    moved = True
        if not self.closed:
            self.segment(ACK, self.next)
            if self.ended and self.fin_acked:
                self.gone(None)

    def gone(self, why):
        if not self.closed:
            self.closed = True
            self.wire.connections.pop(self.key, None)
            self.on_close(self, why)


class Raw:
    """A port of a host at which a test is the TCP. Sequence numbers are as on the wire."""

    def __init__(self, wire, host=GATEWAY, port=None):
        self.wire, self.host, self.port = wire, host, port or wire.free_port()
        self.packets = queue.Queue()
        self.iss = self.next = wire.random.getrandbits(32)
        self.guest_port, self.guest_next, self.ended = None, 0, False
        wire.raws[host, self.port] = self

    def receive(self, what=lambda p: True, seconds=20):
        """The next segment of which this is true; others before it are passed over."""
        seconds *= guestlib.patience
        deadline = time.monotonic() + seconds
        while True:
            try:
                p = self.packets.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{seconds} s are over, and no such segment has come to port {self.port}") from None
            self.ended |= bool(p.flags & FIN)
            if what(p):
                if p.length() and frames.signed(p.seq + p.length() - self.guest_next) > 0 or p.flags & SYN:
                    self.guest_next = p.seq + p.length() & 0xFFFFFFFF
                return p

    def send(self, flags=ACK, data=b"", seq=None, ack=None, window=65535, options=b"", **wrong):
        """A segment; seq and ack are the right ones unless they are given. What has no seq of its own advances ours."""
        own = seq is None
        ip = {k: wrong.pop(k) for k in ("ip_options", "ttl") if k in wrong}
        with self.wire.lock:
            self.wire.send_tcp(self.host, self.port, self.guest_port, self.next if own else seq,
                               self.guest_next if ack is None else ack, flags, window, data, options, ip=ip, **wrong)
        if own:
            self.next = self.next + len(data) + bool(flags & SYN) + bool(flags & FIN) & 0xFFFFFFFF

    def accept(self, options=b"", **kwargs):
        """The guest connects: its SYN, answered."""
        syn = self.receive(lambda p: p.flags & SYN)
        self.guest_port = syn.sport
        self.send(SYN | ACK, options=options, **kwargs)
        self.receive(lambda p: p.flags & ACK and p.ack == self.next)
        return syn

    def connect(self, guest_port, options=b""):
        """We connect to the guest; its SYN-ACK."""
        self.guest_port = guest_port
        self.send(SYN, ack=0, options=options)
        p = self.receive(lambda p: p.flags & SYN and p.flags & ACK and p.ack == self.next)
        self.send(ACK)
        return p

    def close(self):
        with self.wire.lock:
            self.wire.raws.pop((self.host, self.port), None)


class Wire:
    """with Wire(seed) as wire, wire.guest("name") as g: ..."""

    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.folder = tempfile.mkdtemp(prefix="wire")
        self.path = os.path.join(self.folder, "net")
        self.lock = threading.RLock()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path + ".wire")
        self.socket.setblocking(False)
        self.wake_read, self.wake_write = os.pipe()
        self.backlog = []                     # frames that QEMU has no room for
        self.timers, self.number = [], 0
        self.hosts = dict(HOSTS)
        self.connections, self.raws, self.services, self.hooks = {}, {}, {}, []
        self.to_guest = self.from_guest = lambda frame: [(0, frame)]
        self.dhcp = dict(address=GUEST, mask="255.255.255.0", router=GATEWAY, resolver=RESOLVER, lease=86400)
        self.names = {}
        self.sent = self.received = 0
        self.acceptor, self.streams = None, {}
        self.stopping, self.error = False, None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def open(self):
        self.thread.start()
        return self

    def __enter__(self):
        return self.open()

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End it, and raise what the thread has died of."""
        self.stopping = True
        self.wake()
        self.thread.join(20)
        for s in [self.socket, *([self.acceptor] if self.acceptor else []), *self.streams]:
            s.close()
        os.close(self.wake_read)
        os.close(self.wake_write)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.error:
            raise self.error

    def guest(self, name, **kwargs):
        return WiredGuest(self, name, **kwargs)

    # ---- the thread

    def wake(self):
        os.write(self.wake_write, b"!")

    def at(self, seconds, call):
        """Have call() called then; a handle for cancel()."""
        self.number += 1
        entry = [time.monotonic() + seconds, self.number, call]
        heapq.heappush(self.timers, entry)
        if threading.current_thread() is not self.thread:
            self.wake()
        return entry

    @staticmethod
    def cancel(entry):
        entry[2] = None

    def run(self):
        try:
            while not self.stopping:
                self.turn()
        except Exception as e:  # told to the test that leaves the wire
            self.error = e

    def turn(self):
        with self.lock:
            due = self.timers[0][0] - time.monotonic() if self.timers else 3600
            reading = [self.socket, self.wake_read, *([self.acceptor] if self.acceptor else [])]
            reading += [s for s, c in self.streams.items() if c.open and not c.fin_wanted and len(c.out) < 1 << 18]
            writing = [self.socket] if self.backlog else []
            writing += [s for s, c in self.streams.items() if c.to_client]
        ready, able, _ = select.select(reading, writing, [], max(0, due))
        with self.lock:
            while self.timers and self.timers[0][0] <= time.monotonic():
                call = heapq.heappop(self.timers)[2]
                if call:
                    call()
            if self.wake_read in ready:
                os.read(self.wake_read, 4096)
            if self.socket in able:
                self.flush()
            if self.socket in ready:
                self.take_frames()
            if self.acceptor in ready:
                self.take_client()
            for s in [s for s in self.streams if s in able]:
                self.to_client(s)
            for s in [s for s in ready if s in self.streams]:
                self.from_client(s)

    def take_frames(self):
        for _ in range(64):
            try:
                frame = self.socket.recv(65536)
            except BlockingIOError:
                return
            self.received += 1
            for late, copy in self.from_guest(frame):
                if late:
                    self.at(late, lambda copy=copy: self.handle(copy))
                else:
                    self.handle(copy)

    # ---- sending

    def send(self, frame):
        with self.lock:
            for late, copy in self.to_guest(frame):
                if late:
                    self.at(late, lambda copy=copy: self.put(copy))
                else:
                    self.put(copy)

    def put(self, frame):
        self.backlog.append(frame)
        if len(self.backlog) == 1:
            self.flush()
        if self.backlog and threading.current_thread() is not self.thread:
            self.wake()

    def flush(self):
        done = 0
        try:
            for frame in self.backlog:
                self.socket.sendto(frame, self.path + ".guest")
                self.sent += 1
                done += 1
        except (BlockingIOError, FileNotFoundError, ConnectionRefusedError) as e:
            if not isinstance(e, BlockingIOError):
                # QEMU is not there, or no more
                done = len(self.backlog)
        del self.backlog[:done]

    def send_ip(self, src, proto, payload, dst=GUEST, mac=None, mac_dst=GUEST_MAC, **kwargs):
        mac = mac or self.hosts.get(src, HOSTS[GATEWAY])
        packet = frames.ipv4(src, dst, proto, payload, **kwargs)
        self.send(frames.ethernet(mac_dst, mac, frames.IPV4, packet))

    def send_tcp(self, host, port, guest_port, seq, ack, flags, window, data=b"", options=b"", ip=None, **wrong):
        ip = dict(ip or {})
        if "ip_options" in ip:
            ip["options"] = ip.pop("ip_options")
        self.send_ip(host, frames.TCP, frames.tcp(host, GUEST, port, guest_port, seq, ack, flags, window, data, options, **wrong), **ip)

    def send_udp(self, host, port, guest_port, data, **wrong):
        self.send_ip(host, frames.UDP, frames.udp(host, GUEST, port, guest_port, data, **wrong))

    def send_unreachable(self, p, code, host=None, kind=3, rest=bytes(4)):
        """An ICMP error about a packet of the guest's."""
        self.send_ip(host or GATEWAY, frames.ICMP, frames.icmp(kind, code, rest, p.frame[14:14 + 28]))

    # ---- what the hosts do

    def handle(self, frame):
        try:
            p = frames.Packet(frame)
        except frames.Malformed:
            # spoiled on the way; what the guest itself made is judged by the capture
            return
        if any(hook(p) for hook in list(self.hooks)):
            return
        if p.kind == frames.ARP:
            if p.operation == 1 and frames.dotted(p.dst) in self.hosts:
                mac = self.hosts[frames.dotted(p.dst)]
                answer = frames.arp(2, mac, frames.dotted(p.dst), p.sender_mac, frames.dotted(p.src))
                self.send(frames.ethernet(p.mac_src, mac, frames.ARP, answer))
        elif p.kind == frames.IPV4 and not p.fragment & 0x3FFF:
            dst = frames.dotted(p.dst)
            if p.proto == frames.UDP and p.dport == 67:
                self.lease(p)
            elif dst == SILENT or p.mac_dst not in self.hosts.values():
                return
            elif p.proto == frames.TCP:
                self.handle_tcp(p, dst)
            elif p.proto == frames.UDP:
                self.handle_udp(p, dst)
            elif p.proto == frames.ICMP and p.icmp_type == 8:
                self.send_ip(dst, frames.ICMP, frames.icmp(0, 0, p.data[:4], p.data[4:]), dst=frames.dotted(p.src))

    def handle_udp(self, p, dst):
        if p.dport == 53:
            self.send_udp(dst, 53, p.sport, dns_answer(p.data, self.names))
        else:
            self.send_unreachable(p, 3, dst)

    def handle_tcp(self, p, dst):
        raw = self.raws.get((dst, p.dport))
        if raw:
            return raw.packets.put(p)
        key = (dst, p.dport, p.sport)
        c = self.connections.get(key)
        serve = self.services.get(p.dport)
        if c:
            c.received(p)
        elif p.flags & (SYN | ACK | RST) == SYN and serve:
            c = Connection(self, key)
            serve(c)
            c.accept(p)
        elif not p.flags & RST:
            seq, flags = (p.ack, RST) if p.flags & ACK else (0, RST | ACK)
            self.send_tcp(dst, p.dport, p.sport, seq, p.seq + p.length(), flags, 0)

    def lease(self, p):
        kind = dhcp_options(p.data).get(53, b"\0")[0]
        answer = {1: 2, 3: 5}.get(kind)
        if answer:
            self.send_lease(p, answer, **self.dhcp)

    def send_lease(self, p, kind, address=GUEST, server=GATEWAY, mac_dst=None, more=b"", **settings):
        """A DHCP message: 2 is an offer, 5 an acknowledgement. A setting of None is left out."""
        options = bytes([53, 1, kind]) + b"\x36\4" + frames.address(server)
        for code, name in ((1, "mask"), (3, "router"), (6, "resolver")):
            if settings.get(name) is not None:
                options += bytes([code, 4]) + frames.address(settings[name])
        for code, name in ((51, "lease"), (58, "renew"), (59, "rebind")):
            if settings.get(name) is not None:
                options += bytes([code, 4]) + struct.pack(">I", settings[name])
        body = (b"\2\1\6\0" + p.data[4:8] + bytes(8) + frames.address(address) + frames.address(server) + bytes(4) +
                p.data[28:44] + bytes(192) + b"\x63\x82\x53\x63" + options + more + b"\xff")
        data = frames.udp(server, address, 67, 68, body)
        # the guest takes by its hardware address what is for an address that it does not have yet
        self.send_ip(server, frames.UDP, data, dst=address, mac_dst=mac_dst or p.mac_src)

    # ---- for tests

    def free_port(self):
        """A port that no connection has had."""
        self.number += 1
        return 20000 + self.number % 40000

    def serve(self, serve, port=None):
        """Have serve(connection) called for each connection to a port of any host; the port."""
        with self.lock:
            port = port or self.free_port()
            self.services[port] = serve
        return port

    @contextlib.contextmanager
    def faulty(self, to_guest=None, from_guest=None):
        with self.lock:
            old = self.to_guest, self.from_guest
            self.to_guest, self.from_guest = to_guest or old[0], from_guest or old[1]
        try:
            yield
        finally:
            with self.lock:
                self.to_guest, self.from_guest = old

    @contextlib.contextmanager
    def seeing(self, hook):
        """Each packet from the guest is shown to hook(packet), which says whether it has done all that is to be done."""
        with self.lock:
            self.hooks.append(hook)
        try:
            yield
        finally:
            with self.lock:
                self.hooks.remove(hook)

    # ---- port 22 of the guest, at a port of this host

    def listen(self, port):
        if self.acceptor:
            self.acceptor.close()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        listener.setblocking(False)
        with self.lock:
            self.acceptor = listener
        self.wake()

    def take_client(self):
        s, _ = self.acceptor.accept()
        s.setblocking(False)
        c = Connection(self, (GATEWAY, self.free_port(), 22))
        c.to_client, c.client_end = bytearray(), False

        def data(c, part):
            c.to_client += part
            c.room = max(65535 - len(c.to_client), 0)
            self.to_client(s)

        def end(c):
            c.client_end = True
            self.to_client(s)

        def close(c, why):
            c.client_end = True
            c.close_when_sent = True
            self.to_client(s)

        c.close_when_sent = False
        c.on_data, c.on_end, c.on_close = data, end, close
        self.streams[s] = c
        c.connect()

    def to_client(self, s):
        c = self.streams.get(s)
        if not c:
            return
        with contextlib.suppress(BlockingIOError):
            try:
                while c.to_client:
                    del c.to_client[:s.send(c.to_client[:65536])]
                if c.client_end:
                    c.client_end = False
                    s.shutdown(socket.SHUT_WR)
            except (ConnectionError, OSError) as e:
                if isinstance(e, BlockingIOError):
                    raise
                c.close_when_sent = True
                c.to_client.clear()
        was, c.room = c.room, max(65535 - len(c.to_client), 0)
        if c.open and not c.closed and was < 16384 <= c.room:
            c.segment(ACK, c.next)
        if c.close_when_sent and not c.to_client:
            s.close()
            del self.streams[s]
            if not c.closed:
                c.reset()

    def from_client(self, s):
        c = self.streams[s]
        try:
            data = s.recv(65536)
        except BlockingIOError:
            return
        except ConnectionError:
            c.close_when_sent = True
            c.to_client.clear()
            return self.to_client(s)
        if data:
            c.send(data)
        else:
            c.close()


class WiredGuest(guestlib.Guest):
    """A guest whose network is a Wire."""

    def __init__(self, wire, name, **kwargs):
        options = ["--wire", wire.path, *kwargs.pop("options", [])]
        super().__init__(name, options=options, **kwargs)
        self.wire = wire

    def take_port(self):
        port = super().take_port()
        self.wire.listen(port)
        return port

    def counters(self):
        """/proc/tern/net as {name: number}."""
        text = self.ssh("cat /proc/tern/net", check=True).stdout.decode()
        return {name: int(value) for name, value in (line.split() for line in text.splitlines())}

    def check_counters(self):
        """Each frame that was put on the wire for the guest is delivered in it, or dropped and counted; what it has sent has
        come out. Nothing is lost between, so the numbers are equal but for what moves while they are read."""
        def wrong():
            sent, received = self.wire.sent, self.wire.received
            c = self.counters()
            later, after = self.wire.sent, self.wire.received
            fine = c["rx_frames"] == c["rx_delivered"] + c["rx_no_memory"] + c["rx_bad"]
            fine = fine and sent <= c["rx_frames"] <= later and received <= c["tx_frames"] <= after
            return None if fine else f"frames put {sent} to {later}, taken {received} to {after}, and in the guest {c}"
        guestlib.until(lambda: f"the counters to add up: {wrong()}", lambda: not wrong())


def dhcp_options(data):
    found, at = {}, 240
    while at + 1 < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        found[data[at]] = data[at + 2:at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found


def dns_answer(query, names, **lies):
    """The query with an answer behind it, if the name is known: names is {name: address}."""
    end = query.index(b"\0", 12) + 5
    ask, name, at = query[12:end], [], 12
    while query[at]:
        name.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    found = names.get(".".join(name))
    kind = ask[-4:-2]
    if found is None:
        return query[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + ask
    if kind != b"\0\1":
        return query[:2] + b"\x81\x80\0\1\0\0\0\0\0\0" + ask
    return (query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + ask + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + frames.address(found))
