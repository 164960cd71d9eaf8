#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Many connections, and mixed traffic, to and from one guest on the debug image, every byte checked.

tests/traffic.py [--at-once N] [--sequence N] [--bulk MB] [--minutes M] [--seed N] [--smp 4] [--image debug] [--append TEXT]
  --at-once N    N TCP connections from this host at once, by way of QEMU's forwarded port, to an echo server in the guest
  --sequence N   N connections one after the other, some of them ended by a reset
  --bulk MB      so many MB to a peer here that sends each byte back, on one connection
  --minutes M    mixed traffic: SSH sessions, bulk TCP both ways, wget, httpd, ping, UDP, loop-back, storms of connections
                 and resets, and programs killed anywhere, with a schedule perturbed by the seed
After each part pages, slabs, sockets and connections are back where they were, and what the network delivered and dropped
is what it received. A part with 0 is left out. Progress is on stderr."""
import argparse
import contextlib
import hashlib
import os
import random
import selectors
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import guest as guestlib  # noqa: E402  (the path above leads to it)
import soak  # noqa: E402

HELPER = "/tests/traffic"
ECHO, HTTP = 7777, 8080
BODY_BYTES = 700_000
# For what hangs.
HANG = 240


def progress(text):
    print(f"# {text}", file=sys.stderr, flush=True)


# ---- the peer on this host: 10.0.2.2 in the guest

class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            while part := self.request.recv(65536):
                self.request.sendall(part)


class EchoDatagram(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(self.request[0], self.client_address)


class Http(socketserver.BaseRequestHandler):
    def handle(self):
        request = b""
        with contextlib.suppress(OSError):
            while b"\r\n\r\n" not in request:
                part = self.request.recv(4096)
                if not part:
                    return
                request += part
            body = self.server.body
            self.request.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


class Tcp(socketserver.ThreadingTCPServer):
    daemon_threads, request_queue_size, block_on_close = True, 128, False


class Peer:
    """What answers the guest here."""

    def __init__(self, seed):
        self.body = random.Random(seed).randbytes(BODY_BYTES)
        self.digest = hashlib.sha256(self.body).hexdigest()
        self.echo, self.http = Tcp(("127.0.0.1", 0), Echo), Tcp(("127.0.0.1", 0), Http)
        self.datagrams = socketserver.UDPServer(("127.0.0.1", 0), EchoDatagram)
        self.datagrams.max_packet_size = 65536
        self.http.body = self.body
        for server in (self.echo, self.http, self.datagrams):
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in (self.echo, self.http, self.datagrams):
            server.shutdown()
            server.server_close()


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def read_exactly(s, n):
    parts = []
    while n:
        part = s.recv(min(n, 65536))
        assert part, f"the end, {n} bytes too early"
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


# ---- the guest

class Machine:
    """A guest with the echo server and BusyBox's httpd, whose ports are ports of this host."""

    def __init__(self, peer, name, smp, image, append, options=()):
        self.echo_port, self.http_port = guestlib.free_port(), guestlib.free_port()
        self.guest = guestlib.Guest(name, smp=smp, image=image, append=append, options=[
            "--forward", f"{self.echo_port}:{ECHO}", "--forward", f"{self.http_port}:{HTTP}", *options])
        self.peer = peer

    def start_servers(self):
        self.servers = self.guest.popen(f"httpd -p {HTTP} -h /tmp/www; exec {HELPER} serve {ECHO}")
        assert self.servers.stdout.readline() == b"ready\n", "the echo server does not start"

    def end_servers(self):
        self.servers.kill()
        for stream in (self.servers.stdin, self.servers.stdout, self.servers.stderr):
            stream.close()
        self.servers.wait()

    def __enter__(self):
        self.guest.start()
        self.guest.ssh("mkdir -p /tmp/www; cat >/tmp/www/body", data=self.peer.body, check=True)
        self.start_servers()
        for _ in range(3):
            self.connect().close()
            self.get_from_guest()
        self.guest.ssh(f"wget -q -O /dev/null http://10.0.2.2:{self.peer.http.server_address[1]}/", check=True)
        return self

    def __exit__(self, *_):
        self.end_servers()
        self.guest.stop()

    def connect(self):
        """A connection to the echo server that has answered: QEMU accepts before the guest does."""
        s = socket.create_connection(("127.0.0.1", self.echo_port), timeout=HANG)
        s.sendall(b"?")
        assert s.recv(1) == b"?", "the echo server does not answer"
        return s

    def get_from_guest(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/body", timeout=HANG) as answer:
            digest = hashlib.sha256(answer.read()).hexdigest()
        return None if digest == self.peer.digest else f"httpd: hash {digest}"

    def counters(self):
        text = self.guest.ssh("cat", "/proc/tern/net", check=True).stdout.decode()
        return {name: int(value) for name, value in (line.split() for line in text.splitlines())}

    def check_ended(self, before, before_net, resets=False):
        """Nothing is left behind, and the counters add up; whether the device may have been reset."""
        def lines():
            # the connection that asks is one, both times
            now = self.counters()
            return {k: (before_net[k], now[k]) for k in ("sockets", "tcp_active", "tcp_listening")
                    if now[k] != before_net[k]}

        guestlib.until(lambda: f"the connections to be gone; (before, now): {lines()}", lambda: not lines(), 120, pause=0.5)
        self.guest.wait_for_account(before, seconds=120)
        c = self.counters()
        assert c["rx_delivered"] + c["rx_no_memory"] + c["rx_bad"] == c["rx_frames"], f"frames are unaccounted for: {c}"
        assert not c["tcp_bad_checksum"] and (resets or not c["resets"]), f"the wire or the device was wrong: {c}"
        self.guest.check_console()
        assert self.servers.poll() is None, "the echo server has ended"
        return (f"{c['rx_frames']} frames received = {c['rx_delivered']} delivered + {c['rx_no_memory']} + {c['rx_bad']} "
                f"dropped, {c['tx_frames']} sent, {c['tcp_dropped']} segments dropped")


# ---- many connections

def at_once(machine, n, seed):
    """n connections stand at once; each carries bytes of its own both ways, all of them together, twice."""
    rng, open_ones = random.Random(seed), []
    wanted = selectors.DefaultSelector()
    try:
        for i in range(n):
            open_ones.append(machine.connect())
            if (i + 1) % 250 == 0:
                progress(f"{i + 1} connections stand")
        standing = machine.counters()["tcp_active"]
        assert standing >= n, f"the guest counts {standing} connections"
        for _ in range(2):
            sent = {s: rng.randbytes(rng.randrange(1, 12000)) for s in open_ones}
            got = {s: b"" for s in open_ones}
            for s in open_ones:
                s.sendall(sent[s])
                wanted.register(s, selectors.EVENT_READ)
            while wanted.get_map():
                ready = wanted.select(HANG)
                assert ready, f"{len(wanted.get_map())} of {n} wait for their bytes"
                for key, _ in ready:
                    s = key.fileobj
                    part = s.recv(65536)
                    got[s] += part
                    if not part or len(got[s]) >= len(sent[s]):
                        wanted.unregister(s)
            wrong = sum(got[s] != sent[s] for s in open_ones)
            assert not wrong, f"{wrong} of {n} got other bytes than they sent"
    finally:
        for i, s in enumerate(open_ones):
            if i % 3:
                s.close()
            else:
                reset(s)
    return f"{n} at once"


def sequence(machine, n, seed):
    rng = random.Random(seed)
    for i in range(n):
        s = machine.connect()
        data = rng.randbytes(rng.randrange(1, 3000))
        s.sendall(data)
        if i % 5 == 4:
            reset(s)
        else:
            assert read_exactly(s, len(data)) == data, f"connection {i}: other bytes than were sent"
            s.shutdown(socket.SHUT_WR)
            assert s.recv(1) == b"", f"connection {i}: more than was sent"
            s.close()
        if (i + 1) % 1000 == 0:
            progress(f"{i + 1} connections made and ended")
    return f"{n} in sequence"


def bulk(machine, megabytes, seed):
    """N6: what was sent and received gives its memory back. An hour is for a slow host."""
    to = f"10.0.2.2 {machine.peer.echo.server_address[1]}"
    client = machine.guest.popen(f"{HELPER} stream {to} {megabytes * 1_000_000} {seed & 0xffff}", stdin=subprocess.DEVNULL)
    begin = said = time.monotonic()
    while client.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            client.wait(1)
        if time.monotonic() - said > 30:
            said = time.monotonic()
            progress(f"{machine.counters()['rx_frames']} frames received after {said - begin:.0f} s")
        assert time.monotonic() - begin < 3600, "no end"
    out, err = client.communicate()
    assert client.returncode == 0, f"status {client.returncode}: {out[-300:]!r} {err[-300:]!r}"
    return f"{megabytes} MB each way in {time.monotonic() - begin:.0f} s"


# ---- mixed traffic

class Mixed(soak.Slice):
    """What soak does, and all other traffic beside it."""
    SESSIONS = ("hello", "download", "upload", "short", "killed")
    TRAFFIC = ("stream_out", "stream_in", "stream_loop", "wget", "httpd", "ping", "datagrams", "storm", "killed_program",
               "reset_by_host")

    def __init__(self, machine, seconds, seed):
        super().__init__(machine.guest, 0, seconds, seed)
        self.machine, self.peer = machine, machine.peer

    def run_helper(self, words):
        done = self.run_ssh(f"{HELPER} {words}")
        if done.returncode:
            return f"{words}: status {done.returncode}: {done.stdout[-300:]!r} {done.stderr[-200:]!r}"
        return None

    def stream_words(self, rng, loop):
        to = f"127.0.0.1 {ECHO}" if loop else f"10.0.2.2 {self.peer.echo.server_address[1]}"
        return f"stream {to} {rng.randrange(1, 3_000_000)} {rng.randrange(1 << 30)}"

    def stream_out(self, rng):
        return self.run_helper(self.stream_words(rng, False))

    def stream_loop(self, rng):
        return self.run_helper(self.stream_words(rng, True))

    def datagrams(self, rng):
        to = rng.choice([f"127.0.0.1 {ECHO}", f"10.0.2.2 {self.peer.datagrams.server_address[1]}"])
        return self.run_helper(f"datagrams {to} {rng.randrange(1, 200)} {rng.randrange(1 << 30)}")

    def storm(self, rng):
        return self.run_helper(f"storm {rng.randrange(100, 1000)} {rng.randrange(1 << 30)}")

    def killed_program(self, rng):
        hole = "10.0.2.99"
        # nobody being there, nc may be told so before it is killed
        words = rng.choice([
            f"0 {HELPER} {self.stream_words(rng, True)}", f"0 {HELPER} {self.stream_words(rng, False)}",
            f"0 {HELPER} storm 100000 {rng.randrange(1 << 30)}", f"1 nc {hole} 80",
            f"0 nc -l -p {rng.randrange(20000, 30000)}", f"1 ping -q {hole}", "0 ping -q 10.0.2.2",
            f"0 wget -q -O /dev/null http://10.0.2.2:{self.peer.http.server_address[1]}/",
            f"0 {HELPER} datagrams 127.0.0.1 {ECHO} 100000 1"])
        return self.run_helper(f"killed {rng.randrange(400)} {words} >/dev/null")

    def stream_in(self, rng):
        data, got = rng.randbytes(rng.randrange(1, 3_000_000)), []
        with self.machine.connect() as s:
            def read():
                with contextlib.suppress(OSError):
                    while part := s.recv(65536):
                        got.append(part)
            reader = threading.Thread(target=read)
            reader.start()
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            reader.join(HANG)
        return None if b"".join(got) == data else f"stream in: {len(data)} bytes sent, {sum(map(len, got))} back, or others"

    def reset_by_host(self, rng):
        for _ in range(rng.randrange(1, 5)):
            s = self.machine.connect()
            s.sendall(rng.randbytes(rng.randrange(1, 200_000)))
            reset(s)

    def wget(self, rng):
        done = self.run_ssh(f"wget -q -O - http://10.0.2.2:{self.peer.http.server_address[1]}/ | sha256sum")
        return None if done.stdout.startswith(self.peer.digest.encode()) else f"wget: {done}"

    def httpd(self, rng):
        return self.machine.get_from_guest()

    def ping(self, rng):
        """One by one: of many, ping waits for the last no longer than a second or two round trips, whatever -W says, and a fault moves
        the clock by two."""
        to = rng.choice(["10.0.2.2", "127.0.0.1"])
        done = self.run_ssh(f"for i in $(seq 20); do ping -q -c 1 -W 30 {to} || break; done")
        return None if done.stdout.count(b" 1 packets received") == 20 else f"ping {to}: {done.stdout[-300:]!r}"

    def go(self):
        rng = random.Random(self.seed)
        threads = []
        for number in range(9):
            kinds = list(self.SESSIONS if number < 3 else self.TRAFFIC)
            rng.shuffle(kinds)
            threads.append(threading.Thread(target=self.worker, args=(number, kinds)))
        for t in threads:
            t.start()
        said = time.monotonic()
        for t in threads:
            while t.is_alive():
                t.join(1)
                if time.monotonic() - said > 30:
                    said = time.monotonic()
                    progress(f"{max(0, self.end - said):.0f} s to go: {summary(self.done)}")


def summary(done):
    return ", ".join(f"{n} {kind}" for kind, n in sorted(done.items()))


def mixed(machine, minutes, seed):
    part = Mixed(machine, minutes * 60, seed)
    part.go()
    assert not part.wrong, f"{len(part.wrong)} wrong: " + "\n".join(part.wrong[:8])
    return summary(part.done)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--at-once", type=int, default=0)
    parser.add_argument("--sequence", type=int, default=0)
    parser.add_argument("--bulk", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--seed", type=int, default=guestlib.commit_number() & 0xffffff)
    parser.add_argument("--smp", type=int, default=4)
    parser.add_argument("--image", default="debug")
    parser.add_argument("--append", default="")
    args = parser.parse_args()
    parts = [(name, run, amount) for name, run, amount in (
        ("at-once", at_once, args.at_once), ("sequence", sequence, args.sequence), ("bulk", bulk, args.bulk),
        ("mixed", mixed, args.minutes)) if amount]
    passed = failed = 0
    with Peer(args.seed) as peer:
        for name, run, amount in parts:
            label = f"traffic[{name}={amount:g},smp={args.smp},seed={args.seed}]"
            perturb = f"perturb={args.seed & 0xffff or 1} " if args.image == "debug" else ""
            machine = Machine(peer, "traffic", args.smp, args.image, (perturb + args.append).strip())
            try:
                with machine:
                    before, before_net = soak.settled_account(machine.guest), machine.counters()
                    done = run(machine, amount, args.seed)
                    print(f"ok {label}: {done}; {machine.check_ended(before, before_net)}", flush=True)
                    passed += 1
            except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
                failed += 1
                first, _, rest = (str(error) or repr(error)).partition("\n")
                print(f"not ok {label}: {first[:400]}\n{rest}", flush=True)
                print("\n".join("    | " + line for line in machine.guest.tail(40).splitlines()), flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
