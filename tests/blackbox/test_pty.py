# SPDX-License-Identifier: MIT
"""Terminals: echo, editing, signals from keys, window size, hang-up. The client is paramiko, which does
exactly what it is told, and ssh -tt on a terminal of this host."""
import os
import re
import subprocess
import termios

import paramiko
import pytest

import guest as guestlib
import sshraw
import terminal


def raw(guest):
    return sshraw.Raw(guest.port).handshake().login(sshraw.load_key(f"{guestlib.TOP}/build/ssh/id_ed25519"))


def connect(guest):
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect("127.0.0.1", guest.port, "root", key_filename=f"{guestlib.TOP}/build/ssh/id_ed25519",
                   allow_agent=False, look_for_keys=False, timeout=20, banner_timeout=20)
    return client


class Terminal(terminal.Conversation):
    """A shell or a command on a pty of the guest."""

    def __init__(self, guest, command=None, width=80, height=24):
        super().__init__()
        self.client = connect(guest)
        self.chan = self.client.get_transport().open_session()
        try:
            self.chan.get_pty("xterm", width, height)
            if command:
                self.chan.exec_command(command)
            else:
                self.chan.invoke_shell()
        except BaseException:
            self.client.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def send(self, text):
        self.chan.sendall(text)

    def receive(self, seconds):
        self.chan.settimeout(seconds)
        return self.chan.recv(65536)

    def rest(self, seconds=15):
        self.chan.settimeout(seconds)
        while True:
            piece = self.chan.recv(65536)
            if not piece:
                return self.seen
            self.seen += piece


@pytest.mark.quick
def test_echo_and_canonical_input(guest):
    with Terminal(guest, "cat") as t:
        t.send(b"one\r")
        t.expect(rb"one\r\n.*one\r\n")


def test_erase_and_kill_edit_the_line(guest):
    with Terminal(guest, "cat") as t:
        t.send(b"abcd\x7f\x7fx\r")
        t.expect(rb"\nabx\r\n")
        t.send(b"wrong\x15right\r")
        t.expect(rb"\nright\r\n")


def test_end_of_file_key(guest):
    with Terminal(guest, "cat") as t:
        t.send(b"last\r\x04")
        t.rest()
        assert t.chan.recv_exit_status() == 0


@pytest.mark.parametrize("size", [4094, 4095, 4096, 4097, 5000])
def test_end_of_input_behind_a_full_buffer(guest, size):
    """The key that ends it is typed when the program has read, if there was no place for it (4095) when the client's EOF came."""
    lines = (b"x" * 49 + b"\n") * 200
    with sshraw.Raw(guest.port) as r:
        channel = raw_terminal(r.handshake().login(sshraw.load_key(f"{guestlib.TOP}/build/ssh/id_ed25519")), b"\x35\0\0\0\0\0")
        r.request(channel, "exec", sshraw.string("rm -f /tmp/go; echo; until [ -e /tmp/go ]; do :; done; wc -c"))
        r.receive_type(sshraw.SUCCESS)
        assert r.receive_type(sshraw.DATA)[9:] == b"\r\n"
        r.send(bytes([sshraw.DATA]) + sshraw.u32(channel) + sshraw.string(lines[:size - 1] + b"\n"))
        r.send(bytes([sshraw.EOF]) + sshraw.u32(channel))
        # what is answered behind them says that both were looked at
        r.request(channel, "window-change", sshraw.u32(80) + sshraw.u32(24) + sshraw.u32(0) * 2)
        r.receive_type(sshraw.SUCCESS)
        guest.ssh("touch /tmp/go", check=True)
        assert r.receive_type(sshraw.DATA)[9:] == b"%d\r\n" % size


def test_newlines_become_crlf(guest):
    with Terminal(guest, "hello 2 0") as t:
        assert b"hello (1/2)\r\nhello (2/2)\r\n" in t.rest()


@pytest.mark.parametrize("program", ["burn", "hello 100000 10", "cat"])
def test_ctrl_c_ends_the_program(guest, program):
    with Terminal(guest, program) as t:
        guest.wait_for_threads(program.split()[0])
        # none of them would end by itself
        t.send(b"\x03")
        t.rest()
        # SIGINT is either the exit-signal (status -1 for paramiko) or 128 + 2 by way of the shell.
        assert t.chan.recv_exit_status() in (-1, 130)


