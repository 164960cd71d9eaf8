/* SPDX-License-Identifier: MIT */
/* Encoded terminal modes (RFC 4254 s8) to the kernel's termios. What no terminal here has is skipped. */
#include "drivers/tty/tty.h"
#include "lib/cursor.h"
#include "ssh/server/server_priv.h"

enum field { CC, IFLAG, LFLAG, OFLAG, CFLAG };

#define CC_DISABLED 255 /* on the wire; 0 in Linux's c_cc */
#define ISPEED	    128
#define OSPEED	    129

/* opcode, field, and for CC the index in c_cc, else the bits, all with Linux's values. */
static const struct {
	uint8_t opcode;
	uint8_t field;
	uint32_t value;
} modes[] = {
	{ 1, CC, 0 },		/* VINTR */
	{ 2, CC, 1 },		/* VQUIT */
	{ 3, CC, 2 },		/* VERASE */
	{ 4, CC, 3 },		/* VKILL */
	{ 5, CC, 4 },		/* VEOF */
	{ 6, CC, 11 },		/* VEOL */
	{ 7, CC, 16 },		/* VEOL2 */
	{ 8, CC, 8 },		/* VSTART */
	{ 9, CC, 9 },		/* VSTOP */
	{ 10, CC, 10 },		/* VSUSP */
	{ 12, CC, 12 },		/* VREPRINT */
	{ 13, CC, 14 },		/* VWERASE */
	{ 14, CC, 15 },		/* VLNEXT */
	{ 16, CC, 7 },		/* VSWTCH */
	{ 18, CC, 13 },		/* VDISCARD */
	{ 30, IFLAG, 04 },	/* IGNPAR */
	{ 31, IFLAG, 010 },	/* PARMRK */
	{ 32, IFLAG, 020 },	/* INPCK */
	{ 33, IFLAG, 040 },	/* ISTRIP */
	{ 34, IFLAG, 0100 },	/* INLCR */
	{ 35, IFLAG, 0200 },	/* IGNCR */
	{ 36, IFLAG, 0400 },	/* ICRNL */
	{ 37, IFLAG, 01000 },	/* IUCLC */
	{ 38, IFLAG, 02000 },	/* IXON */
	{ 39, IFLAG, 04000 },	/* IXANY */
	{ 40, IFLAG, 010000 },	/* IXOFF */
	{ 41, IFLAG, 020000 },	/* IMAXBEL */
	{ 42, IFLAG, 040000 },	/* IUTF8, RFC 8160 */
	{ 50, LFLAG, 01 },	/* ISIG */
	{ 51, LFLAG, 02 },	/* ICANON */
	{ 52, LFLAG, 04 },	/* XCASE */
	{ 53, LFLAG, 010 },	/* ECHO */
	{ 54, LFLAG, 020 },	/* ECHOE */
	{ 55, LFLAG, 040 },	/* ECHOK */
	{ 56, LFLAG, 0100 },	/* ECHONL */
	{ 57, LFLAG, 0200 },	/* NOFLSH */
	{ 58, LFLAG, 0400 },	/* TOSTOP */
	{ 59, LFLAG, 0100000 }, /* IEXTEN */
	{ 60, LFLAG, 01000 },	/* ECHOCTL */
	{ 61, LFLAG, 04000 },	/* ECHOKE */
	{ 62, LFLAG, 040000 },	/* PENDIN */
	{ 70, OFLAG, 01 },	/* OPOST */
	{ 71, OFLAG, 02 },	/* OLCUC */
	{ 72, OFLAG, 04 },	/* ONLCR */
	{ 73, OFLAG, 010 },	/* OCRNL */
	{ 74, OFLAG, 020 },	/* ONOCR */
	{ 75, OFLAG, 040 },	/* ONLRET */
	{ 93, CFLAG, 01000 },	/* PARODD */
};

static void set_bits(uint32_t *flags, uint32_t bits, bool on)
{
	*flags = on ? *flags | bits : *flags & ~bits;
}

static void apply(struct tty_termios *t, enum field field, uint32_t bits, uint32_t value)
{
	switch (field) {
	case CC:
		t->cc[bits] = value == CC_DISABLED ? 0 : (uint8_t)value;
		break;
	case IFLAG:
		set_bits(&t->iflag, bits, value != 0);
		break;
	case LFLAG:
		set_bits(&t->lflag, bits, value != 0);
		break;
	case OFLAG:
		set_bits(&t->oflag, bits, value != 0);
		break;
	case CFLAG:
		set_bits(&t->cflag, bits, value != 0);
		break;
	}
}

void modes_apply(struct file *f, struct bytes wire)
{
	struct rd r = rd_bytes_of(wire);
	uint32_t value, speeds[2] = { 0, 0 };
	struct tty_termios t;
	uint8_t opcode;

	tty_get_termios(f, &t);
	while (ssh_pty_mode_next(&r, &opcode, &value)) {
		if (opcode == ISPEED || opcode == OSPEED)
			speeds[opcode - ISPEED] = value;
		for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
			if (modes[i].opcode == opcode)
				apply(&t, modes[i].field, modes[i].value, value);
	}
	tty_set_termios(f, &t);
	tty_set_speeds(f, speeds[0], speeds[1]);
}
