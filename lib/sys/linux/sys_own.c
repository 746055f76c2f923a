/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * This process's own memory, touched by the kernel's hands: what would be a signal for a load or a store is
 * an error here.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/util.h"
#include "sys/linux/kernel.h"
#include "sys/linux/newer.h"
#include "sys/sys.h"

/* Bytes, which may be more than an int holds. */
static int64_t count_or_errno(ssize_t n)
{
	return n < 0 ? -errno : (int64_t)n;
}

/* The thread, not the process: that is named by its first thread, which has no memory any more once it has ended. */
static pid_t this_task(void)
{
	return (pid_t)syscall(SYS_gettid);
}

int64_t fm__sys_read_own(void *to, const void *from, size_t length)
{
	const struct iovec local = {.iov_base = to, .iov_len = length};
	const struct iovec remote = {.iov_base = (void *)(uintptr_t)from, .iov_len = length};
	return count_or_errno(process_vm_readv(this_task(), &local, 1, &remote, 1, 0));
}

int64_t fm__sys_write_own(void *to, const void *from, size_t length)
{
	const struct iovec local = {.iov_base = (void *)(uintptr_t)from, .iov_len = length};
	const struct iovec remote = {.iov_base = to, .iov_len = length};
	return count_or_errno(process_vm_writev(this_task(), &local, 1, &remote, 1, 0));
}

int64_t fm__sys_peek_own(const void *at, size_t stride, size_t count)
{
	struct iovec remote[FM_PEEK_MAX];
	unsigned char bytes[FM_PEEK_MAX];
	const struct iovec local = {.iov_base = bytes, .iov_len = sizeof bytes};

	count = FM_MIN(count, FM_PEEK_MAX);
	for (size_t i = 0; i < count; i++)
		remote[i] = (struct iovec){.iov_base = (char *)(uintptr_t)at + i * stride, .iov_len = 1};
	return count_or_errno(process_vm_readv(this_task(), &local, 1, remote, count, 0));
}

/*
 * FUTEX_WAKE_OP adds 0 to the word, in one atomic step, on behalf of the caller: a store as far as the page
 * is concerned, and none as far as anybody who looks at the word or changes it can tell. Nobody waits on the
 * private key of a shared page; one who waits on a word of a private one may wake up early, as always.
 */
int fm__sys_touch_own(void *word)
{
	static uint32_t nobody;
	int add_nothing = FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_LT, 0);
	return FM_RETRY(syscall(FM_SYS_FUTEX, &nobody, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, NULL, word,
				add_nothing));
}

int fm__sys_pipe(int ret[2])
{
	int ends[2];
	int r = fm__result(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
	if (r < 0)
		return r;
	ends[0] = fm__raise_fd(ends[0]);
	ends[1] = fm__raise_fd(ends[1]);
	if (ends[0] < 0 || ends[1] < 0) {
		r = ends[0] < 0 ? ends[0] : ends[1];
		fm__sys_close(FM_MAX(ends[0], -1));
		fm__sys_close(FM_MAX(ends[1], -1));
		return r;
	}
	ret[0] = ends[0];
	ret[1] = ends[1];
	return 0;
}

int64_t fm__sys_write(int fd, const void *from, size_t length)
{
	return count_or_errno(write(fd, from, length));
}
