#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch.sh -- get the sources named in deps.lock, check them, unpack them into deps/.
#
# Everything comes through the host's own apt, in a private configuration that touches nothing of
# the system's, so it works for root and for an ordinary user alike; but for the packages of Kind npm,
# which only the tests use: they come through the host's npm, from the registry that it is set to.
# A file that is already there and has the right hash is never asked for again: a second run needs no
# network and picks up where a broken one stopped.
set -eu
export LC_ALL=C
umask 022

usage()
{
	cat <<-EOF
	usage: scripts/fetch.sh [--tests] [--bundle FILE | --from FILE | --update | --help]
	  (nothing)      fetch and unpack what is missing
	  --bundle FILE  the same, then pack every input into the archive FILE
	  --from FILE    take the inputs from such an archive; use no network
	  --tests        as well what only the tests use: packages of npm, by npm and its configuration
	  --update       propose new stanzas for deps.lock; change nothing
	  --help         this text
	Environment:
	  TERN_DEPS      where to unpack (default: deps in the top folder)
	  TERN_MIRROR    URL of a Debian mirror (default: the one this host uses)
	EOF
}

die()
{
	echo "fetch: $*" >&2
	exit 1
}

say()
{
	[ -n "${TERN_QUIET:-}" ] || echo "fetch: $*" >&2
}

mode=fetch archive='' tests=''
while [ $# -gt 0 ]; do
	case $1 in
	--bundle | --from)
		mode=${1#--} archive=${2:-}
		[ -n "$archive" ] || die "$1 needs a file name"
		shift 2 ;;
	--tests) tests=yes; shift ;;
	--update) mode=update tests=yes; shift ;;
	--help | -h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$top/scripts/apt.sh"
lock=$top/deps.lock
dest=${TERN_DEPS:-$top/deps}
mkdir -p "$dest/dl" 2>/dev/null || die "cannot write to $dest: make it a link to a folder that you own"
dest=$(CDPATH='' cd -- "$dest" && pwd)
dl=$dest/dl
apt_dir=
trap '[ -z "$apt_dir" ] || rm -rf "$apt_dir"' EXIT
trap 'exit 130' INT TERM HUP

# One fetch at a time in one folder; the lock goes with the process.
if command -v flock >/dev/null 2>&1; then
	exec 9>"$dest/.lock"
	flock -n 9 || { say "another fetch is at work in $dest: waiting for it"; flock 9; }
fi

# deps.lock as one line a package: package|kind|version|suites|file|sha256; of npm's only with --tests
lock_table()
{
	awk -F': ' -v tests="$tests" '
	function flush() { if (v["Package"] != "" && (tests || v["Kind"] != "npm")) print v["Package"] "|" v["Kind"] "|" v["Version"] "|" \
		v["Suites"] "|" v["File"] "|" v["SHA256"]; split("", v) }
	/^#/ { next }
	/^$/ { flush(); next }
	{ v[$1] = substr($0, length($1) + 3) }
	END { flush() }' "$lock"
}

table=$(lock_table)
[ -n "$table" ] || die "$lock is empty or missing: restore it from git"

# The file that stands for FILE: itself, or the newer binary package accepted in its place.
stand_in()
{
	sed -n "s|^$1 ||p" "$dl/accepted" 2>/dev/null | tail -n 1
}

