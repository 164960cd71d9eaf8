# SPDX-License-Identifier: MIT
"""Files over SSH: sftp, scp by both of its protocols, sshfs, and each request OpenSSH's sftp-server knows beyond the draft."""
import hashlib
import os
import random
import re
import stat
import struct
import subprocess

import pytest

import guest as guestlib

SERVER = "/usr/lib/openssh/sftp-server"
# Around a packet, a channel's window, and OpenSSH's.
SIZES = [0, 1, *(n + d for n in (32768, 256 << 10, 2 << 20) for d in (-1, 0, 1)), 20_000_000]
WHEN = 1_600_000_001
PASSWD = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:100:Ann:/home/ann:/bin/sh\njail:x:1001:100:Jail:/home/jail:/bin/sh\n"


def run(command, timeout=120, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout * guestlib.patience, **more)


def sftp(g, *lines, user="root", options=(), status=0, timeout=120):
    """What it prints, without the echo of its commands."""
    done = run(["sftp", "-q", "-F", g.config, *options, "-b", "-", f"{user}@tern"], timeout, input="\n".join(lines).encode())
    assert done.returncode == status, (lines, done.returncode, done.stdout[-500:], done.stderr[-500:])
    text = (done.stdout + done.stderr).decode()
    return "\n".join(line for line in text.splitlines() if not line.startswith("sftp> "))


def scp(g, *words, status=0, timeout=120):
    done = run(["scp", "-q", "-F", g.config, *words], timeout)
    assert (done.returncode == 0) == (status == 0), (words, done.returncode, done.stderr[-500:])
    return done.stderr.decode()


def sha(data):
    return hashlib.sha256(data).hexdigest()


def sha_there(g, *paths):
    return [line.split()[0] for line in g.ssh("sha256sum", *paths, timeout=600, check=True).stdout.decode().splitlines()]


def account_is_even(g, before):
    g.wait_for_no_thread("sftp-server")
    g.wait_for_account(before)


@pytest.fixture
def there(guest):
    """A folder of the guest's, gone afterwards."""
    guest.ssh("rm -rf /tmp/sftp; mkdir /tmp/sftp", check=True)
    yield "/tmp/sftp"
    guest.ssh("rm -rf /tmp/sftp", check=True)


@pytest.fixture
def tree(tmp_path):
    """Folders, modes, times, names with blanks, files of no byte and of many."""
    top = tmp_path / "tree"
    rng = random.Random(3)
    for n, name in enumerate(["a", "b/c", "b/d e", "b/none/deep/er/x", "z"]):
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes([0, 1, 70_000, 5, 300_000][n]))
        path.chmod([0o644, 0o600, 0o755, 0o400, 0o640][n])
        os.utime(path, (WHEN + n, WHEN + 10 * n))
    (top / "empty").mkdir()
    for n, (folder, _, _) in enumerate(sorted(os.walk(top))):
        os.chmod(folder, 0o750)
        os.utime(folder, (WHEN + n, WHEN + n))
    return top


def seen(top, times=True):
    """{name: kind and mode, time, contents} of all below top."""
    found = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            body = sha(open(path, "rb").read()) if stat.S_ISREG(st.st_mode) else ""
            found[os.path.relpath(path, top)] = (oct(st.st_mode), int(st.st_mtime) if times else 0, body)
    return found


def test_every_size_both_ways(guest, there, tmp_path):
    datas = [random.Random(n).randbytes(n) for n in SIZES]
    for n, data in zip(SIZES, datas):
        (tmp_path / f"{n}").write_bytes(data)
    sftp(guest, *[f"put {tmp_path}/{n} {there}/{n}" for n in SIZES])
    assert sha_there(guest, *[f"{there}/{n}" for n in SIZES]) == [sha(d) for d in datas]
    sftp(guest, *[f"get {there}/{n} {tmp_path}/{n}.back" for n in SIZES])
    for n, data in zip(SIZES, datas):
        assert sha((tmp_path / f"{n}.back").read_bytes()) == sha(data), n


