#!/bin/sh
# SPDX-License-Identifier: MIT
# openssh.sh DIR -- build DIR/ssh, the client of the OpenSSH that deps.lock pins: it prefers ML-KEM, as bookworm's does not.
# By the compiler of the host tests, with no library but libc. Once the inputs are fetched there is no need of a network;
# what is built stays until another version is pinned.
set -eu
export LC_ALL=C
top=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
deps=$(realpath -m -- "${TERN_DEPS:-$top/deps}")
mkdir -p "$1" && cd "$1"
exec 9>lock
flock 9
TERN_DEPS=$deps "$top/scripts/fetch.sh"
built() { sha256sum "$top/tests/blackbox/openssh.sh" | cut -d' ' -f1; pinned SHA256; }
pinned() { sed -n "/^Package: openssh\$/,/^\$/s/^$1: //p" "$top/deps.lock"; }
[ ! -x ssh ] || [ "$(cat stamp 2>/dev/null)" != "$(built)" ] || exit 0
rm -rf src ssh
mkdir src
tar -xf "$deps/dl/$(pinned File)" -C src --strip-components=1 --no-same-owner
cd src
if ! { ./configure CC=clang --without-openssl --without-zlib --disable-pkcs11 --disable-security-key &&
	env -u MAKEFLAGS -u MAKEOVERRIDES make -j2 ssh; } >../log 2>&1; then
	tail -n 20 ../log >&2
	echo "openssh: does not build: see $1/log" >&2
	exit 1
fi
mv ssh ..
cd ..
rm -r src
built >stamp