def test_ctrl_c_leaves_the_shell_alive(guest):
    with Terminal(guest) as t:
        t.send(b"burn\r")
        guest.wait_for_threads("burn")
        t.send(b"\x03")
        t.send(b"echo still-$?-here\r")
        t.expect(rb"still-130-here")
        t.send(b"exit 5\r")
        t.rest()
        assert t.chan.recv_exit_status() == 5


PROMPT = rb"tern:\S* *[#$] "


def test_jobs_at_the_prompt(guest):
    """Ctrl-Z, jobs, bg, fg, kill %1, and Ctrl-C again."""
    with Terminal(guest) as t:
        t.expect(PROMPT)
        t.send(b"sleep 1000\r")
        guest.wait_for_threads("sleep")
        t.send(b"\x1a")
        t.expect(rb"\[1\]\+  Stopped +sleep 1000\r\n")
        t.expect(PROMPT)
        t.send(b"bg; jobs\r")
        t.expect(rb"\[1\]\+  Running +sleep 1000\r\n")
        t.send(b"fg\r")
        t.expect(rb"\nsleep 1000\r\n")
        # the shell says so before it gives the terminal away: until then Ctrl-C is its own
        guestlib.until("sleep in the foreground", lambda: re.search(
            rb"^\d+ \(sleep\) \S+ \d+ (\d+) \d+ \d+ \1 ", guest.ssh("cat /proc/[0-9]*/stat").stdout, re.M))
        t.send(b"\x03")
        t.expect(PROMPT)
        t.send(b"echo $?; sleep 1001 &\r")
        t.expect(rb"\n130\r\n(?s:.*)" + PROMPT)
        # until it runs its program it ignores SIGTERM, as the shell does; the thread of the sleep before may still be there
        t.send(b"until grep -q 1001 /proc/$!/cmdline; do :; done; echo r''uns\r")
        t.expect(rb"\nruns\r\n(?s:.*)" + PROMPT)
        t.send(b"kill %1; wait; echo then\r")
        t.expect(rb"\[1\]\+  Terminated +sleep 1001\r\n")
        t.send(b"cat | cat\r")
        guest.wait_for_threads("cat", 2)
        t.send(b"\x04")
        t.expect(PROMPT)
        t.send(b"echo st$?\r")
        t.expect(rb"\nst0\r\n")
        t.send(b"\x04")
        t.rest()
        assert t.chan.recv_exit_status() == 0


def test_line_editor_of_the_shell(guest):
    """History, cursor keys, completion, Ctrl-C on a line, and keys of UTF-8."""
    with Terminal(guest) as t:
        t.expect(PROMPT)
        t.send(b"echo first\r")
        t.expect(rb"\nfirst\r\n")
        t.send(b"\x1b[A\x7f\x7f\x7f\x7f\x7fagain\x01\x1b[C\x05!\r")
        t.expect(rb"\nagain!\r\n")
        t.send(b"cat /etc/hostn\t\r")
        t.expect(rb"\ntern\r\n")
        t.expect(PROMPT)
        t.send(b"echo never\x03echo $?-\xc3\xa4\r")
        t.expect(rb"\n130-\xc3\xa4\r\n")


def test_full_screen_programs(guest):
    """vi writes what was typed and comes back from Ctrl-Z; less pages; top shows and ends."""
    with Terminal(guest, width=80, height=24) as t:
        t.expect(PROMPT)
        t.send(b"rm -f /tmp/v; vi /tmp/v\r")
        t.expect(rb"/tmp/v")
        t.send(b"ione\rtwo\x1b")
        # an escape that another key follows at once would be the Alt key: vi says when it has taken it for one alone
        t.expect(rb"- /tmp/v \[Modified\]")
        t.send(b"\x1a")
        t.expect(rb"Stopped(?s:.*)" + PROMPT)
        t.send(b"fg\r")
        t.expect(rb"one(?s:.*)two")
        t.send(b"kdd:wq\r")
        t.expect(PROMPT)
        t.send(b"cat /tmp/v; seq 100 | less\r")
        t.expect(rb"\ntwo\r\n(?s:.*)K23\r\n")
        t.send(b" ")
        t.expect(rb"\n(?:\x1b\[K)?4[56]\r\n")
        t.send(b"q")
        t.expect(PROMPT)
        t.send(b"top\r")
        t.expect(rb"Mem: \d+K used(?s:.*)Load average(?s:.*)PID(?s:.*)top")
        t.send(b"q")
        t.expect(PROMPT)
        t.send(b"stty size; stty -echo; stty -a | grep -c -- -echo; stty sane; tty\r")
        t.expect(rb"\n24 80\r\n1\r\n/dev/pts/\d+\r\n")


