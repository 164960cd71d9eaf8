#!/bin/sh
# SPDX-License-Identifier: MIT
# shellcheck disable=all # odd uses are what it is for
# BusyBox's ash, whatever in it needs the kernel: children, pipes, files, signals. Nothing here may depend on time or pids;
# job control needs a terminal and is in terminals.c.

lines() { printf '%s\n' "$@"; }

case_words() { echo 'a  b' "c  d" e\ f; set -- 1 '2 3' 4; echo $# "$2"; for i; do echo "<$i>"; done; shift 2; echo $*; A=b; echo ${A}c "$A" '$A' ${B:-d} ${A:+e} ${#A}; B=x.y.z; echo ${B#*.} ${B##*.} ${B%.*} ${B%%.*} ${B/./-}; unset B; : ${B:=q}; echo $B; (: ${C:?missing}); echo $?; }
case_arithmetic() { echo $((2 + 3 * 4)) $((1 << 40)) $((7 % 3)) $((0x1f)) $((a = 5, a++ + ++a)) $((1 ? 2 : 3)) $((~0)); i=0; while [ $i -lt 3 ]; do i=$((i + 1)); printf '%d ' $i; done; echo; (echo $((1 / 0))); echo $?; }
case_substitution() { echo $(echo a; echo b) "$(echo a; echo b)" `echo c`; x=$(exit 3); echo $?; echo $(echo $(echo $(echo deep))); y=$(seq 10000); echo ${#y}; echo "$(cat <<END
here $((1 + 1))
END
)"; }
case_control() {
	for i in a b c; do [ $i = b ] && continue; echo $i; done; i=0; until [ $i = 2 ]; do i=$((i + 1)); done; echo $i
	case abc in a) echo 1 ;; a*c | x) echo 2 ;; *) echo 3 ;; esac
	if false; then echo t; elif true; then echo e; else echo f; fi; f() { local x=1; echo "$x $1"; return 4; }; f y; echo $?; { echo g; } | cat; ! true; echo $?
	true && false || echo or; while :; do break; done; echo done; eval 'echo "$((1 + 1))"'
}
case_redirect() {
	echo x >f; echo y >>f; cat <f; cat f none 2>err; echo $?; cat err; cat none 2>&1 | cat; exec 3>g; echo three >&3; exec 3>&-; cat g; echo z >&3; echo $?
	exec 4<f; read a <&4; read b <&4; echo $a $b; exec 4<&-; echo o >|f; set -C; echo p >f; echo $?; cat f; cat <<'A' <<B
no $x
A
yes $((2))
B
	{ echo 1; echo 2 >&2; } 2>e >o; cat e o; >t; ls -l t | awk '{ print $5 }'; cat < none; echo $?; echo q >none/x; echo $?; echo w >/; echo $?
	echo rw 1<>f; cat f; exec 5>&1 >h; echo into h; exec >&5 5>&-; cat h; cat <<-T
		tabs
	T
}
case_pipes() { echo a | cat | cat; true | false; echo $?; false | true; echo $?; set -o pipefail; false | true; echo $?; set +o pipefail; seq 100000 | head -n 1; yes | head -n 1; (exit 3) | cat; echo a b | while read x y; do echo $y $x; done; echo 1 | (read x; echo $((x + 1))); x=0; echo 5 | read x; echo $x; lines c b a | sort | { read l; echo $l; cat; }; }
case_status() { (exit 7); echo $?; sh -c 'exit 300'; echo $?; none; echo $?; /etc/passwd; echo $?; /; echo $?; sh none; echo $?; sh -c 'kill -9 $$'; echo $?; sh -c 'kill -TERM $$'; echo $?; sh -c 'kill -HUP $$'; echo $?; sh -c 'kill -PIPE $$'; echo $?; ./none; echo $?; echo 'echo script $1' >s; ./s; echo $?; chmod +x s; ./s arg; lines '#!/bin/cat' text >c; chmod +x c; ./c; lines '#!/none/x' >n; chmod +x n; ./n; echo $?; lines '#!/bin/echo  a b  ' >e; chmod +x e; ./e c; sh s x; . ./s y; }
case_traps() {
	sh -c 'trap "echo bye" EXIT; echo hi'; sh -c 'trap "echo got" TERM; kill $$; echo after'; sh -c 'trap "" TERM; kill $$; echo alive'; sh -c 'trap "echo int; exit 5" INT; kill -INT $$; echo never'; echo $?
	sh -c 'trap "echo child" CHLD; true; /bin/true; :'; sh -c 'trap "echo usr1" USR1; (kill -USR1 $$); sleep 0; echo end'; sh -c 'trap "echo x" USR1; trap'; sh -c 'trap "echo outer" EXIT; (trap "echo inner" EXIT; :); (:); exit 2'; echo $?
	sh -c 'trap "echo term" TERM; sleep 30 & p=$!; (until grep -q "^State:.S" /proc/$$/status; do usleep 10000; done; kill $$) & wait $p; echo $?; kill $p; { wait $p; } 2>/dev/null; echo $?'; sh -c 'trap "" INT; sh -c "kill -INT \$\$; echo ignored"'; sh -c 'trap "echo a" USR1; trap - USR1; kill -USR1 $$'; echo $?
}
case_jobs() { sleep 1 & wait; echo $?; (exit 5) & finish $!; sh -c 'exit 6' & p=$!; sh -c 'exit 7' & q=$!; finish $p; finish $q; wait 99999999; echo $?; sleep 20 & sleep 21 & jobs | wc -l; kill %1 %2; wait; jobs | wc -l; cat & finish $!; mkfifo p; { read x <p; echo late; } & echo early; echo >p; wait; wait -n; echo $?; }
case_signals_to_children() { sleep 43 & kill -TERM $!; finish $!; sleep 44 & await "sleeps $! sleep"; kill -INT $!; sleep 1; kill -0 $! 2>/dev/null && echo "ignores INT"; kill $! 2>/dev/null; finish $!; (trap '' TERM; exec sleep 3) & await "runs $! sleep"; kill $!; finish $!; sh -c 'sleep 45 & kill -9 $!; wait $!' 2>/dev/null; echo $?; sh -c 'echo $PPID' >f; test $(cat f) = $$; echo $?; }
case_options() { sh -e -c 'false; echo never'; echo $?; sh -u -c 'echo $none'; echo $?; sh -c 'set -f; echo *'; sh -x -c 'a=1; echo $a'; sh -n -c 'echo never'; echo $?; sh -v -c 'echo v'; sh -c 'echo $0 $1' name arg; echo 'echo from stdin $1' | sh -s x; sh -c 'set -e; (false); echo no'; echo $?; sh -a -c 'q=1; env' | grep q=; }
case_builtins() {
	cd /tmp; pwd; cd - >/dev/null; cd /none; echo $?; cd; pwd; cd /tmp/diff; OLDPWD=; type cd sh none; echo $?; command -v cat cd; command -V none; echo $?; alias x='echo aliased'; alias; unalias x; hash -r; umask 077; umask; umask -S; : >u; stat -c %a u
	getopts ab: o -a -b v; echo $o $OPTARG; readonly R=1; (R=2); echo $?; export E=1; sh -c 'echo $E'; unset E; E=2 sh -c 'echo $E'; echo ${E-none}; printf '%s-' a b; echo; printf %b 'x\n'; read a b <<T
one two three
T
	echo $a, $b; IFS=: read a b <<T
p:q
T
	echo $a $b; printf 'x\\y\n' | read -r z; echo 'a\' | { read q; echo $q; }; test -t 0; echo $?; times >/dev/null; echo $?; let 'v=3*4'; echo $v; exec 6<&-; : $(true); true; echo $?; read -t 1 x </dev/zero; echo $?; echo abcdef | { read -n 3 q; echo $q; }
}
case_limits() { ulimit -n; (ulimit -n 20; ulimit -n; ulimit -Hn; ulimit -n 30; echo $?); ulimit -c; ulimit -S -s; (ulimit -n 6; echo x 9>&1); echo $?; }
case_limits_that_kill() { (ulimit -f 1; dd if=/dev/zero of=f bs=1k count=4 2>/dev/null; echo $?; stat -c %s f); (ulimit -t 1; while :; do :; done); echo $?; }
case_globs() { mkdir d; : >d/a; : >d/b.c; : >d/.h; : >'d/x y'; echo d/*; echo d/.*; echo d/?; echo d/[!a]*; echo none*; for f in d/*; do echo "<$f>"; done; echo */a; mkdir -p p/q/r; : >p/q/r/s; echo p/*/*/s; set -f; echo d/*; }
case_exec() { sh -c 'exec echo replaced; echo never'; sh -c 'exec none'; echo $?; (exec true); echo $?; sh -c 'exec >f; echo to f'; cat f; A=1 exec sh -c 'echo $A; exit 9'; }
case_many() { i=0; while [ $i -lt 200 ]; do /bin/true || echo lost; i=$((i + 1)); done; echo $i; for i in 1 2 3 4 5 6 7 8; do sh -c 'exit 0' & done; wait; echo $?; seq 300 | while read n; do (exit $((n % 2))) && echo $n; done | wc -l; echo $(for i in $(seq 50); do echo $i & done; wait) | wc -w; }
case_large() { x=$(head -c 100000 /dev/zero | tr '\0' x); echo ${#x}; echo "$x" | wc -c; sh -c 'echo ${#1}' sh "$x"; y="$x$x"; sh -c 'echo never' sh "$y"; echo $?; seq 20000 | xargs echo | wc -w; env A="$x" sh -c 'echo ${#A}'; f() { [ $1 -eq 0 ] || f $(($1 - 1)); }; f 300; echo $?; }
case_files() { exec 7<>f; echo abc >&7; cat f; (exec 7>&-; echo kept >&7); echo $?; echo more >&7; cat f; rm f; cat <&7; echo $?; ls -l /proc/self/fd/7 | grep -c deleted; exec 7>&-; : >g; sh -c 'echo inherited >&8' 8>g; cat g; sh -c 'cat <&9' 9<g; cat /proc/self/fd/0 <g; echo e | tee /proc/self/fd/2 >/dev/null; echo full >/dev/full; echo $?; head -c 3 /dev/zero | od -c; cat /dev/null; test -c /dev/null; echo $?; }
