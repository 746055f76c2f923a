/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Mapped bytes to standard output, touched by the kernel alone: a page that cannot be had is -EFAULT, no signal. */
#include "cli.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

/* So that a signal to stop, and a reader that has gone, are noticed soon. */
#define CHUNK ((size_t)1 << 20)

/* Standard output may be non-blocking, set so by whoever shares it. */
static void wait_until_writable(void)
{
	struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
	poll(&output, 1, -1);
}

int cli_write_all(const unsigned char *data, size_t length, size_t *ret_written)
{
	for (*ret_written = 0; *ret_written < length;) {
		const size_t left = length - *ret_written;
		const ssize_t n = write(STDOUT_FILENO, data + *ret_written, left < CHUNK ? left : CHUNK);

		if (n >= 0)
			*ret_written += (size_t)n;
		else if (errno == EAGAIN)
			wait_until_writable();
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}
