#!/bin/bash
# SPDX-License-Identifier: MIT
# explore.sh -- one test under many schedules. scripts/explore.py does it.
exec /usr/bin/python3 "$(dirname "${BASH_SOURCE[0]}")/explore.py" "$@"
