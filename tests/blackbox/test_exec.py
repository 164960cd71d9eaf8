# SPDX-License-Identifier: MIT
"""Commands over SSH: status, streams, round trips, many at once. The client is OpenSSH."""
import concurrent.futures
import hashlib
import os
import random
import select
import subprocess
import time

import pytest

import guest as guestlib
import sshraw
from sshraw import u32
from test_sockets import echo, serving

TOP = guestlib.TOP


def hello_lines(count):
    return b"".join(b"hello (%d/%d)\n" % (i, count) for i in range(1, count + 1))


def flood_bytes(count, seed):
    """What flood COUNT SEED writes: words of xorshift64*, least significant byte first."""
    state, mask, out = seed or 1, (1 << 64) - 1, bytearray()
    while len(out) < count:
        state ^= state >> 12
        state = (state ^ (state << 25)) & mask
        state ^= state >> 27
        out += ((state * 2685821657736338717) & mask).to_bytes(8, "little")
    return bytes(out[:count])


@pytest.mark.quick
def test_run_qemu_runs_one_command():
    done = subprocess.run([f"{TOP}/scripts/run-qemu.sh", "--no-install", "--", "hello", "10", "10"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    assert done.stdout == hello_lines(10), done.stderr.decode()
    assert done.returncode == 0


@pytest.mark.quick
@pytest.mark.parametrize("smp", [1, 2, 4, 8])
def test_hello_at_each_cpu_count(boot, smp):
    assert boot(smp=smp).ssh("hello", "10", "10", check=True).stdout == hello_lines(10)


@pytest.mark.parametrize("status", [0, 1, 2, 42, 126, 255])
def test_exit_status_is_passed_through(guest, status):
    assert guest.ssh(f"sh -c 'exit {status}'").returncode == status


@pytest.mark.quick
def test_true_and_false(guest):
    assert guest.ssh("true").returncode == 0
    assert guest.ssh("false").returncode == 1


def test_unknown_command_is_127(guest):
    done = guest.ssh("no-such-program")
    assert done.returncode == 127
    assert done.stderr


@pytest.mark.quick
def test_stdout_and_stderr_are_apart(guest):
    done = guest.ssh("echo out; cat /no/such/file; echo out2")
    assert done.stdout == b"out\nout2\n"
    assert b"/no/such/file" in done.stderr


def test_stderr_of_a_failing_program(guest):
    done = guest.ssh("cat", "/no/such/file")
    assert done.returncode != 0
    assert done.stdout == b""
    assert b"/no/such/file" in done.stderr


WINDOW = 256 * 1024  # what a client may send ahead
MUCH = pytest.param(200000000, marks=pytest.mark.long)


@pytest.mark.parametrize("size", [0, 1, 100, 5000, 32768, 200000, WINDOW - 1, WINDOW, WINDOW + 1, 2097152, 10000000, MUCH])
def test_round_trip_through_cat(guest, size):
    data = random.Random(size).randbytes(size)
    done = guest.ssh("cat", data=data, timeout=600, check=True)
    assert len(done.stdout) == size
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize("size", [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, MUCH])
def test_round_trip_by_stderr(guest, size):
    """None of it comes as output."""
    data = random.Random(size + 2).randbytes(size)
    done = guest.ssh("cat >&2", data=data, timeout=600, check=True)
    assert (len(done.stdout), len(done.stderr)) == (0, size)
    assert hashlib.sha256(done.stderr).digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize("size", [1, WINDOW - 1, WINDOW, WINDOW + 1, MUCH])
def test_stdout_and_stderr_at_once(guest, size):
    """Two programs, each with a stream of its own: neither has a byte of the other's, and none is lost."""
    done = guest.ssh(f"flood {size} 3 & flood {size} 4 >&2; wait", timeout=600, check=True)
    there = guest.ssh(f"flood {size} 3 | sink; flood {size} 4 | sink", timeout=600, check=True).stdout.decode().split()
    assert there == [word for got in (done.stdout, done.stderr) for word in (str(len(got)), hashlib.sha256(got).hexdigest())]


@pytest.mark.parametrize("size", [0, 1, 100, 5000, 200000, WINDOW - 1, WINDOW, WINDOW + 1, 10000000, MUCH])
def test_upload_to_sink(guest, size):
    data = random.Random(size + 1).randbytes(size)
    done = guest.ssh("sink", data=data, timeout=600, check=True)
    assert done.stdout.decode().split() == [str(size), hashlib.sha256(data).hexdigest()]


def test_sink_only_counts(guest):
    assert guest.ssh("sink", "-c", data=b"x" * 70000, check=True).stdout == b"70000\n"
    assert guest.ssh("sink", "-x").returncode == 2


@pytest.mark.parametrize("size", [0, 1, 8, 5000, 200000, WINDOW - 1, WINDOW, WINDOW + 1])
def test_download_from_flood(guest, size):
    assert guest.ssh("flood", str(size), "7", timeout=180, check=True).stdout == flood_bytes(size, 7)


@pytest.mark.parametrize("size", [10000000, MUCH])
def test_large_download_hashes_the_same_inside(guest, size):
    done = guest.ssh("flood", str(size), "99", timeout=600, check=True)
    assert len(done.stdout) == size
    inside = guest.ssh(f"flood {size} 99 | sink", timeout=600, check=True).stdout.decode().split()
    assert inside == [str(size), hashlib.sha256(done.stdout).hexdigest()]


def test_program_ends_while_input_still_comes(guest):
    done = guest.ssh("true", data=b"x" * 3000000, timeout=60)
    assert done.returncode == 0


def test_input_end_reaches_the_program(guest):
    p = guest.popen("cat")
    p.stdin.write(b"first\n")
    p.stdin.flush()
    assert p.stdout.readline() == b"first\n"
    p.stdin.write(b"last")
    p.stdin.close()
    assert p.stdout.read() == b"last"
    assert p.wait(20) == 0


def test_output_comes_when_written_not_at_the_end(guest):
    """It ends when what we have of it is told to it."""
    p = guest.popen("echo first; read word; echo $word")
    first = p.stdout.readline()
    p.stdin.write(first.upper())
    p.stdin.close()
    assert (first, p.stdout.read()) == (b"first\n", b"FIRST\n")
    assert p.wait(20) == 0


def test_two_sessions_of_hello_at_once(guest):
    """The case that killed the kernel of seed 000: every line intact and in order."""
    want = hello_lines(5000)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: guest.ssh("hello", "5000", "1", timeout=300), range(2)))
    for done in runs:
        assert done.returncode == 0, done.stderr
        assert done.stdout == want


