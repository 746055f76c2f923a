/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * R8e: what earlier lives of the log have left in its directory is deleted.
 *
 * Invariant: only names of the log's own making are touched - segments outside [seg(first), last], half-made
 * ones, half-removed ones - and only after meta is on the device that does not count on them.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "log/recover.h"
#include "sys/sys.h"

struct sweep {
	const struct fm__log_dir *dir;
	uint64_t lowest, highest;
	unsigned removed;
};

static bool has_suffix(const char *name, size_t length, const char *suffix)
{
	size_t suffix_length = strlen(suffix);

	return length > suffix_length && strcmp(name + length - suffix_length, suffix) == 0;
}

/* ".0123456789abcdef.seg.del" and the like */
static bool is_removed_segment(const char *name)
{
	static const char digits[] = "0123456789abcdef";
	size_t length = strlen(name);

	if (name[0] != '.' || strspn(name + 1, digits) != 16)
		return false;
	return has_suffix(name, length, ".del");
}

static bool is_leftover(const struct sweep *sweep, const char *name)
{
	uint64_t n;

	if (fm__log_segment_parse(name, "prep", &n))
		return true;
	if (fm__log_segment_parse(name, "seg", &n))
		return n < sweep->lowest || n > sweep->highest;
	return is_removed_segment(name);
}

static int sweep_name(void *context, const char *name)
{
	struct sweep *sweep = context;
	int r;

	if (!is_leftover(sweep, name))
		return 0;
	r = fm__sys_unlinkat(sweep->dir->fd, name, 0);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		sweep->removed++;
	return r;
}

int fm__log_sweep(const struct fm__log_dir *dir, const struct fm__log_meta *meta,
		  struct filemap_error *reterr)
{
	struct sweep sweep = {
		.dir = dir,
		.lowest = fm__log_segment_of(&meta->geometry, meta->first),
		.highest = meta->last,
	};
	int r;

	r = fm__sys_list_dir(dir->fd, sweep_name, &sweep);
	if (r < 0)
		return fm__fail(reterr, r, "delete leftovers", "log directory");
	if (sweep.removed == 0)
		return 0;
	r = fm__sys_fsync(dir->fd);
	if (r < 0)
		return fm__fail(reterr, r, "sync directory", "log directory");
	return 0;
}
