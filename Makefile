# SPDX-License-Identifier: MIT
# tern's one Makefile. "make help" lists what it makes; read on for how.
#
#   make                         build/release/Image
#   make DEBUG=1                 build/debug/Image: checks, poison, in-kernel tests
#   make DEBUG=1 SAN=address     build/asan/Image: the same under KASAN and UBSan
#   make DEBUG=1 SAN=thread      build/tsan/Image: the same with a detector of data races
#   make V=1                     show the commands
#
# A source file is found by the folder it lies in; nothing is listed here but the folders and the
# third-party files. Object files know their headers (-MD) and their flags.

# All processors, unless the caller has said how many.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:
export LC_ALL := C

# ---- what is built ------------------------------------------------------------------------------

VARIANT := $(if $(DEBUG),$(or $(if $(filter address,$(SAN)),asan),$(if $(filter thread,$(SAN)),tsan),debug),release)
# With WERROR=1 (lint, CI) objects lie apart, so that the two kinds of build do not undo each other.
B := build$(if $(WERROR),/werror)
O := $B/$(VARIANT)

FLOORS := lib arch/aarch64 kernel/core drivers/chip mm/phys sched drivers drivers/virtio mm/vm kernel/proc fs \
	  drivers/tty net kernel ssh ssh/server $(if $(DEBUG),tests/kernel)