@pytest.mark.parametrize("smp", [1, 2, 8])
def test_two_sessions_of_hello_at_each_cpu_count(boot, smp):
    g, want = boot(smp=smp), hello_lines(1000)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: g.ssh("hello", "1000", "1", timeout=300), range(2)))
    for done in runs:
        assert (done.returncode, done.stdout == want) == (0, True), done.stderr


def test_fast_hello_without_delay(guest):
    assert guest.ssh("hello", "20000", "0", timeout=120, check=True).stdout == hello_lines(20000)


@pytest.mark.parametrize("size", [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 3000000, MUCH])
def test_round_trip_through_a_terminal(guest, size):
    """That changes nothing and ends nothing: how much comes is said before."""
    data = random.Random(size).randbytes(size)
    # unbuffered: what a line's buffer had taken of the rest, communicate() would not see
    with guest.popen(f"stty raw -echo; echo ready; head -c {size}; echo done", options=["-tt", "-e", "none"], bufsize=0) as p:
        assert p.stdout.readline() == b"ready\n"
        out, _ = p.communicate(data, timeout=600 * guestlib.patience)
    assert p.returncode == 0 and hashlib.sha256(out).digest() == hashlib.sha256(data + b"done\n").digest()


def test_a_hundred_logins_in_parallel(guest):
    """All at once: that a busy host is not done with them in the usual time is no fault of theirs."""
    reload = "echo reload >/proc/tern/ssh"
    guest.ssh(f"cat >/etc/ssh/sshd_config && {reload}", data=b"LoginGraceTime 600\n", check=True)
    before = guest.account()
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        jobs = [pool.submit(guest.ssh, "echo", str(n), options=["-o", "KexAlgorithms=curve25519-sha256"], timeout=300) for n in range(100)]
        for n, job in enumerate(jobs):
            assert (job.result().returncode, job.result().stdout) == (0, b"%d\n" % n), job.result().stderr
    guest.wait_for_account(before, seconds=60)
    guest.ssh(f": >/etc/ssh/sshd_config && {reload}", check=True)


