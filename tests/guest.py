# SPDX-License-Identifier: MIT
"""A tern guest for the tests: boot it through scripts/run-qemu.sh, log in, judge its console. And how the tests wait."""
import atexit
import contextlib
import fcntl
import glob
import itertools
import os
import re
import shlex
import signal
import socket
import subprocess
import threading
import time

import capture

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
QEMU = os.environ.get("QEMU", "qemu-system-aarch64")
IMAGES = {name: os.path.join(TOP, "build", name, "Image") for name in ("release", "debug", "asan", "tsan")}
# The image of this run's guests, but for those that name another; and how much longer its limits are, which are for hangs.
run_image, patience = "debug", 1


def choose(name):
    """Before any guest is made."""
    global run_image, patience
    run_image, patience = name, 4 if name in ("asan", "tsan") else 1


def image_path():
    """Where the run's image is; it must be built."""
    assert os.path.exists(IMAGES[run_image]), f"{IMAGES[run_image]} is missing: make DEBUG=1, with SAN=address or SAN=thread"
    return IMAGES[run_image]


# What no run may print, unless the line says "expected: ".
FORBIDDEN = re.compile(
    r"PANIC|BUG:|lockdep:|zero sized buffers|Guest moved used index|Failed to send packet|"
    r"bogus descriptor|contains no in buffers")


def forbidden_lines(text):
    return [line for line in text.splitlines() if FORBIDDEN.search(line) and "expected: " not in line]


def free_port():
    """A port that nobody had a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def commit_number():
    """A number that changes with the commit, for what rotates: seeds, memory sizes, mutants."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=TOP, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    except FileNotFoundError:
        return 1
    return int(done.stdout[:12] or "1", 16)


def read_file(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


# ---- waiting: no other test sleeps (lint_text)

def until(what, ready, seconds=20, pause=0.02):
    """For a state that nobody tells of: ask again and again, until ready() says something true, and return that. What is
    awaited is said by what: words, or a function that gives them together with what is there instead."""
    seconds *= patience
    deadline = time.monotonic() + seconds
    while not (value := ready()):
        assert time.monotonic() < deadline, f"{seconds} s are over: waited for {what() if callable(what) else what}"
        time.sleep(pause)
    return value


def let_pass(seconds):
    """Time that is itself the load or the measure, as a slow reader's. Who waits for something calls until()."""
    time.sleep(seconds)


# ---- ends: what we have started ends with us

def interrupted(number, _):
    raise KeyboardInterrupt(f"ended by {signal.Signals(number).name}")


# SIGTERM, as from timeout(1), and a closed terminal end a run as Ctrl-C does, by way of every "finally".
if threading.current_thread() is threading.main_thread():
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, interrupted)

claims = {}  # folder: the descriptor that holds it


