#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""usage: scripts/trace.py [OPTION...] [TRACE]
Shows what /proc/tern/trace recorded. In the guest, as root:
    echo all >/proc/tern/trace; ...; echo off >/proc/tern/trace; cat /proc/tern/trace
TRACE (default: standard input) is what was read there.

  --text          a line for each event, with names for its numbers (what is done unless another form is asked for)
  --json FILE     a timeline in the trace event format, which ui.perfetto.dev and chrome://tracing open: a track for each
                  CPU, with who runs and the interrupts, and one for each thread, with its system calls and waits for
                  locks, and an arrow from each wake-up to when the woken thread runs
  --svg FILE      a picture: a row for each thread, its time on a CPU, its system calls, and an arrow for each wake-up
  --from S        only from there on, in seconds of the trace
  --to S          only up to there
  --threads LIST  only these, by name or id, commas between
  --help          this text

Exit status: 0; 1 it is no trace, or nothing is left of it: the line that is wrong is named; 2 a wrong option."""
import json
import os
import re
import subprocess
import sys
from collections import namedtuple
from xml.sax.saxutils import escape

from syscalls import numbers

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests"))
from options import Options  # noqa: E402  (the path above leads to it)

ARGS = {"switch": 3, "wake": 3, "lock-wait": 2, "lock-got": 2, "irq-in": 1, "irq-out": 1, "call-in": 2, "call-out": 2,
        "rx": 2, "tx": 2, "ssh-in": 2, "ssh-out": 2, "test": 2}
LINE = re.compile(r"(\d+)\.(\d{9}) (\d+) (\d+)(!?) (\S+) ?(.*)$")
Event = namedtuple("Event", "ns cpu thread in_irq kind args")


class Bad(Exception):
    pass


class Trace:
    """Events in the order of time, and the names of what they number."""

    def __init__(self, lines):
        self.events, self.threads, self.irqs, self.lost = [], {}, {}, {}
        self.cpus = None
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\r\n")
            try:
                self.take(line)
            except (ValueError, IndexError):
                raise Bad(f"line {number}: not of a trace: {line[:60]!r}") from None
        if self.cpus is None:
            raise Bad("not a trace: its first line should be '# tern trace 1: N cpus'")
        self.threads.setdefault(0, "boot")

    def take(self, line):
        words = line.split(" ")
        if self.cpus is None:
            found = re.fullmatch(r"# tern trace (\d+): (\d+) cpus", line)
            if not found or found[1] != "1":
                raise Bad("not a trace: its first line should be '# tern trace 1: N cpus'")
            self.cpus = int(found[2])
        elif words[:2] == ["#", "irq"]:
            self.irqs[int(words[2])] = words[3]
        elif words[:2] == ["#", "thread"]:
            self.threads[int(words[2])] = " ".join(words[3:])
        elif words[:2] == ["#", "lost"]:
            self.lost[int(words[2])] = int(words[3])
        else:
            self.event(line)

    def event(self, line):
        found = LINE.match(line)
        if not found:
            raise ValueError
        args = found[7].split(" ", ARGS.get(found[6], 99) - 1)
        if len(args) != ARGS.get(found[6]) or not args[0]:
            raise ValueError
        for i in {"wake": (0, 1), "switch": (0,), "lock-wait": (), "lock-got": ()}.get(found[6], range(len(args))):
            int(args[i], 0)
        e = Event(int(found[1]) * 10**9 + int(found[2]), int(found[3]), int(found[4]), bool(found[5]), found[6], args)
        self.events.append(e)
        if e.kind == "switch":
            # who is gone by now has only the 8 bytes that a switch keeps
            self.threads.setdefault(int(args[0]), args[2])

    def name(self, thread):
        return f"{self.threads.get(thread, '?')}:{thread}"

    def choose(self, start, end, names):
        def wanted(thread):
            return str(thread) in names or self.threads.get(thread) in names

        def keeps(e):
            return not names or wanted(e.thread) or (e.kind in ("switch", "wake") and wanted(int(e.args[0])))

        self.events = [e for e in self.events if start <= e.ns <= end and keeps(e)]
        if not self.events:
            raise Bad("nothing is left: no event, or none of those times and threads")


def numbered(path, pattern):
    """{number: name} of what a header defines so."""
    try:
        with open(path, encoding="utf-8") as f:
            return {int(n, 0): name for name, n in re.findall(pattern, f.read(), re.M)}
    except OSError:
        return {}


def call_names():
    """As scripts/syscalls.py reads them from the packaged headers; without these the numbers must do."""
    try:
        return {number: name for name, number in numbers().items()}
    except (OSError, subprocess.CalledProcessError):
        return {}


SSH = numbered(os.path.join(TOP, "ssh/proto.h"), r"\bSSH_MSG_(\w+)\s*=?\s*(\d+)")
CALLS = call_names()


def call_name(number):
    return CALLS.get(number, f"call {number}")


def words(trace, e):
    """An event's own part, with names."""
    a = e.args
    if e.kind == "switch":
        return f"to {trace.name(int(a[0]))}, is {a[1]}"
    if e.kind == "wake":
        return f"{trace.name(int(a[0]))} on cpu {a[1]}, which waited on {a[2]}"
    if e.kind in ("lock-wait", "lock-got"):
        return f"{a[0]} in {a[1]}"
    if e.kind in ("irq-in", "irq-out"):
        return f"{a[0]} {trace.irqs.get(int(a[0]), '?')}"
    if e.kind == "call-in":
        return f"{call_name(int(a[0]))}({a[1]}, ...)"
    if e.kind == "call-out":
        return f"{call_name(int(a[0]))} = {a[1]}"
    if e.kind in ("rx", "tx"):
        return f"{a[0]} bytes"
    if e.kind in ("ssh-in", "ssh-out"):
        return f"{SSH.get(int(a[0]), a[0])}, {int(a[1], 0)} bytes"
    return " ".join(a)


