#!/bin/bash
# SPDX-License-Identifier: MIT
# run-qemu.sh -- install, fetch, build and boot tern, and say how to log in.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
	cat <<'END'
usage: scripts/run-qemu.sh [OPTION...] [-- COMMAND...]
Boots tern in QEMU, after installing, fetching and building what is missing. The console stays in this
terminal; Ctrl-A X ends it. Log in from another one:  ssh -F build/ssh/config tern

  --smp N            CPUs, 1 to 64 (default 4)
  --mem SIZE         memory, from 8M to 255G, as 8M, 256M or 8G (default 256M)
  --port P           port of 127.0.0.1 that leads to the guest's port 22 (default 2222)
  --forward H:G      port H of 127.0.0.1 leads to the guest's port G too; may be repeated
  --wire PATH        the network is a program on this host: QEMU's end is the Unix datagram socket
                     PATH.guest, the program's PATH.wire, a frame a datagram; --port is the program's
  --capture FILE     write every frame to FILE, in the form that tcpdump -r reads
  --cpu MODEL        QEMU's CPU model (default: the host's under KVM or HVF, else cortex-a76)
  --debug            the debug image: every check on
  --append TEXT      words for the kernel's command line, as perturb=7
  --random           random addresses for programs under emulation too: QEMU translates a program
                     again at each new address, so this script turns them off there (norandom)
  --key FILE.pub     who may log in, besides this checkout's key; may be repeated
                     (default: your ~/.ssh/*.pub)
  --rsa              an RSA host key of 3072 bits beside the ed25519 one, for clients that know no other
  --root DIR         lay the files in DIR over the built-in ones
  --put FILE[:PATH]  put FILE into the guest (default: in /root); may be repeated
  --disk FILE[,...]  a disk, /dev/vda in the guest, with FILE's bytes; may be repeated (vdb, ...). After
                     the commas, options of QEMU's -drive, as readonly=on
  --image FILE       boot this image: needs only qemu and ssh
  --mutant NAME      the debug image with a bug put back (tests/mutants/NAME.patch): says what to type to
                     meet it, and what the kernel then reports. tests/mutants/run.py --list names them
  --daemon           boot in the background; return when login works. The serial console is
                     build/run/NAME/console and reads console.in; QEMU's monitor reads monitor.in
                     ("set_link net0 off" pulls the guest's cable)
  --stop             stop the guest of that name; status 1 if it is not running
  --name NAME        a name, to have several guests side by side (default "default"): each needs a --port
                     of its own, and is logged in to by  ssh -F build/run/NAME/config tern
  --replay SEED      a machine that repeats itself: its clock counts instructions, it has no network and
                     takes its randomness from SEED, as do the schedules of a debug image. SEED is
                     also A..B or pct:A..B:D, for tests (scripts/explore.sh says which). With --gdb and
                     any --smp, too
  --gdb              wait for gdb on a port of 127.0.0.1
  --no-install       install nothing: list what is missing and stop
  --print            show the QEMU command and exit
  --help             this text
  -- COMMAND...      boot, run COMMAND in the guest with its input, output and exit status passed
                     through, and power off. Its words are joined by blanks, as by ssh: sh -c "'exit 7'"

Exit status: of COMMAND, or of QEMU; 125 if an option is wrong, the set-up fails, or tern or QEMU does.
END
}

smp=4 mem=256M mode=console name=default install=yes
port="" cpu="" debug="" append="" root="" image="" mutant="" replay="" gdb="" print="" random="" rsa="" others="" wire="" capture="" qemu_pid=""
forwards=() keys=() puts=() disks=() command=()

while [ $# -gt 0 ]; do
	case $1 in
	--smp | --mem | --port | --forward | --wire | --capture | --cpu | --append | --key | --root | --put | --disk | --image | --mutant | --name | --replay)
		[ $# -ge 2 ] || die "$1 needs a value; see --help"
		;;
	esac
	case $1 in
	--smp) smp=$2 && shift ;;
	--mem) mem=$2 && shift ;;
	--port) port=$2 && shift ;;
	--forward) forwards+=("$2") && shift ;;
	--wire) wire=$2 && shift ;;
	--capture) capture=$2 && shift ;;
	--cpu) cpu=$2 && shift ;;
	--debug) debug=yes ;;
	--random) random=yes ;;
	--rsa) rsa=host_rsa ;;
	--append) append="$append${append:+ }$2" && shift ;;
	--key) keys+=("$2") && shift ;;
	--root) root=$2 && shift ;;
	--put) puts+=("$2") && shift ;;
	--disk) disks+=("$2") && shift ;;
	--image) image=$2 && shift ;;
	--mutant) mutant=$2 && shift ;;
	--replay) replay=$2 && shift ;;
	--name) name=$2 && shift ;;
	--daemon) mode=daemon ;;
	--stop) mode=stop ;;
	--gdb) gdb=yes ;;
	--no-install) install=no ;;
	--print) print=yes ;;
	--help | -h) usage && exit 0 ;;
	--)
		shift
		[ $# -gt 0 ] || die "-- needs a command after it"
		command=("$@")
		[ "$mode" = console ] || die "--$mode and a command do not go together: a command's guest ends with it"
		mode="command"
		break
		;;
	*) die "unknown option $1; see --help" ;;
	esac
	shift
done

check_options() {
	local f to size=${mem%[MGmg]}
	is_number "$smp" && [ "$smp" -ge 1 ] && [ "$smp" -le 64 ] || die "--smp $smp: from 1 to 64"
	is_number "$size" || die "--mem $mem: a size as 256M or 8G"
	case $mem in
	*[Gg]) size=$((10#$size * 1024)) ;;
	esac
	[ "$size" -ge 8 ] && [ "$size" -le 261120 ] || die "--mem $mem: from 8M to 255G"
	case $name in
	'' | *[!A-Za-z0-9_-]*) die "--name $name: letters, digits, - and _ only" ;;
	esac
	[ -z "$port" ] || check_port --port "$port"
	for f in ${forwards[@]+"${forwards[@]}"}; do
		case $f in
		*:*) check_port --forward "${f%%:*}" && check_port --forward "${f#*:}" ;;
		*) die "--forward $f: HOST:GUEST, two port numbers" ;;
		esac
	done
	for f in ${keys[@]+"${keys[@]}"}; do
		[ -f "$f" ] && [ -r "$f" ] || die "--key $f: no such file"
		grep -q 'PRIVATE KEY' "$f" && die "--key $f is a private key: name the .pub file beside it"
	done
	case $wire$capture in
	*,*) die "--wire, --capture: a path without a comma" ;;
	esac
	[ -z "$wire" ] || [ -S "$wire.wire" ] || die "--wire $wire: no socket $wire.wire"
	[ -z "$wire" ] || [ ${#forwards[@]} -eq 0 ] || die "--wire: --forward is of QEMU's own network"
	for f in ${disks[@]+"${disks[@]}"}; do
		# QEMU's own words for a file go to QEMU, as blkdebug:RULES:FILE
		case $f in
		*:*) ;;
		*) [ -r "${f%%,*}" ] || die "--disk ${f%%,*}: no such file; truncate -s 64M ${f%%,*} makes an empty one" ;;
		esac
	done
	if [ -n "$root" ]; then
		[ -d "$root" ] || die "--root $root: no such folder"
		f=$(first_unreadable "$root") && die "--root $root: ${f#"$root"/} cannot be read"
	fi
	for f in ${puts[@]+"${puts[@]}"}; do
		split_put "$f"
	done
	[ -z "$image" ] || { [ -f "$image" ] && [ -r "$image" ]; } || die "--image $image: no such file"
	[ -z "$image" ] || [ -z "$mutant" ] || die "--mutant boots an image of its own: leave out --image"
	[ -z "$mutant" ] || [ -r "$TOP/tests/mutants/$mutant.patch" ] ||
		die "--mutant $mutant: no mutant is called $mutant: tests/mutants/run.py --list names them"
	[ -z "$gdb" ] || [ "$mode" != command ] || die "--gdb: a command would wait for the debugger; use --daemon"
}

# The first file or folder below $1 that we may not read; a failing status if there is none.
first_unreadable() {
	find -H "$1" \( -type f -o -type d \) -exec sh -c 'for f; do [ -r "$f" ] || echo "$f"; done' sh {} + 2>/dev/null | grep -m 1 .
}

# FILE[:PATH] of --put into f and to, which are the caller's.
split_put() {
	f=$1 to=
	if [ ! -e "$1" ]; then
		f=${1%:*} to=${1##*:}
	fi
	[ -f "$f" ] && [ -r "$f" ] || die "--put $1: no such file"
	case $to in
	'') to=root/$(basename "$f") ;;
	*/) to=$to$(basename "$f") ;;
	esac
}

