# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Helpers of run-qemu.sh and test.sh. Sourced; needs bash 3.2 or newer and nothing else.
# Messages go to stderr: stdout belongs to the command that runs in the guest.

# Lengths of names are in bytes, and a locale that is not installed is nobody's trouble.
export LC_ALL=C
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck disable=SC2034
QEMU=${QEMU:-qemu-system-aarch64}
OLDEST_QEMU=7

say() {
	printf '%s\n' "$*" >&2
}

# One line that says what to do, and exit 125: never mistaken for the status of a guest's command.
die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 125
}

have() {
	command -v "$1" >/dev/null 2>&1
}

# is_number TEXT [DIGITS]: of at most 6 digits, or so many.
is_number() {
	case $1 in
	'' | *[!0-9]*) return 1 ;;
	esac
	[ ${#1} -le "${2:-6}" ]
}

# await SECONDS COMMAND...: for a state that nobody tells of, asks again until the command succeeds; fails when time is up.
await() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -le $end ] || return 1
		sleep 0.05
	done
}

has_ended() {
	! kill -0 "$1" 2>/dev/null
}

# host_accel: kvm or hvf where the host's CPU can be the guest's, else nothing.
host_accel() {
	case $(uname -s)/$(uname -m) in
	Linux/aarch64 | Linux/arm64) [ ! -w /dev/kvm ] || echo kvm ;;
	Darwin/arm64) echo hvf ;;
	esac
}

# need_tool COMMAND PACKAGE
need_tool() {
	have "$1" || die "$1 is missing: install the package $2 (or what your system calls it)"
}

# need_space FOLDER MEGABYTES
need_space() {
	local free
	free=$(df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }')
	[ -z "$free" ] || [ "$free" -ge "$2" ] ||
		die "only $free MB free in $1: make room for $2 MB and run this again"
}

check_qemu() {
	local version
	need_tool "$QEMU" qemu-system-arm
	version=$("$QEMU" --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p' | head -n 1)
	is_number "$version" || die "$QEMU --version says nothing we understand: is it QEMU?"
	[ "$version" -ge "$OLDEST_QEMU" ] ||
		die "$QEMU is version $version: tern needs $OLDEST_QEMU.0 or newer"
}

# Whether somebody listens on this port of 127.0.0.1.
port_busy() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# The first free port from $1 upwards.
free_port() {
	local port=$1
	while [ "$port" -gt 65535 ] || port_busy "$port"; do
		port=$((port < 65535 ? port + 1 : 1024))
	done
	echo "$port"
}

# A port for a guest that only we talk to: anywhere in the upper range, so that runs side by side differ.
random_port() {
	free_port $((20000 + (RANDOM * 32768 + RANDOM) % 30000))
}

# Install packages, fetch the sources and build, as far as needed. Who stops has said why in one line of its own.
# set_up yes|no [debug] [--tests]: whether to install; which image; for the tests too.
set_up() {
	local words=""
	need_space "$TOP" 400
	[ "$1" = yes ] || words=--no-install
	# shellcheck disable=SC2086  # words, or none
	"$TOP/scripts/setup.sh" $words ${3-} >&2 || exit 125
	cmp -s "$TOP/deps.lock" "$TOP/deps/.fetched" || "$TOP/scripts/fetch.sh" >&2 || exit 125
	build ${2:+DEBUG=1} | show_progress
	case ${PIPESTATUS[0]} in
	0) ;;
	125) exit 125 ;; # not begun, and it has said why
	*) die "the build stopped: see above; a second run continues where this one stopped" ;;
	esac
}

# One build at a time in one checkout, where the host can say so; the lock goes with make, and says who has it: it is taken,
# named and given back under a second one, so that who finds it taken finds the name.
build() {
	local lock=$TOP/build/.lock status=0 other=""
	mkdir -p "$TOP/build" || die "cannot write to $TOP/build"
	if have flock; then
		{ exec 8>>"$lock" 7>>"$lock.name"; } 2>/dev/null || die "cannot write to $TOP/build: it belongs to another user"
		flock 7
		while status=0; flock -n -E 75 8 || status=$?; [ $status -eq 75 ]; do
			[ -n "$other" ] || say "another build is at work in this checkout: waiting for $(cat "$lock")"
			other=yes
			flock -u 7
			flock 8
			flock -u 8
			flock 7
		done
		status=0
		echo "$(basename "$0"), process $$" >"$lock"
		flock -u 7
	fi
	make --no-print-directory -C "$TOP" "$@" || status=$?
	if have flock; then
		flock 7
		: >"$lock"
		flock -u 8
		flock -u 7
	fi
	return $status
}

# The build in one line for every hundred files: a minute of silence looks like a hang.
show_progress() {
	local done=0 kind file
	while read -r kind file; do
		case $kind in
		CC | USERCC)
			[ $done -ne 0 ] || say "building"
			done=$((done + 1))
			[ $((done % 100)) -ne 0 ] || say "building: $done files done"
			;;
		IMAGE) say "built $file" ;;
		esac
	done
}

