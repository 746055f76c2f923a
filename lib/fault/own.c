/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * own: this process's own bytes, copied by the kernel, which answers with an error where a load or store
 * would fault. No handler is needed, and nothing is read from or written to the file itself.
 *
 * Invariant: FILEMAP_EFAULT blames the mapped side only after the other side was found to be good.
 */
#include <errno.h>
#include <stdint.h>

#include <filemap/base.h>

#include "base/util.h"
#include "fault/guard.h"
#include "sys/sys.h"

#define PIECE 65536u /* what a pipe holds; less where the user has many of them */

/* Kernels without it, and filters that forbid it. */
static bool is_refused(int64_t r)
{
	return r == -ENOSYS || r == -EPERM;
}

/* A buffer does not come and go as a file does: only what is bad now was bad then. */
static bool is_bad_source(const void *at)
{
	unsigned char byte;
	return fm__sys_read_own(&byte, at, 1) == -EFAULT;
}

static bool is_bad_target(void *at)
{
	return fm__sys_touch_own((void *)((uintptr_t)at & ~(uintptr_t)3)) == -EFAULT;
}

/* As much as goes: 0 at the end, -errno of what stopped it. */
static int copy_directly(int64_t (*copy)(void *, const void *, size_t), unsigned char *to,
			 const unsigned char *from, size_t length, size_t *done)
{
	while (*done < length) {
		int64_t n = copy(to + *done, from + *done, length - *done);
		if (n <= 0)
			return n == 0 ? -EFAULT : (int)n;
		*done += (size_t)n;
	}
	return 0;
}

/*
 * Pipes move the bytes in pieces of their own, which may lie across two of our pages, and drop a piece that is bad in
 * its end. The rest of the page that it begins in is then tried by itself.
 */
static size_t rest_of_page(const void *at)
{
	const size_t page = fm__sys_page_size();
	return page - ((uintptr_t)at & (page - 1));
}

static int64_t put_into(int fd, const unsigned char *from, size_t length)
{
	int64_t n = fm__sys_write(fd, from, length);
	if (n == -EFAULT && rest_of_page(from) < length)
		n = fm__sys_write(fd, from, rest_of_page(from));
	return n;
}

static int64_t take_out(int fd, unsigned char *to, size_t length)
{
	int64_t n = fm__sys_read(fd, to, length);
	if (n == -EFAULT && rest_of_page(to) < length)
		n = fm__sys_read(fd, to, rest_of_page(to));
	return n;
}

/* One piece in at one end and out at the other; what is stuck in between goes with the pipe. */
static int pass_piece(const int ends[2], unsigned char *to, const unsigned char *from, size_t length,
		      size_t *done, int into_is, int out_is)
{
	int64_t in = put_into(ends[1], from + *done, FM_MIN(length - *done, PIECE));
	if (in <= 0)
		return in == 0 || in == -EFAULT ? into_is : (int)in;
	while (in > 0) {
		int64_t out = take_out(ends[0], to + *done, (size_t)in);
		if (out <= 0)
			return out == 0 || out == -EFAULT ? out_is : (int)out;
		*done += (size_t)out;
		in -= out;
	}
	return 0;
}

/* into_is and out_is: what a bad page is on the way in and on the way out. */
static int copy_by_pipe(unsigned char *to, const unsigned char *from, size_t length, size_t *done,
			int into_is, int out_is)
{
	int ends[2];
	int r = fm__sys_pipe(ends);
	if (r < 0)
		return r;
	while (r >= 0 && *done < length)
		r = pass_piece(ends, to, from, length, done, into_is, out_is);
	fm__sys_close(ends[0]);
	fm__sys_close(ends[1]);
	return r;
}

int fm__own_read(void *to, const void *mapped, size_t length, size_t *ret_done)
{
	int r;

	*ret_done = 0;
	r = copy_directly(fm__sys_read_own, to, mapped, length, ret_done);
	if (is_refused(r))
		return copy_by_pipe(to, mapped, length, ret_done, FILEMAP_EFAULT, -EFAULT);
	if (r != -EFAULT)
		return r;
	return is_bad_target((unsigned char *)to + *ret_done) ? -EFAULT : FILEMAP_EFAULT;
}

int fm__own_write(void *mapped, const void *from, size_t length, size_t *ret_done)
{
	int r;

	*ret_done = 0;
	r = copy_directly(fm__sys_write_own, mapped, from, length, ret_done);
	if (is_refused(r))
		return copy_by_pipe(mapped, from, length, ret_done, -EFAULT, FILEMAP_EFAULT);
	if (r != -EFAULT)
		return r;
	return is_bad_source((const unsigned char *)from + *ret_done) ? -EFAULT : FILEMAP_EFAULT;
}

/* One byte of a page. */
static int peek_by_pipe(const unsigned char *at, size_t length, size_t page, size_t *done)
{
	unsigned char byte;
	int ends[2];
	int r = fm__sys_pipe(ends);
	if (r < 0)
		return r;
	while (r >= 0 && *done < length) {
		size_t none = 0;
		r = pass_piece(ends, &byte, at + *done, 1, &none, FILEMAP_EFAULT, -EFAULT);
		if (r >= 0)
			*done += FM_MIN(page, length - *done);
	}
	fm__sys_close(ends[0]);
	fm__sys_close(ends[1]);
	return r < 0 ? r : 0;
}

int fm__own_peek(const void *at, size_t length, size_t page, size_t *ret_done)
{
	const unsigned char *bytes = at;
	size_t done = 0;

	*ret_done = 0;
	while (done < length) {
		size_t wanted = FM_MIN((length - done + page - 1) / page, FM_PEEK_MAX);
		int64_t n = fm__sys_peek_own(bytes + done, page, wanted);
		if (is_refused(n))
			return peek_by_pipe(bytes, length, page, ret_done);
		if (n < 0 && n != -EFAULT)
			return (int)n;
		done += (size_t)FM_MAX(n, 0) * page;
		*ret_done = FM_MIN(done, length);
		if (n < (int64_t)wanted)
			return FILEMAP_EFAULT;
	}
	return 0;
}
