# SPDX-License-Identifier: MIT
"""What is measured. A group is one function that fills one or more rows; it gets a running guest, or a kernel
when it boots guests of its own, and returns {row: value or list of values or Failed}."""
import concurrent.futures
import gc
import hashlib
import os
import random
import re
import selectors
import shutil
import socket
import subprocess
import threading
import time

from figures import Row, percentile
from guests import TOP, WORK, Failed, Running, guestlib, sshraw
from hostload import cpu_ticks, TICK

MB = 1000 * 1000
TRANSFER = 32 << 20
NET_TRANSFER = 64 << 20
SEED = 1
# A peer that slows down as sessions pile up must not keep the bench for an hour.
SESSIONS_S = 180
CIPHERS = {
    "chacha": (sshraw.CHACHA, ()),
    "ctr": ("aes128-ctr", ("-m", "hmac-sha2-256")),
    "gcm": (sshraw.GCM, ()),
    "ctr256": ("aes256-ctr", ("-m", "hmac-sha2-256")),
    "gcm256": ("aes256-gcm@openssh.com", ()),
}
KEXES = {"mlkem": "mlkem768x25519-sha256", "sntrup": "sntrup761x25519-sha512@openssh.com", "curve": "curve25519-sha256"}

ROWS = [
    Row("boot_banner", "boot to banner", "s", "less", at_most=0.10),
    Row("boot_ssh", "boot to first finished `ssh tern true`", "s", "less", at_most=0.16),
    Row("ssh_true", "`ssh tern true`, default client, p50", "ms", "less", at_most=30),
    Row("ssh_true_p99", "`ssh tern true`, default client, p99", "ms", "less"),
    *(Row(f"kex_{name}_{p}", f"`ssh tern true` by {kex.partition('@')[0]}, {p}", "ms", "less") for name, kex in KEXES.items()
      for p in ("p50", "p99")),
    Row("exec_mux", "exec on an open connection (`ssh -S`), p50", "ms", "less", at_most=6),
    Row("exec_raw", "the same by the raw client, p50", "ms", "less"),
    Row("down_chacha", "download chacha20-poly1305", "MB/s", "more", ratio=1.4),
    Row("up_chacha", "upload chacha20-poly1305", "MB/s", "more", ratio=1.8),
    Row("down_ctr", "download aes128-ctr", "MB/s", "more", ratio=1.0),
    Row("up_ctr", "upload aes128-ctr", "MB/s", "more", ratio=1.0),
    Row("down_gcm", "download aes128-gcm", "MB/s", "more", ratio=0.85),
    Row("up_gcm", "upload aes128-gcm", "MB/s", "more", ratio=0.85),
    *(Row(f"{way}_{name}", f"{way}load {CIPHERS[name][0].partition('@')[0]}", "MB/s", "more") for name in ("ctr256", "gcm256")
      for way in ("down", "up")),
    Row("down_8", "download chacha20-poly1305, 8 sessions", "MB/s", "more"),
    Row("up_8", "upload chacha20-poly1305, 8 sessions", "MB/s", "more"),
    Row("echo_p50", "echo of a key, idle, p50", "ms", "less", at_most=0.35),
    Row("echo_p99", "echo of a key, idle, p99", "ms", "less", ratio=1.0),
    Row("echo_down_p50", "echo during a download, p50", "ms", "less", at_most=0.35),
    Row("echo_down_p99", "echo during a download, p99", "ms", "less", ratio=1.0),
    Row("echo_paced_p50", "echo during a download held to 8 MB/s, p50", "ms", "less"),
    Row("echo_paced_p99", "echo during a download held to 8 MB/s, p99", "ms", "less", ratio=1.0),
    Row("logins", "fresh logins one after another, raw client", "1/s", "more", at_least=100),
    Row("lines", "8 sessions of `hello` lines", "lines/s", "more"),
    Row("sessions", "idle sessions served in 256 MiB (of 1,000; pty and shell)", "", "more", at_least=1000),
    Row("session_kib", "guest memory of each", "KiB", "less", at_most=96),
    Row("login_kib", "guest memory of a login with no channel (mean of 200)", "KiB", "less"),
    Row("smallest", "smallest `-m` that serves a login", "MiB", "less", at_most=8),
    Row("image", "kernel image without root files", "MiB", "less", at_most=1),
    Row("root", "root files, in it or beside it", "MiB", "less"),
    Row("used", "guest memory used after boot, of 256 MiB", "MiB", "less"),
    Row("rss", "QEMU's resident set at `-m 256M`", "MiB", "less"),
    Row("idle", "idle host CPU at 4 CPUs", "% of a core", "less", at_most=0.2),
    Row("build", "clean build, 2 jobs", "s", "less", at_most=60),
    Row("change", "one changed file to a finished `ssh tern true`", "s", "less", at_most=5),
    Row("net_down", "raw TCP, guest to host", "MB/s", "more", ratio=1.0),
    Row("net_up", "raw TCP, host to guest", "MB/s", "more", ratio=1.0),
    Row("net_connects", "raw TCP: connect, 8 bytes there and back, close", "1/s", "more", ratio=1.0),
    *(Row(f"net_{n}_{p}", f"request of 64 bytes, {n} connection{'s' * (n > 1)}, {p}", "ms", "less", ratio=1.0)
      for n in (1, 10, 100) for p in ("p50", "p99")),
    Row("net_kib", "guest memory of each of 500 connections", "KiB", "less", ratio=1.0),
    Row("spin", "control: spin loop in the guest", "ms", "less"),
    Row("copy", "control: memcpy in the guest", "MB/s", "more"),
]