sources = $(sort $(wildcard $(addsuffix /*.c,$(1)) $(addsuffix /*.S,$(1))))
# Files that only debug images have, and only the sanitizer's: no line of them is in the release image.
DEBUG_ONLY := %_check.c kernel/core/perturb.c kernel/core/fault.c drivers/virtio/virtio_fault.c sched/choose_perturbed.c kernel/core/irqs_off.c
SAN_ONLY   := $(if $(filter asan,$(VARIANT)),,kernel/core/kasan.c kernel/core/ubsan.c arch/aarch64/early_shadow.c) \
	      $(if $(filter tsan,$(VARIANT)),,kernel/core/kcsan.c)
OURS   := $(filter-out $(if $(DEBUG),,$(DEBUG_ONLY)) $(SAN_ONLY),$(call sources,$(FLOORS)))

# ---- the pinned sources: fetched when deps.lock says something else than what is unpacked -----------

# Before the lists below look into deps/: make remembers what a folder held.
NO_BUILD := clean help fmt stats
ifneq ($(filter-out $(NO_BUILD),$(or $(MAKECMDGOALS),all)),)
ifneq ($(shell cmp -s deps.lock deps/.fetched || scripts/fetch.sh 1>&2 || echo failed),)
$(error the pinned sources are not complete: see the line above)
endif
endif

# ---- third-party sources, of which --gc-sections keeps what is called ----------------------------

# net/timers.c, net/route.c and net/neighbour.c contain three of lwIP's files.
LWIP	:= $(if $(wildcard net/lwipopts.h),$(sort $(filter-out %/timeouts.c %/ip4.c %/etharp.c %/nd6.c,$(wildcard deps/lwip/src/core/*.c deps/lwip/src/core/ipv4/*.c deps/lwip/src/core/ipv6/*.c) \
	   deps/lwip/src/netif/ethernet.c)))
BEARSSL := $(filter-out %_x86ni.c %_x86ni_cbcdec.c %_x86ni_cbcenc.c %_x86ni_ctr.c %_x86ni_ctrcbc.c %pclmul.c %sse2.c \
	   %pwr8.c %sysrng.c $(foreach p,_pwr8_ _i15 _m15 i15_ _m31_i15,$(wildcard deps/bearssl/src/*/*$(p)*.c)), \
	   $(sort deps/bearssl/src/settings.c \
	   $(wildcard $(foreach d,aead codec ec hash int mac rand rsa symcipher,deps/bearssl/src/$(d)/*.c))))
S	:= deps/libsodium/src/libsodium
SODIUM	:= $(sort $(wildcard $(addprefix $(S)/,crypto_core/ed25519/ref10/*.c crypto_sign/ed25519/ref10/*.c \
	   crypto_scalarmult/curve25519/*.c crypto_scalarmult/curve25519/ref10/*.c crypto_verify/sodium/*.c \
	   crypto_onetimeauth/poly1305/*.c crypto_onetimeauth/poly1305/donna/*.c \
	   crypto_stream/chacha20/*.c crypto_stream/chacha20/ref/*.c)))
F	:= deps/device-tree-compiler/libfdt
LIBFDT	:= $(addprefix $F/,fdt.c fdt_addresses.c fdt_check.c fdt_ro.c fdt_rw.c fdt_strerror.c fdt_wip.c)
# Ours by name, but nearly all of each is an included file of OpenSSH's.
KEMS	:= ssh/mlkem768.c ssh/sntrup761.c
THEIRS	:= $(LWIP) $(BEARSSL) $(SODIUM) $(LIBFDT)

# The doors of docs/layers.txt: what <...> can find. lib/libc stands for the C library, which is not there.
UAPI	 := deps/linux-libc-dev/usr/include
INCLUDES := -I. -isystem lib/libc -isystem $(shell aarch64-linux-gnu-gcc -print-file-name=include 2>/dev/null) \
	    -isystem deps/lwip/src/include -isystem deps/bearssl/inc -isystem $S/include -isystem $F -isystem deps \
	    -isystem $(UAPI) -isystem $(UAPI)/aarch64-linux-gnu

# ---- tools and flags ----------------------------------------------------------------------------

CC	:= aarch64-linux-gnu-gcc
OBJCOPY := aarch64-linux-gnu-objcopy
NM	:= aarch64-linux-gnu-nm
STRIP	:= aarch64-linux-gnu-strip
PYTHON	:= /usr/bin/env python3
Q	:= $(if $(V),,@)
say	 = $(if $(V)$(findstring s,$(firstword -$(MAKEFLAGS))),,@echo "  $(1)	$(2)")

# Shadow of address a is at (a >> 3) + KASAN_OFFSET: the 64 GiB from 0xffffffd000000000 on.
KASAN_OFFSET := 0xdfffffe000000000
SAN_FLAGS_asan := -fsanitize=kernel-address -fasan-shadow-offset=$(KASAN_OFFSET) \
		  --param asan-instrumentation-with-call-threshold=0 --param asan-stack=1 --param asan-globals=1 \
		  -fsanitize=undefined -Wno-frame-larger-than
# Copies are calls of lib/string.c, which says what it touches: the compiler says nothing of those it makes itself.
SAN_FLAGS_tsan := -fsanitize=thread --param tsan-distinguish-volatile=1 --param tsan-instrument-func-entry-exit=0 \
		  -fno-builtin-memcpy -fno-builtin-memmove -fno-builtin-memset -Wno-frame-larger-than -Wno-tsan
SAN_FLAGS := $(SAN_FLAGS_$(VARIANT))
# What must run before the shadow is mapped, or is the sanitizer itself, is built without it; so is the
# third-party crypto, which would be too slow to log in with. The detector of races prints by way of the log, so it must
# find none where a lock is half taken.
NOSAN	  := arch/aarch64/boot% arch/aarch64/early% kernel/core/kasan% kernel/core/ubsan% lib/string% \
	     $(if $(filter tsan,$(VARIANT)),kernel/core/kcsan.c kernel/core/spinlock% kernel/core/lock% kernel/core/rwspin% \
	     kernel/core/perturb% kernel/core/irqs_off%) $(BEARSSL) $(SODIUM) $(KEMS) $(LIBFDT)

# Paths in debug information and __FILE__ are relative to this folder: two checkouts give the same bytes.
COMMON := -std=gnu11 -O2 -g -ffreestanding -nostdinc -fno-pie -mcpu=cortex-a53 -mgeneral-regs-only -mstrict-align \
	  -mno-outline-atomics -fno-common -fno-strict-aliasing -fno-delete-null-pointer-checks -fno-omit-frame-pointer \
	  -fno-asynchronous-unwind-tables -fstack-protector-strong -ffunction-sections -fdata-sections \
	  "-ffile-prefix-map=$(CURDIR)=." $(INCLUDES) $(if $(DEBUG),-DDEBUG=1) \
	  $(if $(filter asan,$(VARIANT)),-DSAN_ADDRESS=1) $(if $(filter tsan,$(VARIANT)),-DSAN_THREAD=1)
STRICT := -Wall -Wextra -Wno-unused-parameter -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Wundef -Wvla \
	  -Wwrite-strings -Wimplicit-fallthrough -Wframe-larger-than=1024 $(if $(WERROR),-Werror)
# Copies and clearings of a few bytes are instructions, not calls: a call costs an emulator more than they do.
# lib/string.c is what the calls are made of. Ours include the door files of net/, which see lwipopts.h as lwIP does.
OUR_FLAGS     := $(STRICT) -fbuiltin -Inet
# The crypto loads words from wherever its bytes lie, with __builtin_memcpy() in mind: without these two, each is a
# call and a byte loop. It never runs before the MMU is on, nor on device memory.
CRYPTO_FLAGS  := -fbuiltin -mno-strict-align
LWIP_FLAGS    := -fbuiltin -mno-strict-align -Wall -Wextra -Wno-unused-parameter -Inet
BEARSSL_FLAGS := $(CRYPTO_FLAGS) -Wall -Wextra -Ideps/bearssl/src -DBR_64=1 -DBR_INT128=1 -DBR_LE_UNALIGNED=1 -DBR_USE_URANDOM=0 \
		 -DBR_USE_UNIX_TIME=0 -DBR_RDRAND=0 -DBR_AES_X86NI=0 -DBR_SSE2=0 -DBR_POWER8=0
# Short loops of fixed length pay unrolled: AES's rows, SHA-256's schedule, mixing in the key stream.
UNROLL_FLAGS  := $(BEARSSL_FLAGS) -O3 -funroll-loops
SODIUM_FLAGS  := $(CRYPTO_FLAGS) -Wall -Wno-unused-function -I$S/include/sodium -I$S/include/sodium/private -DCONFIGURED=1 -DHAVE_TI_MODE=1 \
		 -DNATIVE_LITTLE_ENDIAN=1 -DHAVE_INLINE_ASM=1
LIBFDT_FLAGS  := -Wall
LDFLAGS	 := -nostdlib -static -no-pie -Wl,-T,linker.ld -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,noexecstack \
	    -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments

obj	 = $(patsubst %,$(O)/obj/%.o,$(1))
OBJS	:= $(call obj,$(OURS) $(THEIRS)) $(O)/obj/vdso.o

all: $(O)/Image

# ---- compiling ----------------------------------------------------------------------------------

$(call obj,$(LWIP)):	EXTRA := $(LWIP_FLAGS)
$(call obj,$(BEARSSL)): EXTRA := $(BEARSSL_FLAGS)
$(call obj,$(filter %/aes_ct64_enc.c %/aes_ct64_ctr.c %/aes_ct64_ctrcbc.c %/sha2small.c,$(BEARSSL))): EXTRA := $(UNROLL_FLAGS)
$(call obj,$(SODIUM)):	EXTRA := $(SODIUM_FLAGS)
$(call obj,$(LIBFDT)):	EXTRA := $(LIBFDT_FLAGS)
$(call obj,$(OURS)):	EXTRA := $(OUR_FLAGS)
$(call obj,$(KEMS)):	EXTRA := $(OUR_FLAGS) $(CRYPTO_FLAGS) -O3 -funroll-loops -Wno-frame-larger-than
$(call obj,lib/string.c): EXTRA := $(OUR_FLAGS) -fno-builtin -mno-strict-align
$(call obj,net/checksum.c): EXTRA := $(OUR_FLAGS) -mno-strict-align
$(call obj,$(filter-out $(NOSAN),$(OURS) $(THEIRS))): SANITIZE := $(SAN_FLAGS)

$(O)/obj/%.o: % $(O)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON) $(EXTRA) $(SANITIZE) $(if $(filter %.S,$<),-D__ASSEMBLER__=1) -MD -MP -c $< -o $@

# Objects are rebuilt when the flags change: the file is rewritten only then.
keep_flags = @mkdir -p $(@D); echo '$(subst $(CURDIR),.,$(1))' | cmp -s - $@ || echo '$(subst $(CURDIR),.,$(1))' >$@
$(O)/flags: FORCE
	$(call keep_flags,$(COMMON) $(OUR_FLAGS) $(SAN_FLAGS) $(LWIP_FLAGS) $(UNROLL_FLAGS) $(SODIUM_FLAGS) $(NOSAN))

-include $(OBJS:.o=.d)

# ---- the vDSO: a shared object of one page, linked into the image as bytes, without section headers ----------------

VDSO_FLAGS := -std=gnu11 -O2 -g0 -ffreestanding -nostdinc -fpic -mcpu=cortex-a53 -mgeneral-regs-only -fomit-frame-pointer \
	      -fno-asynchronous-unwind-tables -fno-stack-protector $(INCLUDES) $(STRICT) \
	      -shared -nostdlib -Wl,-T,kernel/vdso/vdso.lds -Wl,-soname,linux-vdso.so.1 -Wl,--hash-style=both -Wl,--build-id=none \
	      -Wl,-Bsymbolic -Wl,-z,max-page-size=4096 -Wl,--no-undefined
$(O)/obj/vdso.o: $(wildcard kernel/vdso/*) kernel/core/clock_data.h $(O)/flags
	$(call say,VDSO,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(VDSO_FLAGS) $(filter %.c %.S,$^) -o $(O)/vdso.so
	$(Q)printf '\0\0\0\0\0\0\0\0' | dd of=$(O)/vdso.so bs=1 seek=40 conv=notrunc status=none
	$(Q)printf '\0\0\0\0\0\0' | dd of=$(O)/vdso.so bs=1 seek=58 conv=notrunc status=none
	$(Q)printf '%s\n' '.section .rodata.vdso, "a"' '.balign 4096' '.global vdso_image' \
		'vdso_image: .incbin "$(O)/vdso.so", 0, 4096' >$(O)/vdso.S
	$(Q)$(CC) -c $(O)/vdso.S -o $@

# ---- linking: once without symbols, then with the table made of the first ---------------------------
# The table lies behind all code, so it moves no function; symbols.py --check makes sure of that.

$(O)/tern.elf: $(OBJS) $(O)/obj/initramfs.o $(wildcard linker.ld) scripts/symbols.py
	$(if $(wildcard linker.ld kernel/main.c),,$(error linker.ld and kernel/main.c are not there yet))
	$(call say,LD,$@)
	$(Q)$(PYTHON) scripts/symbols.py --empty >$(O)/ksyms.S
	$(Q)$(CC) -c $(O)/ksyms.S -o $(O)/ksyms0.o
	$(Q)$(CC) $(LDFLAGS) $(OBJS) $(O)/obj/initramfs.o $(O)/ksyms0.o -o $(O)/tern0.elf
	$(Q)$(NM) -n $(O)/tern0.elf | $(PYTHON) scripts/symbols.py >$(O)/ksyms.S
	$(Q)$(CC) -c $(O)/ksyms.S -o $(O)/ksyms1.o
	$(Q)$(CC) $(LDFLAGS) -Wl,-Map=$(O)/tern.map $(OBJS) $(O)/obj/initramfs.o $(O)/ksyms1.o -o $@
	$(Q)$(NM) -n $@ | $(PYTHON) scripts/symbols.py --check $(O)/ksyms.S
	@rm -f $(O)/tern0.elf

$(O)/Image: $(O)/tern.elf
	$(call say,IMAGE,$@)
	$(Q)$(OBJCOPY) -O binary $< $@

# ---- user programs: user/NAME.c, or all of user/NAME/, with user/lib become build/user/NAME ---------------------

M	:= deps/musl-dev/usr/lib/aarch64-linux-musl
U	:= $B/user
USER_CFLAGS  := -std=gnu11 -O2 -g -nostdinc -fno-pie -fno-asynchronous-unwind-tables -ffunction-sections \
		-fdata-sections -mno-outline-atomics "-ffile-prefix-map=$(CURDIR)=." -D_GNU_SOURCE -I. -Wall -Wextra \
		-Wno-unused-parameter -Wshadow -Wvla -Wwrite-strings $(if $(WERROR),-Werror) \
		-isystem deps/musl-dev/usr/include/aarch64-linux-musl \
		-isystem $(shell $(CC) -print-file-name=include 2>/dev/null) -isystem deps/bearssl/inc \
		-idirafter $(UAPI) -idirafter $(UAPI)/aarch64-linux-gnu
USER_LDFLAGS := -static -no-pie -nostdlib -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
		-Wl,-z,norelro -Wl,-z,noexecstack
USER_LIBS    := -L$M -Wl,--start-group -lc $(shell $(CC) -print-libgcc-file-name 2>/dev/null) -Wl,--end-group $M/crtn.o

USER_NAMES   := $(sort $(basename $(notdir $(wildcard user/*.c))) \
		$(filter-out lib,$(patsubst user/%/,%,$(dir $(wildcard user/*/*.c)))))
