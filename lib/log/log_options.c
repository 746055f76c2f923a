/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Checks before anything is touched: the options of an opening, and whether the place can keep what a
 * log promises. Invariant: nothing here changes a file.
 */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/options.h"
#include "base/util.h"
#include "log/writer.h"
#include "sys/sys.h"

#define OPTIONS_FIRST_SIZE sizeof(struct filemap_log_options)

static int check_geometry(const struct filemap_log_options *o, struct filemap_error *reterr)
{
	if (!fm__is_power_of_two(o->segment_size) || o->segment_size < FM_LOG_SEGMENT_MIN ||
	    o->segment_size > FM_LOG_SEGMENT_MAX)
		return fm__options_refuse(reterr, "segment_size", "a power of two from 1 MiB to 1 GiB");
	if (o->frame_unit != 32 && o->frame_unit != 64 && o->frame_unit != 128)
		return fm__options_refuse(reterr, "frame_unit", "32, 64 or 128");
	return 0;
}

int fm__log_options_read(const struct filemap_log_options *from, struct filemap_log_options *ret,
			 struct filemap_error *reterr)
{
	struct filemap_log_options o;
	int r;

	r = fm__options_read(&o, sizeof o, from, OPTIONS_FIRST_SIZE, reterr);
	if (r < 0)
		return r;
	if (o.flags & ~(FILEMAP_LOG_CREATE | FILEMAP_LOG_CREATE_NEW))
		return fm__options_refuse(reterr, "flags", "unknown bits are set");
	if (o.reserved[0] != 0 || o.reserved[1] != 0)
		return fm__options_refuse(reterr, "reserved", "must be zero");
	if (o.permissions & ~0777u)
		return fm__options_refuse(reterr, "permissions", "only the nine bits of access");
	if (o.segment_size == 0)
		o.segment_size = UINT64_C(1) << 26;
	if (o.max_lag == 0)
		o.max_lag = FM_LOG_LAG_DEFAULT;
	if (o.frame_unit == 0)
		o.frame_unit = 32;
	if (o.permissions == 0)
		o.permissions = 0666;
	r = check_geometry(&o, reterr);
	if (r < 0)
		return r;
	*ret = o;
	return 0;
}

static const struct {
	uint64_t type;
	const char *name;
} unreserving[] = {
	{0x9123683E, "btrfs"}, {0xca451a4e, "bcachefs"}, {0x2fc12fc1, "zfs"},
	{0x65735546, "fuse"},  {0x6969, "nfs"},
};

static int open_parent(const char *path)
{
	size_t length = strlen(path);
	char *copy;
	int fd;

	while (length > 0 && path[length - 1] == '/')
		length--;
	while (length > 0 && path[length - 1] != '/')
		length--;
	if (length == 0)
		return fm__sys_openat(AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	copy = fm__strdup(path);
	if (!copy)
		return -ENOMEM;
	copy[length] = '\0';
	fd = fm__sys_openat(AT_FDCWD, copy, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	fm__free(copy);
	return fd;
}

int fm__log_options_place(const char *path, struct filemap_error *reterr)
{
	uint64_t type = 0;
	int fd, r;

	fd = fm__sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd == -ENOENT)
		fd = open_parent(path);
	if (fd < 0) {
		r = fm__fail(reterr, fd, "open directory", "log");
		fm__fail_detail(reterr, path);
		return r;
	}
	r = fm__sys_fs_type(fd, &type);
	fm__sys_close(fd);
	if (r < 0)
		return fm__fail(reterr, r, "find out the file system", "log");
	for (size_t i = 0; i < FM_ARRAY_SIZE(unreserving); i++) {
		if (unreserving[i].type != type)
			continue;
		r = fm__options_refuse(reterr, "file system", "written zeros reserve nothing on it");
		fm__fail_detail(reterr, unreserving[i].name);
		return r;
	}
	return 0;
}
