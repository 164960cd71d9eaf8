# SPDX-License-Identifier: MIT
"""The group micro: the operations of micro.c on both kernels, counted in instructions (icount), in exceptions (QEMU's
log of them) and by the clock, and its loads at one and two CPUs. A table of its own, since a row has three figures
of each kernel."""
import os
import re
import shlex
import socket
import statistics
import struct
import subprocess
import threading

from figures import Row, Samples, number
from guests import CPU, TOP, WORK, Failed, free_port, qemu_command

PROGRAM = os.path.join(WORK, "micro")
LIMIT_S = 240
HALF, COPY, LOOP = 2.0, 1.0, 1 / 0.6


def row(key, title, ratio=HALF, at_most=None):
    return Row(key, title, "", "less", ratio=None if at_most else ratio, at_most=at_most)


ROWS = [
    row("null", "null call (`getppid`)"),
    row("clock_call", "`clock_gettime`, the call"),
    row("clock_libc", "`clock_gettime` of the C library", at_most=42),
    row("null_write", "write of 1 byte to `/dev/null`"),
    row("yield", "`sched_yield` between two processes, each"),
    row("ring", "context switch: a token through 8 processes by pipes, each hop"),
    row("pipe_self", "pipe: a byte written and read by one process"),
    row("pipe_rtt", "pipe ping-pong of two processes"),
    row("futex_wake", "futex wake, nobody waits"),
    row("futex_rtt", "futex ping-pong of two threads"),
    row("fork", "fork, exit, wait"),
    row("fork_16m", "the same with 16 MiB touched"),
    row("fork_exec", "fork, exec of a static program, exit, wait"),
    row("vfork_exec", "the same by vfork"),
    row("fork_sh", "fork, exec of `sh -c :`, wait"),
    row("thread", "thread: create, join"),
    row("fault_zero", "page fault, zeroed page"),
    row("fault_copy", "page fault, copy after fork"),
    row("map_4k", "mmap, touch, munmap of 4 KiB"),
    row("map_64k", "the same of 64 KiB"),
    row("map_1m", "the same of 1 MiB"),
    row("map_4m", "the same of 4 MiB"),
    row("mprotect", "mprotect of a touched page"),
    row("sigaction", "`sigaction`"),
    row("signal", "signal to oneself: handler and return"),
    row("open", "file: open, close"),
    row("stat", "file: `stat`"),
    row("create", "file: create, close"),
    row("unlink", "file: unlink"),
    row("read_4k", "file: pread of 4 KiB", COPY),
    row("write_4k", "file: pwrite of 4 KiB", COPY),
    row("read_64k", "file: pread of 64 KiB", COPY),
    row("pipe_64k", "pipe: 64 KiB to another process", COPY),
    row("poll", "`poll` of 16 pipes, none ready"),
    row("epoll", "`epoll_wait` of 16 pipes, one ready"),
    row("sleep", "lateness of a sleep of 1 ms", COPY),
    row("tcp_rtt", "TCP over the loop-back: a byte to another process and back", LOOP),
    row("udp_rtt", "the same by UDP", LOOP),
    row("tcp_connect", "TCP: connect, a byte there and back, close", LOOP),
    row("tcp_64k", "TCP: 64 KiB to another process", COPY),
    row("nic_send", "a stream to the host, a segment of 1,460 bytes", COPY),
    row("nic_receive", "a stream from the host, likewise", COPY),
    row("nic_echo", "a request of the host, 64 bytes, and its answer", COPY),
]

LOADS = {"null": "null call", "fault": "page fault", "fork": "fork, exit, wait", "pipe": "pipe ping-pong",
         "open": "open, close"}


def command(kernel, mode, initrd, log):
    """The bench's QEMU, with counted instructions if asked for, and micro in place of the first program."""
    icount, nic = mode.startswith("icount"), mode.startswith("nic")
    words = qemu_command(2 if mode == "parallel" else 1, "256M", free_port(), kernel.image, initrd, "")
    if not nic:
        # else QEMU adds one of its own, whose ROM is of a package that nothing here needs
        at = words.index("-netdev")
        words[at:at + 4] = ["-nic", "none"]
    if "-append" in words:
        at = words.index("-append")
        del words[at:at + 2]
    if kernel.ours:
        cmdline = f'norandom ssh=off ip={"10.0.2.15/24,10.0.2.2" if nic else "none"} run="/micro {mode}"'
    else:
        cmdline = re.sub(r"rdinit=\S+", "rdinit=/micro", kernel.cmdline) + f" -- {mode}"
    if icount or nic:
        words[words.index("-accel") + 1] = "tcg"
        words[words.index("-M") + 1] += ",dtb-randomness=off"
        # with a network idle time must pass: who waits for a packet would have waited for ever at once
        words += ["-icount", "shift=0" + ",sleep=off" * icount, "-d", "int" + ",exec,nochain,in_asm" * nic, "-D", log]
    return words + ["-append", cmdline]


