#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The mix: for minutes on one guest sessions, traffic, processes, files, a disk and system calls at random, while faults happen.

tests/mix.py [--minutes N] [--smp 1,2,4,8] [--seed N] [--image debug] [--append TEXT]
N minutes at each CPU count, in rounds of one: first everything beside each other, with those faults of the command line that lose
nothing; then, by turns, devices that are reset and lie under streams on open connections, or allocations that fail; then
quiet, and a sample. What is asked for must come whole: lines, hashes, statuses; only where allocations fail any end will do.
A job may come to nothing where QEMU's TCP has spoilt a connection, as a capture tells. After each round (I-SOAK-1) pages, objects
and sockets are back where they were, frames received are frames delivered and dropped, and nothing of the forbid list was
printed. At the end no line through the samples may rise; what a run is too short to tell, it says. Progress is on stderr."""
import argparse
import contextlib
import hashlib
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import guest as guestlib  # noqa: E402  (the path above leads to it)
import soak  # noqa: E402
import traffic  # noqa: E402

# One in so many, from the first login on. They delay, and lose no frame and no memory.
ALWAYS = {"irq_lost": 300, "irq_spurious": 20, "irq_shared": 20, "used_late": 200, "used_reorder": 50, "clock_jump": 2000,
          "console_full": 1000}
# For some seconds of a round. What is lost QEMU's own TCP sends again on a connection that stands; one that begins it can spoil
# (docs/08-network.md).
DEVICES = {"device_reset": 200, "device_lies": 1000, "link_down": 500}
MEMORY = {"alloc": 400}
SESSIONS = (4, 16, 2, 32, 8)
# A round's seconds.
LOAD, BURST, ROUND = 40, 6, 60
# What a line through the samples may rise by, over the run.
RISE = {"used kB": 512, "slab kB": 512, "objects": 40, "threads": 1, "descriptors": 1, "sockets": 1}
# Fewer samples draw no line; in fewer rounds a fault may not happen.
SAMPLES, ROUNDS = 4, 10
DISK_BYTES = 1 << 20
# How a job ends whose connection carries nothing from the begin on. Not by subprocess.TimeoutExpired: the server ends a login.
NOTHING = re.compile(r"status 255\b|returncode=255|gave nothing|does not answer|TimeoutError|urlopen error|reset by peer|"
                     r"Remote end closed")


def rates(faults, seed):
    return ",".join(f"{name}:{n}:{seed % 100000}" for name, n in faults.items())


def numbers_hash(n):
    return hashlib.sha256(b"".join(b"%d\n" % i for i in range(1, n + 1))).hexdigest()


class Mix(traffic.Mixed):
    """A part of a round. One kind of work is one command in the guest, whose output is known."""
    PROCESSES = ("pipeline", "statuses", "background", "groups", "parallel", "in_time", "killed_program")
    FILES = ("copies", "tree", "renames", "sparse")
    PROGRAMS = ("system_calls", "program")
    NAMES = ("kill_storm", "spawn_storm", "signal_storm", "futex", "shared_fds", "polls", "pairs", "copies", "events", "jit")
    ANY = ("hello 200 0 | sink", "ls -l /proc /dev /bin | sink", "flood 200000 1 | sink", "true", "hello 1000 1 & kill -9 $!; wait",
           "f=/tmp/any.$$; flood 50000 1 >$f; cp $f $f.2; sha256sum $f $f.2; rm -f $f $f.2", "seq 1 1000 | tac | sort -n | tail -n 1")
    NO_LOGIN = ("hello", "download", "upload", "copies", "stream_loop", "pipeline", "disk", "renames")

    def __init__(self, machine, seconds, seed):
        super().__init__(machine, seconds, seed)
        self.own = threading.local()

    def run_ssh(self, *command, data=b"", **kwargs):
        master = getattr(self.own, "master", None)
        if master:
            return self.guest.ssh(*command, data=data, timeout=traffic.HANG, options=["-S", master])
        return super().run_ssh(*command, data=data, **kwargs)

    def script(self, text, wanted):
        """This shell script says just that, and ends well."""
        done = self.run_ssh(text)
        if done.returncode == 0 and done.stdout.decode(errors="replace").split() == wanted.split():
            return None
        return f"{text}: status {done.returncode}, {done.stdout[-300:]!r} for {wanted[:300]}, {done.stderr[-300:]!r}"

    # ---- processes

    def pipeline(self, rng):
        n = rng.randrange(1, 20000)
        return self.script(f"seq 1 {n} | tac | gzip -1 | (gunzip | cat) | tac | sha256sum | cut -c 1-64", numbers_hash(n))

    def statuses(self, rng):
        n, status = rng.randrange(10, 60), rng.randrange(1, 120)
        return self.script(f"i=0; while [ $i -lt {n} ]; do (exit {status}); [ $? = {status} ] || echo wrong; sh -c 'exit 0' || "
                           "echo wrong; i=$((i+1)); done; echo $i", str(n))

    def background(self, rng):
        n, sig = rng.randrange(2, 12), rng.choice([1, 9, 15])
        jobs = " ".join(rng.choice(["burn", "sleep 1000", "hello 100000 1 >/dev/null", "yes >/dev/null"]) + " & l=\"$l $!\";"
                        for _ in range(n))
        return self.script(f"{jobs} usleep {rng.randrange(200000)}; for p in $l; do kill -{sig} $p; done; "
                           "for p in $l; do wait $p; echo $?; done", f"{128 + sig} " * n)

    def groups(self, rng):
        return self.script("setsid sh -c 'echo $$; sleep 1000 & burn & sh -c \"burn & wait\" & wait' >/tmp/group.$$ & "
                           "until read g </tmp/group.$$ 2>/dev/null && [ \"$g\" ]; do usleep 1000; done; rm /tmp/group.$$; "
                           f"usleep {rng.randrange(100000)}; kill -9 -$g; until ! kill -0 -$g 2>/dev/null; do usleep 1000; done; "
                           "echo gone", "gone")

    def parallel(self, rng):
        n = rng.randrange(10, 80)
        return self.script(f"seq 1 {n} | xargs -n 1 -P {rng.randrange(1, 6)} sh -c 'echo $0' | sort -n | sha256sum | cut -c 1-64",
                           numbers_hash(n))

    def in_time(self, rng):
        return self.script(f"timeout -s KILL {rng.choice([0.1, 0.5, 1])} {rng.choice(['burn', 'sleep 1000', 'cat /dev/zero'])} "
                           ">/dev/null; echo $?", "137")

    # ---- files

    def in_folder(self, text, wanted):
        """In a folder of its own, which goes when all in it has gone."""
        return self.script(f"d=/tmp/mix.$$; mkdir $d && cd $d && ({text}); s=$?; cd /; rmdir $d; exit $s", wanted)

    def copies(self, rng):
        n, seed = rng.randrange(1, 1 << 20), rng.randrange(1, 1000)
        return self.in_folder(f"flood {n} {seed} >a; cp a b; mv b c; ln c d; (head -c 1000 d; tail -c +1001 d) >e; cmp a e; "
                              "sha256sum a c d e | cut -c 1-64 | uniq | wc -l; rm a c d e", "1")

    def tree(self, rng):
        n = rng.randrange(2, 8)
        return self.in_folder(f"for i in $(seq {n}); do mkdir -p t/$i/x/y; for j in $(seq {n}); do "
                              "flood $((i*j*100)) $i >t/$i/x/y/$j; ln -s $j t/$i/x/y/l$j; done; done; tar c t | (mkdir u; tar x -C u); "
                              "diff -r t u/t && find u -type f | wc -l; rm -r t; find u -type l | wc -l; rm -r u",
                              f"{n * n} {n * n}")

    def renames(self, rng):
        n = rng.randrange(10, 60)
        return self.in_folder(f"for i in $(seq {n}); do echo $i >f$i; done; mkdir g; for i in $(seq {n}); do "
                              f"mv f$i g/f$((i+1)); done; mv g h; for i in $(seq {n}); do mv h/f$((i+1)) h/f; done; cat h/f; ls h; rm h/f; rmdir h", f"{n} f")

    def sparse(self, rng):
        at = rng.randrange(1, 4000)
        return self.in_folder(f"flood 4096 1 | dd of=s bs=1k seek={at} 2>/dev/null; dd if=s bs=1k skip={at} 2>/dev/null | "
                              f"sha256sum >1; flood 4096 1 | sha256sum >2; cmp 1 2; stat -c %s s; truncate -s 100 s; tr -d '\\0' <s | wc -c; "
                              "rm s 1 2", f"{(at + 4) * 1024} 0")

    def disk(self, rng):
        """In the part of the disk that is this worker's. What a disk has that is reset ends with EIO (I-BLOCK-1)."""
        at, seed = self.own.number * DISK_BYTES // 65536, rng.randrange(1, 1000)
        n = rng.randrange(1, DISK_BYTES // 65536 + 1)
        again = "until {}; do :; done" if self.own.master else "{}"
        write = again.format(f"flood {n * 65536} {seed} | dd of=/dev/vda bs=64k seek={at} conv=notrunc,fsync")
        read = again.format(f"dd if=/dev/vda of=d bs=64k skip={at} count={n}")
        return self.in_folder(f"{write}; {read}; flood {n * 65536} {seed} | cmp - d && echo same; rm d", "same")

    # ---- programs of the user ring

    def run_program(self, words):
        done = self.run_ssh(f"/tests/{words}")
        if done.returncode == 0:
            return None
        return f"{words}: status {done.returncode}: {done.stdout[-300:]!r} {done.stderr[-300:]!r}"

    def system_calls(self, rng):
        return self.run_program(f"storm {rng.randrange(1, 1 << 30)} {rng.randrange(2, 6)}")

    def program(self, rng):
        return self.run_program(rng.choice(self.NAMES))

    # ---- where allocations fail

    def any_end(self, rng):
        """It comes to an end, also what it started once its shell is gone."""
        self.run_ssh(rng.choice(self.ANY))

    # ---- parts

    def one(self, number, kinds, master=None):
        self.own.number, self.own.master = number, master
        self.worker(number, kinds)

    def run_workers(self, workers):
        """workers: (kinds, path of a connection to share or None) each."""
        rng, threads = random.Random(self.seed), []
        for number, (kinds, master) in enumerate(workers):
            kinds = list(kinds)
            rng.shuffle(kinds)
            threads.append(threading.Thread(target=self.one, args=(number, kinds, master)))
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if not self.guest.alive():
            self.wrong.append("the guest ended")

    def each_once(self):
        """What is filled but once is full then."""
        def some(works):
            rng, self.own.number, self.own.master = random.Random(self.seed), 0, None
            for name, work in works:
                self.attempt(name, work, rng)

        each = [self.PROCESSES + self.FILES + ("disk",), self.TRAFFIC + self.SESSIONS]
        lists = [[(kind, getattr(self, kind)) for kind in kinds] for kinds in each]
        lists.append([(name, lambda rng, name=name: self.run_program(name)) for name in (*self.NAMES, f"storm {self.seed} 6")])
        threads = [threading.Thread(target=some, args=(works,)) for works in lists]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def everything(self, sessions):
        self.run_workers([(k, None) for k in [self.PROCESSES] * 3 + [self.FILES] * 2 + [("disk",)] * 2 + [self.PROGRAMS]
                          + [self.TRAFFIC] * 3 + [("short", "killed")] * 2 + [("hello", "download", "upload")] * sessions])


class Machine(traffic.Machine):
    """With a disk, and faults that happen from the start."""

    def __init__(self, args, smp, peer, disk):
        append = f"fault={rates(ALWAYS, args.seed)} {args.append}".strip()
        super().__init__(peer, f"mix-{smp}", smp, args.image, append, ["--disk", disk])
        self.guest.capture, self.spoilt = os.path.join(self.guest.folder, "capture"), 0

    def judged(self, wrong):
        """What is wrong, but for connections that came to nothing if QEMU has spoilt so many since the last time. The capture up to
        now is read and needed no more: there are hundreds of MB in a minute."""
        bad = [line for line in self.guest.judge_network() if "other bytes" in line]
        # what was read, and no more: QEMU writes on. A file system without holes keeps it.
        subprocess.run(["fallocate", "-p", "-l", str(self.guest.records.file.tell()), self.guest.capture], check=False)
        known, self.spoilt = self.spoilt, len(self.guest.checker.greeted_twice)
        lost = [text for text in wrong if NOTHING.search(text)]
        if lost:
            traffic.progress(f"{self.spoilt - known} connections were greeted twice, {len(lost)} came to nothing: " + "\n".join(lost))
        return bad + (wrong if len(lost) > self.spoilt - known else [text for text in wrong if text not in lost])

    def happened(self):
        text = self.guest.ssh("cat", "/proc/tern/faults", check=True).stdout.decode()
        return {line.split()[0]: int(line.split()[5]) for line in text.splitlines()[1:]}

    def off(self, faults, options=()):
        """One of them may be why this fails at first."""
        words = f"echo {','.join(f'{name}:0' for name in faults)} >/proc/tern/faults"
        guestlib.until("an end of the faults", lambda: self.guest.ssh(words, options=options).returncode == 0, 60)

    def devices(self, seed):
        """Devices are reset and lie, the cable is out, under connections that stand."""
        with contextlib.ExitStack() as after:
            folder = after.enter_context(tempfile.TemporaryDirectory())
            part = Mix(self, BURST, seed)
            masters = [os.path.join(folder, str(i)) for i in range(5)]
            for path in masters:
                connection = self.guest.master(path)
                after.callback(connection.stdout.close)
                after.callback(connection.wait)
                after.callback(connection.kill)
            one = ["-S", masters[0]]
            self.guest.ssh(f"echo {rates(DEVICES, seed)} >/proc/tern/faults", options=one, check=True)
            part.run_workers([(Mix.NO_LOGIN, path) for path in masters])
            self.off(DEVICES, one)
        return part

    def memory(self, seed):
        """Allocations fail: the servers, too, could end of it, so they have the time off."""
        self.guest.ssh("killall httpd", check=True)
        self.end_servers()
        self.guest.ssh(f"echo {rates(MEMORY, seed)} >/proc/tern/faults", check=True)
        part = Mix(self, BURST, seed)
        part.run_workers([(("any_end",), None)] * 4)
        self.off(MEMORY)
        self.guest.ssh("rm -f /tmp/any.*", check=True)
        self.start_servers()
        return part

    def look(self):
        # what looks has as many itself, each time
        text = self.guest.ssh("f=$(ls /proc/[0-9]*/fd); cat /proc/meminfo /proc/tern/slabinfo; "
                              "echo threads $(wc -l </proc/tern/threads); echo descriptors $(echo \"$f\" | wc -l)",
                              check=True).stdout.decode()
        kb = {k: int(v) for k, v in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)}
        return {"used kB": kb["MemTotal"] - kb["MemFree"], "slab kB": kb["Slab"],
                "objects": sum(int(n) for n in re.findall(r"^\S+\s+\d+\s+(\d+)\s+\d+\s+\d+$", text, re.M)),
                "threads": int(re.search(r"^threads (\d+)", text, re.M)[1]),
                "descriptors": int(re.search(r"^descriptors (\d+)", text, re.M)[1]),
                "sockets": self.counters()["sockets"]}

    def sample(self):
        """The least of three looks: who has just left may still hold something."""
        looks = [self.look() for _ in range(3)]
        return {name: min(each[name] for each in looks) for name in looks[0]}


