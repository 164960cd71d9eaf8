# SPDX-License-Identifier: MIT
"""/etc/ssh/sshd_config: what each keyword does to OpenSSH's clients, and what becomes of a file with an error."""
import base64
import contextlib
import os
import re
import shutil
import subprocess
import time

import pytest

import guest as guestlib
import sshraw
import terminal
from test_sockets import echo, serving
from test_users import GROUP, PASSWD

OWN = os.path.join(guestlib.TOP, "build/ssh/id_ed25519")


class Server:
    """A guest, and root's connection to it that began before any test changed the configuration (I-SSH-20)."""

    def __init__(self, guest, control):
        self.guest, self.control = guest, control
        self.ssh = guest.ssh

    def root(self, *command, **how):
        return self.guest.ssh(*command, options=["-S", self.control], **how)

    def configure(self, text):
        """What the guest printed meanwhile."""
        seen = len(self.guest.console())
        self.root("cat >/etc/ssh/sshd_config", data=text.encode(), check=True)
        done = self.root("echo reload >/proc/tern/ssh")
        guestlib.until("an answer", lambda: re.search(r"ssh: the configuration (is read again|stays)", self.guest.console()[seen:]))
        return done.returncode, self.guest.console()[seen:]

    def ann(self, *command, options=(), **how):
        return self.guest.ssh(*command, options=["-l", "ann", *options], **how)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    (folder / "passwd").write_text(PASSWD)
    (folder / "group").write_text(GROUP)
    (folder / "banner").write_text("Authorized users only.\nAll is logged.\n")
    (folder / "sshd_config").write_text("# of the boot\nBanner /etc/banner\nMaxStartups 17\n")
    for name, kind, bits in (("other", "ed25519", "256"), ("rsa", "rsa", "3072"), ("small", "rsa", "2048")):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-f", folder / name], check=True)
    puts = [f"{folder}/passwd:/etc/passwd", f"{folder}/group:/etc/group", f"{OWN}.pub:/home/ann/.ssh/authorized_keys",
            f"{folder}/banner:/etc/banner", f"{folder}/sshd_config:/etc/ssh/sshd_config",
            f"{OWN}.pub:/etc/keys/ann", *(f"{folder}/{name}:/etc/ssh/{name}" for name in ("other", "rsa", "small"))]
    with guestlib.Guest("config", smp=2, options=[word for p in puts for word in ("--put", p)]) as g:
        # what comes last is first: the test of the boot's own configuration
        done = g.ssh("cat /proc/tern/ssh", options=["-o", "LogLevel=INFO"])
        assert done.stderr == b"Authorized users only.\nAll is logged.\n"
        assert b" of 17 displaced" in done.stdout
        client = g.master(str(folder / "control"))
        server = Server(g, str(folder / "control"))
        server.keys = {name: (folder / f"{name}.pub").read_text().split()[1] for name in ("other", "rsa")}
        server.root("chmod 600 /etc/ssh/other /etc/ssh/rsa /etc/ssh/small && chown -R 1000:100 /home/ann", check=True)
        yield server
        client.kill()
        client.wait()


@pytest.fixture
def server(machine):
    yield machine
    assert machine.configure("")[0] == 0


def test_errors_change_nothing(server):
    assert server.configure("Banner /etc/banner\n")[0] == 0
    for text, why in [("UseDNS no\nPermitRoot no\n", "line 2: PermitRoot: unknown keyword"),
                      ("PasswordAuthentication yes\n", "line 1: yes: there are no passwords"),
                      ("Match User ann\n", "line 1: User: there are no Match blocks"),
                      ("Banner /etc/none\n", "Banner /etc/none: error 2"),
                      ("HostKey /etc/banner\n", "/etc/banner is no unencrypted ed25519 or RSA key"),
                      ("# no key\nHostKey none\n", "line 2: none: not a path that begins with /"),
                      ("HostKey /etc/ssh/small\n", "/etc/ssh/small is an RSA key of less than 3072 bits"),
                      ("HostKey /etc/ssh/rsa\nHostKey /etc/ssh/rsa\n", "/etc/ssh/rsa: there is a host key of its kind already"),
                      ("HostKeyAlgorithms rsa-sha2-512\n", "HostKeyAlgorithms leaves no algorithm of a host key"),
                      ("HostKeyAlgorithms ssh-rsa\n", "line 1: ssh-rsa: there is no such algorithm"),
                      ("#" * 70000, "sshd_config is no file that only root may write")]:
        status, printed = server.configure(text)
        assert status == 1 and why in printed, printed
    server.root("chmod 666 /etc/ssh/sshd_config", check=True)
    assert server.root("echo reload >/proc/tern/ssh").returncode == 1
    server.root("chmod 644 /etc/ssh/sshd_config", check=True)
    # a link to nowhere is not the absence of a configuration
    server.root("cd /etc/ssh && mv sshd_config was && ln -s /none sshd_config", check=True)
    assert server.root("echo reload >/proc/tern/ssh").returncode == 1
    server.root("cd /etc/ssh && mv was sshd_config", check=True)
    assert server.root("echo nonsense >/proc/tern/ssh").returncode == 1
    assert server.ann("echo reload >/proc/tern/ssh").returncode != 0
    assert b"Authorized users only" in server.ssh("true", options=["-o", "LogLevel=INFO"]).stderr