# image_path [debug]
image_path() {
	if [ -n "${1-}" ]; then echo "$TOP/build/debug/Image"; else echo "$TOP/build/release/Image"; fi
}

# Keys of this checkout: made once, kept by make clean, so that no client sees a changed host key. Of several who make
# them at once, the first has made them. make_keys [host_rsa]: that one too.
make_keys() {
	local dir=$TOP/build/ssh key file part known
	need_tool ssh-keygen openssh-client
	mkdir -p "$dir" || die "cannot write to $dir"
	chmod 700 "$dir"
	for key in id_ed25519 host_ed25519 ${1-}; do
		file=$dir/$key part=$dir/.$key.$$
		[ -s "$file" ] && [ -s "$file.pub" ] && continue
		if [ ! -s "$file" ]; then
			rm -f "$part" "$part.pub"
			ssh-keygen -q -t "${key#*_}" -b 3072 -N '' -C "tern-${key%_*}" -f "$part" </dev/null >&2 ||
				die "ssh-keygen could not write to $dir: is the disk full?"
			[ ! -e "$file" ] || [ -s "$file" ] || rm -f "$file"
			ln "$part" "$file" 2>/dev/null || mv -n "$part" "$file"
		fi
		ssh-keygen -y -f "$file" >"$part.pub" && mv "$part.pub" "$file.pub" || die "cannot write to $dir"
		rm -f "$part"
	done
	# once more behind one's own writing: another, who made a key meanwhile, may have written before
	while
		known=$(cut -d ' ' -f 1,2 "$dir"/host_*.pub | sed 's/^/tern /') || die "cannot read $dir"
		[ "$known" != "$(cat "$dir/known_hosts" 2>/dev/null)" ]
	do
		printf '%s\n' "$known" >"$dir/known_hosts.$$" && mv "$dir/known_hosts.$$" "$dir/known_hosts" ||
			die "cannot write to $dir"
	done
}

# A path as a quoted ssh_config word.
config_word() {
	printf '"%s"' "${1//%/%%}"
}

# write_ssh_config FILE PORT: after it "ssh -F FILE tern" needs no other option and asks nothing.
write_ssh_config() {
	local dir=$TOP/build/ssh
	cat >"$1.$$" <<-END || die "cannot write $1"
		Host tern
		    HostName 127.0.0.1
		    Port $2
		    User root
		    IdentityFile $(config_word "$dir/id_ed25519")
		    IdentitiesOnly yes
		    IdentityAgent none
		    HostKeyAlias tern
		    UserKnownHostsFile $(config_word "$dir/known_hosts")
		    GlobalKnownHostsFile /dev/null
		    StrictHostKeyChecking yes
		    UpdateHostKeys no
		    PreferredAuthentications publickey
		    ControlPath none
		    LogLevel ERROR
	END
	mv "$1.$$" "$1"
}

# The newc form of cpio, written here so that a ready image needs only qemu and ssh.
cpio_inode=0

# cpio_entry MODE(octal, with type) PATH [FILE]: one entry on stdout.
cpio_entry() {
	local size=0 name=${2#/} length
	[ -z "${3-}" ] || size=$(wc -c <"$3") || return 1
	cpio_inode=$((cpio_inode + 1))
	length=$((${#name} + 1))
	printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\0' \
		$cpio_inode "$((8#$1))" 0 0 1 0 "$((size))" 0 0 0 0 $length 0 "$name"
	cpio_pad $((110 + length))
	if [ -n "${3-}" ]; then
		cat "$3" || return 1
		cpio_pad "$size"
	fi
}

cpio_pad() {
	local rest=$(((4 - $1 % 4) % 4))
	while [ $rest -gt 0 ]; do
		printf '\0'
		rest=$((rest - 1))
	done
}

cpio_end() {
	cpio_entry 0 'TRAILER!!!'
}

# cpio_parents PATH: entries for the folders above PATH; the guest takes one that is there already.
cpio_parents() {
	local path=${1#/} above=
	while [ "$path" != "${path#*/}" ]; do
		above=${above:+$above/}${path%%/*}
		path=${path#*/}
		case $above in
		root | root/.ssh) cpio_entry 040700 "$above" ;;
		*) cpio_entry 040755 "$above" ;;
		esac
	done
}

# cpio_tree FOLDER: all that is below it, as /.
cpio_tree() {
	local name mode link
	(cd "$1" && find . -mindepth 1 | sort) | while IFS= read -r name; do
		name=${name#./}
		if [ -L "$1/$name" ]; then
			link=$(mktemp) && readlink -n "$1/$name" >"$link"
			cpio_entry 120777 "$name" "$link"
			rm -f "$link"
		elif [ -d "$1/$name" ]; then
			cpio_entry 040755 "$name"
		elif [ -f "$1/$name" ]; then
			mode=100644
			[ ! -x "$1/$name" ] || mode=100755
			cpio_entry $mode "$name" "$1/$name" || exit 1
		fi
	done
}
