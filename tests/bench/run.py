#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make bench: measure tern beside Linux in the same QEMU, and print one table.

tests/bench/run.py [--peer debian|tiny|debian-openssh|tiny-openssh|debug|none] [--smp N] [--rounds N] [--quick] [--rows WORD,...] [--keep]
                   [--quiet-wait SECONDS] [--selftest]
The peer may also be named by PEER in the environment; with -openssh it runs OpenSSH instead of dropbear; debug is tern's own
debug image, for what its checks cost. Words choose rows and groups by a part of their names; --list prints them. The
table goes to stdout and, with --keep, to tests/bench/results/DATE-PEER.md; progress goes to stderr. docs/12-figures.md
says how each row is measured."""
import argparse
import datetime
import os
import re
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import figures  # noqa: E402  (the path above leads to these)
import guests  # noqa: E402
import hostload  # noqa: E402
import micro  # noqa: E402
import rows  # noqa: E402
from guests import Failed, Running  # noqa: E402

NOISY_PERCENT = 10.0


def tell(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def first_line(*command):
    done = subprocess.run(command, cwd=guests.TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return (done.stdout.strip().splitlines() or ["?"])[0]


class Bench:
    def __init__(self, args):
        self.args = args
        self.words = [w for w in args.rows.split(",") if w]
        self.kernels, self.notes, self.noise = [], [], []
        self.samples = {}
        self.micro = None

    # ---- what is wanted

    GROUP_ROWS = {
        "boot": ("boot_banner", "boot_ssh"), "files": ("image", "root"), "idle": ("idle",),
        "smallest": ("smallest",), "sessions": ("sessions", "session_kib"), "logged_in": ("login_kib",), "loop": ("build", "change"),
        "memory": ("used", "rss"), "control": ("spin", "copy"), "login": ("ssh_true", "ssh_true_p99"),
        "kexes": tuple(f"kex_{name}_{p}" for name in rows.KEXES for p in ("p50", "p99")),
        "exec": ("exec_mux", "exec_raw"), "logins": ("logins",),
        "echo": ("echo_p50", "echo_p99", "echo_down_p50", "echo_down_p99", "echo_paced_p50",
                 "echo_paced_p99"),
        "transfer": tuple(f"{way}_{name}" for name in rows.CIPHERS for way in ("down", "up")), "eight": ("down_8", "up_8"),
        "lines": ("lines",),
        "net": ("net_down", "net_up", "net_connects", "net_1_p50", "net_1_p99", "net_10_p50", "net_10_p99", "net_100_p50",
                "net_100_p99", "net_kib"),
    }

    def wanted(self, group):
        names = (group, *self.GROUP_ROWS[group])
        return not self.words or any(w in name for w in self.words for name in names)

    def wanted_micro(self):
        return not self.words or "micro" in self.words

    # ---- measuring

    def measure(self, kernel, group, function, *arguments):
        """One group once; a failure becomes the text of its cells."""
        tell(f"{kernel.name}: {group}")
        with hostload.Foreign() as foreign:
            try:
                values = function(*arguments)
            except Exception as error:  # whatever it is, the other rows go on
                why = error if isinstance(error, Failed) else Failed(f"{type(error).__name__}: {error}")
                tell(f"{kernel.name}: {group} failed: {why}")
                values = {row: why for row in self.GROUP_ROWS[group]}
        for row, value in values.items():
            self.samples.setdefault(kernel.name, {}).setdefault(row, figures.Samples()).add(value, foreign.percent)

    def round_on(self, kernel, number):
        for group, (function, enough) in rows.ON_KERNEL.items():
            if self.wanted(group) and number < enough and group != "loop":
                self.measure(kernel, group, function, kernel, self.args.smp)
        todo = [g for g in rows.ON_GUEST if self.wanted(g)]
        if todo == ["control"] and self.words and "control" not in self.words:
            return
        if not todo:
            return
        guest = None
        try:
            guest = Running(kernel, self.args.smp).ready()
        except Failed as why:
            for group in todo:
                self.measure(kernel, group, fail, why)
        else:
            for group in todo:
                self.measure(kernel, group, rows.ON_GUEST[group], guest)
                if guest.process.poll() is not None:
                    tell(f"{kernel.name}: QEMU ended: {guest.last_words()}")
            if "control" in todo:
                self.measure(kernel, "control", rows.control, guest)
            self.notes += [f"{kernel.name}'s console: `{line.strip()}`" for line in
                           guests.guestlib.forbidden_lines(guests.guestlib.read_file(guest.path("console")))][:3]
        finally:
            Running.stop_all()

    def go(self):
        if self.wanted_micro():
            self.micro = micro.Micro(self.kernels, tell)
        for number in range(self.args.rounds):
            percent = hostload.wait_for_quiet(NOISY_PERCENT, self.args.quiet_wait, tell)
            self.noise.append(percent)
            tell(f"round {number + 1} of {self.args.rounds}; others use {percent:.0f} % of a core")
            order = self.kernels if number % 2 == 0 else self.kernels[::-1]
            for kernel in order:
                self.round_on(kernel, number)
            if self.micro:
                self.micro.round(order, number == 0)
        if self.wanted("loop"):
            self.measure(self.kernels[0], "loop", rows.developer, self.kernels[0], self.args.smp)

    # ---- the report

    def header(self):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
            model = re.search(r"model name\s*: (.*)", f.read())
        changed = subprocess.run(["git", "status", "--porcelain"], cwd=guests.TOP, stdout=subprocess.PIPE).stdout
        noisy = sum(p > NOISY_PERCENT for p in self.noise)
        quiet = (f"{noisy} of {len(self.noise)} rounds began on a busy host (others used up to "
                 f"{max(self.noise):.0f} % of a core, waited {self.args.quiet_wait:.0f} s): read the figures so"
                 if noisy else "every round began on a quiet host")
        peer = self.kernels[1].about.replace("\n", "; ") if len(self.kernels) > 1 else "none"
        out = [
            f"# tern beside Linux ({self.args.peer}), {datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %Z}", "",
            f"- host: {model.group(1) if model else '?'}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.2f} at the end; {quiet}",
            f"- {first_line('qemu-system-aarch64', '--version')}; -cpu {guests.CPU}, -smp {self.args.smp}, -m 256M, TCG; "
            f"{first_line('ssh', '-V')}",
            f"- tern: commit {first_line('git', 'rev-parse', '--short=12', 'HEAD')}{' and changes' if changed else ''}, "
            "release image",
            f"- peer: {peer}",
            f"- {self.args.rounds} rounds, the guests in turn; others' CPU: percent of one core that neither the guest nor its "
            "clients used, tern / Linux",
        ]
        return out + [f"- {note}" for note in self.notes] + [""]

    def report(self):
        lines = self.header()
        peer = self.kernels[1].name if len(self.kernels) > 1 else "Linux"
        if self.samples:
            lines += figures.table(rows.ROWS, self.samples.get("tern", {}), self.samples.get(peer, {}))
        text = "\n".join(lines + (self.micro.report() if self.micro else [])) + "\n"
        # the tables, aims too, are written for the usual peer
        return text.replace("Linux", peer)


def fail(why):
    raise why


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--peer", default=os.environ.get("PEER") or "debian")
    parser.add_argument("--smp", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", default="")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--quiet-wait", type=float, default=60)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--selftest", action="store_true")
    args = parser.parse_args()
    if args.quick:
        args.rounds = 1
    return args


def selftest():
    figures.selftest()
    micro.selftest()
    keys = [row.key for row in rows.ROWS]
    groups = {*rows.ON_GUEST, *rows.ON_KERNEL}
    assert groups == set(Bench.GROUP_ROWS), groups ^ set(Bench.GROUP_ROWS)
    assert sorted(k for names in Bench.GROUP_ROWS.values() for k in names) == sorted(keys)
    with hostload.Foreign() as foreign:
        sum(i * i for i in range(100000))
    # Over so short a time one tick more or less is hundreds of percent: no upper bound holds.
    assert foreign.percent >= 0
    print("1 passed, 0 failed")


def main():
    args = arguments()
    if args.selftest:
        return selftest()
    if args.list:
        print("\n".join(f"{row.key:14} {row.title}" for row in rows.ROWS))
        print(f"{'micro':14} the operations of micro.c: " + ", ".join(row.key for row in micro.ROWS))
        return 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    bench = Bench(args)
    try:
        guests.make_key()
        bench.kernels.append(guests.tern())
        if args.peer != "none":
            tell(f"making the peer {args.peer}")
            try:
                bench.kernels.append(guests.peer(args.peer))
            except (Failed, OSError) as why:
                bench.notes.append(f"no peer: {why}")
                tell(f"no peer: {why}")
        bench.go()
    except Failed as why:
        tell(f"bench: {why}")
        return 1
    finally:
        Running.stop_all()
    text = bench.report()
    print(text, end="")
    if args.keep:
        folder = os.path.join(guests.BENCH, "results")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"{datetime.date.today():%Y-%m-%d}-{args.peer}.md")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        tell(f"kept as {os.path.relpath(path, guests.TOP)}")
    return 0


sys.exit(main())
