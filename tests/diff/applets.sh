#!/bin/sh
# SPDX-License-Identifier: MIT
# shellcheck disable=all # odd uses are what it is for
# Every applet of BusyBox that makes sense on a guest of its own, started at least once; what it prints is what the
# same applet prints on Linux. Nothing here may depend on time, pids, free memory or the number of CPUs.

lines() { printf '%s\n' "$@"; }
# member NAME TEXT...: of an archive that ar reads
member() { printf '%-16s%-12s%-6s%-6s%-8s%-10s`\n%s\n' "$1/" 0 0 0 100644 $((${#2} + 1)) "$2"; }
tree() {
	mkdir -p t/a/b t/c
	lines one two three >t/a/one
	lines x y >t/a/b/x
	: >t/c/empty
	ln -s ../a/one t/c/link
}

case_test() {
	for e in "1 -lt 2" "2 -eq 3" "-n a" "-z a" "a = a" "a != a" "-d /" "-f /" "-e /none" "-c /dev/null"; do
		test $e; echo "$e $?"
		[ $e ]; echo $?
	done
	/bin/test a = a; echo $?
	/bin/[ a = b ]; echo $?
	/bin/[ a; echo $?
	/bin/[[ a == a ]]; echo $?
	: >f; chmod 640 f; ln -s f l
	for o in r w x s h L p u g k; do test -$o f; printf '%s%s ' $o $?; test -$o l; echo $?; done
}
case_true() { /bin/true; echo $?; /bin/false; echo $?; }
case_echo() { /bin/echo a  b; /bin/echo -n c; /bin/echo -e 'x\ty\0101\\'; /bin/echo; }
case_printf() { /bin/printf '%s|%5d|%-5s|%x|%o|%c|%%\n' a 42 b 255 8 xyz c 1; /bin/printf '%d\n' x; echo $?; }
case_ascii() { ascii; }
case_ar() { { echo '!<arch>'; member a hello; member b world; } >x.a; ar t x.a; ar x x.a; cat a; ar p x.a b; ar t none; echo $?; }
case_arch() { arch; uname -m; }
case_awk() {
	lines "a 1" "b 2" "c 3" | awk '{ s += $2; n[$1] = NR } END { print s, NR, n["b"]; printf "%05.1f\n", s / 4 }'
	awk 'BEGIN { print substr("hello", 2, 3), length("abc"), toupper("x"), index("abc", "c"); while (i < 3) print i++ }'
	echo a:b:c | awk -F: -v x=7 '{ $2 = x; print; print NF }'
	awk 'BEGIN { "echo from a pipe" | getline l; print l; print "b\na" | "sort"; close("sort"); exit 3 }'
}
case_base64() { lines hello world | base64; lines hello world | base64 | base64 -d; base64 -d </bin/true 2>&1 | head -c 0; }
case_basename() { basename /a/b.c .c; basename /a/b/; dirname /a/b/c; dirname c; dirname /; }
case_bc() { echo '2^70; scale=5; 22/7; define f(x) { return x*x; }; f(12)' | bc; echo '5 3 * p' | dc; }
case_bzip2() { seq 500 >f; md5sum <f; bzip2 -k f; ls; bzcat f.bz2 | md5sum; rm f; bunzip2 f.bz2; md5sum <f; }
case_cal() { cal 2 2024; cal -m 9 1752; }
case_cat() { lines a b >f; cat f - f </dev/null; cat -n f; cat -e f; cat none; echo $?; cat /; echo $?; }
case_chmod() {
	: >f; mkdir d
	for m in 644 4755 1777 u=rwx,go=rx a-x,u+s g=u +t o=; do chmod $m f d; stat -c '%n %a %A' f d; done
	chmod 999 f; echo $?; chmod 644 none; echo $?
	umask 027; : >g; mkdir e; stat -c '%a' g e; chmod -R 700 d; chmod =r f; stat -c %a f
}
case_chown() { : >f; chown 12:34 f; stat -c '%u %g' f; chgrp 56 f; stat -c '%u %g' f; chown 7 f; chown :8 f; stat -c '%u %g' f; }
case_chroot() { mkdir -p r/bin; cp /bin/busybox r/bin/; chroot r /bin/busybox ls /; chroot r /bin/busybox pwd; chroot none; echo $?; }
case_cmp() { lines a b c >f; lines a x c >g; cmp f f; echo $?; cmp f g; echo $?; cmp -l f g; lines a >h; cmp f h; echo $?; }
case_cp() {
	tree; cp t/a/one one; cmp one t/a/one; cp -r t u; find u | sort; cp -a t v; readlink v/c/link
	cp none x; echo $?; cp t x; echo $?; cp -l one two; stat -c %h one; cp -s one three; readlink three
	chmod 751 one; touch -d '2020-02-03 04:05:06' one; cp -p one four; stat -c '%a %Y' four; cp one four/; echo $?
}
case_cpio() { tree; (cd t && find . | sort | cpio -o -H newc) >x 2>/dev/null; cpio -t <x 2>/dev/null; mkdir u; cd u; cpio -id <../x 2>/dev/null; find . | sort; readlink c/link; cat a/one; }
case_crc32() { lines hello >f; crc32 f; }
case_cut() { lines a:b:c d:e:f | cut -d: -f2; lines abcdef | cut -c2-4,6; lines a:b | cut -d: -f3 -s; }
case_date() {
	export TZ=UTC0
	date -u -d @86399 '+%Y-%m-%d %H:%M:%S %a %j %s'; date -d '2024-02-29 12:00' '+%A %B %e %U'
	touch -d '2001-09-09 01:46:40' f; date -r f '+%s'; TZ=CET-1CEST,M3.5.0,M10.5.0 date -d @1720000000; date -d nonsense; echo $?
}
case_dd() {
	seq 1000 | dd of=f bs=16 2>/dev/null; dd if=f bs=10 skip=3 count=2 2>/dev/null; echo
	dd if=/dev/zero of=g bs=1k count=8 seek=8 2>/dev/null; stat -c %s g; dd if=f of=g bs=1 seek=5 count=3 conv=notrunc 2>/dev/null
	stat -c %s g; head -c 8 g | od -c; dd if=f bs=4k 2>&1 >/dev/null | head -n 2; dd if=/dev/zero of=/dev/full bs=1 count=1; echo $?
}
case_df() { df -P none; echo $?; }
case_diff() { lines a b c d >f; lines a x c d e >g; diff f g; echo $?; diff -u f g | tail -n +3; diff f f; echo $?; diff -q f g; tree; cp -r t u; echo z >>u/a/one; rm u/c/empty; diff -r t u; }
case_dos2unix() { printf 'a\r\nb\r\n' >f; dos2unix f; od -c f; unix2dos f; od -c f; }
case_dpkg_deb() { dpkg-deb -f none; echo $?; dpkg -l none >/dev/null 2>&1; echo $?; rpm -i none; echo $?; }
case_du() { mkdir d; dd if=/dev/zero of=d/f bs=4k count=5 2>/dev/null; du -k d/f; du -s d/none; echo $?; }
case_ed() { lines one two three >f; lines '2s/two/2/' 'a' 'new' '.' '1,$p' 'w' 'q' | ed f; cat f; }
case_env() { env -i A=1 B=2 env | sort; env -i A=1 sh -c 'echo $A $HOME'; env -u PATH /bin/sh -c 'echo ${A-none}'; env none; echo $?; }
case_expand() { printf 'a\tb\n\tc\n' | expand; printf 'a\tb\n' | expand -t 4; printf '        x\n' | unexpand | od -c; }
case_expr() { expr 2 + 3 \* 4; expr abc : 'a\(.\)'; expr 5 / 0; echo $?; expr 1 \< 2; expr length hello; expr 0; echo $?; }
case_factor() { factor 12 97 1000000007 18446744073709551615; }
case_fallocate() { fallocate -l 10000 f; stat -c %s f; fallocate -l 5000 -o 8000 f; stat -c %s f; }
case_find() {
	tree; find t | sort; find t -name 'o*'; find t -type l; find t -type d | sort; find t -size 0 -type f; find t -maxdepth 1 | sort
	find t -type f -exec wc -l {} \; | sort; find t -type f -print0 | xargs -0 ls | sort; find t -newer t/none; echo $?
	find t -perm 777; find t -empty | sort; find t -path '*b*' | sort; find t ! -type d -a -name x
}
case_fold() { lines abcdefghij "a b c d e f" | fold -w 4; lines "a b c d e f" | fold -s -w 4; }
case_getopt() { getopt -o ab:c -l long,arg: -- -a -b x --arg y z -c; getopt ab: -q; echo $?; }
case_grep() {
	lines one two three One >f; grep t f; grep -v t f; grep -i one f; grep -c o f; grep -n e f; grep -q two f; echo $?
	grep none f; echo $?; grep -E '^(one|two)$' f; grep -F . f; echo $?; grep -o 'e*$' f; grep -w tw f; grep -x two f
	egrep 'o.*e' f; fgrep hr f; tree; grep -r x t; grep -l one t/a/one f; grep -A1 one f; grep x none; echo $?; printf 'a\0b' | grep -c a
}
case_groups() { groups; id -u; id -g; id -un; whoami; id none; echo $?; }
case_gzip() { seq 3000 >f; md5sum <f; gzip f; ls; zcat f.gz | md5sum; gunzip -t f.gz; gzip -d f.gz; md5sum <f; lines x | gzip -c | gunzip; lines notgz | gunzip; echo $?; uncompress f; echo $?; }
case_head() { seq 20 >f; head -n 3 f; head -c 5 f; head -n -17 f; tail -n 3 f; tail -c 5 f; tail -n +19 f; head f none | tail -n 2; }
case_hexdump() { printf 'hello\0\377world12345678' >f; hexdump -C f; hexdump f; xxd f; xxd -p f; xxd -p f | xxd -r -p | cmp - f; od f; od -An -tx1 f; od -c f; }
case_hostid() { hostid | wc -c; hostname none -x; echo $?; }
case_ipcalc() { ipcalc -bnm 10.1.2.3/20; ipcalc -p 10.0.0.0 255.255.255.0; ipcalc 1.2.3; echo $?; }
case_kill() {
	sleep 30 & kill $!; finish $!; sleep 30 & kill -9 $!; finish $!; sleep 30 & kill -INT $!; kill -0 $!; echo $?; kill -9 $!; finish $!
	kill -0 99999999; echo $?; /bin/kill -l 9; /bin/kill -l | head -n 3; cp /bin/busybox cat; ./cat /dev/zero >/dev/null & await "runs $! cat"; killall cat; finish $!; killall none; echo $?
}
case_less() { seq 3 >f; less f; more f; less none; echo $?; }
case_ln() {
	lines a >f; ln f g; ln -s f s; ln -s none d; stat -c '%h' f; readlink s; readlink d; cat s; cat d; echo $?; ln f g; echo $?; ln -f f g; ln -sf g s; readlink s
	link f h; stat -c %h h; unlink h; stat -c %h f; unlink none; echo $?; mkdir x; ln f x; ls x; ln x y; echo $?; ln -s x y; ls y/; readlink -f y/f; realpath y/../s; ln -s loop loop; cat loop; echo $?
}
case_ls() {
	tree; ls t; ls -1a t; ls -R t; ls -F t/c; ls -d t; ls -ld t/c/link | awk '{ print $1, $9, $10, $11 }'; ls none; echo $?
	touch -d '2020-01-01 00:00:00' t/a/one; touch -d '2021-01-01 00:00:00' t/a/b; ls -ln t/a/one | awk '{ print $1, $2, $3, $4, $5, $9 }'; ls -t t/a | tail -n 1; ls -S t/a/b/x t/a/one | head -n 1; ls -r t; ls -p t
}
case_lzma() { printf '\375notxz' >f.xz; unxz f.xz; echo $?; xzcat f.xz; echo $?; lzcat f.xz; echo $?; unlzma none.lzma; echo $?; }
case_lzop() { seq 2000 >f; md5sum <f; lzop f 2>&1 | head -n 1; ls; rm -f f; lzop -d f.lzo; md5sum <f; }
case_md5sum() { lines hello >f; for s in md5sum sha1sum sha256sum sha3sum sha512sum; do $s f; $s f >s; $s -c s; done; echo 0 >>f; md5sum -c s; echo $?; }
case_mkdir() { mkdir a a/b; mkdir -p c/d/e; mkdir -m 700 f; stat -c '%a' f; find . | sort; mkdir a; echo $?; mkdir x/y; echo $?; rmdir a/b; rmdir c; echo $?; rmdir -p c/d/e; ls; rmdir none; echo $?; }
case_mkfifo() { mkfifo p; stat -c '%F %a' p; lines through >p & cat p; wait; wc -l <p & lines a b c >p; wait; test -p p; echo $?; mkfifo p; echo $?; ls -F; }
case_mknod() { mknod n c 1 3; stat -c '%F %t %T' n; mknod f p; test -p f; echo $?; mknod x q; echo $?; }
case_mktemp() { f=$(mktemp); test -f $f; echo $?; stat -c '%a %s' $f; rm $f; d=$(mktemp -d /tmp/diff/x.XXXXXX); test -d $d; echo $?; stat -c %a $d; mktemp /none/x.XXXXXX; echo $?; }
case_mkpasswd() { mkpasswd -m sha512 -S saltsalt secret; mkpasswd -m md5 -S saltsalt secret; }
case_mount() { mkdir m; mount -t tmpfs none m; echo $?; : >m/f; ls m; mountpoint m 2>&1 | head -c 0; umount m; echo $?; ls m; umount m; echo $?; grep -c ' / ' /proc/mounts; mount | grep -c ' on /proc '; }
case_mv() { lines a >f; mkdir d; mv f g; ls; mv g d/; ls d; mv d/g d/h; mv d e; find . | sort; mv none x; echo $?; lines b >f; mv f e/h; cat e/h; mkdir x x/y; lines c >x/y/z; mv x/y e; find . | sort; mv e e/k; echo $?; }
case_nl() { lines a '' b | nl; lines a '' b | nl -b a -w 3 -s :; }
case_nohup() { setsid sh -c 'echo in a session'; nice 2>/dev/null | wc -l; time -p true 2>/dev/null; echo $?; timeout 1 sleep 5; echo $?; timeout 5 true; echo $?; timeout -s KILL 1 sleep 5; echo $?; }
case_paste() { seq 4 >f; lines a b >g; paste f g; paste -s -d, f; paste - - <f; }
case_patch() { lines a b c >f; lines a x c d >g; diff -u f g >p; patch f <p; cmp f g; echo $?; patch -R f <p; cat f; lines zzz >f; patch f <p; echo $?; }
case_pidof() { cp /bin/busybox cat; ./cat /dev/zero >/dev/null & await "runs $! cat"; test "$(pidof cat)" = $!; echo $?; kill $!; wait $!; pidof none; echo $?; }
case_ps() {
	sleep 33 & p=$!; await "sleeps $p sleep"; ps -o pid,comm,args | awk -v p=$p '$1 == p { $1 = ""; print }'; ps -o pid,user,stat | awk -v p=$p '$1 == p { print $2, $3 }'
	ps -o pid,ppid | awk -v p=$p -v q=$$ '$1 == p { print $2 == q }'; ps | head -n 1; kill $p; finish $p; ps -o pid | awk -v p=$p '$1 == p'
}
case_proc() {
	cut -d ' ' -f 2 /proc/self/stat; tr '\0' ' ' </proc/self/cmdline; echo; readlink /proc/self/exe; readlink /proc/self/cwd; cat /proc/self/comm
	sleep 34 & p=$!; await "sleeps $p sleep"; for f in Name State Tgid PPid Uid Gid Threads SigIgn; do grep "^$f:" /proc/$p/status; done | sed "s/$p/P/; s/$$/Q/" | tr '\t' ' '
	ls /proc/$p/fd; awk '{ print $3 }' /proc/$p/stat; tr '\0' '\n' </proc/$p/cmdline; kill $p; finish $p; ls /proc/$p 2>/dev/null; echo $?
}
case_pwd() { cd /tmp/diff; /bin/pwd; mkdir -p a/b; cd a/b; /bin/pwd; ln -s a/b ../../s; cd ../../s; pwd; pwd -P; /bin/pwd; rmdir ../../a/b 2>/dev/null; cd /tmp/diff/a/b && rmdir ../b; /bin/pwd; echo $?; }
case_readlink() { ln -s a b; readlink b; readlink none; echo $?; : >a; readlink a; echo $?; readlink -f b; readlink -f x/y; echo $?; realpath b ../diff/./b; realpath none/x; echo $?; }
case_resize() { tty; echo $?; stty; echo $?; clear | od -c | head -n 1; reset | head -c 0; }
case_rev() { lines abc 'x y' | rev; lines a b c | tac; }
case_rm() { tree; rm t; echo $?; rm -r t; ls; rm none; echo $?; rm -f none; echo $?; : >f; chmod 0 f; rm -f f; ls; mkdir d; rm -rf d none; ls; rm -rf /tmp/diff/../diff/x; rm -r .; echo $?; }
case_run_parts() { mkdir d; lines '#!/bin/sh' 'echo one $1' >d/a; lines '#!/bin/sh' 'echo two' >d/b; : >d/c.txt; chmod +x d/a d/b; run-parts -a x d; run-parts --test d; }
case_sed() {
	lines one two three >f; sed 's/t/T/' f; sed -n 2p f; sed '1d;$s/e/E/g' f; sed -e '/two/a\' -e 'after' f; sed 's/\(.\)\(.\)/\2\1/' f; sed -i 's/one/1/' f; cat f
	sed -n '/t/{p;=}' f; sed y/abct/ABCT/ f; sed '2q' f; sed 'N;s/\n/+/' f; sed -E 's/(t)(.)/<\1\2>/g' f; sed '$!d' f; sed '2i\
before' f; sed 's/x/y' f; echo $?; sed = f | head -n 2; sed 'w out' f >/dev/null; cat out; sed ':a;s/^.\{1,7\}$/ &/;ta' f
}
case_seq() { seq 3; seq 2 4; seq 1 3 9; seq 5 -2 0; seq -s, 4; seq -w 8 11; seq 0.5 0.5 2; seq x; echo $?; }
case_shred() { lines secret >f; shred -u f; ls; lines a b c | shuf | sort; shuf -i 1-5 | sort; shuf -n 0 /dev/null; }
case_sleep() { sleep 0; echo $?; usleep 10; echo $?; sleep x; echo $?; sleep 0.01; echo $?; }
case_sort() { lines b a c a >f; sort f; sort -u f; sort -r f; lines 10 9 2 | sort; lines 10 9 2 | sort -n; lines 'a 2' 'b 1' | sort -k2; lines a b | sort -c; echo $?; lines b a | sort -c; echo $?; lines a,2 b,10 | sort -t, -k2,2nr; sort f f -o g; wc -l <g; lines b A c | sort -f; lines 3 1 | sort -m - f | wc -l; seq 2000 | sort -rn | head -n 2; }
case_start_stop_daemon() { start-stop-daemon -S -b -m -p pid -x /bin/sleep -- 35; await 'runs $(cat pid) sleep'; kill -0 $(cat pid); echo $?; start-stop-daemon -q -K -p pid; echo $?; await '! kill -0 $(cat pid)'; kill -0 $(cat pid) 2>/dev/null; echo $?; }
case_stat() {
	lines hello >f; ln -s f l; mkdir d; chmod 4711 f; touch -d '2011-11-11 11:11:11' f
	TZ=UTC stat -c '%n %s %a %A %F %u %U %g %G %h %Y %y' f; stat -c '%N %F %s' l; stat -L -c '%F' l; stat -c '%F %a' d /dev/null /tmp; stat -c '%t %T' /dev/null /dev/zero; stat none; echo $?
}
case_strings() { printf 'ab\0hello\1world1\0xyz' >f; strings f; strings -n 3 f; strings -f -o f; }
case_stty() { stty </dev/null; echo $?; }
case_svc() { which acpid httpd crond udhcpc telnetd getty login su | wc -l; login -h 2>&1 | head -c 0; nologin; echo $?; }
case_sync() { sync; echo $?; fsync f 2>/dev/null; dmesg >/dev/null; echo $?; swapon -s 2>/dev/null | head -c 0; }
case_sysctl() { sysctl -n kernel.ostype; cat /proc/sys/kernel/ostype; }
case_tar() {
	tree; tar -cf x.tar t; tar -tf x.tar | sort; mkdir u; tar -xf x.tar -C u; find u | sort; readlink u/t/c/link; cat u/t/a/one; tar -czf x.tgz t; tar -tzf x.tgz | wc -l; tar -xzOf x.tgz t/a/one
	tar -cf y.tar -C t a; tar -tf y.tar | sort; tar -cf - t | tar -xf - -C u; tar -ch -f z.tar t; tar -tf z.tar | sort; head -c 700 x.tar | tar -tf -; echo $?; tar -xf none; echo $?
	chmod 750 t/c; touch -d @1000000000 t/c/empty; tar -cf p.tar t; rm -rf t; tar -xpf p.tar; stat -c '%a %Y' t/c/empty; stat -c %a t/c
}
case_tee() { lines a b | tee f g; cat f; lines c | tee -a f >/dev/null; cat f; lines x | tee /none/f; echo $?; }
case_time() { time -f '%x' true; time -f '%x %C' sh -c 'exit 3'; echo $?; }
case_touch() { touch a; stat -c %s a; touch -c b; ls; touch -d '2005-05-05 05:05:05' a; TZ=UTC stat -c %y a; touch -r a c; test a -nt c; echo $?; test c -ot a; echo $?; touch none/x; echo $?; touch -h a; echo $?; }
case_tr() { echo hello | tr a-y b-z; echo hello | tr -d l; echo aabbcc | tr -s a-c; echo hello | tr -c 'a-z\n' x; echo AbC | tr '[:upper:]' '[:lower:]'; printf 'a\0b' | tr '\0' '\n'; }
case_truncate() { truncate -s 1000 f; stat -c %s f; truncate -s 10 f; stat -c %s f; truncate -s 1M f; stat -c %s f; truncate -s 5G f; stat -c '%s %b' f; truncate -c -s 1 none; ls; tail -c 3 f | od -c; }
case_ts() { lines a b | ts '%%' 2>&1; }
case_uname() { uname; uname -s; uname -o; uname -p; uname -x; echo $?; linux64 uname -m; }
case_uniq() { lines a a b a c c c | uniq; lines a a b | uniq -c; lines a a b | uniq -d; lines a a b | uniq -u; lines 'x a' 'y a' | uniq -f 1; lines a A | uniq -i; }
case_uptime() { uptime | grep -c 'load average'; free | awk 'NR == 1'; who | wc -l; w 2>/dev/null | head -c 0; last 2>/dev/null | head -c 0; nproc | grep -c '^[1-9]'; }
case_uuencode() { lines hello world >f; uuencode f g; uuencode f g | uudecode -o -; uuencode -m f g; uuencode f g | uudecode; cmp f g; echo $?; echo junk | uudecode; echo $?; }
case_unzip() { printf 'PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' >e.zip; unzip -l e.zip; echo $?; unzip none; echo $?; rpm2cpio none; echo $?; }
case_wc() { lines 'a b' c >f; wc f; wc -l f; wc -w f; wc -c f; wc -m f; wc -L f; wc f f; wc <f; wc none; echo $?; printf x | wc -l; }
case_which() { which sh ls none; echo $?; }
case_watch() { watch -n 1 true >/dev/null & await "runs $! watch"; kill $!; finish $!; }
case_xargs() { lines a b c | xargs; lines a b c | xargs -n 2; lines a b | xargs -I % echo x%x; printf 'a b\0c' | xargs -0 -n 1; lines a | xargs false; echo $?; lines a | xargs none; echo $?; </dev/null xargs echo empty; </dev/null xargs -r echo none; seq 3000 | xargs | wc; lines "'a b' c\\ d" | xargs -n 1; }
case_yes() { yes | head -n 3; yes a b | head -n 2; yes | head -c 100000 | wc -c; }
case_top() { top -b -n 1 | head -n 1 | cut -c 1-4; top -b -n 1 | grep -c 'top -b'; }
case_help() { busybox | head -n 1 | cut -d ' ' -f 1; busybox --list | wc -l; busybox none; echo $?; ls --help 2>&1 | head -n 3 | tail -n 1; none; echo $?; }