# ---- boots

def boot(kernel, smp):
    banner, login = [], []
    for _ in range(3):
        with Running(kernel, smp) as guest:
            banner.append(guest.wait_for_banner())
            guest.ssh("true")
            login.append(guest.since_start())
    return {"boot_banner": banner, "boot_ssh": login}


def serves_login(kernel, mib):
    with Running(kernel, 1, f"{mib}M") as guest:
        try:
            guest.wait_for_banner(limit=8)
            guest.ssh("true", timeout=10)
        except Failed:
            return False
    return True


def smallest(kernel, smp):
    """Bisect: below is a size that fails (or is not tried), above one that serves."""
    below, above = 3, 8
    while not serves_login(kernel, above):
        below, above = above, above * 2
        if above > 256:
            raise Failed("no login in 256 MiB")
    while above - below > 1:
        middle = (below + above) // 2
        if serves_login(kernel, middle):
            above = middle
        else:
            below = middle
    return {"smallest": above}


def runtime_s(pid):
    """Processor time of all threads: by the nanosecond where the kernel says, else by the tick."""
    total = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
        return total / 1e9
    except (OSError, ValueError, IndexError):
        return cpu_ticks(pid) / TICK


def idle(kernel, smp):
    with Running(kernel, 4) as guest:
        guest.ready()
        # what a login leaves to be done is not what idling costs
        guestlib.let_pass(5)
        begin, used = time.monotonic(), runtime_s(guest.process.pid)
        # the time that is measured
        guestlib.let_pass(20)
        used = runtime_s(guest.process.pid) - used
        return {"idle": 100 * used / (time.monotonic() - begin)}


def files(kernel, smp):
    image = os.path.getsize(kernel.image)
    # tern's root files lie in its image, Linux's beside it.
    root = os.path.getsize(f"{guestlib.TOP}/build/initramfs.cpio" if kernel.ours else kernel.initrd)
    return {"image": (image - root * kernel.ours) / (1 << 20), "root": root / (1 << 20)}


# ---- on one running guest

