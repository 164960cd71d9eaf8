#!/bin/sh
# SPDX-License-Identifier: MIT
# openssh.sh DIR -- unpack a newer OpenSSH client than bookworm's into DIR: that of its backports, by the host's own apt.
set -eu
export LC_ALL=C
top=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
mkdir -p "$1"
dest=$(CDPATH='' cd -- "$1" && pwd) apt_dir=
say() { echo "openssh: $*" >&2; }
die() { say "$*"; exit 1; }
. "$top/scripts/apt.sh"
[ ! -x "$dest/usr/bin/ssh" ] || exit 0
trap '[ -z "$apt_dir" ] || rm -rf "$apt_dir"' EXIT
apt_open
sed -i "s/arm64/$(dpkg --print-architecture)/" "$apt_dir/apt.conf"
apt_suite binary bookworm-backports
apt_update
(cd "$dest" && apt-get -c "$apt_dir/apt.conf" -qq download openssh-client 2>&1 | hide_hosts) >&2
dpkg-deb -x "$dest"/openssh-client_*.deb "$dest" || die "no OpenSSH client came: is there a network?"