def claim(folder):
    """Take a folder of build/run for this process; False if another one that lives has it."""
    if folder in claims:
        return True
    os.makedirs(folder, mode=0o700, exist_ok=True)
    held = os.open(os.path.join(folder, "owner"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return False
    claims[folder] = held
    return True


def end_orphans(run=os.path.join(TOP, "build", "run")):
    """End the guests of test runs that are no more, as after kill -9; their consoles stay."""
    for owner in glob.glob(os.path.join(glob.escape(run), "*", "owner")):
        folder = os.path.dirname(owner)
        if folder in claims:
            continue
        with open(owner, "rb") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            if os.path.exists(os.path.join(folder, "pid")):
                stop_guest(os.path.basename(folder))


def stop_guest(name):
    subprocess.run([os.path.join(TOP, "scripts/run-qemu.sh"), "--stop", "--name", name], stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Client:
    """How to run commands in something that has a config file for ssh."""

    def judge_network(self):
        """What is wrong with what it has sent since the last time, as lines; a Guest knows."""
        return []

    def ssh_command(self, *command, options=()):
        return ["ssh", "-F", self.config, *options, "tern", *command]

    def ssh(self, *command, data=b"", options=(), timeout=60, check=False):
        """Run one command; the result has returncode, stdout and stderr in bytes."""
        done = subprocess.run(self.ssh_command(*command, options=options), input=data,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout * patience)
        if check:
            assert done.returncode == 0, (
                f"{shlex.join(command)}: status {done.returncode}, stderr {done.stderr[-500:]!r}\n{self.tail()}")
        return done

    def popen(self, *command, options=(), **kwargs):
        kwargs.setdefault("stdin", subprocess.PIPE)
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(self.ssh_command(*command, options=options), **kwargs)

    def wait_for_foreground(self, name, state=r"\S"):
        """Wait until a program of this name has the foreground of its terminal: what is typed there is its own."""
        def there():
            lines = self.ssh("cat /proc/[0-9]*/stat 2>/dev/null").stdout.decode()
            return re.search(rf"^\d+ \({name}\) {state} \S+ (\S+) \S+ \S+ \1 ", lines, re.M)
        until(f"{name} in the foreground", there)

    def master(self, path):
        """A client whose connection others share by way of the socket at path. It says when that is there."""
        p = self.popen(options=["-N", "-M", "-S", path, "-o", "PermitLocalCommand=yes", "-o",
                                "LocalCommand=echo connected", "-o", "ConnectTimeout=20"],
                       stdin=subprocess.DEVNULL, stderr=None)
        assert p.stdout.readline() == b"connected\n", f"no connection to share\n{self.tail()}"
        return p

    @contextlib.contextmanager
    def shared(self, path):
        """A master for a block of code: it ends with that, however that ends."""
        p = self.master(path)
        try:
            yield
        finally:
            p.kill()
            p.communicate()


class Guest(Client):
    """One guest in the background, called by a name of its own, on a port of its own. Another test run in this
    checkout that has the name already keeps it: ours gets a number. I-RUN-1: its machine is that of run-qemu.sh.

    with Guest("io", smp=4) as g:
        g.ssh("true")
    """

    # Whether all that goes over the network is recorded and judged (tests/capture.py), if the guest itself does not say no.
    captures = False

    def __init__(self, name, smp=4, mem="256M", image=None, append="", options=(), environment=None, captures=True):
        self.smp, self.mem, self.image = smp, mem, image or run_image
        self.append, self.options = append, list(options)
        if not claims:
            end_orphans()
        names = itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2)))
        self.name = next(n for n in names if claim(os.path.join(TOP, "build", "run", n)))
        atexit.register(lambda: self.alive() and self.stop())
        if self.image != "release":
            for path in sorted(glob.glob(os.path.join(TOP, "build/tests-user/*"))):
                self.options += ["--put", f"{path}:/tests/{os.path.basename(path)}"]
        self.folder = os.path.join(TOP, "build", "run", self.name)
        self.config = os.path.join(self.folder, "config")
        self.port = None
        self.capture = os.path.join(self.folder, "capture") if self.captures and captures else None
        self.records = self.checker = None
        self.environment = dict(os.environ, TERN_BOOT_SECONDS=str(90 * patience), **(environment or {}))
        self.ready_s = None

    def start(self):
        self.stop()
        for attempt in range(5):
            self.port = self.take_port()
            command = [os.path.join(TOP, "scripts/run-qemu.sh"), "--image", IMAGES[self.image], "--smp",
                       str(self.smp), "--mem", self.mem, "--name", self.name, "--port", str(self.port),
                       "--daemon"] + self.options
            if self.append:
                command += ["--append", self.append]
            if self.capture:
                command += ["--capture", self.capture]
                self.records, self.checker = capture.Records(self.capture), capture.Checker()
            begin = time.monotonic()
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, errors="replace", env=self.environment)
            self.ready_s = time.monotonic() - begin
            if done.returncode == 0:
                return self
            if "is taken" not in done.stdout:
                break
        raise AssertionError(f"the guest {self.name} (smp {self.smp}) did not come up:\n{done.stdout}")

    def take_port(self):
        """The port of this host that is to lead to the guest's port 22."""
        return free_port()

    def stop(self):
        stop_guest(self.name)
        self.judge_network()
        if self.capture and os.path.exists(self.capture) and not (self.checker and self.checker.bad):
            os.unlink(self.capture)

    def judge_network(self):
        """What is wrong with what has gone over the network since the last time, as lines."""
        if not self.records:
            return []
        known = len(self.checker.bad)
        for when, frame in self.records:
            self.checker.feed(when, frame)
        return [f"{self.capture}: frame {number} at {when:.6f}: {text}" for number, when, text in self.checker.bad[known:]]

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, traceback):
        running = self.alive()
        self.stop()
        if kind is None:
            assert running, "the guest ended by itself:\n" + self.tail()
            self.check_console()
            assert not (self.checker and self.checker.bad), f"not to be sent: {self.checker.bad[:20]}"

    def pid(self):
        return int(read_file(os.path.join(self.folder, "pid")).strip() or 0)

    def alive(self):
        pid = self.pid()
        state = read_file(f"/proc/{pid}/stat").rpartition(")")[2].split()
        return bool(pid and state and state[0] != "Z")

    def put(self, file, text):
        fd = os.open(os.path.join(self.folder, file), os.O_RDWR)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    def monitor(self, command):
        """Have QEMU's monitor do something, as "set_link net0 off"."""
        self.put("monitor.in", command + "\n")

    def type_at_console(self, text):
        self.put("console.in", text)

    def console(self):
        return read_file(os.path.join(self.folder, "console"))

    def tail(self, lines=40):
        return "\n".join((self.console() + read_file(os.path.join(self.folder, "qemu.err"))).splitlines()[-lines:])

    def check_console(self):
        """Raise if a line of the forbid list was printed by the guest or by QEMU."""
        lines = forbidden_lines(self.console() + "\n" + read_file(os.path.join(self.folder, "qemu.err")))
        assert not lines, "forbidden on the console:\n" + "\n".join(lines[:20])

    def account(self):
        """Counts that must return to their baseline: kinds of pages in kB, objects in use of each slab cache."""
        text = self.ssh("cat", "/proc/meminfo", "/proc/tern/slabinfo", check=True).stdout.decode()
        pages = {k: int(v) for k, v in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)}
        slabs = {name: int(used) for name, used in re.findall(r"^(\S+)\s+\d+\s+(\d+)\s+\d+\s+\d+$", text, re.M)}
        assert "MemFree" in pages and "process" in slabs, text
        return pages, slabs

    def threads_called(self, name):
        """How many threads of this name run in the guest."""
        return len(re.findall(rf" {name} ", self.ssh("cat", "/proc/tern/threads", check=True).stdout.decode()))

    def wait_for_threads(self, name, count=1, seconds=20):
        """Wait until so many threads of this name run."""
        # The one that lists is a cat itself.
        until(lambda: f"a thread called {name}:\n{self.tail()}",
              lambda: self.threads_called(name) >= count + (name == "cat"), seconds)

    def wait_for_no_thread(self, name, seconds=20):
        """Wait until none of this name is left."""
        until(lambda: f"the end of all threads called {name}:\n{self.tail()}",
              lambda: self.threads_called(name) <= (name == "cat"), seconds)

    def wait_for_account(self, before, seconds=20):
        """Wait until the counts are back where they were: a closed connection lingers a moment. A cache of objects
        may be fuller than before by what magazines and timing explain; stacks and empty slabs kept for reuse
        are bounded, objects are not kept at all."""
        slack_kb = {"UserPages": 64, "PageTables": 64, "KernelPages": 2048, "Slab": 2048}

        def wrong():
            pages, slabs = self.account()
            found = {k: (before[0][k], pages[k]) for k, slack in slack_kb.items() if pages[k] > before[0][k] + slack}
            for name, used in slabs.items():
                slack = 12 if name.startswith(("kmalloc", "net", "dentry", "inode")) else 2
                if used > before[1].get(name, 0) + slack:
                    found[name] = (before[1].get(name, 0), used)
            return found

        until(lambda: f"the account to return; (before, now): {wrong()}", lambda: not wrong(), seconds, pause=0.5)