def free_kib(guest):
    """What the guest could still give to programs."""
    values = dict(re.findall(rb"^(\w+):\s+(\d+) kB", guest.ssh("cat", "/proc/meminfo"), re.M))
    if b"MemFree" not in values:
        raise Failed("/proc/meminfo says nothing we understand")
    return max(int(values[b"MemFree"]), int(values.get(b"MemAvailable", 0)))


def memory(guest):
    used = 256 - free_kib(guest) / 1024
    rss = re.search(r"VmRSS:\s+(\d+) kB", guestlib.read_file(f"/proc/{guest.process.pid}/status"))
    return {"used": used, "rss": int(rss.group(1)) / 1024}


def control(guest):
    spin_us, copy_mbs = guest.ssh("/control").split()
    return {"spin": int(spin_us) / 1000, "copy": float(copy_mbs)}


def timed_ms(command):
    begin = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          timeout=60)
    took = time.monotonic() - begin
    if done.returncode:
        raise Failed(f"status {done.returncode}: {done.stderr.decode(errors='replace').strip()[-120:]}")
    return took * 1000


def login(guest):
    took = [timed_ms(guest.ssh_command("true")) for _ in range(50)]
    return {"ssh_true": percentile(took, 50), "ssh_true_p99": percentile(took, 99)}


def client_with(kex):
    """An ssh of this host that has the method: the stock one, or the pinned one of the tests."""
    for program in ("ssh", os.path.join(TOP, "build/openssh/ssh")):
        if shutil.which(program) and kex in subprocess.run([program, "-Q", "kex"], stdout=subprocess.PIPE, check=True, text=True).stdout.split():
            return program
    raise Failed("no client for it: tests/blackbox/openssh.sh build/openssh")


def kexes(guest):
    values = {}
    for name, kex in KEXES.items():
        try:
            command = [client_with(kex), *guest.ssh_command("true", options=("-o", f"KexAlgorithms={kex}"))[1:]]
            took = [timed_ms(command) for _ in range(50)]
            values.update({f"kex_{name}_p50": percentile(took, 50), f"kex_{name}_p99": percentile(took, 99)})
        except Failed as why:
            values.update({f"kex_{name}_p50": why, f"kex_{name}_p99": why})
    return values


def raw_exec(client, channel_number):
    """exec "true" on a channel of its own, to its close by both sides; the exit status must be 0."""
    channel = client.open_session(channel_number)
    client.request(channel, "exec", sshraw.string("true"))
    status = None
    while True:
        reply = sshraw.Reader(client.receive())
        kind = reply.byte()
        if kind == sshraw.REQUEST and (reply.u32(), reply.string()) == (channel_number, b"exit-status"):
            reply.byte()
            status = reply.u32()
        elif kind == sshraw.CLOSE:
            client.send(bytes([sshraw.CLOSE]) + sshraw.u32(channel))
            break
        elif kind == sshraw.FAILURE:
            raise Failed("exec was refused")
    if status != 0:
        raise Failed(f"exec true: exit status {status}")


def exec_(guest):
    options = guest.master()
    mux = [timed_ms(guest.ssh_command("true", options=options)) for _ in range(30)]
    raw = []
    with guest.raw(cipher=sshraw.CHACHA) as client:
        client.handshake().login(key())
        for number in range(30):
            begin = time.monotonic()
            raw_exec(client, number)
            raw.append(1000 * (time.monotonic() - begin))
    return {"exec_mux": percentile(mux, 50), "exec_raw": percentile(raw, 50)}


def key():
    return sshraw.load_key(os.path.join(WORK, "key"))


def flood_hash():
    """SHA-256 of what flood must print, by the same source built for this host."""
    program = os.path.join(WORK, "flood-host")
    if not os.path.exists(program):
        subprocess.run(["cc", "-O2", "-I", TOP, "-o", program, os.path.join(TOP, "user/flood.c"),
                        os.path.join(TOP, "user/lib/say.c")], check=True)
    out = subprocess.run([program, str(TRANSFER), str(SEED)], stdout=subprocess.PIPE, check=True).stdout
    return hashlib.sha256(out).hexdigest(), out