TEST_NAMES   := $(sort $(basename $(notdir $(wildcard tests/user/*.c))))
# OpenSSH's sftp-server and scp, with what its configure script would say in user/openssh/config.h.
P	     := deps/openssh/programs
P_BOTH	     := atomicio fatal log match misc sftp-common sshbuf sshbuf-getput-basic ssherr xmalloc \
		$(addprefix openbsd-compat/,bsd-misc fmt_scaled freezero recallocarray vis)
P_sftp-server := sftp-server sftp-server-main sftp-realpath platform-pledge platform-tracing sshbuf-misc \
		$(addprefix openbsd-compat/,pwcache strmode) $(P_BOTH)
P_scp	     := scp sftp-client sftp-glob progressmeter utf8 $(addprefix openbsd-compat/,glob strtonum) $(P_BOTH)
P_FLAGS	     := -Os -w -Iuser/openssh -I$P
user_sources  = $(or $(patsubst %,$P/%.c,$(P_$(1))),$(call sources,user/$(1)) $(wildcard user/$(1).c) user/lib/say.c)
user_objs     = $(patsubst %,$B/obj-user/%.o,$(1))
# sink needs SHA-256: BearSSL's.
SINK_LIBS    := deps/bearssl/src/hash/sha2small.c deps/bearssl/src/codec/dec32be.c deps/bearssl/src/codec/enc32be.c

$B/obj-user/%.o: % $B/obj-user/flags
	$(call say,USERCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(if $(filter deps/bearssl/%,$<),$(BEARSSL_FLAGS)) $(if $(filter $P/%,$<),$(P_FLAGS)) -MD -MP -c $< -o $@

$B/obj-user/flags: FORCE
	$(call keep_flags,$(USER_CFLAGS) $(P_FLAGS) $(USER_LDFLAGS))

link_user = $(CC) $(USER_LDFLAGS) $(3) $M/crt1.o $M/crti.o $(1) $(USER_LIBS) -o $(2)

# One rule a program, made here because its sources follow from its name.
define user_program
$U/$(1): $(call user_objs,$(call user_sources,$(1)) $(if $(filter sink,$(1)),$(SINK_LIBS)))
	$$(call say,USERLD,$$@)
	@mkdir -p $U
	$$(Q)$$(call link_user,$$(filter %.o,$$^),$$@,$$(USER_LDFLAGS_$(1)))
endef
$(foreach n,$(USER_NAMES) sftp-server scp,$(eval $(call user_program,$(n))))

$B/tests-user/%: $B/obj-user/tests/user/%.c.o $B/obj-user/user/lib/say.c.o
	$(call say,USERLD,$@)
	@mkdir -p $(@D)
	$(Q)$(call link_user,$(filter %.o,$^),$@)

# The programs of the differential ring, which run under tern and under Linux.
$B/tests-diff/%: $B/obj-user/tests/diff/%.c.o $B/obj-user/tests/diff/lib/diff.c.o
	$(call say,USERLD,$@)
	@mkdir -p $(@D)
	$(Q)$(call link_user,$(filter %.o,$^),$@)

$B/tests-diff/%: tests/diff/%.sh tests/diff/lib/diff.sh
	@mkdir -p $(@D)
	$(Q)cat $^ >$@ && chmod +x $@

# stdcheck's heap must not care where bss ends: the layouts of seeds/001, and one that is not aligned.
STDCHECK_LAYOUTS := 401000 402000 402008
STDCHECK_BINS	 := $(patsubst %,$B/tests-user/stdcheck-%,$(STDCHECK_LAYOUTS))
$(STDCHECK_BINS): $B/tests-user/stdcheck-%: $(call user_objs,$(call user_sources,stdcheck))
	$(call say,USERLD,$@)
	@mkdir -p $(@D)
	$(Q)$(call link_user,$^,$@,$(LAYOUT))
$(STDCHECK_BINS): LAYOUT = -Wl,-Ttext-segment=0x3f0000 -Wl,--section-start=.bss=0x$*

-include $(wildcard $B/obj-user/*/*.d $B/obj-user/*/*/*.d $B/obj-user/*/*/*/*.d $B/obj-user/*/*/*/*/*.d)

# Programs of the bench, for both kernels.
$B/bench/%: $B/obj-user/tests/bench/%.c.o $B/obj-user/user/lib/say.c.o
	$(call say,USERLD,$@)
	@mkdir -p $(@D)
	$(Q)$(call link_user,$(filter %.o,$^),$@)

# ---- the built-in files: the skeleton user/root, BusyBox and our programs in /bin ------------------------------

USER_BINS := $(addprefix $U/,$(USER_NAMES) scp)
DIFF_BINS := $(patsubst tests/diff/%,$B/tests-diff/%,$(basename $(wildcard tests/diff/*.c tests/diff/*.sh)))
TEST_BINS := $(addprefix $B/tests-user/,$(TEST_NAMES)) $(STDCHECK_BINS)

BUSYBOX	  := deps/busybox-static/bin/busybox

$B/initramfs.cpio: $(USER_BINS) $U/sftp-server $(BUSYBOX) $(shell find user/root -type f 2>/dev/null | sort) user/root.list scripts/mkcpio.py
	$(call say,CPIO,$@)
	$(Q)$(PYTHON) scripts/mkcpio.py --strip $(STRIP) --list user/root.list --tree user/root --busybox $(BUSYBOX) -o $@ \
		$(foreach b,$(USER_BINS),/bin/$(notdir $(b))=$(b)) /usr/lib/openssh/sftp-server=$U/sftp-server

# Laid over the built-in files by test runs: the torture programs in /tests.
$B/tests.cpio: $(TEST_BINS) scripts/mkcpio.py
	$(call say,CPIO,$@)
	$(Q)$(PYTHON) scripts/mkcpio.py --strip $(STRIP) -o $@ $(foreach b,$(TEST_BINS),/tests/$(notdir $(b))=$(b))

$(O)/obj/initramfs.o: $B/initramfs.cpio
	@mkdir -p $(@D)
	$(Q)printf '%s\n' '.section .initramfs, "a"' '.balign 4096' '.global initramfs_start, initramfs_end' \
		'initramfs_start: .incbin "$B/initramfs.cpio"' 'initramfs_end:' '.balign 4096' >$(O)/initramfs.S
	$(Q)$(CC) -c $(O)/initramfs.S -o $@

# ---- everything else --------------------------------------------------------------------------------

# Compile everything, link nothing.
objs: $(OBJS)
user: $B/initramfs.cpio $B/tests.cpio
diff: $(DIFF_BINS)
run:
	scripts/run-qemu.sh
test:
	scripts/test.sh
host:
	$(PYTHON) tests/host/run.py
fuzz:
	$(PYTHON) tests/fuzz/run.py
lint:
	tests/lint/run.sh
analyze: build/compile_commands.json
	tests/lint/analyze.sh
coverage:
	scripts/coverage.py
bench: $(O)/Image $B/bench/control $B/bench/micro $B/bench/net
	tests/bench/run.py $(BENCH)
stats:
	@$(PYTHON) scripts/stats.py --debug-only '$(DEBUG_ONLY) $(SAN_ONLY)' $(FLOORS) tests/kernel
fmt:
	@clang-format -i $(shell tests/lint/ours.sh '*.c' '*.h')

# For clang-tidy and editors.
build/compile_commands.json: $(O)/flags
	@$(PYTHON) scripts/compdb.py '$(CURDIR)' '$(CC) $(COMMON) $(OUR_FLAGS)' $(filter %.c,$(OURS)) >$@

# Keys stay, so that no client ever sees a changed host key; so do the pinned sources.
clean:
	find build -mindepth 1 -maxdepth 1 ! -name ssh -exec rm -rf {} +

help:
	@printf '%s\n' \
		'make               build/release/Image' \
		'make DEBUG=1       build/debug/Image: every check on, in-kernel tests' \
		'make DEBUG=1 SAN=address   build/asan/Image: the same under KASAN and UBSan' \
		'make DEBUG=1 SAN=thread    build/tsan/Image: the same with a detector of data races' \
		'make objs          compile everything, link nothing' \
		'make user          user programs and the cpio archives' \
		'make diff          the programs of the differential ring' \
		'make run           boot and say how to log in (scripts/run-qemu.sh)' \
		'make test          every test ring (scripts/test.sh)' \
		'make host          host unit tests' \
		'make fuzz          fuzz targets, some seconds each' \
		'make lint          rules of the house, warnings as errors' \
		'make analyze       static analysis' \
		'make bench         measure against Linux' \
		'make coverage      lines that the hosted and the in-kernel ring reach' \
		'make stats         code lines of each floor and of the spine' \
		'make fmt           format our sources' \
		'make clean         remove build/, but no key' \
		'make help          this text' \
		'Settings: V=1 shows commands, WERROR=1 makes warnings errors.'

FORCE:
.PHONY: all objs user diff run test host fuzz lint analyze bench coverage stats fmt clean help FORCE