def test_reading_again_leaves_nothing(server):
    assert server.configure("Banner /etc/banner\n")[0] == 0
    before = server.guest.account()
    for _ in range(20):
        server.root("echo reload >/proc/tern/ssh; echo x >>/etc/ssh/sshd_config; echo reload >/proc/tern/ssh; "
                    "echo Banner /etc/banner >/etc/ssh/sshd_config")
        assert server.ssh("true").returncode == 0
    server.guest.wait_for_account(before)


@pytest.mark.parametrize("text, root, ann", [
    ("PermitRootLogin no", False, True),
    ("PermitRootLogin forced-commands-only", False, True),
    ("PermitRootLogin prohibit-password", True, True),
    ("AllowUsers r* an?@10.0.2.0/24", True, True),
    ("AllowUsers root ann@192.168.0.0/16", True, False),
    ("DenyUsers root", False, True),
    ("AllowGroups wheel", False, True),
    ("DenyGroups users", True, False),
    ("AuthorizedKeysFile /etc/keys/%u", False, True),
    ("AuthorizedKeysFile none", False, False),
    ("AuthorizedKeysFile /etc/none .ssh/authorized_keys", True, True),
    ("AuthorizedKeysFile %h/.ssh/authorized_keys", True, True)])
def test_who(server, text, root, ann):
    assert server.configure(text)[0] == 0
    assert (server.ssh("true").returncode, server.ann("true").returncode) == (0 if root else 255, 0 if ann else 255)
    # the one that was there first stays
    assert server.root("true").returncode == 0


def test_a_link_to_keys(server):
    """I-SSH-9 of root's list: it counts only if nobody but root and ann could have put there what it leads to."""
    server.root("mkdir -p /srv/open /srv/closed && chmod 777 /srv/open && chmod 755 /srv/closed && mv /etc/keys /srv/keys && mkdir /etc/keys", check=True)
    try:
        assert server.configure("AuthorizedKeysFile /etc/keys/%u\n")[0] == 0
        for make, status in [("ln -s /srv/keys/ann /etc/keys/ann", 0),
                             ("ln -sf /srv/closed/ann /etc/keys/ann && ln -s ../keys/ann /srv/closed/ann", 0),
                             ("ln -sf /srv/open/ann /etc/keys/ann && ln -s ../keys/ann /srv/open/ann", 255),
                             ("rm /srv/open/ann && cp /srv/keys/ann /srv/open/ann", 255),
                             ("rm /srv/open/ann", 255)]:
            server.root(make, check=True)
            assert server.ann("true").returncode == status, make
    finally:
        server.root("rm -r /etc/keys /srv/open /srv/closed; mv /srv/keys /etc/keys", check=True)


def test_none_is_no_file_however_it_is_written(server):
    server.root("cd /home/ann && cp -p .ssh/authorized_keys None && cp None other", check=True)
    for text, status in (("AuthorizedKeysFile None", 255), ("AuthorizedKeysFile other", 0)):
        assert server.configure(text)[0] == 0
        assert server.ann("true").returncode == status
    server.root("rm /home/ann/None /home/ann/other", check=True)


