/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the kernel tells about an open file: its fields, its handle, who may write it.
 *
 * Invariant: a sandbox that refuses the newer call (ENOSYS, or EPERM in old seccomp filters) gets the answer
 * of the older one, as far as that goes.
 */
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys/linux/kernel.h"
#include "sys/linux/proc_fd.h"
#include "sys/sys.h"

static struct statx_timestamp to_timestamp(struct timespec time)
{
	return (struct statx_timestamp){.tv_sec = time.tv_sec, .tv_nsec = (uint32_t)time.tv_nsec};
}

/* All that stat knows: no time of birth, hence no STATX_BTIME in the mask. */
static void from_stat(const struct stat *file, struct statx *ret)
{
	*ret = (struct statx){
		.stx_mask = STATX_BASIC_STATS,
		.stx_blksize = (uint32_t)file->st_blksize,
		.stx_nlink = (uint32_t)file->st_nlink,
		.stx_uid = file->st_uid,
		.stx_gid = file->st_gid,
		.stx_mode = (uint16_t)file->st_mode,
		.stx_ino = file->st_ino,
		.stx_size = (uint64_t)file->st_size,
		.stx_blocks = (uint64_t)file->st_blocks,
		.stx_atime = to_timestamp(file->st_atim),
		.stx_ctime = to_timestamp(file->st_ctim),
		.stx_mtime = to_timestamp(file->st_mtim),
		.stx_dev_major = major(file->st_dev),
		.stx_dev_minor = minor(file->st_dev),
		.stx_rdev_major = major(file->st_rdev),
		.stx_rdev_minor = minor(file->st_rdev),
	};
}

int fm__sys_statx(int fd, struct statx *ret)
{
	struct stat file;

	int r = FM_RETRY(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, ret));
	if (r != -ENOSYS && r != -EPERM)
		return r;
	r = fm__sys_fstat(fd, &file);
	if (r < 0)
		return r;
	from_stat(&file, ret);
	return 0;
}

/* Every reason not to write (EPERM: immutable, EROFS, ETXTBSY) is one answer here. */
static int is_refusal(int r)
{
	return r == -EACCES || r == -EPERM || r == -EROFS || r == -ETXTBSY;
}

int fm__sys_may_write(int fd)
{
	char path[FM_PROC_FD_SIZE];

	int r = FM_RETRY(faccessat(fd, "", W_OK, AT_EMPTY_PATH | AT_EACCESS));
	if (r == -EINVAL || r == -ENOSYS || r == -EPERM) {
		fm__proc_fd(fd, path);
		r = FM_RETRY(faccessat(AT_FDCWD, path, W_OK, AT_EACCESS));
	}
	return is_refusal(r) ? -EACCES : r;
}

/* For a capability the kernel is asked: it lets owners only, and those who may act so, leave the access time. */
int fm__sys_is_owner(int fd)
{
	struct stat file;

	int r = fm__sys_fstat(fd, &file);
	if (r < 0)
		return r;
	if (file.st_uid == geteuid())
		return 1;
	r = fm__sys_reopen(fd, O_RDONLY | O_NOATIME | O_NONBLOCK);
	if (r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -EINTR)
		return r;
	fm__sys_close(r);
	return r >= 0;
}

int fm__sys_file_handle(int fd, uint32_t *ret_type, unsigned char *to, uint32_t *length)
{
	union {
		struct file_handle handle;
		unsigned char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} own = {.handle = {.handle_bytes = *length < MAX_HANDLE_SZ ? *length : MAX_HANDLE_SZ}};
	int mount_id;

	int r = FM_RETRY(name_to_handle_at(fd, "", &own.handle, &mount_id, AT_EMPTY_PATH));
	if (r == -ENOSYS || r == -EPERM)
		return -EOPNOTSUPP;
	if (r < 0)
		return r;
	memcpy(to, own.handle.f_handle, own.handle.handle_bytes);
	*length = own.handle.handle_bytes;
	*ret_type = (uint32_t)own.handle.handle_type;
	return 0;
}

int fm__sys_is_user(unsigned owner)
{
	return geteuid() == (uid_t)owner;
}

int fm__sys_set_mode(int fd, unsigned permissions)
{
	return fm__result(fchmod(fd, (mode_t)permissions));
}

int fm__sys_set_owner(int fd, unsigned owner, unsigned group)
{
	return fm__result(fchown(fd, (uid_t)owner, (gid_t)group));
}
