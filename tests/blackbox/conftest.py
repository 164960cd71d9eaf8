# SPDX-License-Identifier: MIT
"""Ring 5: fixtures, and the report in the form that every ring uses in place of pytest's own.

Guests boot once for each set of options and are used by all tests; a test that kills its guest fails, and
the next one gets a fresh guest. After each test the console is held against the forbid list."""
import os
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import guest as guestlib  # noqa: E402  (the path above leads to it)
import hosted  # noqa: E402
import terminal  # noqa: E402
import wire as wirelib  # noqa: E402

# For a single test: one that hangs fails, and the others have their turn. The long ones build and soak.
HANG_SECONDS, HANG_SECONDS_LONG = 900, 7200

counts = {"passed": 0, "failed": 0}
running = {}  # key: Guest
judged = {}   # key: how much of the console has been judged


def pytest_addoption(parser):
    parser.addoption("--smp", default=None, help="CPUs of the shared guest (default 4)")
    parser.addoption("--hosted", action="store_true", help="against ssh/ built for this host: no kernel")
    parser.addoption("--image", default="debug", choices=list(guestlib.IMAGES), help="image of the guests")


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    guestlib.Guest.captures = True
    guestlib.choose(config.getoption("--image"))
    # tests put this checkout's key into a guest before one has started
    subprocess.run(["bash", "-c", ". scripts/lib.sh; make_keys"], cwd=guestlib.TOP, check=True)
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter:
        config.pluginmanager.unregister(reporter)
    config.addinivalue_line("markers", "quick: part of scripts/test.sh quick")
    config.addinivalue_line("markers", "long: only in scripts/test.sh all")
    config.addinivalue_line("markers", "needs(path): of this host, without which it is left out")
    config.addinivalue_line("markers", "own_image(why, images): it is of the release or the debug image, so --image does not "
                            "change it; left out with all but the debug image and those")


def pytest_collection_modifyitems(config, items):
    """With another image than the debug one, those that do not run it are named, and left out; so are those that need what
    this host has not."""
    image = config.getoption("--image")
    out, said = [], {}
    for item in items:
        for node, mark in item.iter_markers_with_node():
            if mark.name == "own_image" and image not in ("debug", *mark.args[1:]):
                why = f"not with {image}", mark.args[0]
            elif mark.name == "needs" and not os.path.exists(mark.args[0]):
                why = "not here", f"there is no {mark.args[0]}"
            else:
                continue
            out.append(item)
            said[node.nodeid.split("tests/blackbox/")[-1].partition("[")[0]] = why
    for name, (where, why) in said.items():
        print(f"# {where}: {name}: {why}", flush=True)
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]


def pytest_runtest_logreport(report):
    if report.when != "call" and not report.failed and not report.skipped:
        return
    name = report.nodeid.split("tests/blackbox/")[-1]
    known = getattr(report, "wasxfail", None)
    if known is not None and report.skipped:
        counts["passed"] += 1
        print(f"ok {name} (known gap: {known})", flush=True)
    elif report.passed:
        counts["passed"] += 1
        print(f"ok {name} ({report.duration:.1f} s)", flush=True)
    else:
        counts["failed"] += 1
        text = str(report.longrepr)
        last = [line for line in text.splitlines() if line.startswith("E  ")]
        why = "skipped" if report.skipped else (last[0][1:].strip() if last else "see below")
        print(f"not ok {name}: {why}", flush=True)
        print("\n".join("    " + line for line in text.splitlines()[-60:]), flush=True)


def pytest_collectreport(report):
    if report.failed:
        counts["failed"] += 1
        print(f"not ok {report.nodeid}: cannot be loaded\n{report.longrepr}", flush=True)


def pytest_sessionfinish(session, exitstatus):
    for g in running.values():
        g.stop()
        if isinstance(g, wirelib.WiredGuest):
            g.wire.close()
    print(f"{counts['passed']} passed, {counts['failed']} failed", flush=True)


def shared_guest(smp, mem="256M", append="", options=(), image=None):
    image = image or guestlib.run_image
    key = (image, smp, mem, append, tuple(options))
    g = running.get(key)
    if g is None or not g.alive():
        # The number keeps the console of a guest that died: the next one is another folder.
        name = f"bb-{image}-{smp}-{len(judged)}"
        g = guestlib.Guest(name, smp=smp, mem=mem, image=image, append=append, options=options)
        g.start()
        running[key] = g
    judged.setdefault(g.name, 0)
    return g


def hangs(*_):
    pytest.fail("it hangs")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    signal.signal(signal.SIGALRM, hangs)
    signal.alarm(guestlib.patience * (HANG_SECONDS_LONG if item.get_closest_marker("long") else HANG_SECONDS))
    yield
    signal.alarm(0)


@pytest.fixture
def guest(request):
    """The guest that most tests share: 4 CPUs."""
    if request.config.getoption("--hosted"):
        if "hosted" not in running:
            running["hosted"] = hosted.HostedGuest().start()
        return running["hosted"]
    smp = request.config.getoption("--smp") or "4"
    return shared_guest(int(smp))


@pytest.fixture
def boot():
    """boot(smp=..., mem=..., append=...): a guest of other measures, shared with whoever asks the same."""
    return lambda smp=4, **measures: shared_guest(smp, **measures)


@pytest.fixture
def wired():
    """A guest whose network is a Wire of this process, wired.wire: faults and lies, and an account of every frame."""
    g = running.get("wired")
    if g is None or not g.alive():
        w = wirelib.Wire(guestlib.commit_number()).open()
        g = w.guest(f"wired-{len(judged)}", smp=4).start()
        running["wired"] = g
        judged.setdefault(g.name, 0)
    yield g
    if g.wire.error:
        del running["wired"]
        g.stop()
        g.wire.close()
    g.check_counters()


@pytest.fixture(params=["ssh", "console"])
def typed(request, wired):
    """Somebody at a shell of the wired guest, typed.guest: over SSH, and at the serial console."""
    place = (terminal.SerialConsole(wired) if request.param == "console" else
             terminal.Terminal(*wired.ssh_command(options=["-tt"])))
    with place as t:
        t.expect(r"tern:\S+# ")
        t.guest = wired
        yield t


@pytest.fixture(autouse=True)
def judge_guests():
    """After each test: every guest still runs, and printed nothing that is forbidden."""
    yield
    for g in list(running.values()):
        text = g.console()
        new, judged[g.name] = text[judged.get(g.name, 0):], len(text)
        if not g.alive():
            for key in [k for k, v in running.items() if v is g]:
                del running[key]
            pytest.fail(f"the guest {g.name} ended:\n{g.tail(60)}")
        bad = guestlib.forbidden_lines(new)
        if bad:
            pytest.fail("forbidden on the console:\n" + "\n".join(bad[:20]))
        bad = g.judge_network()
        if bad:
            pytest.fail("sent by the guest:\n" + "\n".join(bad[:20]))


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """A folder with client keys in the forms that other clients read, made from this checkout's key."""
    folder = tmp_path_factory.mktemp("keys")
    own = os.path.join(guestlib.TOP, "build/ssh/id_ed25519")
    subprocess.run(["dropbearconvert", "openssh", "dropbear", own, folder / "id.dropbear"], check=True,
                   stderr=subprocess.DEVNULL)
    subprocess.run(["puttygen", own, "-O", "private", "-o", folder / "id.ppk"], check=True)
    for kind, bits in (("ed25519", None), ("ecdsa", "256"), ("rsa", "2048")):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, *(["-b", bits] if bits else []), "-N", "", "-f",
                        folder / f"other_{kind}"], check=True)
    return folder
