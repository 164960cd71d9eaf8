#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The soak: 2, 4, 8, 16 and 32 sessions at once, each streaming hello, downloading or uploading, while others
open, close and are killed; on 1, 2, 4 and 8 CPUs.

tests/soak.py [--minutes N] [--smp 1,2,4,8] [--sessions 2,4,8,16,32] [--image debug] [--append TEXT]
N minutes are spent at each CPU count, shared by the session counts. Every line must come intact and in
order, every hash match, no connection be lost, the page and slab accounts return to their baseline, and
nothing of the forbid list be printed."""
import argparse
import collections
import hashlib
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import guest as guestlib  # noqa: E402  (the path above leads to it)

DOWNLOAD = 1 << 20
UPLOAD = 1 << 20


class Slice:
    """Some sessions for some seconds on one guest."""

    def __init__(self, guest, sessions, seconds, seed):
        self.guest, self.sessions = guest, sessions
        self.end = time.monotonic() + seconds
        self.seed = seed
        self.lock = threading.Lock()
        self.done = collections.Counter()
        self.wrong = []
        self.upload_data = random.Random(seed).randbytes(UPLOAD)
        self.upload_hash = hashlib.sha256(self.upload_data).hexdigest()
        self.hashes = {}

    def over(self):
        return self.wrong or time.monotonic() > self.end

    def run_ssh(self, *command, data=b"", **kwargs):
        with self.lock:
            # One login at a time leaves the gate: QEMU listens with a backlog of 1.
            guestlib.let_pass(0.02)
        return self.guest.ssh(*command, data=data, timeout=240, **kwargs)

    def hello(self, rng):
        count = rng.randrange(200, 1500)
        done = self.run_ssh("hello", str(count), str(rng.choice([0, 1, 1, 2])))
        want = b"".join(b"hello (%d/%d)\n" % (i, count) for i in range(1, count + 1))
        if done.returncode != 0:
            return f"hello {count}: status {done.returncode}: {done.stderr[-200:]!r}"
        if done.stdout != want:
            at = next((i for i, (a, b) in enumerate(zip(done.stdout, want)) if a != b), min(len(done.stdout), len(want)))
            return f"hello {count}: differs at byte {at} of {len(want)}: {done.stdout[max(0, at - 40):at + 40]!r}"
        return None

    def download(self, rng):
        number = rng.randrange(1, 5)
        done = self.run_ssh("flood", str(DOWNLOAD), str(number))
        digest = hashlib.sha256(done.stdout).hexdigest()
        if done.returncode != 0 or len(done.stdout) != DOWNLOAD:
            return f"download: status {done.returncode}, {len(done.stdout)} bytes: {done.stderr[-200:]!r}"
        # The first of each seed is checked against the guest's own hash of the stream, later ones against the first.
        with self.lock:
            known = self.hashes.get(number)
        if known is None:
            inside = self.run_ssh(f"flood {DOWNLOAD} {number} | sink").stdout.decode().split()
            known = inside[1] if len(inside) == 2 else "no hash"
            with self.lock:
                self.hashes[number] = known
        return None if known == digest else f"download {number}: hash {digest}, inside {known}"

    def upload(self, rng):
        done = self.run_ssh("sink", data=self.upload_data)
        if done.returncode != 0 or done.stdout.decode().split() != [str(UPLOAD), self.upload_hash]:
            return f"upload: status {done.returncode}, {done.stdout!r}, {done.stderr[-200:]!r}"
        return None

    def short(self, rng):
        done = self.run_ssh("true")
        return None if done.returncode == 0 else f"true: status {done.returncode}: {done.stderr[-200:]!r}"

    def killed(self, rng):
        command = rng.choice([["hello", "100000", "1"], ["flood", "100000000", "1"], ["cat"], ["burn"]])
        p = self.guest.popen(*command)
        try:
            if command[0] in ("hello", "flood") and not p.stdout.read(10):
                return f"{command[0]} to be killed gave nothing: {p.stderr.read()[-200:]!r}"
            # killed at any time
            guestlib.let_pass(rng.random())
        finally:
            p.kill()
            for stream in (p.stdin, p.stdout, p.stderr):
                stream.close()
            p.wait()
        return None

    def attempt(self, name, work, rng):
        """One job, done or wrong; also one that ends by an exception."""
        try:
            why = work(rng)
        except Exception as error:  # told with what else is wrong
            why = f"{name}: {type(error).__name__}: {str(error)[:300]}"
        with self.lock:
            if why:
                self.wrong.append(why)
            else:
                self.done[name] += 1

    def worker(self, number, kinds):
        rng = random.Random(self.seed * 1000 + number)
        turn = number
        while not self.over():
            kind = kinds[turn % len(kinds)]
            turn += 1
            self.attempt(kind, getattr(self, kind), rng)
            if kind in ("short", "killed"):
                # the load: others come between
                guestlib.let_pass(0.2)

    def go(self):
        threads = [threading.Thread(target=self.worker, args=(i, ("hello", "download", "upload")))
                   for i in range(self.sessions)]
        threads += [threading.Thread(target=self.worker, args=(1000 + i, ("short", "killed"))) for i in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if not self.guest.alive():
            self.wrong.append("the guest ended")


def settled_account(guest, seconds=20):
    """The account once it stands still: connections that have just closed linger a moment."""
    accounts = [guest.account()]

    def still():
        accounts.append(guest.account())
        return accounts[-1][1] == accounts[-2][1]

    guestlib.until(lambda: f"an account that stands still: {accounts[-2:]}", still, seconds, pause=0.2)
    return accounts[-1]


def soak(smp, counts, seconds, args):
    """Yield (label, what was done, what was wrong) for each session count on one guest."""
    seed = guestlib.commit_number()
    guest = guestlib.Guest(f"soak-{smp}", smp=smp, image=args.image, append=args.append)
    try:
        guest.start()
        warm = Slice(guest, 4, 2, seed)
        warm.go()
        baseline = settled_account(guest)
        for number, sessions in enumerate(counts):
            part = Slice(guest, sessions, seconds, seed + number)
            part.go()
            label = f"soak[smp={smp},sessions={sessions}]"
            wrong = list(part.wrong)
            try:
                if guest.alive():
                    guest.wait_for_account(baseline, seconds=60)
                guest.check_console()
            except AssertionError as error:
                wrong.append(str(error))
            yield label, part.done, wrong, guest
            if wrong and not guest.alive():
                return
    except (AssertionError, subprocess.TimeoutExpired) as error:
        yield f"soak[smp={smp}]", {}, [str(error)], guest
    finally:
        guest.stop()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--smp", default="1,2,4,8")
    parser.add_argument("--sessions", default="2,4,8,16,32")
    parser.add_argument("--image", default="debug")
    parser.add_argument("--append", default="")
    args = parser.parse_args()
    counts = [int(n) for n in args.sessions.split(",")]
    seconds = args.minutes * 60 / len(counts)
    if seconds < 6:
        # Too short for all: each CPU count takes its turn at some, by commit.
        first = guestlib.commit_number()
        keep = max(1, int(args.minutes * 60 // 6))
        counts = [counts[(first + i) % len(counts)] for i in range(keep)]
        seconds = args.minutes * 60 / keep
    passed = failed = 0
    for smp in args.smp.split(","):
        for label, done, wrong, guest in soak(int(smp), counts, seconds, args):
            if wrong:
                failed += 1
                print(f"not ok {label}: {len(wrong)} wrong: {wrong[0].splitlines()[0][:300]}", flush=True)
                print("\n".join("    " + w for w in "\n".join(wrong[:8]).splitlines()), flush=True)
                print("\n".join("    | " + line for line in guest.tail(40).splitlines()), flush=True)
            else:
                passed += 1
                print(f"ok {label}: " + ", ".join(f"{n} {kind}" for kind, n in done.items()), flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