# What --replay takes, and what it cannot go with: all that comes from outside comes when it comes.
check_replay() {
	replay_seed=${replay#pct:}
	replay_seed=${replay_seed%%[.:]*}
	is_number "$replay_seed" 18 && [ "$replay_seed" -ge 1 ] || die "--replay $replay: SEED, A..B or pct:A..B[:D], from 1 on"
	[ "$mode" = console ] || die "--replay: no network, so no login: what is to run is said by --append run=... or test=..."
	[ -z "$wire$capture" ] && [ ${#forwards[@]} -eq 0 ] || die "--replay: no network"
	append="replay perturb=$replay${append:+ }$append"
}

# Whether another guest has the name or the ports.
check_free() {
	local f
	check_name
	if [ -z "$wire" ] && port_busy "$port"; then
		port_taken
	fi
	for f in ${forwards[@]+"${forwards[@]}"}; do
		! port_busy "${f%%:*}" || die "port ${f%%:*} is taken: try --forward $(free_port "${f%%:*}"):${f#*:}"
	done
}

# A name is one guest's: its folder and its config file are. A command's guest has a folder of its own.
check_name() {
	local other=two n=2
	[ "$mode" != command ] && guest_in "$dir" >/dev/null || return 0
	while guest_in "$TOP/build/run/$other" >/dev/null; do
		n=$((n + 1)) other=guest$n
	done
	die "a guest called $name is running already: --name $other --port $(free_port "$port") starts another, $(stop_command) ends this one"
}

# Who has the port, if it is a guest of this checkout, and what is free instead.
port_taken() {
	local f who="" named=""
	for f in "$TOP"/build/run/*/pid; do
		case $(guest_in "${f%/pid}") in
		*"hostfwd=tcp:127.0.0.1:$port-"*) f=${f%/pid} && who=" by the guest called ${f##*/}" ;;
		esac
	done
	case $who in *" command."*) who=" by a command's guest" ;; esac
	[ "$mode" = command ] || [ "$name" = default ] || named="--name $name "
	die "port $port is taken$who: try $named--port $(free_port $((port + 1)))"
}

check_port() {
	is_number "$2" && [ "$2" -ge 1 ] && [ "$2" -le 65535 ] || die "$1 $2: a port is a number from 1 to 65535"
}

# The overlay: host key, who may log in, --root and --put. The kernel unpacks it over its own files.
write_overlay() {
	local out=$1 who=$dir/authorized_keys p f to k
	cat "$TOP/build/ssh/id_ed25519.pub" >"$who" || die "cannot write to $dir: is the disk full?"
	if [ ${#keys[@]} -gt 0 ]; then
		cat "${keys[@]}" >>"$who" || die "cannot read the keys"
		others="a key named by --key"
	else
		for k in ~/.ssh/*.pub; do
			[ ! -r "$k" ] || { cat "$k" >>"$who" && others="a key of your ~/.ssh"; }
		done
	fi
	{
		[ -z "$root" ] || cpio_tree "$root" || return 1
		cpio_parents etc/ssh/x
		cpio_entry 100600 etc/ssh/ssh_host_ed25519_key "$TOP/build/ssh/host_ed25519"
		[ -z "$rsa" ] || cpio_entry 100600 etc/ssh/ssh_host_rsa_key "$TOP/build/ssh/host_rsa"
		cpio_parents root/.ssh/x
		cpio_entry 100600 root/.ssh/authorized_keys "$who"
		for p in ${puts[@]+"${puts[@]}"}; do
			split_put "$p"
			cpio_parents "$to"
			if [ -x "$f" ]; then cpio_entry 100755 "$to" "$f"; else cpio_entry 100644 "$to" "$f"; fi
		done
		cpio_end
	} >"$out" || die "cannot write $out: is the disk full?"
	rm -f "$who"
}

# KVM or HVF where the host's CPU is the guest's, else emulation with one thread per CPU.
choose_accel() {
	accel=""
	[ -n "$cpu" ] || accel=$(host_accel)
	case $accel in
	kvm | hvf)
		cpu=host
		say "note: untried: $accel is asked for because this is an arm64 host, and tern was never run on one"
		;;
	*) accel=tcg,thread=multi cpu=${cpu:-cortex-a76} ;;
	esac
}

# The QEMU command, in the array "qemu"; all but the console and the ports is settled here.
qemu_command() {
	local gic=2 f net n
	[ "$smp" -le 8 ] || gic=3
	[ "$accel" != kvm ] || gic=host
	net=user,id=net0,hostfwd=tcp:127.0.0.1:$port-:22
	for f in ${forwards[@]+"${forwards[@]}"}; do
		net=$net,hostfwd=tcp:127.0.0.1:${f%%:*}-:${f#*:}
	done
	if [ -n "$wire" ]; then
		net=dgram,id=net0,local.type=unix,local.path=$wire.guest,remote.type=unix,remote.path=$wire.wire
	fi
	# shellcheck disable=SC2054  # the commas are QEMU's
	qemu=("$QEMU" -M "virt,gic-version=$gic" -cpu "$cpu" -accel "$accel" -smp "$smp" -m "$mem"
		-kernel "$image"
		-global virtio-mmio.force-legacy=false
		-semihosting-config enable=on,target=native
		-display none -no-reboot)
	# shellcheck disable=SC2054
	if [ -n "$replay" ]; then
		qemu+=(-icount "shift=0,sleep=off" -seed "$replay_seed" -rtc "base=2026-01-01,clock=vm" -nic none)
	else
		qemu+=(-netdev "$net" -device virtio-net-device,netdev=net0 -device virtio-rng-device)
	fi
	[ -n "$replay" ] && [ -z "$root" ] && [ ${#puts[@]} -eq 0 ] || qemu+=(-initrd "$dir/overlay.cpio")
	# QEMU fills its slots from the last one down, and the guest counts them up
	for ((n = ${#disks[@]}; n > 0; n--)); do
		qemu+=(-drive "if=none,id=disk$n,format=raw,file=${disks[n - 1]}"
			-device "virtio-blk-device,drive=disk$n")
	done
	case $accel/$random in
	tcg*/) append="norandom${append:+ }$append" ;;
	esac
	# shellcheck disable=SC2054
	[ -z "$capture" ] || qemu+=(-object filter-dump,id=capture,netdev=net0,file="$capture")
	[ -z "$append" ] || qemu+=(-append "$append")
	[ -z "$gdb" ] || qemu+=(-gdb "tcp:127.0.0.1:$gdb" -S)
	if [ "$mode" = console ]; then
		qemu+=(-serial mon:stdio)
	else
		qemu+=(-serial stdio -monitor none)
	fi
}

# The pid and the command line of the guest whose folder is $1, or nothing. A recycled pid is told apart by its command
# line, which /proc tells on Linux, where ps need not be installed.
guest_in() {
	local pid words
	pid=$(cat "$1/pid" 2>/dev/null) && is_number "$pid" 10 || return 1
	if [ -r "/proc/$pid/cmdline" ]; then
		words=$(tr '\0' ' ' <"/proc/$pid/cmdline")
	else
		words=$(ps -ww -o args= -p "$pid")
	fi 2>/dev/null
	case $words in
	*"$1/overlay.cpio"*) printf '%s %s\n' "$pid" "$words" ;;
	*) return 1 ;;
	esac
}

