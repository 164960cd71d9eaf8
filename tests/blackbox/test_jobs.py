# SPDX-License-Identifier: MIT
"""Job control and full-screen programs as a person has them: a terminal emulator, keys typed, and the screen read.
Over SSH, and on the serial console, which is run-qemu.sh's own terminal."""
import itertools
import os
import re
import shlex
import subprocess

import pytest

import guest as guestlib

PROMPT = r"[#$] $"
KERNEL = re.compile(r"\[ *\d+\.\d{6}\] \w+: ")
numbers = itertools.count()


class Screen:
    """tmux with one window in which the command runs."""

    def __init__(self, command, width=80, height=24):
        self.cleared = 0
        self.socket = f"tern-{os.getpid()}-{next(numbers)}"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), command)

    def tmux(self, *words):
        # a user's shell may be one that runs nothing, or prints a greeting
        done = subprocess.run(["tmux", "-L", self.socket, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, env=dict(os.environ, SHELL="/bin/sh"))
        assert done.returncode == 0, f"tmux {' '.join(words)}: {done.stderr}"
        return done.stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["tmux", "-L", self.socket, "kill-server"], stderr=subprocess.DEVNULL)

    def lines(self):
        """Without the kernel's own, which come on the console whenever they like, behind a prompt too."""
        return [line for line in self.tmux("capture-pane", "-p", "-J").rstrip("\n").split("\n") if not KERNEL.match(line)]

    def text(self):
        return "\n".join(line.rstrip() for line in self.lines()).rstrip() + " "

    def expect(self, pattern, seconds=20):
        """Wait until the screen has it: tmux tells nobody when it changes."""
        guestlib.until(lambda: f"{pattern!r} on\n{self.text()}", lambda: re.search(pattern, self.text()), seconds)

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def type_line(self, command):
        """At a prompt. The shell asks the terminal behind it where the cursor is, and takes a piece of the answer that comes
        late, on a busy host, for something typed: what it echoes is looked at before the line goes."""
        def typed():
            return re.sub(r"^.*?[#$] ", "", self.text().split("\n")[-1].rstrip())

        while True:
            self.keys("-l", command)
            guestlib.until(lambda: f"the echo of {command!r} on\n{self.text()}",
                           lambda: typed() == command or len(typed()) > len(command))
            if typed() == command:
                break
            self.keys("C-u")
            self.expect(PROMPT)
        self.keys("Enter")

    def run(self, command, pattern=""):
        """Type a line; wait for what it shows and for the next prompt."""
        self.type_line(command)
        self.expect(re.escape(command[-60:]) + r"\n(.*\n)*?.*?" + pattern + r"(.*\n)*?.*" + PROMPT)

    def clear(self):
        """An empty screen but for a word that says which, so that it is not taken for an earlier one."""
        self.cleared += 1
        self.type_line(f"clear; echo clear-$(({self.cleared}))")
        # behind it the shell may tell of a job that has ended meanwhile
        self.expect(rf"\Aclear-{self.cleared}\n(.*\n)*.*" + PROMPT)


@pytest.fixture(params=["ssh", "console"])
def screen(request, guest):
    """The screen of a shell; screen.guest is the guest that it runs in."""
    if request.param == "ssh":
        command = guest.ssh_command(options=["-tt"])
    else:
        guest = guestlib.Guest("console")
        command = [f"{guestlib.TOP}/scripts/run-qemu.sh", "--image", guestlib.image_path(), "--name", guest.name, "--port",
                   str(guestlib.free_port())]
    with Screen(shlex.join(command)) as s:
        s.guest = guest
        s.expect(PROMPT, 60)
        s.clear()
        yield s
    if request.param == "console":
        guestlib.until("the end of the guest, whose name the next one has", lambda: not guest.alive())


# Not "sh -c": BusyBox's has all below it ignore SIGQUIT.
SLEEPER = "(echo up; sleep 100)"


def start_sleeper(screen, more=""):
    """In the foreground: it says when it is there."""
    screen.type_line(SLEEPER + more)
    screen.expect(r"\nup $")