def must_offer(guest, cipher):
    """Ask the server itself, since the stock client says nothing of use."""
    with guest.raw() as client:
        client.hello()
        client.exchange_kexinit()
        lists = sshraw.Reader(client.their_kexinit[17:])
        names = [lists.string().decode() for _ in range(4)]
    if cipher not in names[2].split(","):
        raise Failed("not offered")


def transfer(guest):
    """Through a connection that is open already, so that only the transfer counts. Each direction is timed once a
    round; the hash of an upload is made in an untimed second one, since SHA-256 would cost more than the cipher."""
    want, data = flood_hash()
    path = os.path.join(WORK, "upload")
    with open(path, "wb") as f:
        f.write(data)
    values = {}
    for name, (cipher, more) in CIPHERS.items():
        down, up = f"down_{name}", f"up_{name}"
        try:
            must_offer(guest, cipher)
            options = guest.master(("-c", cipher, *more))
            begin = time.monotonic()
            got = guest.ssh("flood", str(TRANSFER), str(SEED), options=options)
            values[down] = len(got) / MB / (time.monotonic() - begin)
            if hashlib.sha256(got).hexdigest() != want:
                raise Failed(f"{len(got)} bytes arrived, or others than were sent")
            values[up] = upload(guest, options, path, ("sink", "-c"), f"{TRANSFER}")
            upload(guest, options, path, ("sink",), f"{TRANSFER} {want}")
        except Failed as why:
            for row in (down, up):
                values.setdefault(row, why)
    return values


def upload(guest, options, path, command, want):
    begin = time.monotonic()
    with open(path, "rb") as f:
        done = subprocess.run(guest.ssh_command(*command, options=options), stdin=f, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=120)
    took = time.monotonic() - begin
    if done.returncode or done.stdout.decode().strip() != want:
        raise Failed(f"{' '.join(command)}: {done.returncode}, {done.stdout[-90:]!r}, {done.stderr[-90:]!r}")
    return TRANSFER / MB / took


def eight(guest):
    """On a connection each, open before the clock starts; to the end of the last."""
    _, data = flood_hash()
    size = TRANSFER // 8
    masters = [guest.master(("-c", sshraw.CHACHA)) for _ in range(8)]
    rates = {}
    for row, words, piece, answer in (("down_8", ("flood", str(size), str(SEED)), b"", data[:size]),
                                      ("up_8", ("sink", "-c"), data[:size], b"%d\n" % size)):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            begin = time.monotonic()
            got = list(pool.map(lambda m: guest.ssh(*words, options=m, data=piece), masters))
            rates[row] = 8 * size / MB / (time.monotonic() - begin)
        if got != [answer] * 8:
            raise Failed(f"{row}: other bytes arrived than were sent")
    return rates


