#!/bin/bash
# SPDX-License-Identifier: MIT
# The bench starts, its rows and groups agree, and the arithmetic of its table is right. It boots nothing.
cd "$(dirname "$0")/../.." || exit 1
out=$(tests/bench/run.py --selftest 2>&1) || {
	printf '%s\n' "$out"
	exit 1
}
