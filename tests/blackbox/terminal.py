# SPDX-License-Identifier: MIT
"""Typing and reading: a program on a terminal of this host, and what all who wait for printed words share."""
import os
import pty
import re
import select
import signal
import time

import guest as guestlib


class Conversation:
    """Somebody who prints. A subclass has receive(seconds): what has come, nothing at the end; or TimeoutError."""

    def __init__(self, seen=b""):
        self.seen = seen

    def expect(self, pattern, seconds=30):
        """Read on until the pattern has come since the last one; the match."""
        deadline = time.monotonic() + seconds * guestlib.patience
        while not (found := re.search(pattern, self.seen)):
            left = deadline - time.monotonic()
            assert left > 0, f"waited for {pattern!r}, got {self.seen!r}"
            try:
                piece = self.receive(left)
            except TimeoutError:
                continue
            assert piece, f"ended before {pattern!r}, got {self.seen!r}"
            self.seen += piece
        self.seen = self.seen[found.end():]
        return found


def read_within(fd, seconds):
    """What can be read; nothing at the end, which a terminal tells by an error."""
    if not select.select([fd], [], [], seconds)[0]:
        raise TimeoutError
    try:
        return os.read(fd, 65536)
    except OSError:
        return b""


class Terminal(Conversation):
    """A program on a terminal of its own. What it prints is text with plain line ends."""

    def __init__(self, *command, cwd="."):
        super().__init__("")
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # under nohup it would be ignored, and who hangs up waits for the program's own end
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            os.chdir(cwd)
            os.execvp(command[0], command)
        self.status = None

    def type(self, text):
        os.write(self.fd, text.encode())

    def receive(self, seconds):
        text = ""
        while not text and (data := read_within(self.fd, seconds)):
            text = data.decode(errors="replace").replace("\r", "")
        return text

    def wait(self, seconds=60):
        """Read to the end; the exit status."""
        deadline = time.monotonic() + seconds * guestlib.patience
        while read_within(self.fd, max(0, deadline - time.monotonic())):
            pass
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        if self.status is None:
            os.kill(self.pid, signal.SIGHUP)
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class SerialConsole(Conversation):
    """The shell on a guest's serial console, which goes on when we leave: its prompt is asked for."""

    def __init__(self, guest):
        super().__init__("")
        self.guest = guest
        self.read = len(guest.console())
        self.type("\x03")

    def type(self, text):
        self.guest.type_at_console(text)

    def receive(self, seconds):
        """The kernel's own lines come among the others whenever they like."""
        deadline = time.monotonic() + seconds
        guestlib.until("the console", lambda: len(self.guest.console()) > self.read or time.monotonic() > deadline, seconds + 20)
        text = self.guest.console()[self.read:]
        if not text:
            raise TimeoutError
        self.read += len(text)
        return text.replace("\r", "")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
