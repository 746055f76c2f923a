/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * commit: data, then the header that points to it.
 *
 * Invariant: not a byte of the header is stored before the data is on the device.
 */
#include <filemap/guard.h>

#include "base/error.h"
#include "fault/guard.h"
#include "map/private.h"

#define HEADER_MAX 4096u

static const char *const step = "check commit";

static int check_state(const struct filemap *map, const void *header, size_t length,
		       struct filemap_error *reterr)
{
	int r = fm__filemap_check_durable(map);
	if (r < 0)
		return fm__fail(reterr, r, step, "mapping");
	if (!fm__filemap_is_writable(map))
		return fm__fail(reterr, FILEMAP_EMODE, step, "mode");
	if (!header || length > HEADER_MAX)
		return fm__fail(reterr, FILEMAP_EOPTION, step, header ? "header_length" : "header");
	return 0;
}

static int check_range(const struct filemap *map, size_t offset, size_t *length, const char *subject,
		       struct filemap_error *reterr)
{
	int r = fm__range_resolve(fm__view_size(map), offset, length);
	if (r < 0) {
		fm__fail(reterr, r, step, subject);
		fm__fail_range(reterr, offset, *length);
	}
	return r;
}

static bool overlap(size_t a, size_t a_length, size_t b, size_t b_length)
{
	return a_length != 0 && b_length != 0 && a < b + b_length && b < a + a_length;
}

int fm__map_commit_check(const struct filemap *map, size_t data_offset, size_t *data_length,
			 size_t header_offset, const void *header, size_t header_length,
			 struct filemap_error *reterr)
{
	size_t length = *data_length;
	int r = check_state(map, header, header_length, reterr);
	if (r < 0)
		return r;
	r = check_range(map, data_offset, &length, "data", reterr);
	if (r < 0)
		return r;
	r = check_range(map, header_offset, &header_length, "header", reterr);
	if (r < 0)
		return r;
	if (overlap(data_offset, length, header_offset, header_length))
		return fm__fail(reterr, FILEMAP_EOPTION, step, "header_offset");
	*data_length = length;
	return 0;
}

/* Without a handler the kernel stores: a thread of the library has nobody to be told by a signal. The window may have
 * become smaller since the check, and flushes of other data may have failed, which the header is not to tell of: both
 * are looked at again. */
int fm__map_commit_store(struct filemap *map, size_t header_offset, const void *header, size_t header_length)
{
	int r = fm__filemap_check_durable(map);
	if (r < 0)
		return r;
	return filemap_guarded_write(map, header_offset, header, header_length, 0, NULL);
}

static int store_header(struct filemap *map, size_t offset, const void *header, size_t length)
{
	if (fm__guard_is_active())
		return fm__map_commit_store(map, offset, header, length);
	return filemap_write_all(map, offset, header, length);
}

int filemap_commit(struct filemap *map, size_t data_offset, size_t data_length, size_t header_offset,
		   const void *header, size_t header_length, struct filemap_error *reterr)
{
	int r = fm__map_commit_check(map, data_offset, &data_length, header_offset, header, header_length,
				     reterr);
	if (r < 0)
		return r;
	r = filemap_flush_range(map, data_offset, data_length);
	if (r < 0)
		return fm__fail(reterr, r, "flush data", "file");
	r = store_header(map, header_offset, header, header_length);
	if (r < 0)
		return fm__fail(reterr, r, "store header", "mapping");
	r = filemap_flush_range(map, header_offset, header_length);
	return r < 0 ? fm__fail(reterr, r, "flush header", "file") : 0;
}
