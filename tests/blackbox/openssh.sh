#!/bin/sh
# SPDX-License-Identifier: MIT
# openssh.sh DIR -- unpack a newer OpenSSH client than bookworm's into DIR: that of its backports, by the host's own apt.
# Exit status 77: there is none to be had, and why; what was unpacked once is used ever after.
set -eu
export LC_ALL=C
top=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
mkdir -p "$1"
dest=$(CDPATH='' cd -- "$1" && pwd) apt_dir=
say() { echo "openssh: $*" >&2; }
die() { say "$*"; exit 77; }
. "$top/scripts/apt.sh"
trap '[ -z "$apt_dir" ] || rm -rf "$apt_dir"' EXIT
trap 'exit 130' INT TERM HUP
exec 9>"$dest/lock"
flock 9
[ ! -x "$dest/client/usr/bin/ssh" ] || exit 0
apt_open "$(dpkg --print-architecture)"
apt_suite binary bookworm-backports
apt_update
(cd "$apt_dir" && apt-get -c "$apt_dir/apt.conf" -qq download openssh-client 2>&1 | hide_hosts) >&2
dpkg-deb -x "$apt_dir"/openssh-client_*.deb "$apt_dir/client" || die "no OpenSSH client came: is there a network?"
mv "$apt_dir/client" "$dest/client"