def test_eight_fresh_logins_in_parallel(guest):
    def login(i):
        # QEMU listens with a backlog of 1: staggered by a few milliseconds, or the host drops SYNs.
        guestlib.let_pass(0.01 * i)
        return guest.ssh("echo", f"number {i}", timeout=60)

    for _ in range(3):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for i, done in enumerate(pool.map(login, range(8))):
                assert (done.returncode, done.stdout) == (0, b"number %d\n" % i), done.stderr


def test_twenty_logins_in_a_row_leave_nothing_behind(guest):
    for _ in range(3):
        guest.ssh("true", check=True)
    before = guest.account()
    for _ in range(20):
        guest.ssh("true", check=True)
    guest.wait_for_account(before)


def test_environment(guest):
    done = guest.ssh("sh -c 'echo $LANG'", options=["-o", "SetEnv=LANG=xx_YY.UTF-8"], check=True)
    assert done.stdout == b"xx_YY.UTF-8\n"


def test_environment_not_on_the_list_is_refused(guest):
    done = guest.ssh("sh -c 'echo [$LD_PRELOAD]'", options=["-o", "SetEnv=LD_PRELOAD=/tmp/x"], check=True)
    assert done.stdout == b"[]\n"


def test_long_command_line(guest):
    words = "x" * 20000
    assert guest.ssh("echo", words, check=True).stdout == words.encode() + b"\n"


def test_shell_words(guest):
    done = guest.ssh("cd /bin && echo 'a  b' \"c\" | cat; false || echo no; echo $?", check=True)
    assert done.stdout == b"a  b c\nno\n0\n"


def test_pipe_of_three(guest):
    done = guest.ssh("echo one two | cat | cat | sink", check=True)
    assert done.stdout.split()[0] == b"8"


def test_several_channels_on_one_connection(guest, tmp_path):
    path = str(tmp_path / "ctl")
    mux = ["-o", f'ControlPath="{path}"']
    master = guest.master(path)
    try:
        for i in range(10):
            assert guest.ssh("echo", str(i), options=mux, check=True).stdout == b"%d\n" % i
        want = hello_lines(500)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            runs = list(pool.map(lambda _: guest.ssh("hello", "500", "1", options=mux, timeout=120), range(6)))
        assert [(r.returncode, r.stdout == want) for r in runs] == [(0, True)] * 6
        # A stalled channel must not stall the others.
        ends = os.pipe()
        stalled = guest.popen("flood", "50000000", "1", options=mux, stdout=ends[1])
        # It stalls when the pipe that nobody reads takes no more.
        guestlib.until("a full pipe", lambda: not select.select([], [ends[1]], [], 0)[1])
        for i in range(5):
            assert guest.ssh("echo", str(i), options=mux, timeout=20, check=True).stdout == b"%d\n" % i
        stalled.kill()
        stalled.wait()
        for end in ends:
            os.close(end)
        assert guest.ssh("true", options=mux, timeout=20).returncode == 0
    finally:
        master.terminate()
        master.wait()


