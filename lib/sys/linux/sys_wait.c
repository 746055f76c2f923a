/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Waiting for others: poll, eventfd, futex. A wait that a signal ends answers -EINTR. */
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sys/linux/kernel.h"
#include "sys/linux/newer.h"
#include "sys/sys.h"

int fm__sys_poll_in(int fd, int timeout_ms)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	int r = fm__result(poll(&one, 1, timeout_ms));
	if (r <= 0)
		return r;
	return (one.revents & POLLNVAL) ? -EBADF : 1;
}

int fm__sys_eventfd(void)
{
	return fm__raise_fd(fm__result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
}

/* A full counter (EAGAIN) is readable already: that is all a signal has to bring about. */
int fm__sys_event_signal(int fd)
{
	static const uint64_t one = 1;

	int r = FM_RETRY(write(fd, &one, sizeof one));
	return r < 0 && r != -EAGAIN ? r : 0;
}

int fm__sys_event_clear(int fd)
{
	uint64_t count;

	int r = FM_RETRY(read(fd, &count, sizeof count));
	return r < 0 && r != -EAGAIN ? r : 0;
}

/* Without FUTEX_PRIVATE_FLAG: the word may lie in memory that processes share. */
int fm__sys_futex_wait(const uint32_t *word, uint32_t value, int timeout_ms)
{
	struct timespec limit, *timeout = NULL;

	if (timeout_ms >= 0) {
		limit.tv_sec = timeout_ms / 1000;
		limit.tv_nsec = (long)(timeout_ms % 1000) * 1000000;
		timeout = &limit;
	}
	return fm__result((int)syscall(FM_SYS_FUTEX, word, FUTEX_WAIT, value, timeout, NULL, 0));
}

int fm__sys_futex_wake(const uint32_t *word)
{
	return fm__result((int)syscall(FM_SYS_FUTEX, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0));
}
