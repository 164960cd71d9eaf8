# SPDX-License-Identifier: MIT
"""What else runs on this host: processor time that is neither ours nor our children's."""
import os
import time

from guests import guestlib

TICK = os.sysconf("SC_CLK_TCK")


def stat_fields(pid):
    """The fields of /proc/PID/stat from the state on, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()
    except OSError:
        return None


def cpu_ticks(pid, reaped=False):
    """utime + stime of a process; with what its reaped children used, if asked for."""
    fields = stat_fields(pid)
    return sum(int(x) for x in fields[11:15 if reaped else 13]) if fields else 0


def busy_ticks():
    """All but idle and iowait, on all CPUs. Steal counts: it is time that somebody else had."""
    with open("/proc/stat", encoding="ascii") as f:
        fields = [int(x) for x in f.readline().split()[1:9]]
    return sum(fields) - fields[3] - fields[4]


def our_ticks():
    """This process, and every descendant of it."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_fields(name)
            if fields:
                parents.setdefault(int(fields[1]), []).append(int(name))
    total, todo = 0, [os.getpid()]
    while todo:
        pid = todo.pop()
        total += cpu_ticks(pid, reaped=True)
        todo += parents.get(pid, [])
    return total


class Foreign:
    """with Foreign() as f: ...   then f.percent is the foreign CPU use meanwhile, in percent of one core."""

    def __enter__(self):
        self.begin = (time.monotonic(), busy_ticks(), our_ticks())
        self.percent = 0.0
        return self

    def __exit__(self, *_):
        wall = time.monotonic() - self.begin[0]
        ticks = (busy_ticks() - self.begin[1]) - (our_ticks() - self.begin[2])
        self.percent = max(0.0, 100.0 * ticks / TICK / max(wall, 0.001))


def sample(seconds=2.0):
    with Foreign() as f:
        # the time that is measured
        guestlib.let_pass(seconds)
    return f.percent


def wait_for_quiet(limit_percent, seconds, tell):
    """Wait until others use less than limit_percent of a core, at most seconds. Returns the last sample."""
    deadline = time.monotonic() + seconds
    while True:
        percent = sample()
        if percent <= limit_percent or time.monotonic() >= deadline:
            return percent
        tell(f"waiting for a quiet host: others use {percent:.0f} % of a core")
