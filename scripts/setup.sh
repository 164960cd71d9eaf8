#!/bin/sh
# SPDX-License-Identifier: MIT
# setup.sh -- install the Debian packages that building and booting tern needs, as far as they are missing.
set -eu

usage()
{
	cat <<-EOF
	usage: scripts/setup.sh [--no-install] [--tests] [--bench]
	  --no-install  only list what is missing; fail if anything is
	  --tests       what scripts/test.sh needs too
	  --bench       what building the Linux that tern is measured against needs too
	  --help        this text
	EOF
}

# The one list: package, the command it is there for, why. "-" in place of a command: ask dpkg.
needed()
{
	cat <<-EOF
	gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc compiles the kernel and the user programs
	binutils-aarch64-linux-gnu aarch64-linux-gnu-ld links them
	make make builds
	python3 python3 writes the symbol table and the cpio archive
	xz-utils xz unpacks the pinned sources
	qemu-system-arm qemu-system-aarch64 is the machine tern boots on
	openssh-client ssh logs in to tern and makes the keys
	EOF
	[ -z "$tests" ] || cat <<-EOF
	git git lists the sources that lint reads
	clang clang builds the hosted tests under its sanitizers and analyses the kernel
	libclang-rt-dev - holds the sanitizers' and the fuzzer's runtimes
	clang-format clang-format checks the form of the sources
	clang-tidy clang-tidy analyses the kernel
	llvm llvm-objdump reads addresses in reports of the sanitizers
	libc6-dev - is what hosted tests are built on
	relacy-dev - is a second opinion on the models of memory order
	libstdc++-12-dev - is what relacy is built on
	python3-pytest - runs the black-box tests
	python3-paramiko - is one of the SSH clients tested with
	dropbear-bin dbclient is another
	putty-tools plink is another
	python3-asyncssh - is another
	libssh-dev - is what another is built on
	golang-go go builds another
	golang-golang-x-crypto-dev - is what that one is built on
	nodejs node runs another
	npm npm fetches that one
	curl curl is another
	ssh-audit ssh-audit grades what the server offers
	sshfs sshfs mounts a folder of the guest
	tmux tmux is the terminal whose screen is read
	shellcheck shellcheck checks the scripts
	cppcheck cppcheck analyses the kernel
	gdb-multiarch gdb-multiarch is attached to a guest
	EOF
	[ -z "$bench" ] || cat <<-EOF
	gcc gcc compiles the tools that build Linux
	libc6-dev - is what they are built on
	flex flex makes the reader of its configuration
	bison bison makes the reader of its configuration
	bc bc computes one of its headers
	EOF
}

die()
{
	echo "setup: $*" >&2
	exit 1
}

install=yes tests='' bench=''
while [ $# -gt 0 ]; do
	case $1 in
	--no-install) install= ;;
	--tests) tests=yes ;;
	--bench) bench=yes ;;
	--help | -h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done

is_there()
{
	if [ "$2" != - ]; then
		command -v "$2" >/dev/null 2>&1
	else
		! command -v dpkg >/dev/null 2>&1 || dpkg -s "$1" >/dev/null 2>&1
	fi
}

missing=$(needed | while read -r package command why; do
	is_there "$package" "$command" || echo "$package ($why)"
done)
[ -n "$missing" ] || exit 0
packages=$(echo "$missing" | sed 's/ .*//' | tr '\n' ' ')

if ! command -v apt-get >/dev/null 2>&1; then
	die "no apt on this host: install by its own means what Debian calls ${packages% }"
fi
as_root='' prefix="installing"
[ -n "$install" ] || prefix="missing:"
if [ -n "$install" ] && [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null 2>&1 || die "not root and no sudo: as root, run apt-get install ${packages% }"
	as_root=sudo
fi
echo "$missing" | sed "s/^/setup: $prefix /" >&2
[ -n "$install" ] || exit 1

apt()
{
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >&2
}

echo "setup: apt downloads and installs them, which may take some minutes" >&2
# The lists of a fresh machine are empty, those of an old one stale: read them anew, but go on without.
apt update || echo "setup: the package lists could not be read anew: trying with the old ones" >&2
# shellcheck disable=SC2086 # a list of plain names
apt install -y --no-install-recommends $packages || die "apt failed: see above; then run this again"
