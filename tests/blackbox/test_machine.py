# SPDX-License-Identifier: MIT
"""Machines: CPU models and counts, memory sizes, interrupt controllers, transports, no network, no boot."""
import re
import shlex
import struct
import subprocess
import threading
import time

import pytest

import guest as guestlib


def hello(guest):
    assert guest.ssh("hello", "3", "0", check=True).stdout == b"hello (1/3)\nhello (2/3)\nhello (3/3)\n"


@pytest.mark.parametrize("model", ["cortex-a53", "cortex-a57", "cortex-a72", "neoverse-n1", "max"])
def test_cpu_model(model):
    with guestlib.Guest(f"cpu-{model}", smp=2, options=["--cpu", model]) as g:
        hello(g)


@pytest.mark.parametrize("smp", [9, pytest.param(64, marks=pytest.mark.long)])
def test_more_cpus_than_a_gicv2_has(smp):
    with guestlib.Guest(f"smp-{smp}", smp=smp, mem="512M") as g:
        hello(g)
        text = g.console()
        assert f"{smp} of {smp} cpus up" in text, text[-2000:]


@pytest.mark.own_image("how little and how much memory those two can do with")
@pytest.mark.parametrize("image, mem", [("release", "8M"), ("debug", "64M"), ("debug", "1G"),
                                        pytest.param("debug", "8G", marks=pytest.mark.long)])
def test_memory_size(image, mem):
    with guestlib.Guest(f"mem-{mem}", smp=1, mem=mem, image=image) as g:
        hello(g)


@pytest.mark.own_image("the release image")
def test_release_image_serves():
    with guestlib.Guest("release", smp=4, image="release") as g:
        hello(g)


@pytest.mark.parametrize("words", ["asid_bits=2", "perturb=12345"])
def test_command_line_word(words):
    with guestlib.Guest("words-" + words.split("=")[0], smp=4, append=words) as g:
        for _ in range(5):
            hello(g)
        hello_lines = g.ssh("hello", "500", "0", check=True).stdout.splitlines()
        assert len(hello_lines) == 500
        g.ssh("/tests/fork_memory", check=True)


@pytest.mark.parametrize("options", [(), ("--random",)])
def test_addresses_are_random_or_not(options):
    """Heap, mappings and stack of a program that starts sixteen times: one place each, or nearly sixteen."""
    with guestlib.Guest("layout", smp=2, options=options) as g:
        lines = g.ssh("/tests/layout", "16", check=True).stdout
        assert ("norandom" in g.console()) == (not options)
    for part, places in enumerate(zip(*(line.split() for line in lines.splitlines()))):
        assert len(places) == 16
        # the text of a program that is not position-independent stays
        assert len(set(places)) >= (12 if options and part else 1)
        assert options or len(set(places)) == 1


@pytest.mark.parametrize("smp", [1, 4, 8])
def test_time_does_not_run_faster_with_more_cpus(boot, smp):
    """X-16: three seconds asleep in the guest are three seconds here, or more on a loaded host, never fewer."""
    guest = boot(smp=smp)
    begin = time.monotonic()
    guest.ssh("hello", "2", "3000", check=True)
    assert time.monotonic() - begin >= 2.97


def qemu_words(smp=1, image=None, mem="128M", drop=(), add=(), options=()):
    """The command of run-qemu.sh, changed; its port is nobody's guest's."""
    line = subprocess.run([f"{guestlib.TOP}/scripts/run-qemu.sh", "--print", "--image", guestlib.IMAGES[image or guestlib.run_image], "--smp",
                           str(smp), "--mem", mem, "--port", str(guestlib.free_port()), *options], stdout=subprocess.PIPE, text=True, check=True).stdout
    words, kept = shlex.split(line), []
    skip = False
    for word, following in zip(words, words[1:] + [""]):
        if skip:
            skip = False
        elif word in ("-initrd", "-serial") or (word, following) in drop or word in drop:
            skip = True
        else:
            kept.append(word)
    return kept + ["-serial", "stdio", "-monitor", "none"] + list(add)


