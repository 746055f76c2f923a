/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Content for a new file, read once, from its start to its end. A regular file is opened as one that is to be mapped,
 * without mapping a byte, for the sake of the lock; what cannot be mapped, a FIFO or a device, is read as it is.
 */
#include "source.h"
#include "open.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Said now: reading it would fail as well, but only with a new file at hand. */
static int use_standard_input(struct cli_source *source)
{
	struct stat st;
	int r = fstat(STDIN_FILENO, &st) < 0 ? -errno : 0;

	source->name = "standard input";
	source->fd = STDIN_FILENO;
	if (r == 0 && S_ISDIR(st.st_mode))
		r = -EISDIR;
	return r < 0 ? cli_fail(source->name, r, NULL) : CLI_OK;
}

static int open_stream(const char *path, struct cli_source *source)
{
	source->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return source->fd < 0 ? cli_fail(path, -errno, NULL) : CLI_OK;
}

int cli_source_open(const char *path, uint32_t lock_family, struct cli_source *ret)
{
	struct filemap_error error = {0};
	int r;

	*ret = (struct cli_source){.name = path, .fd = -1};
	if (!path || strcmp(path, "-") == 0)
		return use_standard_input(ret);
	r = filemap_open(path, FILEMAP_READ,
			 FILEMAP_OPTIONS(.flags = FILEMAP_EMPTY, .lock_family = lock_family), &ret->map,
			 &error);
	if (r == -ENODEV)
		return open_stream(path, ret);
	if (r < 0)
		return cli_open_failed(path, lock_family, false, r, &error, "; --no-lock reads anyway");
	ret->fd = filemap_fd(ret->map);
	return CLI_OK;
}

static int write_all(int fd, const unsigned char *data, size_t length)
{
	while (length > 0) {
		const ssize_t n = write(fd, data, length);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			length -= (size_t)n;
		}
	}
	return 0;
}

/* Standard input may be non-blocking, set so by whoever shares it. */
static void wait_until_readable(int fd)
{
	struct pollfd input = {.fd = fd, .events = POLLIN};
	poll(&input, 1, -1);
}

/* A call that failed for one of these has taken nothing from the stream. */
static ssize_t read_some(int fd, unsigned char *to, size_t size)
{
	ssize_t n;

	while ((n = read(fd, to, size)) < 0 && (errno == EAGAIN || errno == EINTR))
		wait_until_readable(fd);
	return n < 0 ? -errno : n;
}

static int copy_stream(int from, int to)
{
	static unsigned char buffer[128 * 1024];
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read_some(from, buffer, sizeof buffer)) != 0)
		r = n < 0 ? (int)n : write_all(to, buffer, (size_t)n);
	return r;
}

static bool is_regular(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

int cli_source_fill(int fd, void *context)
{
	struct cli_source *source = context;

	source->result =
		is_regular(source->fd) ? filemap_fill_fd(fd, &source->fd) : copy_stream(source->fd, fd);
	return source->result;
}

void cli_source_close(struct cli_source *source)
{
	if (source->map)
		filemap_close(source->map);
	else if (source->fd > STDIN_FILENO)
		close(source->fd);
}