def as_text(trace):
    lines = [f"{e.ns // 10**9}.{e.ns % 10**9:09d} cpu {e.cpu} {trace.name(e.thread)}{' (irq)' if e.in_irq else ''}: "
             f"{e.kind} {words(trace, e)}" for e in trace.events]
    return "\n".join(lines + [f"{n} events of cpu {cpu} were lost" for cpu, n in trace.lost.items() if n]) + "\n"


# --- spans: what has a beginning and an end --------------------------------------------------------------------------

Span = namedtuple("Span", "kind start end cpu thread text")


def spans(trace):
    """Who ran where, interrupts, calls and waits for locks. What began before the trace or ends after it is cut there; of
    events that were lost nothing is made up: an end without a beginning is left out."""
    last = trace.events[-1].ns
    running, opened, found = {}, {}, []
    for e in trace.events:
        if e.kind == "switch":
            start, thread = running.get(e.cpu, (trace.events[0].ns, e.thread))
            if thread == e.thread:
                found.append(Span("run", start, e.ns, e.cpu, thread, trace.name(thread)))
            running[e.cpu] = (e.ns, int(e.args[0]))
        elif e.kind.endswith("-in") and e.kind != "ssh-in" or e.kind == "lock-wait":
            opened[key_of(e)] = e
        elif e.kind in ("irq-out", "call-out", "lock-got"):
            begin = opened.pop(key_of(e), None)
            if begin:
                found.append(span_of(trace, begin, e.ns))
    for cpu, (start, thread) in running.items():
        found.append(Span("run", start, last, cpu, thread, trace.name(thread)))
    found += [span_of(trace, begin, last) for begin in opened.values()]
    return sorted(found, key=lambda s: (s.start, -s.end))


def key_of(e):
    kind = e.kind.split("-")[0]
    return (kind, e.cpu if kind == "irq" else e.thread, e.in_irq)


def span_of(trace, begin, end):
    kind = begin.kind.split("-")[0]
    text = {"irq": lambda: trace.irqs.get(int(begin.args[0]), begin.args[0]), "call": lambda: call_name(int(begin.args[0])),
            "lock": lambda: f"waits for {begin.args[0]}"}[kind]()
    return Span(kind, begin.ns, end, begin.cpu, begin.thread, text)


def arrows(trace):
    """(waker, when, on which CPU, wakee, when and where it runs then) of each wake-up that is followed by a switch to whom it woke."""
    woken, found = {}, []
    for e in trace.events:
        if e.kind == "wake":
            woken[int(e.args[0])] = e
        elif e.kind == "switch" and int(e.args[0]) in woken:
            w = woken.pop(int(e.args[0]))
            found.append((w.thread, w.ns, w.cpu, int(e.args[0]), e.ns, e.cpu))
    return found


# --- the timeline -----------------------------------------------------------------------------------------------------

CPUS, THREADS = 1, 2