def test_tree_both_ways(guest, there, tree, tmp_path):
    sftp(guest, f"put -rp {tree} {there}", f"get -rp {there}/tree {tmp_path}/back")
    assert seen(tmp_path / "back") == seen(tree)


def test_a_thousand_files(guest, there, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    for n in range(1000):
        (many / f"f{n:03}").write_bytes(b"%d\n" % n * (n % 7))
    sftp(guest, f"put -r {many} {there}", f"get -r {there}/many {tmp_path}/back")
    assert guest.ssh(f"ls {there}/many | wc -l").stdout.strip() == b"1000"
    assert seen(tmp_path / "back", times=False) == seen(many, times=False)


@pytest.mark.parametrize("protocol", ["-s", "-O"], ids=["sftp", "old"])
def test_scp_both_ways(guest, there, tree, tmp_path, protocol):
    scp(guest, protocol, "-rp", str(tree), f"tern:{there}/")
    scp(guest, protocol, "-rp", f"tern:{there}/tree", f"{tmp_path}/back")
    assert seen(tmp_path / "back") == seen(tree)
    big = tmp_path / "big"
    big.write_bytes(random.Random(9).randbytes(5_000_000))
    scp(guest, protocol, str(big), f"tern:{there}/one")
    assert sha_there(guest, f"{there}/one") == [sha(big.read_bytes())]
    scp(guest, protocol, f"tern:{there}/one", f"{tmp_path}/one")
    assert (tmp_path / "one").read_bytes() == big.read_bytes()
    assert "No such file" in scp(guest, protocol, f"tern:{there}/none", f"{tmp_path}/none", status=1)


def test_names(guest, there, tmp_path):
    (tmp_path / "f").write_bytes(b"first\n")
    (tmp_path / "g").write_bytes(b"second\n")
    sftp(guest, f"cd {there}", f"lcd {tmp_path}", "put f a", "put g b", "rename a b", "ln b hard", "ln -s b soft", "chmod 640 b",
         "mkdir d", "rename d e", "mkdir e/x", "rmdir e/x")
    assert guest.ssh(f"cd {there}; cat b; readlink soft; stat -c '%a %h' hard; ls").stdout.decode().split() == [
        "first", "b", "640", "2", "b", "e", "hard", "soft"]
    # the draft's rename does not replace what is there
    assert "Failure" in sftp(guest, f"cd {there}", "rename -l hard e", status=1)
    sftp(guest, f"cd {there}", "rename -l hard new", "rm new", "rm soft", "rmdir e")
    assert guest.ssh(f"ls {there}").stdout == b"b\n"
    for line, why in (("rm none", "No such file"), ("rmdir b", "No such file"), ("mkdir b", "Failure"), ("ls none", "not found"),
                      ("get none /dev/null", "not found")):
        assert why in sftp(guest, f"cd {there}", line, status=1)


def test_times_are_kept_when_asked(guest, there, tmp_path):
    f = tmp_path / "f"
    f.write_bytes(b"old")
    os.utime(f, (WHEN, WHEN))
    sftp(guest, f"put {f} {there}/new", f"put -p {f} {there}/old", f"get {there}/old {tmp_path}/x", f"get -p {there}/old {tmp_path}/y")
    new, old = map(int, guest.ssh(f"stat -c %Y {there}/new {there}/old").stdout.split())
    assert old == WHEN and new > WHEN
    assert (tmp_path / "x").stat().st_mtime > WHEN and (tmp_path / "y").stat().st_mtime == WHEN


def test_listings(guest, there):
    guest.ssh(f"cd {there}; for n in z A b .hid 10 9; do echo $n >$n; done; chmod 600 b; ln -s nowhere c; mkdir d", check=True)
    assert sftp(guest, f"cd {there}", "ls -1a").split() == [".", "..", ".hid", "10", "9", "A", "b", "c", "d", "z"]
    lines = sftp(guest, f"ls -la {there}").splitlines()
    assert [line.split()[-1].rpartition("/")[2] for line in lines] == [".", "..", ".hid", "10", "9", "A", "b", "c", "d", "z"]
    words = {line.split()[-1].rpartition("/")[2]: line.split() for line in lines}
    assert [words["b"][0], *words["b"][2:5]] == ["-rw-------", "root", "root", "2"]
    assert (words["c"][0], words["d"][0]) == ("lrwxrwxrwx", "drwxr-xr-x")


def test_df(guest, there):
    size, used, avail = map(int, sftp(guest, f"df {there}").splitlines()[-1].split()[:3])
    blocks, free = map(int, guest.ssh(f"stat -f -c '%b %f' {there}").stdout.split())
    assert size == blocks * 4 and abs(avail - free * 4) < 1024 and used == size - avail


def test_resumed(guest, there, tmp_path):
    data = random.Random(11).randbytes(3_000_001)
    (tmp_path / "all").write_bytes(data)
    (tmp_path / "part").write_bytes(data[:1_234_567])
    sftp(guest, f"put {tmp_path}/part {there}/f", f"reput {tmp_path}/all {there}/f", f"reget {there}/f {tmp_path}/part")
    assert sha_there(guest, f"{there}/f") == [sha(data)]
    assert (tmp_path / "part").read_bytes() == data
    (tmp_path / "short").write_bytes(b"x")
    assert "larger" in sftp(guest, f"reput {tmp_path}/short {there}/f", status=1)


def test_two_at_once(guest, there, tmp_path):
    data = random.Random(12).randbytes(8_000_000)
    (tmp_path / "f").write_bytes(data)
    guest.ssh(f"cat >{there}/g", data=data, check=True)
    ends = [subprocess.Popen(["sftp", "-q", "-F", guest.config, "-b", "-", "tern"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            for _ in range(4)]
    for n, p in enumerate(ends):
        p.stdin.write(f"put {tmp_path}/f {there}/f{n}\n".encode() if n % 2 else f"get {there}/g {tmp_path}/g{n}\n".encode())
        p.stdin.close()
    assert [p.wait(240 * guestlib.patience) for p in ends] == [0] * 4
    assert sha_there(guest, f"{there}/f1", f"{there}/f3") == [sha(data)] * 2
    assert (tmp_path / "g0").read_bytes() == (tmp_path / "g2").read_bytes() == data


@pytest.mark.parametrize("who", ["client", "server"])
@pytest.mark.parametrize("way", ["put", "get"])
def test_killed_in_mid_transfer(guest, there, tmp_path, who, way):
    """Held to 1 MB/s it is in the middle for long. Nothing is left of it."""
    guest.ssh(f"dd if=/dev/zero of={there}/f bs=1M count=20 2>/dev/null", check=True)
    sftp(guest, "pwd")
    before = guest.account()
    here = tmp_path / "f"
    here.write_bytes(bytes(20 << 20) if way == "put" else b"")
    p = subprocess.Popen(["sftp", "-q", "-l", "8000", "-F", guest.config, "-b", "-", "tern"], stdin=subprocess.PIPE,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    p.stdin.write(f"{way} {here} {there}/up\n".encode() if way == "put" else f"get {there}/f {here}\n".encode())
    p.stdin.close()
    if way == "put":
        guestlib.until("some of it", lambda: int(guest.ssh(f"stat -c %s {there}/up 2>/dev/null || echo 0").stdout) > 100_000)
    else:
        guestlib.until("some of it", lambda: here.stat().st_size > 100_000)
    if who == "client":
        p.kill()
    else:
        guest.ssh("killall -9 sftp-server", check=True)
    assert p.wait(60 * guestlib.patience) not in (0, None)
    p.stderr.close()
    guest.wait_for_no_thread("sftp-server")
    guest.ssh(f"rm -f {there}/up", check=True)
    account_is_even(guest, before)


@pytest.fixture
def small(guest):
    """A file system of a megabyte at /mnt."""
    guest.ssh("mount -t tmpfs -o size=1M none /mnt", check=True)
    yield "/mnt"
    guest.ssh("umount /mnt", check=True)


def test_full(guest, small, tmp_path):
    f = tmp_path / "f"
    f.write_bytes(random.Random(5).randbytes(2_000_000))
    assert "write remote" in sftp(guest, f"put {f} {small}/f", status=1)
    for protocol in ("-s", "-O"):
        guest.ssh(f"rm -f {small}/f", check=True)
        assert re.search("Failure|No space left", scp(guest, protocol, str(f), f"tern:{small}/f", status=1))
    # those that are there are whole, and there is room again
    got = guest.ssh(f"cat {small}/f").stdout
    assert 500_000 < len(got) < len(f.read_bytes()) and got == f.read_bytes()[:len(got)]
    f.write_bytes(b"x" * 500_000)
    sftp(guest, f"rm {small}/f", f"put {f} {small}/f")


def test_read_only(guest, small, tmp_path):
    f = tmp_path / "f"
    f.write_bytes(b"x")
    guest.ssh(f"echo here >{small}/there; mount -o remount,ro {small}", check=True)
    for line in (f"put {f} {small}/f", f"rm {small}/there", f"mkdir {small}/d", f"chmod 600 {small}/there", f"rename {small}/there {small}/x"):
        assert re.search("Failure|denied|Operation unsupported", sftp(guest, line, status=1)), line
    sftp(guest, f"get {small}/there {tmp_path}/back")
    assert (tmp_path / "back").read_bytes() == b"here\n"


def test_larger_than_memory(boot, tmp_path):
    """A file of 70 MB into 64: refused when files have their share, and the guest is as before."""
    g = boot(smp=2, mem="64M")
    sftp(g, "pwd")
    before = g.account()
    with open(tmp_path / "f", "wb") as f:
        f.truncate(70_000_000)
    assert "write remote" in sftp(g, f"put {tmp_path}/f /tmp/f", status=1, timeout=300)
    assert g.ssh("echo alive").stdout == b"alive\n"
    g.ssh("rm -f /tmp/f", check=True)
    account_is_even(g, before)


# ---- as an ordinary user

@pytest.fixture(scope="module")
def users(tmp_path_factory):
    """A guest with ann, and with jail, who can do nothing else: the key's command says so."""
    folder = tmp_path_factory.mktemp("users")
    (folder / "passwd").write_text(PASSWD)
    key = guestlib.read_file(os.path.join(guestlib.TOP, "build/ssh/id_ed25519.pub"))
    (folder / "ann").write_text(key)
    (folder / "jail").write_text('restrict,command="internal-sftp" ' + key)
    puts = [f"{folder}/passwd:/etc/passwd", *(f"{folder}/{n}:/home/{n}/.ssh/authorized_keys" for n in ("ann", "jail"))]
    with guestlib.Guest("sftp-users", smp=2, options=[word for p in puts for word in ("--put", p)]) as g:
        g.ssh("chown -R 1000:100 /home/ann; chown -R 1001:100 /home/jail; mkdir -m 700 /tmp/roots; echo x >/tmp/roots/x", check=True)
        yield g


def test_of_the_user_with_the_user_s_rights(users, tmp_path):
    f = tmp_path / "f"
    f.write_bytes(b"mine\n")
    f.chmod(0o666)
    assert sftp(users, "pwd", user="ann").endswith("/home/ann")
    sftp(users, f"put {f} own", "mkdir d", user="ann")
    assert users.ssh("stat -c '%u %g %a' /home/ann/own /home/ann/d").stdout.decode().split() == [
        "1000", "100", "644", "1000", "100", "755"]
    for line in ("get /etc/ssh/ssh_host_ed25519_key /dev/null", f"put {f} /root/f", "ls /tmp/roots", "chown 0 own", "rm /etc/passwd",
                 "get /tmp/roots/x /dev/null", "chmod 777 /etc/passwd", "rename own /bin/own"):
        assert re.search("denied|not found", sftp(users, line, user="ann", status=1)), line
    assert "Permission denied" in scp(users, "-O", str(f), "ann@tern:/root/f", status=1)
    assert users.ssh("ls -a /root").stdout.split() == users.ssh("cd; ls -a").stdout.split()
    sftp(users, "chown 1000 /home/ann/own", "chown 1001 /home/ann/own")
    assert users.ssh("stat -c %u /home/ann/own").stdout == b"1001\n"


def test_key_for_sftp_alone(users, tmp_path):
    (tmp_path / "f").write_bytes(b"in")
    assert sftp(users, f"put {tmp_path}/f f", "ls", user="jail").split()[-1] == "f"
    assert b"jail" not in users.ssh("whoami", options=["-l", "jail"]).stdout


# ---- the protocol by hand

class Raw:
    """The protocol, version 3: one request at a time."""

    def __init__(self, g, user="root"):
        self.p = subprocess.Popen(g.ssh_command("sftp", options=["-s", "-l", user]), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.number = 0
        kind, body = self.exchange(1, struct.pack(">I", 3))
        assert (kind, body[:4]) == (2, struct.pack(">I", 3))
        words, body = [], body[4:]
        while body:
            word, body = self.string(body)
            words.append(word)
        self.extensions = dict(zip(words[::2], words[1::2]))

    @staticmethod
    def string(b):
        n = struct.unpack(">I", b[:4])[0]
        return b[4:4 + n], b[4 + n:]

    def exchange(self, kind, body):
        self.p.stdin.write(struct.pack(">IB", len(body) + 1, kind) + body)
        self.p.stdin.flush()
        n, kind = struct.unpack(">IB", self.p.stdout.read(5))
        return kind, self.p.stdout.read(n - 1)

    def ask(self, kind, *words):
        """Words: bytes are strings, integers numbers of 4 bytes, (n,) one of 8."""
        self.number += 1
        body = b"".join(struct.pack(">Q", *w) if isinstance(w, tuple) else struct.pack(">I", w) if isinstance(w, int) else
                        struct.pack(">I", len(w)) + w for w in (self.number, *words))
        kind, body = self.exchange(kind, body)
        assert struct.unpack(">I", body[:4])[0] == self.number
        return (kind, struct.unpack(">I", body[4:8])[0]) if kind == 101 else (kind, body[4:])

    def extended(self, name, *words):
        return self.ask(200, name, *words)

    def open(self, path, flags):
        kind, body = self.ask(3, path, flags, 0)
        assert kind == 102, (path, body)
        return self.string(body)[0]

    def end(self):
        self.p.stdin.close()
        self.p.stdout.close()
        assert self.p.wait(60 * guestlib.patience) == 0


OK, NONE, DENIED, FAILED, UNKNOWN = ((101, n) for n in (0, 2, 3, 4, 8))
READ, WRITE, CREATE = 1, 2, 8
SIZE, OWNER, MODE, TIMES = 1, 2, 4, 8


@pytest.fixture
def raw(guest):
    r = Raw(guest)
    yield r
    r.end()


def test_extensions_are_all_there(raw):
    assert raw.extensions == {
        b"posix-rename@openssh.com": b"1", b"statvfs@openssh.com": b"2", b"fstatvfs@openssh.com": b"2", b"hardlink@openssh.com": b"1",
        b"fsync@openssh.com": b"1", b"lsetstat@openssh.com": b"1", b"limits@openssh.com": b"1", b"expand-path@openssh.com": b"1",
        b"copy-data": b"1", b"home-directory": b"1", b"users-groups-by-id@openssh.com": b"1"}
    assert raw.extended(b"nothing@tern") == UNKNOWN


def test_limits(raw):
    kind, body = raw.extended(b"limits@openssh.com")
    packet, read, write, handles = struct.unpack(">4Q", body)
    assert kind == 201 and packet == 256 << 10 and 32768 <= read < packet and 32768 <= write < packet and handles > 100


def test_rename_and_links(guest, raw, there):
    guest.ssh(f"cd {there}; echo a >a; echo b >b", check=True)
    a, b, c, d = (f"{there}/{n}".encode() for n in "abcd")
    assert raw.ask(18, a, b) == FAILED
    assert raw.extended(b"posix-rename@openssh.com", a, b) == OK
    assert raw.extended(b"posix-rename@openssh.com", a, b) == NONE
    assert raw.extended(b"hardlink@openssh.com", b, c) == OK
    assert raw.extended(b"hardlink@openssh.com", b, c) == FAILED
    assert raw.ask(20, b"b", d) == OK
    kind, body = raw.ask(19, d)
    assert kind == 104 and raw.string(body[4:])[0] == b"b"
    assert guest.ssh(f"cd {there}; cat b c d; stat -c %h b").stdout.split() == [b"a"] * 3 + [b"2"]


def test_attributes_of_a_link_itself(guest, raw, there):
    guest.ssh(f"cd {there}; echo a >a; touch -d @5 a; ln -s a l", check=True)
    link = f"{there}/l".encode()
    assert raw.extended(b"lsetstat@openssh.com", link, TIMES, WHEN, WHEN + 1) == OK
    assert raw.extended(b"lsetstat@openssh.com", link, OWNER, 7, 8) == OK
    assert raw.extended(b"lsetstat@openssh.com", link, MODE, 0o600) == FAILED
    assert guest.ssh(f"cd {there}; stat -c '%u %g %X %Y' l; stat -c '%u %a %Y' a").stdout.decode().split() == [
        "7", "8", str(WHEN), str(WHEN + 1), "0", "644", "5"]
    # and of what it leads to, by name and by handle
    assert raw.ask(9, link, SIZE | MODE, (1,), 0o600) == OK
    h = raw.open(link, READ | WRITE)
    assert raw.ask(10, h, TIMES, 7, 9) == OK and raw.ask(4, h) == OK
    assert guest.ssh(f"stat -c '%s %a %Y' {there}/a").stdout == b"1 600 9\n"


def test_copies_and_sync(guest, raw, there):
    data = random.Random(4).randbytes(700_001)
    guest.ssh(f"cat >{there}/a", data=data, check=True)
    a, b = raw.open(f"{there}/a".encode(), READ), raw.open(f"{there}/b".encode(), READ | WRITE | CREATE)
    assert raw.extended(b"copy-data", a, (1,), (300_000,), b, (5,)) == OK
    assert raw.extended(b"copy-data", a, (400_000,), (0,), b, (400_000,)) == OK
    assert raw.extended(b"copy-data", a, (0,), (0,), a, (0,)) == FAILED
    assert raw.extended(b"copy-data", a, (0,), (1,), a, (9,)) != OK
    assert raw.extended(b"fsync@openssh.com", b) == OK and raw.extended(b"fsync@openssh.com", b"none") != OK
    assert raw.ask(4, a) == OK and raw.ask(4, b) == OK and raw.ask(4, b) == NONE
    assert sha_there(guest, f"{there}/b") == [sha(bytes(5) + data[1:300_001] + bytes(99_995) + data[400_000:])]


def test_file_systems(guest, raw, there, small):
    for path, how in ((small, "statvfs"), (small, "fstatvfs"), ("/proc", "statvfs"), (there, "statvfs")):
        if how == "fstatvfs":
            guest.ssh(f"echo >{path}/f", check=True)
            word = raw.open(f"{path}/f".encode(), READ)
        else:
            word = path.encode()
        kind, body = raw.extended(f"{how}@openssh.com".encode(), word)
        block, fragment, blocks, free, avail, _, _, _, _, flags, longest = struct.unpack(">11Q", body)
        want = [int(w, 16 if i == 1 else 10) for i, w in enumerate(guest.ssh(f"stat -f -c '%S %t %b %l' {path}").stdout.split())]
        assert (kind, block, fragment, blocks, longest) == (201, want[0], want[0], want[2], want[3]) and free >= avail
        if how == "fstatvfs":
            assert raw.ask(4, word) == OK
    guest.ssh(f"mount -o remount,ro {small}", check=True)
    assert struct.unpack(">11Q", raw.extended(b"statvfs@openssh.com", small.encode())[1])[9] & 1
    assert raw.extended(b"statvfs@openssh.com", b"/none") == NONE


def test_names_of_paths_and_users(raw):
    def name(kind, body):
        assert (kind, body[:4]) == (104, struct.pack(">I", 1))
        return raw.string(body[4:])[0]
    assert name(*raw.extended(b"expand-path@openssh.com", b"~/../tmp")) == b"/tmp"
    assert name(*raw.extended(b"expand-path@openssh.com", b"~root")) == b"/root"
    assert name(*raw.ask(16, b".")) == b"/root"
    kind, body = raw.extended(b"home-directory", b"root")
    assert name(kind, body) == b"/root"
    kind, body = raw.extended(b"users-groups-by-id@openssh.com", struct.pack(">II", 0, 4711), struct.pack(">I", 5))
    users, body = raw.string(body)
    assert kind == 201 and users == struct.pack(">I", 4) + b"root" + bytes(4) and raw.string(body)[0][4:] == b"tty"


def test_process_of_the_subsystem(guest, raw):
    """As a command's: root's rights and home, and the environment of the login."""
    pid = guest.ssh("pidof sftp-server", check=True).stdout.split()[0].decode()
    environment = guest.ssh(f"tr '\\0' '\\n' </proc/{pid}/environ; cd /proc/{pid}; readlink cwd; readlink exe").stdout.decode().split("\n")
    for line in ("HOME=/root", "USER=root", "/root", SERVER):
        assert line in environment, environment
    assert "SSH_TTY" not in environment


def test_other_subsystems_are_refused(guest):
    for name in ("nothing", "sftp2", SERVER):
        done = guest.ssh(name, options=["-s"], data=b"x")
        assert done.returncode == 255 and b"subsystem request failed" in done.stderr, name
    assert guest.ssh("true").returncode == 0


# ---- a folder of the guest's on the host

@pytest.mark.needs("/dev/fuse")
@pytest.mark.needs("/usr/bin/sshfs")
def test_sshfs(guest, there, tmp_path):
    mount = tmp_path / "mount"
    mount.mkdir()
    p = subprocess.Popen(["sshfs", "-f", "-F", guest.config, f"tern:{there}", str(mount)], stdin=subprocess.DEVNULL)
    try:
        guestlib.until("the mount", lambda: os.path.ismount(mount) or p.poll() is not None)
        assert p.poll() is None
        data = random.Random(8).randbytes(3_000_001)
        (mount / "d").mkdir()
        (mount / "d/f").write_bytes(data)
        (mount / "d/g").write_bytes(b"old")
        os.rename(mount / "d/f", mount / "d/g")
        os.symlink("g", mount / "d/l")
        os.chmod(mount / "d/g", 0o640)
        os.utime(mount / "d/g", (WHEN, WHEN))
        assert (mount / "d/l").read_bytes() == data and sorted(os.listdir(mount / "d")) == ["g", "l"]
        assert sha_there(guest, f"{there}/d/g") == [sha(data)]
        assert guest.ssh(f"stat -c '%a %Y' {there}/d/g").stdout.decode().split() == ["640", str(WHEN)]
        os.truncate(mount / "d/g", 10)
        with open(mount / "d/g", "r+b") as f:
            f.seek(20)
            f.write(b"end")
            os.fsync(f.fileno())
        assert guest.ssh(f"cat {there}/d/g").stdout == data[:10] + bytes(10) + b"end"
        assert os.statvfs(mount).f_blocks > 0
        for name in ("l", "g"):
            os.unlink(mount / "d" / name)
        os.rmdir(mount / "d")
        with pytest.raises(FileNotFoundError):
            os.stat(mount / "d")
    finally:
        run(["fusermount3", "-u", str(mount)])
        assert p.wait(60) == 0


@pytest.mark.long
def test_a_gigabyte(boot, tmp_path):
    g = boot(smp=2, mem="2G")
    want = hashlib.sha256()
    with open(tmp_path / "f", "wb") as f:
        for _ in range(1000):
            part = os.urandom(1_000_000)
            want.update(part)
            f.write(part)
    sftp(g, f"put {tmp_path}/f /tmp/f", timeout=1800)
    assert sha_there(g, "/tmp/f") == [want.hexdigest()]
    sftp(g, f"get /tmp/f {tmp_path}/back", timeout=1800)
    with open(tmp_path / "back", "rb") as f:
        got = hashlib.sha256()
        while part := f.read(1 << 20):
            got.update(part)
    assert got.hexdigest() == want.hexdigest()
    g.ssh("rm /tmp/f", check=True)
