# SPDX-License-Identifier: MIT
"""The arithmetic of the table: percentiles, ratios, aims, and the table itself."""
import math
import statistics


def percentile(values, p):
    """The smallest value that at least p percent of all are not above."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * p / 100) - 1)]


class Row:
    """One measure. better is "less" or "more". The aim is a bound (at_most, at_least) on tern's median, or a ratio
    that tern's advantage over Linux must reach."""

    def __init__(self, key, title, unit, better, at_most=None, at_least=None, ratio=None):
        self.key, self.title, self.unit, self.better = key, title, unit, better
        self.at_most, self.at_least, self.ratio = at_most, at_least, ratio

    def aim(self):
        if self.at_most is not None:
            return f"<= {number(self.at_most)}"
        if self.at_least is not None:
            return f">= {number(self.at_least)}"
        return f"{self.ratio:g} x Linux" if self.ratio is not None else ""

    def advantage(self, tern, linux):
        """How many times better tern is, or None."""
        if tern is None or linux is None:
            return None
        over, under = (linux, tern) if self.better == "less" else (tern, linux)
        return over / under if under else None

    def verdict(self, tern, linux):
        if not self.aim():
            return ""
        if tern is None:
            return "no"
        if self.at_most is not None:
            return "yes" if tern <= self.at_most else "no"
        if self.at_least is not None:
            return "yes" if tern >= self.at_least else "no"
        advantage = self.advantage(tern, linux)
        return "not compared" if advantage is None else "yes" if advantage >= self.ratio else "no"


def number(x):
    """Three figures, or all before the point."""
    if x == 0 or abs(x) >= 1000:
        return f"{x:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(x))))
    text = f"{x:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class Samples:
    """What was measured of one row on one kernel."""

    def __init__(self):
        self.values, self.foreign, self.reasons = [], [], []

    def add(self, value, foreign):
        if isinstance(value, list):
            for one in value:
                self.add(one, foreign)
        elif isinstance(value, Exception):
            self.reasons.append(str(value))
        else:
            self.values.append(value)
            self.foreign.append(foreign)

    def median(self):
        return statistics.median(self.values) if self.values else None

    def cell(self):
        """The median (minimum..maximum); reasons of what failed."""
        parts = []
        if self.values:
            parts.append(number(self.median()))
            if len(self.values) > 1:
                parts.append(f"({number(min(self.values))}..{number(max(self.values))})")
        if self.reasons:
            failed = f"failed {len(self.reasons)} times, " if self.values else ""
            parts.append(f"[{failed}{clean(self.reasons[0])}]")
        return " ".join(parts)


def clean(text):
    return " ".join(text.replace("|", "/").split())


def table(rows, tern, linux):
    """Lines of markdown. tern and linux map keys of rows to Samples; a row nobody measured is left out."""
    lines = ["| measure | tern: median (min..max) | Linux: median (min..max) | tern better by | aim | met | others' CPU % |",
             "|---|---|---|---|---|---|---|"]
    for row in rows:
        t, other = tern.get(row.key, Samples()), linux.get(row.key, Samples())
        if not (t.cell() or other.cell()):
            continue
        advantage = row.advantage(t.median(), other.median())
        foreign = " / ".join(f"{statistics.median(s.foreign):.0f}" if s.foreign else "-" for s in (t, other))
        lines.append("| " + " | ".join([
            row.title + (f", {row.unit}" if row.unit else ""), t.cell() or "-", other.cell() or "-",
            f"{advantage:.2f} x" if advantage is not None else "-", row.aim() or "-",
            row.verdict(t.median(), other.median()) or "-", foreign]) + " |")
    return lines


def selftest():
    """Raises AssertionError when the arithmetic is wrong."""
    values = list(range(1, 101))
    assert (percentile(values, 50), percentile(values, 99), percentile([7], 99)) == (50, 99, 7)
    assert [number(x) for x in (0, 0.1004, 0.35, 12.345, 136, 1234567.8)] == [
        "0", "0.1", "0.35", "12.3", "136", "1,234,568"]
    less, more = Row("a", "A", "s", "less", at_most=0.1), Row("b", "B", "MB/s", "more", ratio=1.4)
    assert (less.advantage(0.1, 0.35), more.advantage(42, 30)) == (0.35 / 0.1, 1.4)
    assert (less.verdict(0.1, None), less.verdict(0.11, 9), less.verdict(None, 1)) == ("yes", "no", "no")
    assert (more.verdict(42, 30), more.verdict(41, 30), more.verdict(41, None)) == ("yes", "no", "not compared")
    samples, broken = Samples(), Samples()
    samples.add([3, 1], 5.0)
    samples.add(2, 40.0)
    broken.add(RuntimeError("a | b\nc"), 0.0)
    assert samples.cell() == "2 (1..3)" and broken.cell() == "[a / b c]" and broken.median() is None
    text = table([less, more], {"a": samples}, {"a": broken})
    assert len(text) == 3 and text[2].split("|")[1:] == [
        " A, s ", " 2 (1..3) ", " [a / b c] ", " - ", " <= 0.1 ", " no ", " 5 / - ", ""], text