stop_daemon() {
	local pid
	if ! pid=$(guest_in "$dir"); then
		say "run-qemu.sh: no guest called $name is running from this checkout"
		exit 1
	fi
	pid=${pid%% *}
	end_qemu "$pid"
	! guest_in "$dir" >/dev/null || die "process $pid does not end: is it another user's?"
	rm -f "$dir/pid"
	say "stopped"
}

# SIGTERM makes QEMU quit in order; SIGKILL if it does not within 5 s.
end_qemu() {
	kill -TERM "$1" 2>/dev/null || return 0
	await 5 has_ended "$1" && return 0
	kill -KILL "$1" 2>/dev/null
	await 5 has_ended "$1"
}

# Start QEMU with its console in $dir/console, in the background. Sets qemu_pid.
start_background() {
	: >"$dir/console" || die "cannot write to $dir: is the disk full?"
	rm -f "$dir"/monitor.* "$dir/console.in"
	mkfifo -m 600 "$dir/console.in" "$dir/monitor.in" "$dir/monitor.out" || die "cannot write to $dir"
	nohup "${qemu[@]}" -chardev "pipe,id=monitor,path=${dir//,/,,}/monitor" -mon chardev=monitor \
		<>"$dir/console.in" >"$dir/console" 2>"$dir/qemu.err" &
	qemu_pid=$!
	echo "$qemu_pid" >"$dir/pid"
}

