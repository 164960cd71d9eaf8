#!/bin/bash
# SPDX-License-Identifier: MIT
# peer.sh -- make a Linux guest with dropbear or OpenSSH, which make bench measures tern against.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
. "$TOP/scripts/apt.sh"
HERE=$TOP/tests/bench/peer
BENCH=$TOP/build/bench
SUITE=bookworm

usage() {
	cat <<'END'
usage: tests/bench/peer.sh debian|tiny|debian-openssh|tiny-openssh [--no-install]
Makes a Linux guest for QEMU's virt machine: build/bench/peer/NAME/{Image,initrd.cpio,cmdline,about}.
It answers ssh on port 22 of 10.0.2.15 to root with build/bench/key, which is made here if need be.

  debian   Debian's arm64 cloud kernel as packaged
  tiny     Debian's kernel source with little more than an SSH guest needs; builds for some minutes

dropbear answers, or OpenSSH where the name says so.

What is there is kept: a second run takes a second, and a broken one is continued.
To have it made anew from the mirror's packages of the day: rm -r build/bench/peer
Environment: TERN_MIRROR  URL of a Debian mirror (default: the one this host uses)
END
}

name="" words=--bench
while [ $# -gt 0 ]; do
	case $1 in
	debian | tiny | debian-openssh | tiny-openssh) name=$1 ;;
	--no-install) words="--bench --no-install" ;;
	--help | -h) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
	shift
done
[ -n "$name" ] || { usage >&2 && exit 2; }

# What scripts/apt.sh asks for.
dest=$BENCH/peer dl=$BENCH/peer/dl apt_dir=""
# The kernel is made in its own folder, whoever answers.
kernel=${name%-openssh}
out=$dest/$kernel root=$dest/root package=dropbear-bin daemon=usr/sbin/dropbear
[ "$name" = "$kernel" ] || root=$dest/root-openssh package=openssh-server daemon=usr/sbin/sshd
trap '[ -z "$apt_dir" ] || rm -rf "$apt_dir"' EXIT
trap 'exit 130' INT TERM HUP
umask 022
export LC_ALL=C
cd "$TOP" || exit 1
mkdir -p "$dl" "$out" "$dest/$name" || die "cannot write to $dest"
if have flock; then
	exec 9>"$dest/.lock"
	flock -n 9 || { say "another peer.sh is at work: waiting for it" && flock 9; }
fi

open_apt() {
	[ -z "$apt_dir" ] || return 0
	need_tool dpkg-deb dpkg
	apt_open
	apt_suite binary $SUITE
	apt_update
}

our_apt() {
	"$1" -c "$apt_dir/apt.conf" -qq "${@:2}" 2>/dev/null
}

