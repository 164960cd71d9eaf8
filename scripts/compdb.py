#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""compdb.py FOLDER COMMAND FILE... -- a compile_commands.json on the standard output."""
import json
import sys

if sys.argv[1:2] == ["--help"]:
    sys.exit(print(__doc__))

folder, command, files = sys.argv[1], sys.argv[2], sys.argv[3:]
json.dump([{"directory": folder, "file": f, "command": f"{command} -c {f}"} for f in files], sys.stdout, indent=1)
print()
