# SPDX-License-Identifier: MIT
"""Pid 1: the shell on the console, orphans, the end of the machine by poweroff, reboot and halt."""
import re
import subprocess

import pytest

import guest as guestlib
import terminal
from test_machine import boot_and_read, qemu_words

# What "ps -o" of a guest says of a process: one line of pid, parent and name.
PS = "ps -o pid,ppid,comm"


class Console(terminal.Conversation):
    """A guest whose serial console is typed at; no network, unless the options give it one."""

    def __init__(self, append="", smp=2, options=()):
        none = {} if options else {"drop": ("-netdev", "-device"), "add": ["-nic", "none"]}
        words = qemu_words(smp=smp, options=options, **none)
        super().__init__()
        self.process = subprocess.Popen(words + (["-append", append] if append else []), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def type(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def receive(self, seconds):
        return terminal.read_within(self.process.stdout.fileno(), seconds)


def test_console_shell_comes_again():
    """Its own session on the console, with job control; when it ends another follows."""
    with Console() as c:
        c.expect(rb"tern:~# ")
        c.type(b"echo $$ $PPID $(tty) $-\r")
        first = int(c.expect(rb"\n(\d+) 1 /dev/console \w*m\w*\r\n").group(1))
        # no network: who could be asked for the foreground; the program itself says that it runs
        c.type(b"hello 100000 1\r")
        c.expect(rb"hello \(3/100000\)")
        c.type(b"\x03")
        c.expect(rb"tern:~# ")
        c.type(b"echo status $?; exit 3\r")
        c.expect(rb"\nstatus 130\r\n")
        c.expect(rb"(?s)tern \d.*tern:~# ")
        c.type(b"echo $$ again\r")
        assert int(c.expect(rb"\n(\d+) again").group(1)) != first
        c.type(b"kill -9 $$\r")
        c.expect(rb"(?s)tern \d.*tern:~# ")
        c.type(b"poweroff\r")
        assert c.process.wait(20) == 0


def test_a_shell_that_cannot_run_is_said():
    with Console() as c:
        c.expect(rb"tern:~# ")
        c.type(b"mv /bin/sh /bin/gone; exit\r")
        c.expect(rb"init: /bin/sh: No such file or directory")
        # and it is tried again
        c.expect(rb"init: /bin/sh: No such file or directory")


@pytest.mark.parametrize("word, words", [
    ("init=/none", rb"init: cannot start /none: error 2"),
    ("init=/etc/passwd", rb"init: cannot start /etc/passwd: error 13"),
    ("init=/bin/false", rb"init: pid 1 ended with status 1")], ids=["missing", "no program", "ends"])
def test_without_an_init(word, words):
    with Console(append=word) as c:
        c.expect(words)
        if b"cannot" in words:
            c.expect(rb"ssh: host key")
        else:
            assert c.process.wait(20) == 1


def test_run_gives_its_status():
    status, text = boot_and_read(qemu_words(add=["-append", "run='echo pid $$; exit 9'"]))
    assert "pid 1\n" in text.replace("\r", "") and status == 9, text[-2000:]


def processes(guest):
    """{pid: (parent, name)}"""
    lines = guest.ssh(PS, check=True).stdout.decode().splitlines()[1:]
    return {int(p): (int(q), name) for p, q, name in (line.split(None, 2) for line in lines)}


def test_orphans_go_to_init_and_are_collected(guest):
    """A child whose parent ends is pid 1's, and nothing of it is left when it ends."""
    out = guest.ssh("sh -c 'sleep 1000 >/dev/null 2>&1 </dev/null & echo $!'", check=True).stdout
    orphan = int(out)
    guestlib.until("the orphan's program", lambda: processes(guest)[orphan] == (1, "sleep"))
    assert processes(guest)[1][1] == "init"
    guest.ssh("kill", str(orphan), check=True)
    guestlib.until("the orphan's end", lambda: orphan not in processes(guest))
    for _ in range(20):
        guest.ssh("for i in 1 2 3 4 5; do (true & true &) ; done", check=True)
    guestlib.until(lambda: f"the end of each true: {processes(guest)}",
                   lambda: "true" not in [name for _, name in processes(guest).values()])


def test_init_cannot_be_killed(guest):
    for sig in ("KILL", "STOP", "HUP", "SEGV"):
        guest.ssh("kill", f"-{sig}", "1")
    assert processes(guest)[1][1] == "init" and guest.ssh("true").returncode == 0


@pytest.mark.parametrize("sig", ["KILL", "TERM", "HUP"])
def test_session_is_killed_from_another(guest, sig):
    """All of a session at once, from outside it: its client ends, the others go on."""
    p = guest.popen("echo $$; exec sleep 1000")
    leader = int(p.stdout.readline())
    assert guest.ssh("kill", f"-{sig}", str(leader)).returncode == 0
    assert p.wait(20) == 255
    assert leader not in processes(guest)


def ended(command, user=None):
    """A guest of its own in which a session asks for its end: QEMU's status and the console."""
    g = guestlib.Guest("ending", smp=2)
    g.start()
    try:
        busy = g.popen("sleep 1000")
        g.wait_for_threads("sleep")
        g.ssh(command, timeout=30)
        guestlib.until(lambda: f"the machine's end:\n{g.tail()}", lambda: not g.alive())
        busy.wait(20)
        return g.console()
    finally:
        g.stop()


@pytest.mark.parametrize("command, words", [
    ("poweroff", "init: power off"), ("reboot", "init: restart"), ("halt", "init: halt"),
    ("poweroff -f", r"kernel: power off, asked for by poweroff\["),
    ("reboot -f", r"kernel: restart, asked for by reboot\[")])
def test_end_of_the_machine(command, words):
    console = ended(command)
    assert re.search(words, console), console[-2000:]
    assert "asked for by" in console and not guestlib.forbidden_lines(console)