def test_job_control(screen):
    start_sleeper(screen)
    screen.keys("C-z")
    screen.expect(r"\[1\]\+  Stopped +.*sleep 100.*\n.*" + PROMPT)
    screen.run("bg", r"\[1\] .*sleep 100.*\n")
    screen.run("jobs", r"\[1\]\+  Running +.*sleep 100.*\n")
    screen.type_line("fg")
    screen.guest.wait_for_foreground("sleep")
    screen.keys("C-c")
    screen.expect(PROMPT)
    screen.run("echo st=$?", "st=130\n")
    screen.clear()
    # the background may not read, and a stopped pipeline goes as a whole
    screen.run("cat &")
    screen.run("jobs", r"\[1\]\+  Stopped \(tty input\) +cat\n")
    screen.run("kill -9 %1")
    screen.run("wait; jobs; echo none", "none")
    start_sleeper(screen, " | cat")
    screen.keys("C-z")
    screen.expect(r"Stopped +.*sleep 100.* cat\n.*" + PROMPT)
    # the shell waits for its children; the sleeper is a child of one of them, and ends on its own time
    screen.run("kill -9 %1; wait")
    screen.run("while pidof sleep; do usleep 50000; done; echo gone", r"gone\n")
    screen.clear()
    screen.run("stty tostop; (echo late) &")
    screen.run("until jobs >/tmp/j; grep Stop /tmp/j; do usleep 20000; done", r"Stopped \(tty output\)")
    screen.run("stty -tostop; kill -9 %1; wait; echo good", "good")


def test_quit_and_end_of_file(screen):
    screen.type_line("cat")
    screen.guest.wait_for_foreground("cat")
    screen.keys("line", "Enter")
    screen.expect(r"line\nline ")
    screen.keys("C-d")
    screen.expect(PROMPT)
    screen.run("echo st=$?", "st=0\n")
    start_sleeper(screen)
    screen.keys("C-\\")
    screen.expect(PROMPT)
    screen.run("echo st=$?", "st=131\n")


def test_vi(screen):
    screen.run("cd /tmp; seq 50 | sed 's/^/line /' >text; echo made", "made\n")
    screen.type_line("vi text")
    screen.expect(r"\Aline 1\nline 2\n(line \d+\n){21}- text 1/50")
    screen.keys("ihello ", "Escape")
    # an escape that another key follows at once would be the Alt key: vi says when it has taken it for one alone
    screen.expect(r"\n- text \[Modified\]")
    screen.keys("G", "dd")
    screen.expect(r"line 48\nline 49\n")
    screen.keys(":wq", "Enter")
    screen.expect(PROMPT)
    screen.clear()
    screen.run("head -n 2 text; tail -n 1 text; wc -l text", "hello line 1\nline 2\nline 49\n49 text\n")
    screen.run("stty -a | grep -o ' icanon.* echo '",  r"\s*icanon iexten echo")


def test_less(screen):
    screen.run("seq 1 200 >/tmp/numbers; echo made", "made\n")
    screen.type_line("less /tmp/numbers")
    screen.expect(r"\A1\n2\n3\n(\d+\n){20}")
    screen.keys("Space")
    screen.expect(r"\A24\n25\n")
    # less is in a cooked mode from each key to the next: Enter at that moment would be a newline, which it ignores
    screen.keys("/150")
    screen.expect(r"\n/150 $")
    screen.keys("Enter")
    screen.expect(r"\A150\n151\n")
    screen.keys("C-z")
    screen.expect(r"Stopped +less /tmp/numbers\n.*" + PROMPT)
    screen.type_line("fg")
    screen.expect(r"fg\nless /tmp/numbers")
    screen.keys("r")
    screen.expect(r"\A150\n151\n(\d+\n)*172")
    screen.keys("q")
    screen.expect(PROMPT)
    screen.run("echo back", "back\n")


def test_top(screen):
    screen.type_line("top")
    screen.expect(r"\AMem: \d+K used, \d+K free.*\nCPU: .*\nLoad average: .*\n +PID +PPID USER ")
    screen.expect(r"\n.* top\b")
    screen.keys("q")
    screen.expect(PROMPT)
    screen.run("echo back", "back\n")


def test_window_size(guest):
    with Screen(shlex.join(guest.ssh_command(options=["-tt"]))) as s:
        s.expect(PROMPT)
        s.run("stty size", "24 80\n")
        s.run("trap 'echo changed' WINCH; tty >/tmp/size-of")
        s.tmux("resize-window", "-x", "100", "-y", "30")
        # the client tells the guest some time
        guestlib.until("the new size", lambda: guest.ssh("stty -F $(cat /tmp/size-of) size").stdout == b"30 100\n")
        s.keys("Enter")
        s.expect("changed")
        s.run("stty size", "30 100\n")
