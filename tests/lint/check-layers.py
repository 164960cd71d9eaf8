#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Does every include go downward? docs/layers.txt holds the floors, lowest first, each with those it
may use, and the doors: who alone may include an outside package. Also: private headers stay in their
folder, includes are rooted, and no two headers include each other in a ring."""
import re

from lintlib import KERNEL, bad, code_of, files, finish

floors, doors = {}, {}
for number, line in enumerate(open("docs/layers.txt", encoding="utf-8"), 1):
    words = line.split("#")[0].replace(":", " ").split()
    if not words:
        continue
    if words[0] == "door":
        doors[words[1]] = words[2:]
        continue
    for lower in words[1:]:
        if lower not in floors:
            bad("docs/layers.txt", number, f"{words[0]} stands on {lower}, which is not below it")
    floors[words[0]] = set(words[1:]) | {words[0]}


def floor_of(path):
    """The longest floor that leads to this path, or None."""
    above = [f for f in floors if path == f or path.startswith(f + "/")]
    return max(above, key=len, default=None)


graph = {}
for name in files(".c", ".h", ".S", under=KERNEL):
    mine = floor_of(name)
    if mine is None:
        bad(name, 1, "stands on no floor of docs/layers.txt")
        continue
    graph[name] = []
    for number, line in enumerate(code_of(name).splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*(["<])([^">]+)', line)
        if not found:
            continue
        quote, target = found.groups()
        if quote == "<":
            for prefix, allowed in doors.items():
                if ("<" + target).startswith(prefix) and mine not in allowed:
                    # A longer door may let in what a shorter one keeps out.
                    if not any(("<" + target).startswith(p) and len(p) > len(prefix) and mine in a
                               for p, a in doors.items()):
                        bad(name, number, f"<{target}>: {mine} is no door to {prefix}")
            continue
        theirs = floor_of(target)
        graph[name].append(target)
        if theirs is None:
            if not target.startswith("build/"):
                bad(name, number, f'"{target}" does not start with a floor')
        elif theirs not in floors[mine]:
            bad(name, number, f"{mine} may not use {theirs}")
        elif target.endswith("_priv.h") and target.rpartition("/")[0] != name.rpartition("/")[0]:
            bad(name, number, f"{target} is private to its folder")

done = set()


def look_for_ring(name, path):
    if name in path:
        bad(name, 1, "includes itself: " + " -> ".join(path[path.index(name):] + [name]))
    elif name not in done:
        for target in graph.get(name, []):
            look_for_ring(target, path + [name])
        done.add(name)


for name in list(graph):
    look_for_ring(name, [])
finish(f"{len(graph)} files, {len(floors)} floors")
