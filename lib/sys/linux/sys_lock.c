/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Locks of open file descriptions: flock(2) and OFD byte ranges. POSIX F_SETLK is not here: closing any
 * descriptor of the file would drop it. Waiting is the caller's matter: EINTR comes back.
 */
#include <sys/file.h>

#include "sys/linux/kernel.h"
#include "sys/sys.h"

int fm__sys_flock(int fd, int operation)
{
	return fm__result(flock(fd, operation));
}

/* l_pid must be 0 for OFD locks; a length beyond what off_t holds means "to the end", as l_len 0 does. */
static int describe(struct flock *to, int type, uint64_t start, uint64_t length)
{
	*to = (struct flock){.l_type = (short)type, .l_whence = SEEK_SET};
	to->l_len = length > INT64_MAX ? 0 : (off_t)length;
	return fm__to_off(start, &to->l_start);
}

int fm__sys_ofd_lock(int fd, int type, uint64_t start, uint64_t length)
{
	struct flock lock;

	int r = describe(&lock, type, start, length);
	if (r < 0)
		return r;
	r = FM_RETRY(fcntl(fd, F_OFD_SETLK, &lock));
	return r == -EACCES ? -EAGAIN : r;
}

int fm__sys_ofd_test(int fd, int type, uint64_t start, uint64_t length)
{
	struct flock lock;

	int r = describe(&lock, type, start, length);
	if (r < 0)
		return r;
	r = FM_RETRY(fcntl(fd, F_OFD_GETLK, &lock));
	if (r < 0)
		return r;
	return lock.l_type != F_UNLCK;
}