def test_greeting_of_a_login(guest):
    with Terminal(guest) as t:
        text = t.expect(rb"(?s).*tern.*\n.*[#$] ").group(0)
        assert re.search(rb"\b%d CPU" % guest.smp, text), text


def test_window_size_at_start_and_on_change(guest):
    with Terminal(guest, "sh", width=91, height=37) as t:
        t.send(b"/tests/winsize\r")
        t.expect(rb"37 91|91 37|91x37|37x91")
        t.chan.resize_pty(123, 45)
        t.send(b"/tests/winsize\r")
        t.expect(rb"45 123|123 45|123x45|45x123")


# RFC 4254 s8, and IUTF8 of RFC 8160. Left out is what Linux has not: VDSUSP, VFLUSH, VSTATUS, and for a pty CS7, CS8, PARENB.
KEYS = {1: "VINTR", 2: "VQUIT", 3: "VERASE", 4: "VKILL", 5: "VEOF", 6: "VEOL", 7: "VEOL2", 8: "VSTART", 9: "VSTOP", 10: "VSUSP",
        12: "VREPRINT", 13: "VWERASE", 14: "VLNEXT", 16: "VSWTC", 18: "VDISCARD"}
FLAGS = [dict(enumerate("IGNPAR PARMRK INPCK ISTRIP INLCR IGNCR ICRNL IUCLC IXON IXANY IXOFF IMAXBEL IUTF8".split(), 30)),
         dict(enumerate("OPOST OLCUC ONLCR OCRNL ONOCR ONLRET".split(), 70)),
         {93: "PARODD"},
         dict(enumerate("ISIG ICANON XCASE ECHO ECHOE ECHOK ECHONL NOFLSH TOSTOP IEXTEN ECHOCTL ECHOKE PENDIN".split(), 50))]
IGNORED = [11, 15, 17, 90, 91, 92]


def modes_of(r, modes):
    """What a terminal says of itself that was asked for with these modes: the four words of flags, then the keys."""
    channel = r.start("stty -g", b"".join(bytes([op]) + sshraw.u32(value) for op, value in modes.items()) + b"\0")
    said = r.hear(sshraw.CLOSE)
    r.send(bytes([sshraw.CLOSE]) + sshraw.u32(channel))
    return [int(word, 16) for word in b"".join(text for kind, text in said if kind == sshraw.DATA).split(b":")]


def bit(name):
    return getattr(termios, name, 0o40000)


def test_every_mode_of_a_terminal_is_applied(guest):
    """Each key gets another value, and each flag is turned in some of the terminals, no two flags in the same ones."""
    with raw(guest) as r:
        plain = modes_of(r, {})
        flags = [(op, word, bit(name)) for word, names in enumerate(FLAGS) for op, name in names.items()]
        for turn in range(len(flags).bit_length()):
            modes = {op: 255 if turn == 0 and op == 4 else 128 + op for op in KEYS} | dict.fromkeys(IGNORED, 1)
            want = plain[:]
            for op, name in KEYS.items():
                want[4 + getattr(termios, name)] = 0 if modes[op] == 255 else modes[op]
            for number, (op, word, value) in enumerate(flags, 1):
                want[word] ^= value * (number >> turn & 1)
                modes[op] = int(want[word] & value != 0)
            assert modes_of(r, modes) == want, turn
        for speeds, code in [({128: 9600, 129: 115200}, termios.B9600 << 16 | termios.B115200),
                             ({128: 115200, 129: 300}, termios.B115200 << 16 | termios.B300),
                             ({129: 9600}, termios.B38400 << 16 | termios.B9600),
                             ({128: 57600, 129: 57600}, termios.B57600), ({128: 12345, 129: 12345}, termios.CBAUDEX),
                             ({128: 0, 129: 0}, termios.B38400)]:
            assert modes_of(r, speeds)[2] == plain[2] & ~termios.CBAUD | code, speeds


@pytest.mark.parametrize("modes, want", [("brkint", ("INT", b"")), ("ignbrk brkint", ("HUP", b"x")), ("parmrk", ("HUP", b"\xff\0\0x")),
                                         ("", ("HUP", b"\0x"))], ids=["brkint", "ignbrk", "parmrk", "none"])