@pytest.mark.parametrize("kind", ["session", "direct-tcpip"])
def test_a_thousand_channels_one_after_another(guest, kind):
    """On one connection: each has its own answer and its end, and none leaves anything."""
    guest.ssh("true", check=True)
    before = guest.account()
    with serving(echo) as port, sshraw.Raw(guest.port) as raw:
        raw.handshake().login(sshraw.load_key(f"{TOP}/build/ssh/id_ed25519"))
        rest = sshraw.string("10.0.2.2") + u32(port) + sshraw.string("127.0.0.1") + u32(1) if kind == "direct-tcpip" else b""
        for number in range(1000):
            raw.send(bytes([sshraw.OPEN]) + sshraw.string(kind) + u32(number) + u32(1 << 20) + u32(32768) + rest)
            reply = sshraw.Reader(raw.receive_type(sshraw.OPEN_OK))
            reply.take(1)
            assert reply.u32() == number
            channel = reply.u32()
            if kind == "session":
                raw.request(channel, "exec", sshraw.string("cat"), want_reply=False)
            raw.send(bytes([sshraw.DATA]) + u32(channel) + sshraw.string(b"%d" % number))
            raw.send(bytes([sshraw.EOF]) + u32(channel))
            got, kinds = b"", []
            while sshraw.CLOSE not in kinds:
                reply = sshraw.Reader(raw.receive())
                kinds.append(reply.byte())
                assert reply.u32() == number
                got += reply.string() if kinds[-1] == sshraw.DATA else b""
            assert got == b"%d" % number and kinds.count(sshraw.EOF) == 1, (number, got, kinds)
            raw.send(bytes([sshraw.CLOSE]) + u32(channel))
    guest.wait_for_account(before, seconds=60)


def logged_in(guest):
    return sshraw.Raw(guest.port).handshake().login(sshraw.load_key(f"{TOP}/build/ssh/id_ed25519"))


def status(code):
    return (sshraw.REQUEST, sshraw.string("exit-status") + b"\0" + u32(code))


@pytest.mark.parametrize("modes", [None, b"\0"], ids=["pipes", "terminal"])
@pytest.mark.parametrize("answered", [False, True], ids=["heard", "answered"])
def test_end_of_output_is_told_before_the_exit(guest, modes, answered):
    """I-SSH-8: EOF when nobody holds the output any more, then how the program ended, then CLOSE; to a client too that answers EOF
    with CLOSE."""
    with logged_in(guest) as r:
        channel = r.start("rm -f /tmp/end; mkfifo /tmp/end; echo out; exec <&- >&- 2>&-; read x </tmp/end; exit 5", modes)
        if answered and modes is None:
            r.send(bytes([sshraw.EOF]) + u32(channel))
        said = r.hear(sshraw.EOF)
        assert [kind for kind, _ in said] == [sshraw.DATA, sshraw.EOF]
        if answered:
            r.send(bytes([sshraw.CLOSE]) + u32(channel))
        guest.ssh("echo >/tmp/end")
        assert r.hear(sshraw.CLOSE) == [status(5), (sshraw.CLOSE, b"")]
    # OpenSSH's client too gives the end on, and waits for the status
    with guest.popen("exec >&- 2>&-; read x </tmp/end; exit 5") as p:
        assert p.stdout.read() == b""
        guest.ssh("echo >/tmp/end; rm /tmp/end")
        assert p.wait(20) == 5


@pytest.mark.parametrize("size", [1, 100000, 262144])
def test_close_does_not_cut_what_was_sent(guest, size):
    """The program has what came before the CLOSE, however late it reads, and its end."""
    data = flood_bytes(size, 3)
    with logged_in(guest) as r:
        channel = r.start("rm -f /tmp/late; mkfifo /tmp/late; echo go; read x </tmp/late; cat >/tmp/all; exit 6")
        r.hear(sshraw.DATA)
        for at in range(0, size, 32768):
            r.send(bytes([sshraw.DATA]) + u32(channel) + sshraw.string(data[at:at + 32768]))
        r.send(bytes([sshraw.CLOSE]) + u32(channel))
        guest.ssh("echo >/tmp/late")
        assert r.hear(sshraw.CLOSE) == [(sshraw.EOF, b""), status(6), (sshraw.CLOSE, b"")]
    assert guest.ssh("cat /tmp/all; rm /tmp/all /tmp/late").stdout == data


@pytest.mark.parametrize("command, modes, told", [("yes", None, b"PIPE"), ("cat", b"\0", None), ("burn", b"\0", None)],
                         ids=["pipes", "terminal", "deaf"])