# The first line that the server sends, or nothing: only a banner byte proves that somebody listens.
read_banner() (
	exec 3<>"/dev/tcp/127.0.0.1/$port" || exit 1
	IFS= read -r -t "$1" line <&3 || exit 1
	case $line in
	SSH-2.0-*) exit 0 ;;
	esac
	exit 1
) 2>/dev/null

# Whether the console says that the server has its key and the network its address.
console_says_ready() {
	grep -qa 'ssh: host key' "$dir/console" && grep -qa 'net: .*: address' "$dir/console"
}

# Whether the server has said that it stays closed: its configuration is wrong, or its crypto.
stays_closed() {
	grep -qaE '^\[ *[0-9.]+\] ssh: not serving' "$dir/console"
}

# Whether a login can work, or never will. The console is asked first, for 10 s, since a connection made before the
# guest listens can cost a second in QEMU's network.
login_or_end() {
	has_ended "$qemu_pid" || stays_closed || { { console_says_ready || [ $((SECONDS - $1)) -ge 10 ]; } && read_banner 5; }
}

# Wait until a login can work. 0 it can, 1 QEMU ended, the server stays closed or time is up.
wait_for_login() {
	await "${TERN_BOOT_SECONDS:-120}" login_or_end $SECONDS && ! has_ended "$qemu_pid" && ! stays_closed
}