# get_debs PACKAGE...: into $dl; their file names on stdout.
get_debs() {
	local uri file size hash
	our_apt apt-get --print-uris download "$@" | tr -d "'" | while read -r uri file size hash; do
		hash=${hash#SHA256:}
		if [ ! -f "$dl/$file" ] || [ "$(file_hash "$dl/$file")" != "$hash" ]; then
			say "downloading $file ($((size / 1024 + 1)) KB)"
			download "$uri" "$file" "$hash" || exit 1
		fi
		echo "$file"
	done
}

# Whatever package the server needs, unpacked together: the guest's files are picked from there.
get_userland() {
	local packages file debs
	[ ! -s "$root/.done" ] || return 0
	open_apt
	packages=$(our_apt apt-get --print-uris -y --no-install-recommends install $package |
		awk '{ sub(/_.*/, "", $2); print $2 }')
	[ -n "$packages" ] || die "the mirror's lists have no $package for arm64: try again later, or set TERN_MIRROR"
	# shellcheck disable=SC2086 # a list of plain names
	debs=$(get_debs $packages) || die "the packages of $package did not come: run this again"
	rm -rf "$root" && mkdir "$root" || die "cannot write to $root"
	for file in $debs; do
		dpkg-deb -x "$dl/$file" "$root" || die "cannot unpack $dl/$file: is the disk full?"
	done
	echo "$debs" >"$root/.done"
}

# version_of PACKAGE: of what get_userland or scripts/fetch.sh unpacked.
version_of() {
	{ cat "$root/.done" && sed -n 's/^File: //p' deps.lock; } |
		sed -n "s/^$1_\([0-9]*%3a\)*\(.*\)_[a-z0-9]*\.deb$/\2/p" | tail -n 1
}

# add_libraries FILE...: print them and, once each, what they are linked with.
add_libraries() {
	local seen="" todo=$* file library found
	while [ -n "$todo" ]; do
		file=${todo%%[[:space:]]*}
		todo=${todo#"$file"} && todo=${todo# }
		case " $seen " in *" $file "*) continue ;; esac
		seen="$seen $file"
		echo "$file"
		for library in $(aarch64-linux-gnu-readelf -d "$root/$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
			found=$(cd "$root" && find lib usr/lib -name "$library" | head -n 1)
			[ -n "$found" ] || die "no package has $library, which $file needs"
			todo="${todo:+$todo }$found"
		done
	done
}

# add_module NAME FOLDER: print the module's file after those it depends on.
add_module() {
	local file other
	file=$(find "$2" -name "$1.ko" | head -n 1)
	# Not there: it is built in.
	[ -n "$file" ] || return 0
	for other in $(tr '\0' '\n' <"$file" | sed -n 's/^depends=//p' | tr ',' ' '); do
		add_module "$other" "$2"
	done
	echo "$file"
}

debian_kernel() {
	local package deb tree=$out/linux
	[ ! -s "$out/kernel" ] || return 0
	open_apt
	package=$(our_apt apt-cache depends linux-image-cloud-arm64 |
		sed -n 's/^ *Depends: \(linux-image-[^ ]*\).*/\1/p' | head -n 1)
	[ -n "$package" ] || die "the mirror's lists have no linux-image-cloud-arm64: try again later, or set TERN_MIRROR"
	deb=$(get_debs "$package") && [ -n "$deb" ] || die "$package did not come: run this again"
	rm -rf "$tree" "$out/modules"
	dpkg-deb -x "$dl/$deb" "$tree" || die "cannot unpack $dl/$deb: is the disk full?"
	mkdir "$out/modules"
	{ add_module virtio_mmio "$tree/lib/modules" && add_module virtio_net "$tree/lib/modules"; } | awk '!seen[$0]++' |
		while read -r file; do
			count=$((${count:-0} + 1))
			cp "$file" "$out/modules/$count-${file##*/}" || exit 1
		done || die "cannot write to $out: is the disk full?"
	cp "$tree"/boot/vmlinuz-* "$out/Image" || die "$deb has no kernel in it"
	rm -rf "$tree"
	echo "${deb#*_}" | sed 's/_arm64\.deb$//' >"$out/kernel"
}

# The kernel's own build system, niced, in a folder of its own.
kbuild() {
	nice -n 10 make -s -j"$(nproc)" -C "$out/linux" O="$out/obj" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- \
		KBUILD_BUILD_USER=peer KBUILD_BUILD_HOST=tern KBUILD_BUILD_TIMESTAMP=1970-01-01 "$@" >>"$out/build.log" 2>&1 ||
		die "the kernel does not build: see build/bench/peer/tiny/build.log"
}

tiny_source() {
	local deb
	[ ! -s "$out/linux/.done" ] || return 0
	need_space "$dest" 2500
	open_apt
	deb=$(get_debs linux-source-6.1) && [ -n "$deb" ] || die "linux-source-6.1 did not come: run this again"
	say "unpacking $deb"
	rm -rf "$out/linux" "$out/obj" && mkdir "$out/linux" "$out/obj" || die "cannot write to $out"
	dpkg-deb --fsys-tarfile "$dl/$deb" | tar -xOf - ./usr/src/linux-source-6.1.tar.xz |
		tar -xJf - -C "$out/linux" --strip-components=1 --exclude='*/Documentation/devicetree' \
			--exclude='*/drivers/gpu/drm/*.[ch]' --exclude='*/sound/*.[ch]' --exclude='*/tools/testing'
	[ "${PIPESTATUS[*]}" = "0 0 0" ] || die "cannot unpack $dl/$deb: is the disk full?"
	echo "${deb#*_}" | sed 's/_all\.deb$//' >"$out/linux/.done"
}

tiny_kernel() {
	local lost version
	! cmp -s "$HERE/tiny.config" "$out/tiny.config" || [ ! -s "$out/kernel" ] || return 0
	tiny_source
	rm -f "$out/kernel"
	: >"$out/build.log"
	kbuild KCONFIG_ALLCONFIG="$HERE/tiny.config" allnoconfig
	lost=$(grep '^CONFIG' "$HERE/tiny.config" | grep -vxFf "$out/obj/.config" | tr '\n' ' ')
	[ -z "$lost" ] || die "this kernel source does not know or does not allow: $lost"
	say "building the kernel (some minutes; what it says: build/bench/peer/tiny/build.log)"
	kbuild Image
	version=$(cat "$out/linux/.done")
	cp "$out/obj/arch/arm64/boot/Image" "$out/Image" && cp "$out/obj/.config" "$out/config" &&
		cp "$HERE/tiny.config" "$out/tiny.config" || die "cannot write to $out: is the disk full?"
	rm -rf "$out/linux" "$out/obj"
	echo "$version" >"$out/kernel"
}

# make_key FILE COMMENT: an ed25519 key, once.
make_key() {
	[ ! -s "$1" ] || [ ! -s "$1.pub" ] || return 0
	rm -f "$1" "$1.pub"
	ssh-keygen -q -t ed25519 -N '' -C "$2" -f "$1" </dev/null >&2 || die "ssh-keygen could not write $1"
}

# dropbear_key FILE: OpenSSH's unencrypted ed25519 key in dropbear's form. The private section is two check words,
# the type, the public key, and the seed with the public key behind it, each string led by its length.
dropbear_key() {
	/usr/bin/env python3 - "$1" <<-'END'
	import base64, struct, sys
	def string(data, at):
	    size = struct.unpack_from(">I", data, at)[0]
	    return data[at + 4:at + 4 + size], at + 4 + size
	text = open(sys.argv[1], encoding="ascii").read().split("\n")
	data = base64.b64decode("".join(line for line in text if not line.startswith("-")))
	at = len(b"openssh-key-v1\0")
	for _ in range(3):
	    _, at = string(data, at)
	_, at = string(data, at + 4)
	private, _ = string(data, at)
	kind, at = string(private, 8)
	_, at = string(private, at)
	pair, _ = string(private, at)
	assert kind == b"ssh-ed25519" and len(pair) == 64
	sys.stdout.buffer.write(struct.pack(">I", len(kind)) + kind + struct.pack(">I", len(pair)) + pair)
	END
}

# initrd: the guest's files, packed the way tern's own are, not compressed: inflating costs more than reading.
initrd() {
	local tree=$out/tree file
	rm -rf "$tree" && mkdir -p "$tree"/{bin,etc/ssh,root/.ssh,modules,usr/sbin} || die "cannot write to $out"
	(cd "$root" && add_libraries $daemon) >"$out/files" || exit 125
	while read -r file; do
		mkdir -p "$tree/$(dirname "$file")" && cp -L "$root/$file" "$tree/$file" || die "cannot write to $tree"
	done <"$out/files"
	file=$(cd "$root" && find lib -name 'ld-linux-aarch64.so.1' | head -n 1)
	# The program asks for its loader by this very name.
	cp -L "$root/$file" "$tree/lib/ld-linux-aarch64.so.1" &&
		cp "$HERE/init" build/user/hello build/user/flood build/user/sink "$tree/bin/" &&
		mv "$tree/bin/init" "$tree/init" && cp "$BENCH/key.pub" "$tree/root/.ssh/authorized_keys" &&
		aarch64-linux-gnu-strip "$tree"/bin/{hello,flood,sink} || die "cannot write to $tree"
	if [ $package = dropbear-bin ]; then
		dropbear_key "$BENCH/hostkey" >"$tree/etc/ssh/host_key"
	else
		cp "$BENCH/hostkey" "$tree/etc/ssh/host_key" && cp "$HERE/sshd_config" "$tree/etc/ssh/"
	fi || die "cannot write to $tree"
	[ "$kernel" = tiny ] || cp "$dest/$kernel"/modules/*.ko "$tree/modules/" || die "cannot write to $tree"
	printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'sshd:x:100:65534::/run/sshd:/bin/false' >"$tree/etc/passwd"
	echo 'root:x:0:' >"$tree/etc/group"
	{
		for file in dev proc tmp run run/sshd; do echo "dir /$file 755"; done
		for file in root root/.ssh; do echo "dir /$file 700"; done
		for file in root/.ssh/authorized_keys etc/ssh/host_key; do echo "mode /$file 600"; done
		echo "node /dev/console 600 c 5 1"
		echo "node /dev/null 666 c 1 3"
	} >"$out/list"
	/usr/bin/env python3 scripts/mkcpio.py --list "$out/list" --tree "$tree" \
		--busybox deps/busybox-static/bin/busybox -o "$out/initrd.cpio" || die "the initrd could not be written: is the disk full?"
	rm -rf "$tree"
}

# shellcheck disable=SC2086 # words
scripts/setup.sh $words || die "the set-up stopped: see the line above"
make -s build/user/hello build/user/flood build/user/sink >&2 || die "tern's programs do not build: see above"
make_key "$BENCH/key" tern-bench
make_key "$BENCH/hostkey" tern-bench-host
get_userland
"${kernel}_kernel"
built=$(cat "$out/kernel")
if [ "$name" != "$kernel" ]; then
	out=$dest/$name
	ln -sfn "../$kernel/Image" "$out/Image" || die "cannot write to $out"
fi

common="console=ttyAMA0 quiet loglevel=0 rdinit=/init norandmaps random.trust_bootloader=on"
case $kernel in
debian)
	cmdline="$common mitigations=off nokaslr randomize_kstack_offset=off"
	what="Debian's cloud-arm64 kernel, mitigations and address randomisation off" ;;
tiny)
	cmdline=$common
	what="allnoconfig and tests/bench/peer/tiny.config" ;;
esac
about="Linux $built ($what), ${daemon##*/} $(version_of $package), busybox $(version_of busybox-static)"

# Packed again when anything that goes in has changed.
stamp=$(cat "${BASH_SOURCE[0]}" "$HERE"/{init,sshd_config} scripts/mkcpio.py deps.lock "$root/.done" "$dest/$kernel/kernel" \
	"$BENCH/key.pub" "$BENCH/hostkey" build/user/hello build/user/flood build/user/sink | file_hash /dev/stdin)
if [ "$stamp" != "$(cat "$out/stamp" 2>/dev/null)" ] || [ ! -s "$out/initrd.cpio" ]; then
	rm -f "$out/stamp"
	initrd
	echo "$cmdline" >"$out/cmdline"
	echo "$about" >"$out/about"
	echo "$stamp" >"$out/stamp"
fi
say "$(cat "$out/about")"