def test_what_a_session_gets(server):
    server.root("sed -i 's/^/environment=\"A=key\",environment=\"PATH=\\/x:\\/bin\" /' /home/ann/.ssh/authorized_keys", check=True)
    try:
        assert server.configure("PermitUserEnvironment yes\nAcceptEnv B_*\nPermitTTY no\nSubsystem there /bin/echo \"sub\" $A\n")[0] == 0
        sent = ["-o", "SetEnv B_C=sent D=sent"]
        assert server.ann("echo $A $B_C $D $PATH", options=sent).stdout == b"key sent /x:/bin\n"
        assert server.ann("there", options=["-s"]).stdout == b"sub key\n"
        assert b"subsystem request failed" in server.ann("missing", options=["-s"]).stderr
        assert b"PTY allocation request failed" in server.ann("true", options=["-tt"]).stderr
        assert server.root("true", data=b"").returncode == 0
        assert server.guest.ssh("test -t 0", options=["-S", server.control, "-tt"]).returncode == 0
        assert server.configure("ForceCommand echo \"<$SSH_ORIGINAL_COMMAND>\" # all\nSubsystem there /bin/x\n")[0] == 0
        assert server.ann("some thing").stdout == b"<some thing>\n"
        assert server.ann("there", options=["-s"]).stdout == b"</bin/x>\n"
    finally:
        server.root("sed -i 's/.* ssh-/ssh-/' /home/ann/.ssh/authorized_keys", check=True)


def test_forwarding(server):
    with serving(echo) as port:
        def ways():
            """To a client's target; our port for it."""
            return (server.ssh(options=["-W", f"10.0.2.2:{port}"], data=b"hello").stdout == b"hello",
                    server.ssh("true", options=["-o", "ExitOnForwardFailure=yes", "-R", "8099:localhost:1"]).returncode == 0)

        for text, expected in [("", (True, True)), ("AllowTcpForwarding no", (False, False)), ("AllowTcpForwarding local", (True, False)),
                               ("AllowTcpForwarding remote", (False, True)), (f"PermitOpen 10.0.2.2:{port}\nPermitListen 8098", (True, False)),
                               ("PermitOpen none\nPermitListen localhost:8099", (False, True)), ("PermitListen any", (True, True))]:
            assert server.configure(text)[0] == 0
            assert ways() == expected, text


@pytest.mark.parametrize("value, asked, reached", [("no", "*", False), ("yes", "localhost", True), ("clientspecified", "localhost", False),
                                                   ("clientspecified", "*", True)])
def test_gateway_ports(server, value, asked, reached):
    assert server.configure(f"GatewayPorts {value}")[0] == 0
    with serving(echo) as here:
        done = server.ssh("nc -w 2 127.0.0.1 8097 </dev/null; echo $?; nc -w 2 10.0.2.15 8097 </dev/null; echo $?",
                          options=["-R", f"{asked}:8097:127.0.0.1:{here}"])
        inside, outside = done.stdout.split()
        assert inside == b"0" and (outside == b"0") == reached, done


def test_algorithms(server):
    assert server.configure("Ciphers aes256-ctr,aes128-gcm@openssh.com\nMACs -hmac-sha2-256*\nKexAlgorithms -*kem*,sntrup*\n"
                            "HostKeyAlgorithms ssh-ed25519\n")[0] == 0
    done = server.ssh("true", options=["-o", "LogLevel=DEBUG1"])
    text = done.stderr.decode()
    assert "kex: algorithm: curve25519-sha256" in text and done.returncode == 0
    for option, good in [("Ciphers=aes256-ctr", True), ("Ciphers=aes128-ctr", False), ("Ciphers=chacha20-poly1305@openssh.com", False),
                         ("KexAlgorithms=sntrup761x25519-sha512@openssh.com", False)]:
        assert (server.ssh("true", options=["-o", option]).returncode == 0) == good, option
    refused = server.ssh("true", options=["-o", "Ciphers=aes256-ctr", "-o", "MACs=hmac-sha2-256", "-o", "LogLevel=INFO"])
    assert refused.returncode == 255 and b"no matching MAC" in refused.stderr


