/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the library is told of the machine: inodes keep their numbers over a crash although the files are made
 * anew, the boot changes with each power cut, and the memory file system plays a disk.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "sim.h"
#include "wraps.h"

#define EXT4 UINT64_C(0xEF53)

/* A file keeps its inode over a crash; the model's number stands for it. */
static void translate(struct stat *st)
{
	uint32_t file;

	if (!sim_enter())
		return;
	file = sim_file_of(st);
	if (file != SIM_NO_FILE) {
		st->st_ino = 1000 + file;
		st->st_dev = 7777;
	}
	sim_leave();
}

int __wrap_fm__sys_fstat(int fd, struct stat *ret)
{
	int r = __real_fm__sys_fstat(fd, ret);

	if (r == 0)
		translate(ret);
	return r;
}

int __wrap_fm__sys_fstatat(int dirfd, const char *path, struct stat *ret, int flags)
{
	int r = __real_fm__sys_fstatat(dirfd, path, ret, flags);

	if (r == 0)
		translate(ret);
	return r;
}

int __wrap_fm__sys_boot_id(uint8_t ret[16])
{
	memset(ret, 0xB0, 16);
	memcpy(ret, &sim_world.boot, sizeof sim_world.boot);
	return 0;
}

int __wrap_fm__sys_fs_type(int fd, uint64_t *ret)
{
	int r = __real_fm__sys_fs_type(fd, ret);

	if (r == 0)
		*ret = EXT4;
	return r;
}

/* A reader that looks on from within the recovery would wait for it in vain. */
int __wrap_fm__sys_sleep_ms(unsigned ms)
{
	return sim_world.foreign ? -EINTR : __real_fm__sys_sleep_ms(ms);
}
