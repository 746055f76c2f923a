/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * kernel_copy: copies between files piece by piece of data.
 *
 * Invariant: holes stay holes where the file system tells them; what is not told to be a hole is copied.
 */
#include "map/kernel_copy.h"

#include <errno.h>

#include "base/util.h"
#include "sys/sys.h"

#define PIECE ((uint64_t)1 << 30) /* well below what one copy_file_range(2) takes */

/* Not here, or not between these two files. EPERM: filters that do not know the call yet. */
static int kernel_does_not_copy(int64_t r)
{
	return r == -EXDEV || r == -EOPNOTSUPP || r == -EINVAL || r == -ENOSYS || r == -ETXTBSY ||
	       r == -EPERM;
}

/* 1 = up to `end`; 0 = the kernel does not copy more, or the file ends. */
static int copy_piece(const struct fm__kernel_copy *copy, uint64_t *done, uint64_t end)
{
	while (*done < end) {
		int64_t n = fm__sys_copy_range(copy->from_fd, copy->from + *done, copy->to_fd, *done,
					       FM_MIN(end - *done, PIECE));
		if (n == 0 || kernel_does_not_copy(n))
			return 0;
		if (n < 0)
			return (int)n;
		*done += (uint64_t)n;
	}
	return 1;
}

/* Where the file system does not tell holes, all is data. */
void fm__find_data(const struct fm__kernel_copy *copy, uint64_t done, uint64_t *ret_data, uint64_t *ret_end)
{
	int64_t data = fm__sys_seek_data(copy->from_fd, copy->from + done);
	int64_t hole = data < 0 ? data : fm__sys_seek_hole(copy->from_fd, (uint64_t)data);

	*ret_data = data < 0 ? done : (uint64_t)data - copy->from;
	*ret_end = hole < 0 ? copy->length : (uint64_t)hole - copy->from;
	if (data == -ENXIO)
		*ret_data = copy->length;
	*ret_data = FM_MIN(*ret_data, copy->length);
	*ret_end = FM_MIN(*ret_end, copy->length);
}

int fm__kernel_copy(const struct fm__kernel_copy *copy, uint64_t *done)
{
	int ends_in_hole = 0;
	uint64_t end;
	int r = 1;

	*done = 0;
	while (r > 0 && *done < copy->length) {
		fm__find_data(copy, *done, done, &end);
		ends_in_hole = *done == copy->length;
		r = copy_piece(copy, done, end);
	}
	if (r <= 0)
		return r;
	return ends_in_hole ? FM_COPY_ENDS_IN_HOLE : 0;
}