class Terminal:
    """A session with a pty: one key in, its echo out."""

    def __init__(self, guest, command=None):
        self.client = guest.raw(cipher=sshraw.CHACHA, timeout=20)
        self.client.handshake().login(key())
        self.channel = self.client.open_session()
        self.client.request(self.channel, "pty-req", sshraw.string("xterm") + sshraw.u32(80) + sshraw.u32(24)
                            + sshraw.u32(0) + sshraw.u32(0) + sshraw.string(b"\0"))
        self.client.receive_type(sshraw.SUCCESS)
        if command:
            self.client.request(self.channel, "exec", sshraw.string(command))
        else:
            self.client.request(self.channel, "shell")
        while self.client.receive_type(sshraw.SUCCESS, sshraw.WINDOW_ADJUST)[0] != sshraw.SUCCESS:
            pass

    def close(self):
        self.client.sock.close()

    def send(self, text):
        self.client.send(bytes([sshraw.DATA]) + sshraw.u32(self.channel) + sshraw.string(text))

    def wait_for(self, text):
        """Read until text has come; what came before it counts for nothing."""
        got = b""
        while text not in got:
            reply = sshraw.Reader(self.client.receive_type(sshraw.DATA, sshraw.WINDOW_ADJUST))
            if reply.byte() == sshraw.DATA:
                reply.u32()
                got += reply.string()

    def echo_ms(self):
        """Round trips of single keys through the line discipline, with a pause of 1 to 4 ms before each. A line is
        ended, untimed, after each alphabet."""
        pause, took = random.Random(SEED), []
        self.send(b"ready\r")
        self.wait_for(b"ready\r\nready\r\n")
        gc.disable()
        try:
            for number in range(20 * 26):
                # somebody types
                guestlib.let_pass(0.001 + 0.003 * pause.random())
                text = b"%c" % (97 + number % 26)
                begin = time.monotonic()
                self.send(text)
                self.wait_for(text)
                took.append(1000 * (time.monotonic() - begin))
                if number % 26 == 25:
                    self.send(b"\r")
                    self.wait_for(b"z\r\n")
        finally:
            gc.enable()
        return took


UNDER_WAY = 1 << 20  # bytes; then a download is past its slow start


def drain(stream, rate, under_way):
    """Take what comes, no faster than rate in bytes a second; 0: as it comes."""
    begin, got = time.monotonic(), 0
    while data := stream.read1(16384):
        got += len(data)
        if got >= UNDER_WAY:
            under_way.set()
        ahead = got / rate - (time.monotonic() - begin) if rate else 0
        if ahead > 0:
            # a reader of that speed
            guestlib.let_pass(ahead)


def echo_under(guest, terminal, rate):
    """Echoes while another connection downloads."""
    command = guest.ssh_command("flood", str(1 << 40), "1", options=("-c", sshraw.CHACHA))
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as load:
        under_way = threading.Event()
        reader = threading.Thread(target=drain, args=(load.stdout, rate, under_way))
        reader.start()
        try:
            if not under_way.wait(30):
                raise Failed("the download did not begin within 30 s")
            took = terminal.echo_ms()
            if load.poll() is not None:
                raise Failed(f"the download ended with {load.returncode}")
            return took
        finally:
            load.kill()
            reader.join()


def echo(guest):
    terminal = Terminal(guest, "cat")
    values = {}
    try:
        for name, measure in (("echo", terminal.echo_ms),
                              ("echo_down", lambda: echo_under(guest, terminal, 0)),
                              ("echo_paced", lambda: echo_under(guest, terminal, 8 * MB))):
            try:
                took = measure()
                values.update({f"{name}_p50": percentile(took, 50), f"{name}_p99": percentile(took, 99)})
            except Failed as why:
                values.update({f"{name}_p50": why, f"{name}_p99": why})
        return values
    finally:
        terminal.close()


def fast_login(guest, private):
    """From connect to USERAUTH_SUCCESS, sending early what need not wait for an answer."""
    with guest.raw(cipher=sshraw.CHACHA) as client:
        client.my_kexinit = sshraw.kexinit(cipher=sshraw.CHACHA)
        client.send_bytes(client.version + b"\r\n" + client.packet(client.my_kexinit))
        client.read_version()
        client.their_kexinit = client.receive_type(sshraw.KEXINIT)
        client.exchange_keys()
        client.new_keys()
        client.send(bytes([sshraw.SERVICE_REQUEST]) + sshraw.string("ssh-userauth"))
        client.send(client.auth_request(private))
        client.receive_type(sshraw.SERVICE_ACCEPT)
        client.receive_type(sshraw.AUTH_SUCCESS)


def logins(guest):
    count, private = 100, key()
    fast_login(guest, private)
    begin = time.monotonic()
    for _ in range(count):
        fast_login(guest, private)
    return {"logins": count / (time.monotonic() - begin)}