def test_limits_before_login(server):
    assert server.configure("LoginGraceTime 2\nMaxAuthTries 2\nMaxStartups 3\nLogLevel QUIET\n")[0] == 0
    seen = len(server.guest.console())
    begin = time.monotonic()
    with sshraw.Raw(server.guest.port) as r:
        r.hello()
        r.expect_close()
    assert time.monotonic() - begin < 15
    refused = sshraw.load_key(str(os.path.join(os.path.dirname(server.control), "other")))
    with sshraw.Raw(server.guest.port) as r:
        r.handshake()
        r.start_service()
        r.send(r.auth_request(refused))
        r.receive_type(51)
        r.send(r.auth_request(refused))
        with pytest.raises(sshraw.Closed) as closed:
            r.receive()
        assert closed.value.code == 14
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(sshraw.Raw(server.guest.port)) for _ in range(3)]
        waiting[0].hello()
        stack.enter_context(sshraw.Raw(server.guest.port)).hello()
        assert b"newcomers 3 of 3" in server.root("cat /proc/tern/ssh").stdout
    assert not re.search(r"ssh: \d+ ", server.guest.console()[seen:])


def test_who_has_just_come_is_not_displaced(server):
    """Those who have been there for two seconds and sent most cannot keep out who has sent nothing yet."""
    assert server.configure("MaxStartups 4\n")[0] == 0
    with contextlib.ExitStack() as stack:
        def comes():
            one = stack.enter_context(sshraw.Raw(server.guest.port))
            one.hello()
            return one

        senders = [comes() for _ in range(4)]
        for one in senders:
            one.send(bytes([sshraw.IGNORE]) + sshraw.string(bytes(8192)))
        # what is measured: they are young for so long
        guestlib.let_pass(2.5)
        first = comes()
        comes()
        first.exchange_kexinit()
        first.exchange_keys()
        first.new_keys()
        first.login(sshraw.load_key(f"{guestlib.TOP}/build/ssh/id_ed25519"))
        for one in senders[:2]:
            assert one.receive()[0] == sshraw.KEXINIT
            with pytest.raises(sshraw.Closed) as closed:
                one.receive()
            assert closed.value.code == 12


def test_displaced_newcomers_leave_at_once(server):
    """Also those who were refused and do not close: a quarter of the bound, and one, may be on their way out."""
    assert server.configure("MaxStartups 4\nLogLevel QUIET\n")[0] == 0
    before = server.guest.account()
    looks = []
    with contextlib.ExitStack() as stack:
        asks = stack.enter_context(server.guest.popen("while read x; do read line </proc/tern/ssh; echo $line; done",
                                                      options=["-S", server.control]))
        for _ in range(24):
            r = stack.enter_context(sshraw.Raw(server.guest.port))
            r.read_version()
            r.send_bytes(b"X\n")
            with pytest.raises(sshraw.Closed):
                r.read_some()
            asks.stdin.write(b"\n")
            asks.stdin.flush()
            looks.append(int(asks.stdout.readline().split()[1]))
    assert max(looks) <= 4 + 2, looks
    server.guest.wait_for_account(before)


def test_fewer_newcomers_count_at_once(server):
    assert server.configure("MaxStartups 10\n")[0] == 0
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(sshraw.Raw(server.guest.port)).hello()
        guestlib.until("all five", lambda: b"newcomers 5 of 10" in server.root("cat /proc/tern/ssh").stdout)
        assert server.configure("MaxStartups 2\n")[0] == 0
        guestlib.until("two to stay", lambda: b"newcomers 2 of 2" in server.root("cat /proc/tern/ssh").stdout)


def test_reload_looks_at_the_keys(server):
    server.root("mv /root/.ssh/authorized_keys /root/keys && echo nonsense >/root/.ssh/authorized_keys", check=True)
    said = server.configure("")[1]
    server.root("mv /root/keys /root/.ssh/authorized_keys", check=True)
    assert "/root/.ssh/authorized_keys line 1: " in said and "nobody can log in" in said


