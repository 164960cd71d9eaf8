/* SPDX-License-Identifier: MIT */
/* sendfile and copy_file_range: whole files, positions, what cannot be copied from or to. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/sendfile.h>
#include <unistd.h>
#include "tests/user/check.h"

enum { SIZE = 300000 };
static char data[SIZE], back[SIZE + 1];

static int file_of(const char *name, size_t n)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && unlink(name) == 0);
	CHECK(write(fd, data, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static void *drain(void *arg)
{
	size_t n = 0;
	ssize_t got;

	while ((got = read(*(int *)arg, back + n, sizeof(back) - n)) > 0)
		n += (size_t)got;
	CHECK(n == SIZE && memcmp(back, data, SIZE) == 0);
	return arg;
}

int main(void)
{
	int in, out, p[2];
	off_t pos = 10, to = 5;
	pthread_t t;

	for (int i = 0; i < SIZE; i++)
		data[i] = (char)(i * 7 + i / 256);
	in = file_of("/tmp/copies-in", SIZE);
	out = file_of("/tmp/copies-out", 0);
	/* what busybox asks for: more than there is */
	CHECK(sendfile(out, in, NULL, 1 << 24) == SIZE && sendfile(out, in, NULL, 1 << 24) == 0);
	CHECK(pread(out, back, sizeof(back), 0) == SIZE && memcmp(back, data, SIZE) == 0);
	CHECK(lseek(in, 0, SEEK_CUR) == SIZE);
	CHECK(sendfile(out, in, &pos, 100) == 100 && pos == 110 && lseek(in, 0, SEEK_CUR) == SIZE);
	/* through a pipe that is smaller than the file */
	CHECK(pipe(p) == 0 && pthread_create(&t, NULL, drain, &p[0]) == 0);
	pos = 0;
	CHECK(sendfile(p[1], in, &pos, SIZE) == SIZE && close(p[1]) == 0 &&
	      pthread_join(t, NULL) == 0);
	CHECK(close(p[0]) == 0 && pipe2(p, O_NONBLOCK) == 0);
	pos = 0;
	CHECK(sendfile(p[1], in, &pos, SIZE) == 65536 && pos == 65536);
	CHECK_ERRNO(sendfile(p[1], in, &pos, SIZE), EAGAIN);
	CHECK_ERRNO(sendfile(out, p[0], NULL, 1), EINVAL);
	CHECK_ERRNO(sendfile(out, -1, NULL, 1), EBADF);
	CHECK_ERRNO(sendfile(p[0], in, NULL, 1), EBADF);
	CHECK_ERRNO(sendfile(out, in, (off_t *)8, 1), EFAULT);
	pos = -1;
	CHECK_ERRNO(sendfile(out, in, &pos, 1), EINVAL);

	pos = 0;
	CHECK(ftruncate(out, 0) == 0);
	CHECK(copy_file_range(in, &pos, out, &to, SIZE, 0) == SIZE && pos == SIZE &&
	      to == SIZE + 5);
	CHECK(pread(out, back, sizeof(back), 5) == SIZE && memcmp(back, data, SIZE) == 0);
	pos = 0;
	CHECK_ERRNO(copy_file_range(in, &pos, in, &(off_t){ 50 }, 100, 0), EINVAL);
	CHECK_ERRNO(copy_file_range(in, &pos, out, &to, 100, 1), EINVAL);
	CHECK_ERRNO(copy_file_range(in, &pos, p[1], NULL, 100, 0), EINVAL);
	CHECK(close(in) == 0 && close(out) == 0 && close(p[0]) == 0 && close(p[1]) == 0);
	return 0;
}
