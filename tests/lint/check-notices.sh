#!/bin/bash
# SPDX-License-Identifier: MIT
# NOTICES names each third-party package that is linked into an image, with its licence.
cd "$(dirname "$0")/../.." || exit 1
exec python3 scripts/notices.py --check