def lines(guest):
    """8 connections, open before the clock starts; from the first byte of any to the last of all."""
    count, sessions = 30000, 8
    masters = [guest.master() for _ in range(sessions)]
    running = [subprocess.Popen(guest.ssh_command("hello", str(count), "0", options=m), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for m in masters]
    got, first = {p: [] for p in running}, None
    with selectors.DefaultSelector() as selector:
        for p in running:
            selector.register(p.stdout, selectors.EVENT_READ, p)
        while selector.get_map():
            for ready, _ in selector.select(timeout=60):
                piece = os.read(ready.fd, 1 << 16)
                first = first or time.monotonic()
                if piece:
                    got[ready.data].append(piece)
                else:
                    selector.unregister(ready.fileobj)
    took = time.monotonic() - first
    want = b"".join(b"hello (%d/%d)\n" % (i, count) for i in range(1, count + 1))
    for p in running:
        p.stdout.close()
        if p.wait() or b"".join(got[p]) != want:
            raise Failed("a session lost lines, or ended with an error")
    return {"lines": sessions * count / took}


def quiet_login(guest):
    """Logged in, and nothing more."""
    client = guest.raw(cipher=sshraw.CHACHA, timeout=20)
    client.handshake().login(key())
    return client


def fill(guest, count, make, kept):
    """Append count of make() to kept. Returns the guest memory of each in KiB."""
    before = free_kib(guest)
    for _ in range(count):
        kept.append(make(guest))
    return (before - free_kib(guest)) / count


def logged_in(kernel, smp):
    kept = []
    with Running(kernel, smp) as guest:
        kept.append(quiet_login(guest.ready()))
        return {"login_kib": fill(guest, 200, quiet_login, kept)}


def sessions(kernel, smp):
    """Log in again and again and keep all: each with a pty and a shell at its prompt. One comes before the count, so
    that what the first one alone needs is not shared out. In the end each must answer."""
    kept, each = [], []
    with Running(kernel, smp) as guest:
        kept.append(Terminal(guest.ready()))
        why, end = None, time.monotonic() + SESSIONS_S
        try:
            for _ in range(10):
                each.append(fill(guest, 100, Terminal, kept))
                if time.monotonic() > end:
                    raise Failed(f"{SESSIONS_S} s were over")
            for t in kept:
                t.send(b"echo al''ive\r")
                t.wait_for(b"alive\r\n")
        except (Failed, OSError, AssertionError, sshraw.Closed) as error:
            why = Failed(f"{len(kept) - 1} opened, then: {str(error) or type(error).__name__}; "
                         f"console: {guest.last_words()}")
    served = len(kept) - 1
    return {"sessions": why if why and served >= 1000 else [served, why] if why else served,
            "session_kib": sum(each) / len(each) if each else why}


# ---- raw TCP, to the program net in the guest

NET_PORT = 7000


def dial(guest, first=b""):
    s = socket.create_connection(("127.0.0.1", guest.forwarded), timeout=60)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.sendall(first)
    return s


def receive_all(s, n):
    got = 0
    while got < n:
        piece = len(s.recv(n - got))
        if not piece:
            raise Failed(f"{got} bytes of {n}, then the end")
        got += piece


def stream_down(guest):
    """From the first piece on."""
    buffer, left = bytearray(1 << 18), NET_TRANSFER
    with dial(guest, b"d") as s:
        s.recv_into(buffer)
        begin = time.monotonic()
        while left > 0:
            n = s.recv_into(buffer)
            if not n:
                raise Failed("the stream ended")
            left -= n
        return (NET_TRANSFER - left) / MB / (time.monotonic() - begin)


def stream_up(guest):
    """To the answer that says that the guest has read the end."""
    piece, left = bytes(1 << 18), NET_TRANSFER
    with dial(guest, b"u") as s:
        begin = time.monotonic()
        for _ in range(left // len(piece)):
            s.sendall(piece)
        s.shutdown(socket.SHUT_WR)
        receive_all(s, 1)
        return NET_TRANSFER / MB / (time.monotonic() - begin)


def connects(guest):
    count = 300
    begin = time.monotonic()
    for _ in range(count):
        with dial(guest, b"e" * 8) as s:
            receive_all(s, 8)
    return count / (time.monotonic() - begin)


def requests(guest, connections, count):
    """One request under way on each connection at all times; the time of each."""
    sent, took = {}, []
    opened = [dial(guest) for _ in range(connections)]
    gc.disable()
    try:
        with selectors.DefaultSelector() as selector:
            for s in opened:
                s.sendall(b"e" * 64)
                receive_all(s, 64)
                selector.register(s, selectors.EVENT_READ)
            for s in opened:
                sent[s] = time.monotonic()
                s.sendall(b"e" * 64)
            while len(took) < count:
                for ready, _ in selector.select(timeout=60):
                    s = ready.fileobj
                    receive_all(s, 64)
                    now = time.monotonic()
                    took.append(1000 * (now - sent[s]))
                    sent[s] = time.monotonic()
                    s.sendall(b"e" * 64)
    finally:
        gc.enable()
        for s in opened:
            s.close()
    return took


def opened_connection(guest):
    s = dial(guest, b"e" * 8)
    receive_all(s, 8)
    return s


def net(kernel, smp):
    """The raw rows."""
    values = {}
    with Running(kernel, smp, guest_port=NET_PORT) as guest:
        guest.ready()
        with subprocess.Popen(guest.ssh_command("/net", str(NET_PORT)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as server:
            try:
                if server.stdout.readline() != b"ready\n":
                    raise Failed("net does not listen")
                values["net_down"] = [stream_down(guest) for _ in range(3)]
                values["net_up"] = [stream_up(guest) for _ in range(3)]
                values["net_connects"] = connects(guest)
                for n, count in ((1, 1000), (10, 3000), (100, 10000)):
                    took = requests(guest, n, count)
                    values.update({f"net_{n}_p50": percentile(took, 50), f"net_{n}_p99": percentile(took, 99)})
                values["net_kib"] = fill(guest, 500, opened_connection, [])
            finally:
                server.kill()
    return values


# ---- the developer's loop, in a clone

def developer(kernel, smp):
    if kernel.name != "tern":
        return {}
    clone = os.path.join(WORK, "clone")
    shutil.rmtree(clone, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", "--shared", TOP, clone], check=True)
    os.symlink(os.path.realpath(os.path.join(TOP, "deps")), os.path.join(clone, "deps"))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}

    def run(*command):
        begin = time.monotonic()
        done = subprocess.run(command, cwd=clone, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=600)
        if done.returncode:
            raise Failed(f"{command[0]}: {done.stdout.decode(errors='replace').strip()[-120:]}")
        return time.monotonic() - begin

    try:
        values = {"build": run("make", "-s", "-j2")}
        run("scripts/run-qemu.sh", "--no-install", "--", "true")
        changed = []
        for _ in range(3):
            with open(os.path.join(clone, "kernel", "sys_misc.c"), "a", encoding="ascii") as f:
                f.write("/* changed */\n")
            changed.append(run("scripts/run-qemu.sh", "--no-install", "--", "true"))
        values["change"] = changed
        return values
    finally:
        shutil.rmtree(clone, ignore_errors=True)


# Groups on the guest that a round boots, in this order; the others boot what they need.
ON_GUEST = {
    "memory": memory, "control": control, "login": login, "kexes": kexes, "exec": exec_, "logins": logins, "echo": echo,
    "transfer": transfer, "eight": eight, "lines": lines,
}
# name: (function, how many rounds of it are enough)
ON_KERNEL = {
    "boot": (boot, 99), "files": (files, 1), "idle": (idle, 2), "smallest": (smallest, 1), "sessions": (sessions, 1), "logged_in": (logged_in, 1),
    "net": (net, 99), "loop": (developer, 1),
}
