#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""For each kernel source in build/compile_commands.json print "FILE<TAB>FLAGS", the flags quoted for a
shell and fit for clang. clang-flags.py [FILE...] keeps only those."""
import json
import shlex
import sys

GCC_ONLY = ("-c", "-fno-pie", "-fno-conserve-stack")
for entry in json.load(open("build/compile_commands.json", encoding="utf-8")):
    name = entry["file"]
    if sys.argv[1:] and name not in sys.argv[1:]:
        continue
    words = entry.get("arguments") or shlex.split(entry["command"])
    words = [w for w in words[1:] if w not in GCC_ONLY and w != name]
    if "-o" in words:
        del words[words.index("-o"):words.index("-o") + 2]
    words += ["--target=aarch64-linux-gnu", "-Wno-unused-command-line-argument", "-Wno-unknown-warning-option"]
    print(name + "\t" + shlex.join(words))
