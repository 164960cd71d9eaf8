#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A client who is not logged in reaches no more lines of ours than the bound in scripts/reach.py, and nothing of the files that serve
who is (I-SSH-18)."""
import os
import sys

from lintlib import TOP, findings, finish

sys.path.insert(0, os.path.join(TOP, "scripts"))
import reach  # noqa: E402  (the path above leads to it)

reached, by_file = reach.reached_things()
findings += reach.findings(reached, by_file)
finish(" ".join(reach.summary(by_file).split()))