def boot_and_read(words, until=None):
    """Run QEMU until it ends, or until its console shows the pattern; (status or None, console). What takes longer than the
    slowest machine hangs, and is killed."""
    p = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         errors="replace")
    timer = threading.Timer(240 * guestlib.patience, p.kill)
    timer.start()
    text = ""
    try:
        for line in p.stdout:
            text += line
            if until and re.search(until, text):
                p.kill()
                p.wait()
                return None, text
        return p.wait(), text
    finally:
        timer.cancel()
        if p.poll() is None:
            p.kill()
            p.wait()


@pytest.mark.parametrize("shift", [0, 6, pytest.param(10, marks=pytest.mark.own_image(
    "a slice of 3 ms has 750 instructions of each CPU then, fewer than an interrupt takes with the race detector", "asan"))])
def test_boots_at_any_speed(shift):
    """USER-003: from a thousand million instructions in a second of the guest's to one million: whoever waits for
    another waits until it is there, and the clock that runs away from a slow machine ends no wait too early."""
    words = ["tcg,thread=single" if w.startswith("tcg") else w for w in qemu_words(smp=4)]
    words += ["-icount", f"shift={shift},sleep=off", "-append", "run='hello 2 0; exit 9'"]
    status, text = boot_and_read(words)
    assert status == 9 and "hello (2/2)" in text and "4 of 4 cpus up" in text, text[-2000:]
    assert not guestlib.forbidden_lines(text)


BOOT_S = 0.05


@pytest.mark.own_image("instructions of the release image's boot")
def test_boot_waits_for_nothing():
    """Where the clock counts instructions, and jumps over each wait: what is polled, or waited for in vain, is in it."""
    words = ["tcg,thread=single" if w.startswith("tcg") else w for w in qemu_words(image="release", drop=("-netdev", "-device"))]
    _, text = boot_and_read(words + ["-nic", "none", "-icount", "shift=0,sleep=off"], until=r"ssh: host key")
    took = re.search(r"\[ *(\d+\.\d+)\] ssh: host key", text)
    assert took and float(took.group(1)) < BOOT_S, text[-2000:]