def overlaid(kernel, folder):
    """The kernel's root files with micro over them."""
    path = os.path.join(folder, "micro.cpio")
    with open(kernel.initrd, "rb") as f:
        files = f.read()
    entry = subprocess.run(["bash", "-c", '. scripts/lib.sh; cpio_entry 100755 micro "$1" && cpio_end', "bench", PROGRAM],
                           cwd=TOP, stdout=subprocess.PIPE, check=True).stdout
    with open(path, "wb") as f:
        f.write(files + bytes(-len(files) % 512) + entry)
    return path


def run(kernel, mode):
    """Boot, let micro run, and return what it printed as [(key, value, operations)]."""
    folder = os.path.join(WORK, f"run-{kernel.name}")
    os.makedirs(folder, exist_ok=True)
    log = os.path.join(folder, "exceptions")
    words = command(kernel, mode, overlaid(kernel, folder), log)
    with open(os.path.join(folder, "micro.command"), "w", encoding="utf-8") as f:
        f.write(shlex.join(words) + "\n")
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        out = process.communicate(timeout=LIMIT_S)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        raise Failed(f"micro {mode}: no end within {LIMIT_S} s") from None
    finally:
        process.kill()
        process.wait()
    got = [(k, float(v), int(n)) for k, v, n in re.findall(r"^micro (\w+) ([\d.]+) (\d+)\r?$", out, re.M)]
    if not got or got[-1][0] != "done":
        raise Failed(f"micro {mode}: {(out.strip().splitlines() or ['nothing printed'])[-1][-100:]}")
    return got[:-1], log


def serve(listener):
    """The host's end of `micro nic`: two words say whether it takes ('s'), gives ('r') or asks ('e'), and how much."""
    while True:
        try:
            s, _ = listener.accept()
        except OSError:
            return
        with s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            what, left = struct.unpack("<II", s.recv(8, socket.MSG_WAITALL))
            if what == ord("r"):
                s.sendall(bytes(left))
            elif what == ord("e"):
                for _ in range(left // 1460):
                    s.sendall(bytes(64))
                    s.recv(64, socket.MSG_WAITALL)
            else:
                s.sendall(b"!")
                while left:
                    left -= len(s.recv(min(left, 1 << 18)))
                s.sendall(b"!")
            # until the guest has closed
            s.recv(1)


def instructions(lines):
    """Instructions executed between each pair of marks, by the sizes of the translated blocks that were."""
    size, counts, inside, at, n = {}, [], False, None, 0
    for line in lines:
        if line.startswith("Trace"):
            if inside:
                n += size.get(line[line.index("[") + 1:line.index("]")].split("/")[1], 0)
        elif line.startswith("0x"):
            if at is None:
                at = line.split(":")[0][2:].rjust(16, "0")
                size[at] = 0
            size[at] += 1
        elif line.startswith("-"):
            at = None
        elif "ESR 0x15/0x560007e" in line:
            inside = "07e1" in line
            if not inside:
                counts.append(n)
            n = 0
    return counts[1::2]


def run_nic(kernel, folder):
    """[(key, instructions a segment)]. The log of what is executed goes through a pipe: it is long."""
    log = os.path.join(folder, "executed")
    if os.path.exists(log):
        os.unlink(log)
    os.mkfifo(log)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4)
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        words = command(kernel, f"nic {listener.getsockname()[1]}", overlaid(kernel, folder), log)
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        limit = threading.Timer(LIMIT_S, process.kill)
        limit.start()
        try:
            with open(log, encoding="ascii", errors="replace") as f:
                counts = instructions(f)
            out = process.communicate()[0].decode(errors="replace")
        finally:
            limit.cancel()
            process.kill()
            process.wait()
            listener.close()
            os.unlink(log)
    got = re.findall(r"^micro (nic_\w+) 0.0 (\d+)\r?$", out, re.M)
    if len(got) != 3 or len(counts) != 3:
        raise Failed(f"micro nic: {(out.strip().splitlines() or ['nothing printed'])[-1][-100:]}")
    return [(key, count / int(n)) for (key, n), count in zip(got, counts)]


MARK = re.compile(r"with ESR 0x15/0x5600(07e[12])")


def exceptions(lines):
    """Exceptions taken between each pair of marks. The first batch of a row warms up; so every second pair counts."""
    counts, inside, seen = [], False, 0
    for line in lines:
        if line.startswith("Taking exception"):
            seen += 1
        mark = MARK.search(line)
        if mark and mark.group(1) == "07e1":
            inside, seen = True, 0
        elif mark and inside:
            inside = False
            counts.append(seen - 1)
    return counts[1::2]


