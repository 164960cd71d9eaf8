# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
# An apt of our own, beside the system's: its lists and its cache lie in a folder that goes away, so it works for
# root and for an ordinary user alike. Sourced by fetch.sh and tests/bench/peer.sh, which set
#   dest     the folder it works in        dl       the folder that downloads go to
#   apt_dir  empty, and removed at exit    say, die
# and ask for arm64 packages from the mirror that this host uses, or TERN_MIRROR.

# A host name has no business in a log that is kept.
hide_hosts()
{
	sed -E 's#(//)[^/ ]+#\1HOST#g; s#(Could not resolve|connect to) [^ ]+#\1 HOST#g'
}

file_hash()
{
	sha256sum <"$1" | cut -d' ' -f1
}

check_room()
{
	free=$(df -Pk "$dest" | awk 'NR == 2 { print $4 }')
	[ "${free:-0}" -ge 204800 ] || die "less than 200 MB free in $dest: make room, or make it a link to a folder on another disk"
}

mirror()
{
	if [ -n "${TERN_MIRROR:-}" ]; then
		echo "$TERN_MIRROR"
		return
	fi
	{
		cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -nE 's/^URIs:[[:space:]]*([^ ]+).*/\1/p'
		cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
			sed -nE 's/^deb[[:space:]]+(\[[^]]*\][[:space:]]+)?([^ ]+) .*/\2/p'
	} | grep -E '/debian/?$' | head -n 1
}

# An apt of our own under $apt_dir, for arm64; no suite yet.
apt_open()
{
	command -v apt-get >/dev/null 2>&1 ||
		die "this host has no apt: make an archive on a Debian host with --bundle FILE and use --from FILE here"
	uri=$(mirror)
	[ -n "$uri" ] || die "this host's apt knows no Debian mirror: set TERN_MIRROR to the URL of one"
	check_room
	apt_dir=$(mktemp -d "$dest/apt.XXXXXX") || die "cannot write to $dest"
	mkdir -p "$apt_dir/parts" "$apt_dir/lists/partial" "$apt_dir/cache/archives/partial"
	: >"$apt_dir/sources.list"
	cat >"$apt_dir/apt.conf" <<-EOF
	#clear APT::Update::Post-Invoke;
	#clear APT::Update::Post-Invoke-Success;
	#clear APT::Architectures;
	APT::Architecture "arm64";
	APT::Architectures { "arm64"; };
	APT::Sandbox::User "";
	Dir::Etc::sourcelist "$apt_dir/sources.list";
	Dir::Etc::sourceparts "$apt_dir/parts";
	Dir::State::lists "$apt_dir/lists";
	Dir::State::status "/dev/null";
	Dir::Cache "$apt_dir/cache";
	Acquire::Languages "none";
	Acquire::Retries "2";
	APT::Update::Error-Mode "any";
	Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
	Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
	EOF
}

# apt_suite KIND SUITE: add a suite once.
apt_suite()
{
	key=/usr/share/keyrings/debian-archive-keyring.gpg opt=
	[ ! -r $key ] || opt="[signed-by=$key] "
	case $1 in
	source) line="deb-src $opt$uri $2 main" ;;
	binary) line="deb $opt$uri $2 main" ;;
	esac
	grep -qxF "$line" "$apt_dir/sources.list" || echo "$line" >>"$apt_dir/sources.list"
}

apt_update()
{
	say "reading the package lists"
	apt-get -c "$apt_dir/apt.conf" -qq update >"$apt_dir/log" 2>&1 ||
		say "some package lists failed: $(hide_hosts <"$apt_dir/log" | grep -m 1 '^[EW]:' || echo 'unknown reason')"
}

# download URI FILE HASH: three tries, then give up on this one.
download()
{
	helper=/usr/lib/apt/apt-helper
	for try in 1 2 3; do
		rm -f "$dl/$2.part"
		if "$helper" -c "$apt_dir/apt.conf" -qq download-file "$1" "$dl/$2.part" "SHA256:$3" >"$apt_dir/log" 2>&1 &&
			[ "$(file_hash "$dl/$2.part")" = "$3" ]; then
			mv "$dl/$2.part" "$dl/$2"
			return 0
		fi
		check_room
		[ $try = 3 ] || sleep $try
	done
	rm -f "$dl/$2.part"
	say "$2: $(hide_hosts <"$apt_dir/log" | grep -m 1 '^E:' || echo 'the download failed')"
	return 1
}