def as_json(trace):
    out = []

    def add(ph, pid, tid, ns, **more):
        out.append({"ph": ph, "pid": pid, "tid": tid, "ts": ns / 1000, **more})

    for pid, name in ((CPUS, "CPUs"), (THREADS, "threads")):
        add("M", pid, 0, 0, name="process_name", args={"name": name})
    for cpu in range(trace.cpus):
        add("M", CPUS, cpu, 0, name="thread_name", args={"name": f"cpu {cpu}"})
    for thread in sorted({e.thread for e in trace.events} | {s.thread for s in spans(trace)}):
        add("M", THREADS, thread, 0, name="thread_name", args={"name": trace.name(thread)})
    for s in spans(trace):
        on_cpu = s.kind in ("run", "irq")
        add("X", CPUS if on_cpu else THREADS, s.cpu if on_cpu else s.thread, s.start, dur=(s.end - s.start) / 1000,
            name=s.text, cat=s.kind, args={"cpu": s.cpu, "thread": trace.name(s.thread)})
        if s.kind == "run":
            add("X", THREADS, s.thread, s.start, dur=(s.end - s.start) / 1000, name=f"on cpu {s.cpu}", cat="run", args={})
    for n, (_, start, cpu, _, end, to_cpu) in enumerate(arrows(trace)):
        add("s", CPUS, cpu, start, id=n, name="wake", cat="wake")
        add("f", CPUS, to_cpu, end, id=n, name="wake", cat="wake", bp="e")
    for e in trace.events:
        if e.kind in ("wake", "rx", "tx", "ssh-in", "ssh-out", "test"):
            add("i", THREADS, e.thread, e.ns, s="t", name=f"{e.kind} {words(trace, e)}", cat=e.kind)
    return json.dumps({"displayTimeUnit": "ns", "traceEvents": out}, indent=0) + "\n"


# --- the picture --------------------------------------------------------------------------------------------------------

WIDTH, ROW, LEFT, HEAD = 1200, 26, 150, 34
COLOURS = ("#4878a8", "#c0803a", "#5a9a5a", "#a05a8a", "#888844", "#47898c", "#a85050", "#6a6ab0")


def as_svg(trace):
    first, last = trace.events[0].ns, trace.events[-1].ns
    found = spans(trace)
    order = []
    for thread in [s.thread for s in found if s.kind in ("run", "call")]:
        if thread not in order and trace.threads.get(thread) != "idle":
            order.append(thread)
    row = {thread: n for n, thread in enumerate(order)}

    def x(ns):
        return LEFT + (ns - first) * (WIDTH - LEFT - 10) / max(last - first, 1)

    def y(thread):
        return HEAD + row[thread] * ROW

    height = HEAD + len(order) * ROW + 24
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">',
           '<defs><marker id="tip" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="5" markerHeight="5" orient="auto">'
           '<path d="M0,0 L6,3 L0,6 z" fill="#b02020"/></marker></defs>',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>']
    for cpu in range(trace.cpus):
        out.append(f'<rect x="{LEFT + cpu * 70}" y="6" width="10" height="10" fill="{COLOURS[cpu % len(COLOURS)]}"/>'
                   f'<text x="{LEFT + cpu * 70 + 14}" y="15">cpu {cpu}</text>')
    out.append(f'<text x="{WIDTH - 10}" y="15" text-anchor="end">{(last - first) / 1000:.1f} us; a light bar is a system call, '
               'a red arrow a wake-up</text>')
    for thread in order:
        out.append(f'<text x="{LEFT - 6}" y="{y(thread) + 15}" text-anchor="end">{escape(trace.name(thread))}</text>'
                   f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y(thread) + 20}" y2="{y(thread) + 20}" stroke="#dddddd"/>')
    for s in found:
        if s.thread not in row or s.kind not in ("run", "call"):
            continue
        width = max(x(s.end) - x(s.start), 0.5)
        top, tall, colour = (8, 12, COLOURS[s.cpu % len(COLOURS)]) if s.kind == "run" else (2, 5, "#b8c8d8")
        out.append(f'<rect x="{x(s.start):.2f}" y="{y(s.thread) + top}" width="{width:.2f}" height="{tall}" fill="{colour}">'
                   f'<title>{escape(s.text)}, {(s.end - s.start) / 1000:.2f} us</title></rect>')
    for waker, start, _, wakee, end, _ in arrows(trace):
        if waker in row and wakee in row and waker != wakee:
            out.append(f'<line x1="{x(start):.2f}" y1="{y(waker) + 14}" x2="{x(end):.2f}" y2="{y(wakee) + 14}" stroke="#b02020" '
                       'stroke-width="0.8" marker-end="url(#tip)"/>')
    return "\n".join(out + ["</svg>"]) + "\n"


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def main():
    parser = Options(__doc__)
    parser.add_argument("--text", action="store_true")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="FILE")
    parser.add_argument("--from", dest="start", type=float, default=0, metavar="S")
    parser.add_argument("--to", type=float, default=float("inf"), metavar="S")
    parser.add_argument("--threads", default="", metavar="NAME,...")
    parser.add_argument("trace", nargs="?")
    args = parser.parse_args()
    try:
        with open(args.trace, encoding="utf-8", errors="replace") if args.trace else sys.stdin as f:
            trace = Trace(f)
        trace.choose(args.start * 10**9, args.to * 10**9, [t for t in args.threads.split(",") if t])
        if args.json:
            write(args.json, as_json(trace))
        if args.svg:
            write(args.svg, as_svg(trace))
        if args.text or not (args.json or args.svg):
            sys.stdout.write(as_text(trace))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (Bad, OSError) as e:
        sys.exit(f"trace.py: {e}")


if __name__ == "__main__":
    main()