def test_log_of_logins(server):
    """I-SSH-23"""
    folder = os.path.dirname(server.control)
    own, other = (sshraw.load_key(f) for f in (OWN, os.path.join(folder, "other")))
    prints = [subprocess.run(["ssh-keygen", "-lf", f], check=True, text=True, stdout=subprocess.PIPE).stdout.split()[1]
              for f in (f"{OWN}.pub", os.path.join(folder, "other.pub"))]

    def logins():
        return server.root("cat /proc/tern/logins", check=True).stdout.decode()

    def refuse(user, *keys, **how):
        with sshraw.Raw(server.guest.port) as r:
            r.handshake()
            r.start_service()
            for key in keys or [other]:
                r.send(r.auth_request(key, user=user, **how))
                r.receive_type(51)

    def try_methods(user, *methods):
        with sshraw.Raw(server.guest.port) as r:
            r.handshake()
            r.start_service()
            for method in methods:
                words = (user, "ssh-connection", method)
                r.send(bytes([sshraw.AUTH_REQUEST]) + b"".join(map(sshraw.string, words)) + b"\0" + sshraw.string("secret"))
                r.receive_type(51)

    seen = len(server.guest.console())
    assert server.ann("true").returncode == 0
    refuse("ann")
    refuse("no\nbody")
    refuse("root", algorithm="ssh-unknown", signature_name="ssh-unknown")
    # the reason is that of the last
    refuse("ann", other, own, change=lambda signature: signature[:-1] + b"x")
    try_methods("silent", "none")
    try_methods("bob", "none", "password", "password")
    assert server.configure("DenyUsers ann\n")[0] == 0
    assert server.ann("true").returncode == 255
    assert server.ann("cat /proc/tern/logins").returncode != 0
    start = r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ "
    for expected in [rf"ann 10\.0\.2\.2:\d+ publickey {re.escape(prints[0])} ended \d+ s: disconnected by the client$",
                     rf"ann 10\.0\.2\.2:\d+ publickey {re.escape(prints[1])} refused \d+ s refused 1: no such key$",
                     r"no\?body \S+ publickey SHA256:\S+ refused \d+ s refused 1: no such user$",
                     rf"root \S+ publickey {re.escape(prints[1])} refused \d+ s refused 1: no such key$",
                     rf"ann \S+ publickey {re.escape(prints[0])} refused \d+ s refused 2: no good signature$",
                     r"bob \S+ publickey - refused \d+ s refused 1: no good signature$",
                     rf"ann \S+ publickey {re.escape(prints[0])} refused \d+ s refused 1: DenyUsers$",
                     r"root \S+ publickey SHA256:\S+ open \d+ s$"]:
        guestlib.until(expected, lambda e=expected: re.search(start + e, logins()))
    assert "silent" not in logins()
    said = server.guest.console()[seen:]
    assert re.search(r"session ended: ann after \d+ s: disconnected by the client", said)
    assert f"no login: ann publickey {prints[1]} refused 1 times, last: no such key" in said
    # sixty-four of each kind: refusals push out the oldest of theirs and no session
    for _ in range(66):
        refuse("nobody")
    guestlib.until("the oldest refusal gone", lambda: "DenyUsers" not in logins())
    text = logins()
    assert len(re.findall(start + r"\S+ \S+ publickey \S+ refused", text)) == 64
    assert re.search(start + r"ann \S+ publickey \S+ ended", text)


def test_log_of_questions(server):
    """I-SSH-23. Who asks for a key that is listed, with an algorithm that is not spoken, is refused, and that is counted."""
    line = f"ssh-rsa {server.keys['rsa']}"
    name = subprocess.run(["ssh-keygen", "-lf", "-"], input=line, check=True, text=True, stdout=subprocess.PIPE).stdout.split()[1]

    def ended():
        return re.findall(rf"ann \S+ publickey {re.escape(name)} (.*)", server.root("cat /proc/tern/logins", check=True).stdout.decode())

    server.root(f"echo {line} >>/home/ann/.ssh/authorized_keys", check=True)
    try:
        with sshraw.Raw(server.guest.port) as r:
            r.handshake()
            r.start_service()
            for algorithm, answer in [("rsa-sha2-512", sshraw.AUTH_PK_OK), ("ssh-rsa", sshraw.AUTH_FAILURE)]:
                r.send(bytes([sshraw.AUTH_REQUEST]) + b"".join(map(sshraw.string, ("ann", "ssh-connection", "publickey"))) + b"\0"
                       + sshraw.string(algorithm) + sshraw.string(base64.b64decode(server.keys["rsa"])))
                r.receive_type(answer)
        guestlib.until("the record", ended)
        assert re.fullmatch(r"refused \d+ s refused 1: key or algorithm not spoken", ended()[-1]), ended()
    finally:
        server.root("sed -i /^ssh-rsa/d /home/ann/.ssh/authorized_keys", check=True)