def test_close_ends_who_writes_or_has_a_terminal(guest, command, modes, told):
    with logged_in(guest) as r:
        channel = r.start(command, modes)
        guest.wait_for_threads(command)
        r.send(bytes([sshraw.CLOSE]) + u32(channel))
        said = [item for item in r.hear(sshraw.CLOSE) if item[0] == sshraw.REQUEST]
        assert said == ([(sshraw.REQUEST, sshraw.string("exit-signal") + b"\0" + sshraw.string(told) + b"\0" + bytes(8))] if told else [])
        guest.wait_for_no_thread(command)


def test_slow_reader_loses_nothing(guest):
    p = guest.popen("flood", "3000000", "5")
    got = bytearray()
    while True:
        piece = p.stdout.read(100000)
        if not piece:
            break
        got += piece
        # a reader slower than the writer is the test
        guestlib.let_pass(0.05)
    assert p.wait(30) == 0
    assert bytes(got) == flood_bytes(3000000, 5)


STALLS = [2, pytest.param(60, marks=pytest.mark.long)]


@pytest.mark.parametrize("window", [0, 0x7fffffff], ids=["channel", "connection"])
@pytest.mark.parametrize("seconds", STALLS)
def test_seven_stream_beside_a_stalled_reader(guest, window, seconds):
    """A13: one client reads nothing, its channel's window closed or its connection's; the others' streams pass."""
    begin = time.monotonic()
    before, _ = guest.account()
    with sshraw.Raw(guest.port) as raw:
        raw.handshake().login(sshraw.load_key(f"{TOP}/build/ssh/id_ed25519"))
        channel = raw.open_session(window=window)
        raw.request(channel, "exec", sshraw.string("flood 1000000000 9"))
        guest.wait_for_threads("flood")
        rounds = 0
        while rounds == 0 or time.monotonic() < begin + seconds:
            streams = [guest.popen("flood", "1000000", str(seed)) for seed in range(1, 8)]
            for seed, p in enumerate(streams, 1):
                assert p.communicate(timeout=120)[0] == flood_bytes(1000000, seed)
                assert p.returncode == 0
            rounds += 1
        # it still waits, and holds what its window and a send buffer hold; the others leave a moment later
        def grown():
            pages, _ = guest.account()
            return pages["Slab"] + pages["KernelPages"] - before["Slab"] - before["KernelPages"]

        guestlib.until(lambda: f"less than 4096 KiB more: {grown()}", lambda: grown() < 4096)
        guestlib.until("the stalled program alone", lambda: guest.threads_called("flood") == 1)


def test_regcheck_beside_load(guest):
    """Registers survive interrupts and switches, H1, L4, X-05: six a CPU, so that they are switched away from in the midst."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(guest.ssh, "regcheck", "2", str(3 * guest.smp), timeout=120) for _ in range(2)]
        jobs += [pool.submit(guest.ssh, "hello", "2000", "0", timeout=120) for _ in range(2)]
        for job in jobs:
            done = job.result()
            assert done.returncode == 0, (done.stdout[-300:], done.stderr[-300:])


def test_stdcheck(guest):
    """The heap exercise of seed 001, in the layouts that failed there."""
    done = guest.ssh("stdcheck", timeout=120)
    assert done.returncode == 0, (done.stdout[-500:], done.stderr[-500:])


def idle_ms(guest):
    """The guest's clock, and for each CPU how long it has been idle by it."""
    uptime, *lines = guest.ssh("cat", "/proc/uptime", "/proc/tern/sched", check=True).stdout.decode().splitlines()
    column = lines[0].split().index("idle_ms")
    return float(uptime.split()[0]) * 1000, [int(line.split()[column]) for line in lines[1:]]


def test_all_cpus_run_user_threads(guest):
    """With two programs a CPU that never sleep, every CPU works: none is idle for half of the time, on the guest's clock."""
    burns = [guest.popen("burn", "100000") for _ in range(guest.smp * 2)]
    guest.wait_for_threads("burn", guest.smp * 2)
    begin, before = idle_ms(guest)
    assert len(before) == guest.smp
    # the time of which the CPUs' share is taken
    guestlib.let_pass(1)
    end, after = idle_ms(guest)
    for p in burns:
        p.kill()
        p.communicate()
    guest.wait_for_no_thread("burn")
    assert all(b - a < (end - begin) / 2 for a, b in zip(before, after)), (end - begin, before, after)