# Whether the debugger's port is there, or QEMU has ended.
debugger_or_end() {
	has_ended "$qemu_pid" || port_busy "$gdb"
}

port_refused() {
	grep -q 'Could not set up host forwarding' "$dir/qemu.err"
}

show_console() {
	local status=0
	! has_ended "$qemu_pid" || wait "$qemu_pid" 2>/dev/null || status=$?
	[ ! -s "$dir/qemu.err" ] || sed 's/^/    qemu: /' "$dir/qemu.err" >&2
	tail -n "${TERN_CONSOLE_LINES:-40}" "$dir/console" | sed 's/^/    /' >&2
}

# no_login WORDS: end the guest that let nobody in, show why, and die with these words if nothing better is known.
no_login() {
	end_qemu "$qemu_pid"
	if stays_closed; then
		grep -aE '^\[ *[0-9.]+\] ssh: ' "$dir/console" | sed 's/^/    /' >&2
		rm -f "$dir/pid"
		die "the guest's ssh server does not serve: what is wrong is above"
	fi
	show_console
	rm -f "$dir/pid"
	! port_refused || port_taken
	die "$1"
}

# Whether the guest stopped on an error of its own.
guest_failed() {
	grep -qaE '(PANIC|BUG:)' <(grep -av 'expected: ' "$dir/console")
}

# A path as it is typed in the folder where we were called.
from_here() {
	local here
	here=$(pwd -P)
	printf %q "${1#"$here"/}"
}

