#!/bin/bash
# SPDX-License-Identifier: MIT
# ours.sh [PATTERN...] -- our files, committed or about to be; all but what is fetched or built where there is no git.
cd "$(dirname "$0")/../.." || exit 1
if ! git ls-files -co --exclude-standard -- "$@" 2>/dev/null; then
	find . \( -path ./build -o -path ./deps -o -name __pycache__ -o -name .git \) -prune -o \( -type f -o -type l \) -print |
		sed 's#^\./##' | while IFS= read -r name; do
		[ $# -gt 0 ] || printf '%s\n' "$name"
		for pattern in "$@"; do
			# shellcheck disable=SC2254  # a pattern is what is wanted
			case $name in
			$pattern) printf '%s\n' "$name" && break ;;
			esac
		done
	done
fi | sort -u