class Micro:
    def __init__(self, kernels, tell):
        self.kernels, self.tell = kernels, tell
        self.names = ("tern", kernels[1].name if len(kernels) > 1 else "Linux")
        # kernel: kind of figure: key: Samples
        self.got = {k.name: {kind: {} for kind in ("icount", "exceptions", "wall", "parallel")} for k in kernels}
        self.failures = []

    def add(self, kernel, kind, key, value):
        self.got[kernel.name][kind].setdefault(key, Samples()).add(value, 0)

    def measure(self, kernel, mode):
        self.tell(f"{kernel.name}: micro {mode}")
        try:
            got, log = run(kernel, mode)
            for key, value, _ in got:
                self.add(kernel, mode, key, value)
            if mode == "icount":
                with open(log, encoding="ascii", errors="replace") as f:
                    for (key, _, n), count in zip(got, exceptions(f)):
                        self.add(kernel, "exceptions", key, count / n)
                os.unlink(log)
        except (Failed, OSError) as why:
            self.failures.append(f"{kernel.name}: {why}")
            self.tell(self.failures[-1])

    def measure_nic(self, kernel):
        self.tell(f"{kernel.name}: micro nic")
        try:
            for key, value in run_nic(kernel, os.path.join(WORK, f"run-{kernel.name}")):
                self.add(kernel, "icount", key, value)
        except (Failed, OSError) as why:
            self.failures.append(f"{kernel.name}: {why}")
            self.tell(self.failures[-1])

    def round(self, order, first):
        for kernel in order if first else []:
            self.measure_nic(kernel)
        for mode in (["icount"] if first else []) + ["wall", "parallel"]:
            for kernel in order:
                self.measure(kernel, mode)

    def median(self, name, kind, key):
        return self.got.get(name, {}).get(kind, {}).get(key, Samples()).median()

    def report(self):
        lines = ["", "## Operations", "",
                 f"-smp 1, -cpu {CPU}. Instructions: one run under icount each. Time: wall clock under MTTCG, median.", "",
                 "| operation | instructions: tern | Linux | tern better by | aim | met | exceptions: tern / Linux "
                 "| µs: tern | Linux | not slower |", "|---|---|---|---|---|---|---|---|---|---|"]
        for r in ROWS:
            t, other = (self.median(name, "icount", r.key) for name in self.names)
            wall = [self.median(name, "wall", r.key) for name in self.names]
            taken = [self.median(name, "exceptions", r.key) for name in self.names]
            advantage = r.advantage(t, other)
            lines.append("| " + " | ".join([
                r.title, cell(t), cell(other), f"{advantage:.2f} x" if advantage else "-", r.aim(),
                r.verdict(t, other), " / ".join(cell(x) for x in taken), *(cell(w and w / 1000) for w in wall),
                "-" if None in wall else "yes" if wall[0] <= wall[1] else "no"]) + " |")
        lines += ["", "## At one and at two CPUs", "", "-smp 2, operations a second by one process and by two, each pinned to its CPU.",
                  "", "| load | tern: 1 | 2 | scales | Linux: 1 | 2 | scales | at least as Linux |", "|---|---|---|---|---|---|---|---|"]
        for key, title in LOADS.items():
            cells, scales = [], []
            for name in self.names:
                one, two = (self.median(name, "parallel", f"{key}_x{n}") for n in (1, 2))
                scales.append(two / one if one and two else None)
                cells += [cell(one), cell(two), f"{scales[-1]:.2f} x" if scales[-1] else "-"]
            lines.append(f"| {title} | " + " | ".join(cells) + " | " +
                         ("-" if None in scales else "yes" if scales[0] >= scales[1] else "no") + " |")
        return lines + [f"\n- failed: {text}" for text in self.failures]


def cell(value):
    return "-" if value is None else number(value)


def selftest():
    """Raises AssertionError when the reading of the log or the table is wrong."""
    lines = []
    for inside in (9, 3):
        lines += ["Taking exception 2 [SVC] on CPU 0", "...with ESR 0x15/0x560007e1"]
        lines += ["Taking exception 5 [IRQ] on CPU 0"] * inside
        lines += ["Taking exception 2 [SVC] on CPU 0", "...with ESR 0x15/0x560007e2"]
    assert exceptions(lines) == [3]
    block = ["0xffff0010:  d503201f  nop", "0xffff0014:  d65f03c0  ret", "----------------"]
    trace = "Trace 0: 0x7f00 [00000000/00000000ffff0010/00000000/ff000000] "
    marks = ["...with ESR 0x15/0x560007e1", "...with ESR 0x15/0x560007e2"]
    assert instructions(block + 2 * (marks[:1] + 3 * [trace] + marks[1:])) == [6]
    assert len({r.key for r in ROWS}) == len(ROWS)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "micro.c"), encoding="utf-8") as f:
        text = f.read()
    keys = re.findall(r'\{ "(\w+)", \d+, run_', text)
    assert sorted(keys) == sorted(r.key for r in ROWS), set(keys) ^ {r.key for r in ROWS}
    assert set(re.findall(r'\{ "(\w+)", op_', text)) == set(LOADS)

    class Named:
        def __init__(self, name):
            self.name = name
    micro = Micro([Named("tern"), Named("Linux")], lambda text: None)
    micro.add(micro.kernels[0], "icount", "null", 100.0)
    micro.add(micro.kernels[1], "icount", "null", 200.0)
    assert "| null call (`getppid`) | 100 | 200 | 2.00 x | 2 x Linux | yes | - / - | - | - | - |" in micro.report()
