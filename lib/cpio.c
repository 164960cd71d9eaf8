/* SPDX-License-Identifier: MIT */
/* The newc form: a header of 13 hexadecimal fields of 8 digits behind a 6-digit magic, the name with its NUL, padding
 * to 4, the data, padding to 4. Offsets are from the start of the archive file, so the padding follows them. */
#include "lib/cpio.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"

enum { HEADER = 110, NAME_LIMIT = 4096 };

/* The fields in their order in the header. */
enum {
	INO,
	MODE,
	UID,
	GID,
	NLINK,
	MTIME,
	FILESIZE,
	MAJOR,
	MINOR,
	RMAJOR,
	RMINOR,
	NAMESIZE,
	CHECK,
	FIELDS
};

void cpio_init(struct cpio *c, const void *start, size_t len)
{
	c->start = start;
	c->len = len;
	c->at = 0;
}

static bool parse_header(const uint8_t *p, uint32_t field[FIELDS])
{
	if (memcmp(p, "070701", 6) != 0 && memcmp(p, "070702", 6) != 0)
		return false;
	p += 6;
	for (int i = 0; i < FIELDS; i++) {
		field[i] = 0;
		for (int k = 0; k < 8; k++) {
			int digit = hex_digit((char)*p++);

			if (digit < 0)
				return false;
			field[i] = field[i] << 4 | (uint32_t)digit;
		}
	}
	return true;
}

/* Take n bytes and the padding to 4 behind them; the padding may be missing at the very end. */
static const uint8_t *take(struct cpio *c, size_t n)
{
	const uint8_t *p = c->start + c->at;

	if (n > c->len - c->at)
		return NULL;
	c->at = MIN(ALIGN_UP(c->at + n, 4), c->len);
	return p;
}

static bool take_name(struct cpio *c, uint32_t size, struct cpio_entry *e)
{
	const uint8_t *p;

	/* the header's own 110 bytes are not padded: the name follows at once */
	if (size < 2 || size > NAME_LIMIT)
		return false;
	p = take(c, size);
	if (!p || p[size - 1] != '\0')
		return false;
	e->name = (const char *)p;
	e->name_len = strlen(e->name);
	return e->name_len > 0;
}

static int parse_entry(struct cpio *c, struct cpio_entry *e)
{
	uint32_t field[FIELDS];

	if (c->len - c->at < HEADER || !parse_header(c->start + c->at, field))
		return -EINVAL;
	c->at += HEADER;
	if (!take_name(c, field[NAMESIZE], e))
		return -EINVAL;
	e->size = field[FILESIZE];
	e->data = take(c, e->size);
	if (!e->data)
		return -EINVAL;
	e->ino = field[INO];
	e->mode = field[MODE];
	e->uid = field[UID];
	e->gid = field[GID];
	e->nlink = field[NLINK];
	e->mtime = field[MTIME];
	e->dev_major = field[MAJOR];
	e->dev_minor = field[MINOR];
	e->rdev_major = field[RMAJOR];
	e->rdev_minor = field[RMINOR];
	return 1;
}

static void skip_zeros(struct cpio *c)
{
	while (c->at < c->len && c->start[c->at] == 0)
		c->at++;
}

int cpio_next(struct cpio *c, struct cpio_entry *e)
{
	struct cpio_entry found;
	size_t begin = c->at;
	int ret;

	for (;;) {
		if (c->at == c->len)
			return 0;
		ret = parse_entry(c, &found);
		if (ret < 0) {
			c->at = begin;
			return ret;
		}
		if (strcmp(found.name, "TRAILER!!!") != 0)
			break;
		/* a following archive counts its padding from its own start */
		skip_zeros(c);
		c->start += c->at;
		c->len -= c->at;
		c->at = 0;
		begin = 0;
	}
	*e = found;
	return ret;
}