def test_break_is_that_of_a_line(guest, modes, want):
    """RFC 4335: what the terminal's modes make of it, whatever its keys are."""
    with raw(guest) as r:
        channel = r.start(f"stty raw -echo {modes}; echo go; exec cat", b"\0")
        r.hear(sshraw.DATA)
        r.request(channel, "break", sshraw.u32(500))
        said = r.hear(sshraw.SUCCESS)
        if want[1]:
            r.send(bytes([sshraw.DATA]) + sshraw.u32(channel) + sshraw.string("x"))
            while not said[-1][1].endswith(b"x"):
                said += r.hear(sshraw.DATA)
            r.request(channel, "signal", sshraw.string("HUP"), want_reply=False)
        said += r.hear(sshraw.CLOSE)
        told = [rest for kind, rest in said if kind == sshraw.REQUEST]
        assert told == [sshraw.string("exit-signal") + b"\0" + sshraw.string(want[0]) + b"\0" + sshraw.string("") * 2]
        assert b"".join(text for kind, text in said if kind == sshraw.DATA) == want[1]


def test_end_of_input_of_a_terminal(guest):
    """Typed as VEOF where that is no data, in canonical mode alone."""
    with raw(guest) as r:
        channel = r.start("cat", b"\x35\0\0\0\0\0")
        r.send(bytes([sshraw.DATA]) + sshraw.u32(channel) + sshraw.string("abc\n"))
        r.send(bytes([sshraw.EOF]) + sshraw.u32(channel))
        assert r.hear(sshraw.DATA)[-1][1] == b"abc\r\n"
        assert r.hear(sshraw.REQUEST)[-1][1] == sshraw.string("exit-status") + b"\0" + sshraw.u32(0)
    with raw(guest) as r:
        channel = r.start("mkfifo /tmp/told; stty raw -echo; echo go; head -c 3; read x </tmp/told; stty min 0 time 0; cat", b"\0")
        assert r.hear(sshraw.DATA)[-1][1] == b"go\n"
        r.send(bytes([sshraw.DATA]) + sshraw.u32(channel) + sshraw.string("abc"))
        assert r.hear(sshraw.DATA)[-1][1] == b"abc"
        r.send(bytes([sshraw.EOF]) + sshraw.u32(channel))
        r.request(channel, "window-change", sshraw.u32(80) + sshraw.u32(24) + sshraw.u32(0) * 2)
        r.hear(sshraw.SUCCESS)
        guest.ssh("echo >/tmp/told; rm /tmp/told")
        assert sshraw.DATA not in [kind for kind, _ in r.hear(sshraw.CLOSE)]


@pytest.mark.parametrize("program", ["burn", "hello 100000 100", "cat"])
def test_hang_up_ends_the_program(guest, program):
    t = Terminal(guest, program)
    guest.wait_for_threads(program.split()[0])
    t.client.get_transport().sock.close()
    guest.wait_for_no_thread(program.split()[0])


def test_signal_request_reaches_the_program(guest):
    client = connect(guest)
    chan = client.get_transport().open_session()
    chan.exec_command("burn")
    guest.wait_for_threads("burn")
    message = paramiko.Message()
    message.add_byte(b"\x62")
    message.add_int(chan.remote_chanid)
    message.add_string("signal")
    message.add_boolean(False)
    message.add_string("TERM")
    client.get_transport()._send_user_message(message)
    chan.settimeout(10)
    assert chan.recv(10) == b""
    client.close()
    guest.wait_for_no_thread("burn")


def test_ssh_tt_on_a_real_terminal(guest):
    """The stock client with its own terminal: prompt, a command, Ctrl-C, exit status."""
    with terminal.Terminal(*guest.ssh_command(options=["-tt"])) as t:
        t.expect(r"[#$] ")
        t.type("hello 3 1\r")
        t.expect(r"hello \(3/3\)\n")
        t.type("hello 100000 20\r")
        t.expect(r"hello \(5/100000\)")
        t.type("\x03")
        t.expect(r"[#$] ")
        t.type("exit 3\r")
        assert t.wait() == 3