def test_limits_after_login(server, tmp_path):
    assert server.configure("MaxSessions 1\nRekeyLimit 64K\nClientAliveInterval 1\nClientAliveCountMax 2\nLogLevel DEBUG\n")[0] == 0
    seen = len(server.guest.console())
    control = str(tmp_path / "control")
    client = server.guest.master(control)
    try:
        with contextlib.closing(server.guest.popen("echo there; cat", options=["-S", control]).stdin):
            guestlib.until("a session", lambda: b"channels 1" in server.root("cat /proc/tern/ssh").stdout)
            # OpenSSH's client makes a connection of its own when the shared one refuses
            assert b"session request failed" in server.ssh("true", options=["-S", control, "-o", "ProxyCommand=false"]).stderr
        guestlib.until("its end", lambda: b"channels 0" in server.root("cat /proc/tern/ssh").stdout)
        server.ssh("head -c 300000 /dev/zero", options=["-S", control], check=True)
        rekeys = [int(n) for n in re.findall(rb"rekeys (\d+)", server.root("cat /proc/tern/ssh").stdout)]
        assert max(rekeys) >= 1
        client.send_signal(subprocess.signal.SIGSTOP)
        guestlib.until("the end of one that does not answer", lambda: "the client does not answer" in server.guest.console()[seen:])
    finally:
        client.kill()
        client.wait()
    # what else only DEBUG tells
    server.ssh("true")
    guestlib.until("its end is told", lambda: "disconnected by the client" in server.guest.console()[seen:])


def test_host_key(server):
    def key(kind="ed25519"):
        done = subprocess.run(["ssh-keyscan", "-p", str(server.guest.port), "-t", kind, "127.0.0.1"], capture_output=True, check=True)
        return done.stdout.split()[2].decode()

    def offered():
        with sshraw.Raw(server.guest.port) as r:
            r.hello()
            r.exchange_kexinit()
            lists = sshraw.Reader(r.their_kexinit[17:])
            lists.string()
            return lists.string().decode()

    with open(os.path.join(guestlib.TOP, "build/ssh/host_ed25519.pub"), encoding="ascii") as f:
        assert key() == f.read().split()[1]
    assert server.configure("HostKey /etc/ssh/other\n")[0] == 0
    assert (offered(), key()) == ("ssh-ed25519", server.keys["other"])
    # more than one, and one that is not offered
    both = "HostKey /etc/ssh/rsa\nHostKey /etc/ssh/other\n"
    for text, names in ((both, "ssh-ed25519,rsa-sha2-512,rsa-sha2-256"), ("HostKey /etc/ssh/rsa\n", "rsa-sha2-512,rsa-sha2-256"),
                        (both + "HostKeyAlgorithms -rsa-sha2-256\n", "ssh-ed25519,rsa-sha2-512")):
        assert server.configure(text)[0] == 0
        assert offered() == names
        assert key("rsa") == server.keys["rsa"]
    # one that is there and not to be trusted is no reason to make another
    assert server.configure("")[0] == 0
    was = key()
    server.root("chmod 666 /etc/ssh/ssh_host_ed25519_key", check=True)
    assert server.root("echo reload >/proc/tern/ssh").returncode == 1
    assert key() == was
    server.root("chmod 600 /etc/ssh/ssh_host_ed25519_key", check=True)
    assert server.root("echo reload >/proc/tern/ssh").returncode == 0


def test_an_error_at_boot(tmp_path):
    """Nobody is served until root, at the console, has mended it."""
    (tmp_path / "bad").write_text("AllowUsers root\nAllowUser ann\n")
    port = guestlib.free_port()
    with terminal.Terminal("scripts/run-qemu.sh", "--image", guestlib.image_path(), "--name", f"bad-config-{port}", "--port", str(port),
                           "--put", f"{tmp_path}/bad:/etc/ssh/sshd_config", cwd=guestlib.TOP) as t:
        t.expect("ssh: /etc/ssh/sshd_config line 2: AllowUser: unknown keyword", seconds=120)
        t.expect("ssh: not serving: mend what is wrong, then: echo reload >/proc/tern/ssh")
        config = f"{guestlib.TOP}/build/run/bad-config-{port}/config"
        refused = subprocess.run(["ssh", "-F", config, "tern", "true"], capture_output=True)
        assert refused.returncode == 255
        t.type("\n")
        t.expect(r"tern:\S+# ")
        t.type("sed -i s/AllowUser.ann// /etc/ssh/sshd_config; echo reload >/proc/tern/ssh\n")
        t.expect("ssh: the configuration is read again")
        done = subprocess.run(["ssh", "-F", config, "tern", "echo", "in"], capture_output=True, check=True)
        assert done.stdout == b"in\n"
    shutil.rmtree(os.path.dirname(config), ignore_errors=True)