def test_a_network_card_unasked():
    """N13: also where nobody asks for a port, as qemu_words() does."""
    line = subprocess.run([f"{guestlib.TOP}/scripts/run-qemu.sh", "--print"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "virtio-net-device,netdev=net0" in shlex.split(line)


def test_no_network_device_is_said():
    words = qemu_words(drop=("-netdev", "-device"), add=["-nic", "none"])
    _, text = boot_and_read(words, until=r"no NIC found")
    assert re.search(r"no NIC found", text), text[-2000:]
    assert not guestlib.forbidden_lines(text)


def test_unknown_network_card_is_named():
    words = qemu_words(drop=("-netdev", "-device"), add=["-netdev", "user,id=n", "-device", "e1000,netdev=n,romfile="])
    _, text = boot_and_read(words, until=r"virtio-net")
    assert re.search(r"virtio-net", text), text[-2000:]


def test_legacy_transport_boots():
    words = [w.replace("force-legacy=false", "force-legacy=true") for w in qemu_words(smp=2)]
    _, text = boot_and_read(words, until=r"ssh: host key")
    assert "ssh: host key" in text, text[-2000:]
    assert not guestlib.forbidden_lines(text)


def test_el2_entry_boots():
    words = [w.replace("gic-version=2", "gic-version=2,virtualization=on") for w in qemu_words(smp=2)]
    _, text = boot_and_read(words, until=r"ssh: host key")
    assert "ssh: host key" in text, text[-2000:]


def test_gicv3_boots():
    words = [w.replace("gic-version=2", "gic-version=3") for w in qemu_words(smp=4)]
    _, text = boot_and_read(words, until=r"ssh: host key")
    assert "ssh: host key" in text, text[-2000:]


def packed(blob):
    """A device tree without the room that QEMU leaves behind it: it is doubled at each load."""
    strings, = struct.unpack_from(">I", blob, 12)
    size, = struct.unpack_from(">I", blob, 32)
    return blob[:4] + struct.pack(">I", strings + size) + blob[8:strings + size]


def dumped_tree(tmp_path):
    blob = tmp_path / "virt.dtb"
    subprocess.run([guestlib.QEMU, "-M", f"virt,dumpdtb={blob}", "-cpu", "cortex-a76", "-m", "512M", "-display", "none", "-nic", "none"],
                   check=True, stderr=subprocess.DEVNULL)
    return blob, packed(blob.read_bytes())


def with_junk(tree, size):
    """The tree with a property of that size in its root node."""
    head = list(struct.unpack_from(">10I", tree))
    struct_at, strings_at, struct_size, strings_size = head[2], head[3], head[9], head[8]
    nodes, names = tree[struct_at:struct_at + struct_size], tree[strings_at:strings_at + strings_size]
    # behind the root's FDT_BEGIN_NODE and its empty name
    nodes = nodes[:8] + struct.pack(">3I", 3, size, len(names)) + bytes(size) + nodes[8:]
    names += b"junk\0"
    head[1], head[3] = struct_at + len(nodes) + len(names), struct_at + len(nodes)
    head[8], head[9] = len(names), len(nodes)
    return struct.pack(">10I", *head) + tree[40:struct_at] + nodes + names


def test_large_tree_boots(tmp_path):
    """Three megabytes of tree: more than the boot protocol allows, and no reason to stop."""
    blob, tree = dumped_tree(tmp_path)
    blob.write_bytes(with_junk(tree, 3 << 20))
    _, text = boot_and_read(qemu_words(mem="512M", add=["-dtb", str(blob)]), until=r"ssh: host key")
    assert "ssh: host key" in text, text[-2000:]
    assert not guestlib.forbidden_lines(text)


def test_too_large_tree_is_said(tmp_path):
    """What the kernel cannot show itself, it cannot read: nothing is known of the machine, and yet that is said."""
    blob, tree = dumped_tree(tmp_path)
    blob.write_bytes(with_junk(tree, 40 << 20))
    status, text = boot_and_read(qemu_words(mem="512M", add=["-dtb", str(blob)]))
    assert status not in (0, None, -9), text[-2000:]
    assert re.search(r"PANIC: machine: a device tree larger than its window", text), text[-2000:]


@pytest.mark.parametrize("what, old, new, words", [
    ("no interrupt controller", b"arm,cortex-a15-gic", b"xxx,cortex-a15-gic", r"interrupt controller"),
    ("no timer", b"arm,armv8-timer", b"xxx,armv8-timer", r"timer"),
    ("no cpu", b"cpu@0", b"xpu@0", r"cpu")], ids=lambda x: x if isinstance(x, str) and " " in x else "")
def test_undecodable_machine_stops_with_a_status(tmp_path, what, old, new, words):
    """A device tree that lacks something (QEMU itself puts the memory in): said on the console, failing status."""
    blob, data = dumped_tree(tmp_path)
    assert old in data
    data = data.replace(old, new)
    if what == "no cpu":
        data = data.replace(b"cpu\0", b"xpu\0")
    blob.write_bytes(data)
    status, text = boot_and_read(qemu_words(add=["-dtb", str(blob)]))
    assert status not in (0, None, -9), text[-2000:]
    assert re.search(r"PANIC: .*" + words, text), text[-2000:]


def test_long_command_line_word():
    """A word of the command line has no size of its own."""
    _, text = boot_and_read(qemu_words(add=["-append", "run='echo " + "x" * 900 + "; echo the end'"]), until=r"run ended")
    assert "the end" in text and "run ended with status 0" in text, text[-2000:]


def test_broken_crypto_does_not_serve():
    """I-SSH-10. One known answer falsified: the server says which, and closes its port."""
    _, text = boot_and_read(qemu_words(add=["-append", "ssh_spoil=aes128-gcm"]), until=r"ssh: not serving")
    assert "ssh: self test of aes128-gcm failed" in text, text[-2000:]
    assert "ssh: not serving" in text, text[-2000:]