def rise(samples, name):
    """By how much the line of least squares rises from the first of the samples, but for those in which caches fill, to the last."""
    values = [s[name] for s in samples[min(3, len(samples) // 4):]]
    middle, spread = (len(values) - 1) / 2, sum((x - (len(values) - 1) / 2) ** 2 for x in range(len(values)))
    return sum((x - middle) * v for x, v in enumerate(values)) / spread * (len(values) - 1) if spread else 0


def table(samples):
    """A dozen of the samples, and what the lines through all of them rise by."""
    step = max(1, (len(samples) + 11) // 12)
    names = list(samples[0])
    rows = [s for i, s in enumerate(samples) if i == 0 or (i + 1) % step == 0 or i == len(samples) - 1]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(f"{s[n]:,}" for n in names) + " |" for s in rows]
    lines.append("| rise | " + " | ".join(f"{rise(samples, n):+.1f}" if n in RISE else "" for n in names[1:]) + " |")
    return "\n".join(lines)


def rounds(machine, minutes, args, samples):
    """Minutes of it, from a state to which all returns. What was done, or AssertionError."""
    first = Mix(machine, 0, args.seed)
    first.each_once()
    wrong = machine.judged(first.wrong)
    assert not wrong, f"{len(wrong)} wrong at first: " + "\n".join(wrong[:8])
    machine.judged(machine.memory(args.seed).wrong)
    traffic.progress(f"mix[smp={machine.guest.smp}] begins")
    done, end = {}, time.monotonic() + minutes * 60
    before, before_net = soak.settled_account(machine.guest), machine.counters()
    faults_before, number = machine.happened(), 0
    while time.monotonic() < end:
        begin, seed = time.monotonic(), args.seed + 1000 * number
        load = Mix(machine, min(LOAD, end - begin), seed)
        load.everything(SESSIONS[number % len(SESSIONS)])
        parts, wrong = [load], machine.judged(load.wrong)
        if not wrong:
            parts.append((machine.devices, machine.memory)[number % 2](seed))
            wrong = machine.judged(parts[1].wrong)
        for part in parts:
            for kind, n in part.done.items():
                done[kind] = done.get(kind, 0) + n
        assert not wrong, f"{len(wrong)} wrong in round {number + 1}: " + "\n".join(wrong[:8])
        frames = machine.check_ended(before, before_net, resets=True)
        happened = machine.happened()
        samples.append({"minute": round(minutes - (end - time.monotonic()) / 60, 1), "jobs": sum(done.values()),
                        "faults": sum(happened.values()) - sum(faults_before.values()), **machine.sample()})
        traffic.progress(f"mix[smp={machine.guest.smp}] " + ", ".join(f"{v} {k}" for k, v in samples[-1].items()))
        number += 1
        # what a round has left of its minute
        guestlib.let_pass(max(0, min(end, begin + ROUND) - time.monotonic()))
    wanted = {**ALWAYS, **DEVICES, **MEMORY}
    for name, n in machine.happened().items():
        done[name] = n - faults_before[name]
        assert done[name] or name not in wanted or number < ROUNDS, f"{name} did not happen"
    short = [f"whether each fault happens, in {number} rounds of {ROUNDS}"] if number < ROUNDS else []
    for name, limit in RISE.items() if len(samples) >= SAMPLES else ():
        up = rise(samples, name)
        assert up <= limit, f"{name} rises by {up:.1f} in {len(samples)} samples"
    if len(samples) < SAMPLES:
        short.append(f"what rises, by {len(samples)} samples of {SAMPLES}")
    return traffic.summary(done) + "; " + frames + "".join(f"; TOO SHORT to say {what}" for what in short)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--smp", default="1,2,4,8")
    parser.add_argument("--seed", type=int, default=guestlib.commit_number() & 0xffffff)
    parser.add_argument("--image", default="debug")
    parser.add_argument("--append", default="")
    args = parser.parse_args()
    passed = failed = 0
    with traffic.Peer(args.seed) as peer, tempfile.TemporaryDirectory() as folder:
        disk = os.path.join(folder, "disk")
        with open(disk, "wb") as f:
            f.truncate(64 * DISK_BYTES)
        for smp in args.smp.split(","):
            label, samples = f"mix[smp={smp},seed={args.seed}]", []
            machine = Machine(args, int(smp), peer, disk)
            try:
                with machine:
                    text = rounds(machine, args.minutes, args, samples)
                    print(f"ok {label}: {text}", flush=True)
                    passed += 1
            except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
                failed += 1
                first, _, rest = (str(error) or repr(error)).partition("\n")
                print(f"not ok {label}: {first[:400]}\n{rest}", flush=True)
                print("\n".join("    | " + line for line in machine.guest.tail(60).splitlines()), flush=True)
            if samples:
                print(table(samples), flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