def test_exit_signal_is_told(guest):
    """By the name that RFC 4254 s6.10 has for it, else by one of ours. ssh makes 255 of each."""
    ours = {16: "SIG16", 29: "SIG29", 30: "SIG30"} | {s: f"SIG{s}" for s in range(32, 65)}
    plain = {6: "ABRT", 14: "ALRM", 8: "FPE", 1: "HUP", 4: "ILL", 2: "INT", 9: "KILL", 13: "PIPE", 3: "QUIT", 11: "SEGV",
             15: "TERM", 10: "USR1", 12: "USR2"}
    others = {5: "TRAP", 7: "BUS", 24: "XCPU", 25: "XFSZ", 26: "VTALRM", 27: "PROF", 31: "SYS"} | ours
    with raw(guest) as r:
        for signal in [*plain, *others]:
            channel = r.start(f"exec kill -{signal} $$")
            requests = [rest for kind, rest in r.hear(sshraw.CLOSE) if kind == sshraw.REQUEST]
            r.send(bytes([sshraw.CLOSE]) + sshraw.u32(channel))
            name = plain.get(signal) or others[signal] + "@tern"
            assert requests == [sshraw.string("exit-signal") + b"\0" + sshraw.string(name) + b"\0" + sshraw.string("") * 2], signal
    for command in ("/tests/crash", "kill -7 $$"):
        assert guest.ssh(command).returncode == 255


def test_crashes_do_not_fill_the_console(guest):
    """A line for each of a few, not for each of many; and one that makes many lines takes nobody else's away."""
    before = len(guest.console())
    took = guest.ssh("cp /tests/crash /tmp/rarely; cut -d. -f1 /proc/uptime; for i in $(seq 100); do /tests/crash; done; "
                     "/tmp/rarely; cut -d. -f1 /proc/uptime; rm /tmp/rarely")
    begin, end = map(int, took.stdout.split())
    told = re.findall(r"proc: (\w+)\[\d+\]: SIGSEGV at pc", guest.console()[before:])
    # ten a second, and those of the first second may have been spent by another test
    assert 1 <= told.count("crash") <= 10 * (end - begin + 2)
    assert told.count("rarely") == 1, told


@pytest.mark.parametrize("command", [["hello", "1000000", "5"], ["flood", "1000000000", "1"], ["burn", "1000"], ["cat"]],
                         ids=lambda c: c[0])
def test_killed_client_ends_its_program_and_connection(guest, command):
    """At rest, in the middle of output, and with input that nobody reads."""
    p = subprocess.Popen(guest.ssh_command(*command), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        os.set_blocking(p.stdin.fileno(), False)
        p.stdin.write(b"x" * 200000)
    except BlockingIOError:
        pass
    guest.wait_for_threads(command[0])
    p.kill()
    p.stdin.raw.close()
    p.stdout.close()
    p.wait()
    guest.wait_for_no_thread(command[0])
    guestlib.until(lambda: f"no connection but the one that asks:\n{guest.tail()}",
                   lambda: guest.threads_called("ssh-(?:session|login)") <= 1)


IDLE_KIB = 148  # docs/10-ssh.md says what of
IDLE_MANY = 64


def raw_terminal(client, modes=b"\0"):
    """A session with a terminal and no program yet, by the client that costs least."""
    channel = client.open_session()
    client.request(channel, "pty-req", sshraw.string("xterm") + sshraw.u32(80) + sshraw.u32(24) + sshraw.u32(0) * 2
                   + sshraw.string(modes))
    client.receive_type(sshraw.SUCCESS)
    return channel


def idle_shell(port, key):
    """A session with a shell at its prompt."""
    client = sshraw.Raw(port, timeout=20)
    channel = raw_terminal(client.handshake().login(key))
    client.request(channel, "shell")
    while client.receive_type(sshraw.SUCCESS, sshraw.WINDOW_ADJUST, sshraw.DATA)[0] != sshraw.DATA:
        pass
    return client


@pytest.mark.own_image("a bound of the release image's memory")
def test_idle_sessions_keep_to_their_memory(boot):
    """A thousand of them fit into 256 MiB: pages of all kinds, of the release image, by the session. What a connection
    needs for work it gives back after a second."""
    g = boot(smp=1, image="release")
    key = sshraw.load_key(f"{guestlib.TOP}/build/ssh/id_ed25519")
    kinds = ("KernelPages", "PageTables", "UserPages", "Slab")
    held = [idle_shell(g.port, key)]
    before = g.account()[0]
    held += [idle_shell(g.port, key) for _ in range(IDLE_MANY)]

    def each():
        now = g.account()[0]
        return {kind: (now[kind] - before[kind]) / IDLE_MANY for kind in kinds}

    guestlib.until(lambda: f"KiB each: {each()}, no more than {IDLE_KIB} in all", lambda: sum(each().values()) <= IDLE_KIB)
    for client in held:
        client.sock.close()