stop_command() {
	local script
	script=$(from_here "$TOP/scripts/run-qemu.sh")
	case $script in */*) ;; *) script=./$script ;; esac
	printf '%s --stop' "$script"
	[ "$name" = default ] || printf ' --name %s' "$name"
}

login_help() {
	local config key
	config=$(from_here "$1")
	cat >&2 <<END

  tern: $smp CPU$([ "$smp" = 1 ] || echo s), $mem, image ${image#"$TOP"/}
  log in:     ssh -F $config tern
  try:        ssh -F $config tern hello 5 100
END
	[ -z "$others" ] || say "  or:         ssh -p $port root@127.0.0.1      (with $others)"
	for key in ed25519 ${rsa:+rsa}; do
		say "  host key:   $(ssh-keygen -lf "$TOP/build/ssh/host_$key.pub" 2>/dev/null | cut -d ' ' -f 2) ($key)"
	done
	[ -z "$gdb" ] || say "  debugger:   gdb-multiarch -ex 'target remote 127.0.0.1:$gdb'   (the guest waits for it)"
}

run_console() {
	local status=0
	if [ -z "$replay" ]; then
		login_help "$config"
	elif [ -n "$gdb" ]; then
		say "  debugger:   gdb-multiarch -x scripts/gdb/tern.py -ex 'target remote 127.0.0.1:$gdb' ${image%/Image}/tern.elf"
	fi
	say "  leave:      Ctrl-A X"
	say ""
	# the shell's pid becomes QEMU's
	sh -c 'echo $$ >"$0" && exec "$@"' "$dir/pid" "${qemu[@]}" 2> >(tee "$dir/qemu.err" >&2) || status=$?
	rm -f "$dir/pid"
	return $status
}

run_daemon() {
	start_background
	if [ -n "$gdb" ] && await 20 debugger_or_end && ! has_ended "$qemu_pid"; then
		login_help "$config"
		stop_help
		return 0
	fi
	if [ -n "$gdb" ] || ! wait_for_login; then
		no_login "no login within ${TERN_BOOT_SECONDS:-120} s: the end of the console is above"
	fi
	login_help "$config"
	stop_help
}

stop_help() {
	say "  console:    $(from_here "$dir/console")"
	say "  stop:       $(stop_command)"
}

# Boot, run one command, power off. The guest's own failure is 125, whatever ssh said.
run_command() {
	local status tries=0 booted=no qemu_status=0
	trap 'end_qemu "$qemu_pid"; rm -rf "$dir"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	while [ $tries -lt 10 ]; do
		start_background
		if wait_for_login; then
			booted=yes
			break
		fi
		port_refused && [ -z "$asked_port" ] || break
		tries=$((tries + 1))
		port=$(random_port)
		write_ssh_config "$config" "$port"
		qemu_command
	done
	if [ $booted = no ]; then
		no_login "the guest did not come up: the end of its console is above"
	fi
	ssh -F "$config" tern "${command[@]}"
	status=$?
	# The command's own status, or the guest's end: one that does not answer is about to end, with a failing status.
	if [ $status -eq 255 ] && ! read_banner 5; then
		await 5 has_ended "$qemu_pid"
	fi
	if has_ended "$qemu_pid"; then
		wait "$qemu_pid"
		qemu_status=$?
	fi
	if guest_failed || [ $qemu_status -ne 0 ]; then
		show_console
		die "the guest failed: the end of its console is above"
	fi
	exit $status
}

check_options
[ -z "$replay" ] || check_replay
if [ $mode = stop ]; then
	dir=$TOP/build/run/$name
	stop_daemon
	exit 0
fi

asked_port=$port
config=$TOP/build/ssh/config
case $mode in
command)
	dir=$TOP/build/run/command.$$
	config=$dir/config
	port=${port:-$(random_port)}
	;;
*)
	dir=$TOP/build/run/$name
	[ "$name" = default ] || config=$dir/config
	port=${port:-2222}
	;;
esac
choose_accel
if [ -n "$replay" ]; then
	dir=$TOP/build/run/replay.$$
	accel=tcg,thread=single
	[ "$cpu" != host ] || cpu=cortex-a76
fi
if [ -n "$gdb" ]; then
	gdb=$(free_port 1234)
fi

[ -n "$print$replay" ] || check_free
if [ -n "$mutant" ]; then
	set_up "$install" debug --tests
	image=$("$TOP/tests/mutants/run.py" --image "$mutant") || die "no image with that bug: see above"
fi
if [ -n "$print" ]; then
	[ -n "$image" ] || image=$(image_path "$debug")
	qemu_command
	printf '%q ' "${qemu[@]}"
	echo
	exit 0
fi

if [ -z "$image" ]; then
	set_up "$install" "$debug"
	image=$(image_path "$debug")
	[ -r "$image" ] || die "the build left no image at $image"
fi
check_qemu
need_tool ssh openssh-client
make_keys $rsa
# once more: the set-up may have waited for another's
[ -n "$replay" ] || check_name
mkdir -p "$dir" || die "cannot write to $dir"
chmod 700 "$dir"
write_overlay "$dir/overlay.cpio"
qemu_command
if [ -n "$replay" ]; then
	trap 'rm -rf "$dir"' EXIT
else
	write_ssh_config "$config" "$port"
fi
case $mode in
console) run_console ;;
daemon) run_daemon ;;
command) run_command ;;
esac