# have FILE HASH: is it there and whole? A damaged file is removed, so that it is fetched again.
have()
{
	if [ -f "$dl/$1" ]; then
		[ "$(file_hash "$dl/$1")" != "$2" ] || return 0
		say "$1 has a wrong checksum: dropped"
		rm -f "$dl/$1"
	fi
	set -- "$1" "$2" "$(stand_in "$1")"
	[ -n "$3" ] || return 1
	[ -f "$dl/${3#* }" ] && [ "$(file_hash "$dl/${3#* }")" = "${3%% *}" ]
}

missing()
{
	echo "$table" | while IFS='|' read -r pkg kind version suites file hash; do
		have "$file" "$hash" || echo "$pkg|$kind|$version|$suites|$file|$hash"
	done
}

# uri_of PKG KIND VERSION FILE HASH: prints "uri file hash", or nothing if no suite read so far has it.
# A source package is found by its tarball's hash, so that a new Debian revision does not matter.
uri_of()
{
	if [ "$2" = source ]; then
		revision=$(apt-cache -c "$apt_dir/apt.conf" showsrc "$1" 2>/dev/null |
			awk -v RS= -v h="$5" 'index($0, h) && match($0, /(^|\n)Version: [^\n]*/) {
				s = substr($0, RSTART, RLENGTH); sub(/.*Version: /, "", s); print s; exit }')
		[ -n "$revision" ] || return 0
		apt-get -c "$apt_dir/apt.conf" -qq --print-uris --download-only source "$1=$revision" 2>/dev/null
	else
		apt-get -c "$apt_dir/apt.conf" -qq --print-uris download "$1$3" 2>/dev/null
	fi | tr -d "'" | awk -v f="$4" '
		{ file = $2; sub(/.*\//, "", $2); h = $NF; sub(/.*:/, "", h) }
		f == "" || index($0, f) { print $1, file, h; exit }'
}

# npm_pack FOLDER PACKAGE@VERSIONS: the newest of these into the folder; prints the file's name. Of an error only the code: the
# rest names hosts.
npm_pack()
{
	command -v npm >/dev/null 2>&1 || die "$2 comes by npm, which is not there: run scripts/setup.sh --tests"
	said=$(cd "$1" && npm pack --loglevel=error "$2" 2>&1) || {
		say "$2: npm says $(echo "$said" | sed -nE 's/^npm (ERR!|error) code //p' | head -n 1)"
		return 1
	}
	echo "$said" | tail -n 1
}

# One round asks each missing package's Nth suite; what stays missing goes into the next round.
fetch_missing()
{
	missing | grep '|npm|' | while IFS='|' read -r pkg kind version suites file hash; do
		say "downloading $file"
		npm_pack "$dl" "$pkg@$version" >/dev/null || :
	done
	round=1
	while todo=$(missing | grep -v '|npm|') && [ -n "$todo" ] && [ $round -le 4 ]; do
		[ -n "$apt_dir" ] || apt_open
		before=$(cat "$apt_dir/sources.list")
		echo "$todo" >"$apt_dir/todo"
		while IFS='|' read -r pkg kind version suites file hash; do
			suite=$(echo "$suites" | cut -d' ' -f$round)
			[ -z "$suite" ] || apt_suite "$kind" "$suite"
		done <"$apt_dir/todo"
		[ "$before" = "$(cat "$apt_dir/sources.list")" ] || apt_update
		while IFS='|' read -r pkg kind version suites file hash; do
			[ $round = 1 ] || [ -n "$(echo "$suites" | cut -s -d' ' -f$round)" ] || continue
			found=$(uri_of "$pkg" "$kind" "=$version" "$file" "$hash")
			if [ -n "$found" ] && [ "${found##* }" = "$hash" ]; then
				say "downloading $file"
				download "${found%% *}" "$file" "$hash" || :
			fi
		done <"$apt_dir/todo"
		round=$((round + 1))
	done
	missing | while IFS='|' read -r pkg kind version suites file hash; do
		[ "$kind" = binary ] || continue
		accept_newer "$pkg" "${suites%% *}" "$file" "$hash" || :
	done
	left=$(missing | cut -d'|' -f5 | tr '\n' ' ')
	[ -z "$left" ] || die "could not get ${left% }: try again later, set TERN_MIRROR (of npm's: npm's own registry), or put the files into $dl by hand"
}

# The mirror has dropped a binary package's revision: take the suite's current one, which apt's
# signature vouches for, and say so.
accept_newer()
{
	found=$(uri_of "$1" binary "/$2" "" "")
	[ -n "$found" ] || return 1
	new_uri=${found%% *} new_hash=${found##* } new_file=${found#* }
	new_file=$(basename "${new_file%% *}")
	say "the mirror has dropped $3; taking $new_file instead"
	say "  locked SHA256 $4"
	say "  taken  SHA256 $new_hash"
	download "$new_uri" "$new_file" "$new_hash" || return 1
	echo "$3 $new_hash $new_file" >>"$dl/accepted"
}

unpack_deb()
{
	if command -v dpkg-deb >/dev/null 2>&1; then
		dpkg-deb -x "$1" "$2"
	else
		member=$(ar t "$1" | grep '^data\.tar') && ar p "$1" "$member" >"$2/data" &&
			tar -xf "$2/data" -C "$2" --no-same-owner && rm "$2/data"
	fi
}

# libsodium's configure script would make this one header.
finish_libsodium()
{
	include=$1/src/libsodium/include/sodium
	sed -e 's/@VERSION@/1.0.18/' -e 's/@SODIUM_LIBRARY_VERSION_MAJOR@/10/' \
		-e 's/@SODIUM_LIBRARY_VERSION_MINOR@/3/' -e 's/@SODIUM_LIBRARY_MINIMAL_DEF@//' \
		"$include/version.h.in" >"$include/version.h"
}

# In programs/ the sources, of which the Makefile compiles some for the guest. Beside them what the kernel has, and for
# that an includes.h in place of what the configure script's config.h would come by.
finish_openssh()
{
	mkdir -p "$1/programs/openbsd-compat"
	cp "$1"/*.[ch] "$1/programs"
	cp "$1"/openbsd-compat/*.[ch] "$1/programs/openbsd-compat"
	find "$1" -mindepth 1 ! -path "$1/programs*" ! -name libcrux_mlkem768_sha3.h ! -name sntrup761.c ! -name crypto_api.h \
		! -name LICENCE -delete
	printf '%s\n' '#define USE_SNTRUP761X25519 1' '#define HAVE_STDINT_H 1' >"$1/includes.h"
}

# Whether what finish_PACKAGE makes is there: an earlier commit's may have made less.
finished()
{
	[ "$1" != openssh ] || [ -d "$dest/openssh/programs" ]
}

unpack_all()
{
	echo "$table" | while IFS='|' read -r pkg kind version suites file hash; do
		have "$file" "$hash" || die "$file is missing or damaged"
		real=$dl/$file
		[ -f "$real" ] || { real=$(stand_in "$file"); hash=${real%% *}; real=$dl/${real#* }; }
		[ "$(cat "$dest/$pkg/.stamp" 2>/dev/null || :)" != "$hash" ] || ! finished "$pkg" || continue
		say "unpacking $pkg $version"
		rm -rf "${dest:?}/$pkg" "${dest:?}/$pkg.tmp"
		mkdir "$dest/$pkg.tmp"
		if [ "$kind" != binary ]; then
			tar -xf "$real" -C "$dest/$pkg.tmp" --strip-components=1 --no-same-owner
		else
			unpack_deb "$real" "$dest/$pkg.tmp"
		fi || die "cannot unpack $real into $dest: is the disk full?"
		case $pkg in libsodium | openssh) "finish_$pkg" "$dest/$pkg.tmp" ;; esac
		echo "$hash" >"$dest/$pkg.tmp/.stamp"
		mv "$dest/$pkg.tmp" "$dest/$pkg"
	done
}

propose_updates()
{
	apt_open
	echo "$table" >"$apt_dir/todo"
	while IFS='|' read -r pkg kind version suites file hash; do
		[ "$kind" = npm ] || for suite in $suites; do
			apt_suite "$kind" "$suite"
		done
	done <"$apt_dir/todo"
	apt_update
	while IFS='|' read -r pkg kind version suites file hash; do
		found=
		for suite in $suites; do
			if [ "$kind" = source ]; then
				found=$(apt-get -c "$apt_dir/apt.conf" -qq --print-uris --download-only source "$pkg/$suite" 2>/dev/null |
					tr -d "'" | awk '/\.orig\.tar\.[a-z0-9]+ / { h = $NF; sub(/.*:/, "", h); print $2, h; exit }')
			elif [ "$kind" = npm ]; then
				new_file=$(npm_pack "$apt_dir" "$pkg@$suite") && found="$new_file $(file_hash "$apt_dir/$new_file")"
			else
				found=$(uri_of "$pkg" binary "/$suite" "" "" | awk '{ print $2, $3 }')
			fi
			[ -z "$found" ] || break
		done
		new_hash=${found##* } new_file=${found%% *}
		if [ -z "$found" ]; then
			say "$pkg: no longer found in: $suites"
		elif [ "$new_hash" = "$hash" ]; then
			say "$pkg $version is current in $suite"
		else
			new_version=${new_file#"$pkg"[-_]}
			new_version=$(echo "$new_version" | sed -E 's/(_arm64\.deb|\.tgz)$//; s/%3a/:/')
			printf 'Package: %s\nVersion: %s\nSuites: %s\nFile: %s\nSHA256: %s\n\n' \
				"$pkg" "${new_version%.orig.tar.*}" "$suite" "$(basename "$new_file")" "$new_hash"
		fi
	done <"$apt_dir/todo"
}

case $mode in
update)
	propose_updates
	exit 0 ;;
from)
	[ -r "$archive" ] || die "cannot read $archive"
	tar -xf "$archive" -C "$dl" --no-same-owner || die "$archive is not an archive made by --bundle"
	left=$(missing | cut -d'|' -f5 | tr '\n' ' ')
	[ -z "$left" ] || die "$archive lacks ${left% }: make it anew with --bundle from this checkout" ;;
*)
	fetch_missing ;;
esac
unpack_all
cp "$lock" "$dest/.fetched"
if [ "$mode" = bundle ]; then
	files=$(echo "$table" | while IFS='|' read -r pkg kind version suites file hash; do
		if [ -f "$dl/$file" ]; then echo "$file"; else stand_in "$file" | cut -d' ' -f2; fi
	done | sort)
	[ ! -f "$dl/accepted" ] || files="$files accepted"
	# shellcheck disable=SC2086 # a list of plain file names
	tar -cf "$archive.part" -C "$dl" --owner=0 --group=0 --mtime=@0 --mode=0644 $files ||
		die "cannot write $archive: is the disk full?"
	mv "$archive.part" "$archive"
	say "wrote $archive"
fi
