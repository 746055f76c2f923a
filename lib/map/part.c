/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* part: a range of a window as the source of a copy. Owns nothing; what was found dies with the window. */
#include "map/part.h"

#include <errno.h>

#include "base/error.h"
#include "sys/sys.h"

int fm__part_find(const struct filemap *map, size_t offset, size_t length, const char *step,
		  struct fm__part *ret, struct filemap_error *reterr)
{
	int r = fm__filemap_check_window(map);
	if (r < 0)
		return fm__fail(reterr, r, step, "mapping");
	r = fm__range_resolve(fm__view_size(map), offset, &length);
	if (r < 0) {
		fm__fail(reterr, r, step, "range");
		fm__fail_range(reterr, offset, length);
		return r;
	}
	*ret = (struct fm__part){.map = map,
				 .bytes = __atomic_load_n(&map->view.data, __ATOMIC_RELAXED) + offset,
				 .offset = offset,
				 .length = length};
	return 0;
}

uint64_t fm__part_in_file(const struct fm__part *part)
{
	return part->map->window.offset + part->offset;
}

int fm__part_check_not_cut(const struct fm__part *part, const char *step, struct filemap_error *reterr)
{
	struct stat status;
	int r;

	if (part->map->kind != FM_KIND_FILE)
		return 0;
	r = fm__sys_fstat(fm__filemap_fd(part->map), &status);
	if (r < 0)
		return fm__fail(reterr, r, step, "mapping");
	if ((uint64_t)status.st_size >= fm__part_in_file(part) + part->length)
		return 0;
	fm__fail(reterr, FILEMAP_ERANGE, step, "mapping");
	fm__fail_hint(reterr, "the mapped file was cut; see filemap_refresh()");
	fm__fail_range(reterr, part->offset, part->length);
	return FILEMAP_ERANGE;
}

int fm__part_fail_fault(const struct fm__part *part, size_t done, const char *step,
			struct filemap_error *reterr)
{
	fm__fail_errno(reterr, FILEMAP_EFAULT, EFAULT, step, "mapping");
	fm__fail_hint(reterr, "a page of the window cannot be read");
	fm__fail_range(reterr, part->offset + done, part->length - done);
	return FILEMAP_EFAULT;
}
