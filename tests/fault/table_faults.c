/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What can go wrong with each call of lib/sys/sys.h, by the manual page of the system call behind it, and which
 * failures an operation may get over.
 *
 * Not here: what only a mistake of the library's own could cause (EBADF, EFAULT, EINVAL of a fixed argument),
 * and EINTR where lib/sys repeats the call itself.
 */
#include "table.h"

#define ERRORS(...)            \
	{                      \
		__VA_ARGS__, 0 \
	}

static const struct {
	const char *call;
	int errors[16];
} faults[] = {
	/* heap */
	{"zalloc", ERRORS(ENOMEM)},
	{"strdup", ERRORS(ENOMEM)},
	/* files: open(2), dup(2), stat(2), statx(2), statfs(2), access(2), name_to_handle_at(2), memfd_create(2) */
	{"openat", ERRORS(EACCES, EDQUOT, EEXIST, EIO, EISDIR, ELOOP, EMFILE, ENFILE, ENOENT, ENOMEM, ENOSPC,
			  ENOTDIR, EOPNOTSUPP, EPERM, EROFS)},
	{"reopen", ERRORS(EACCES, EIO, EMFILE, ENFILE, ENOENT, ENOMEM, EPERM, EROFS, ETXTBSY)},
	{"dup", ERRORS(EMFILE)},
	{"close", ERRORS(EDQUOT, EINTR, EIO, ENOSPC)},
	{"set_blocking", ERRORS(EPERM)},
	{"fstat", ERRORS(EIO, ENOMEM, EOVERFLOW)},
	{"fstatat", ERRORS(EACCES, EIO, ELOOP, ENOENT, ENOMEM, ENOTDIR, EOVERFLOW)},
	{"statx", ERRORS(EACCES, EIO, ENOMEM, ENOSYS)},
	{"fs_type", ERRORS(EIO, ENOMEM, ENOSYS, EOVERFLOW)},
	{"free_blocks", ERRORS(EIO, ENOMEM, ENOSYS, EOVERFLOW)},
	{"may_write", ERRORS(EACCES, EIO, ENOMEM, EPERM, EROFS, ETXTBSY)},
	{"is_owner", ERRORS(EMFILE, ENFILE, ENOMEM)},
	{"file_handle", ERRORS(EIO, ENOMEM, EOPNOTSUPP, EOVERFLOW)},
	{"memory_file", ERRORS(EMFILE, ENFILE, ENOMEM, ENOSYS)},
	{"sealable_file", ERRORS(EMFILE, ENFILE, ENOMEM, ENOSYS)},
	{"seal", ERRORS(EBUSY, EPERM)},
	{"seals", ERRORS(EINVAL)},
	{"check_seals", ERRORS(EPERM)},
	/* linkat(2), unlink(2), rename(2), mkdir(2), chmod(2), chown(2), getdents(2), fremovexattr(2) */
	{"link_fd", ERRORS(EACCES, EDQUOT, EEXIST, EIO, EMLINK, ENOENT, ENOMEM, ENOSPC, EPERM, EROFS)},
	{"linkat", ERRORS(EACCES, EDQUOT, EEXIST, EIO, EMLINK, ENOENT, ENOMEM, ENOSPC, EPERM, EROFS, EXDEV)},
	{"unlinkat", ERRORS(EACCES, EBUSY, EIO, EISDIR, ENOENT, ENOMEM, ENOTEMPTY, EPERM, EROFS)},
	{"rename", ERRORS(EACCES, EBUSY, EDQUOT, EEXIST, EINVAL, EIO, EISDIR, ENOENT, ENOMEM, ENOSPC, ENOSYS,
			  EPERM, EROFS)},
	{"move", ERRORS(EACCES, EBUSY, EDQUOT, EEXIST, EINVAL, EIO, EISDIR, ENOENT, ENOMEM, ENOSPC, ENOSYS,
			EPERM, EROFS, EXDEV)},
	{"mkdirat", ERRORS(EACCES, EDQUOT, EEXIST, EIO, EMLINK, ENAMETOOLONG, ENOMEM, ENOSPC, EPERM, EROFS)},
	{"set_mode", ERRORS(EIO, ENOMEM, EPERM, EROFS)},
	{"set_owner", ERRORS(EDQUOT, EIO, ENOMEM, ENOSPC, EPERM, EROFS)},
	{"acl_group", ERRORS(EIO, ENOMEM, EOPNOTSUPP, ERANGE)},
	{"acl_drop", ERRORS(EIO, ENODATA, ENOMEM, ENOSPC, EOPNOTSUPP, EPERM, EROFS)},
	{"is_user", ERRORS(0)}, /* geteuid(2) */
	{"list_dir", ERRORS(EACCES, EIO, EMFILE, ENFILE, ENOENT, ENOMEM)},
	/* truncate(2), fallocate(2), read(2), write(2), lseek(2), copy_file_range(2), ioctl_ficlone(2) */
	{"ftruncate", ERRORS(EFBIG, EIO, ENOSPC, EPERM, ETXTBSY)},
	{"fallocate", ERRORS(EFBIG, EIO, ENODEV, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM, EDQUOT, ETXTBSY)},
	{"pread", ERRORS(EAGAIN, EIO, EISDIR, ENOMEM)},
	{"read", ERRORS(EAGAIN, EINTR, EIO, EISDIR, ENOMEM)},
	{"pwrite", ERRORS(EAGAIN, EDQUOT, EFBIG, EIO, ENOMEM, ENOSPC, EPERM)},
	{"write", ERRORS(EAGAIN, EDQUOT, EFAULT, EFBIG, EINTR, EIO, ENOSPC, EPERM, EPIPE)},
	{"seek_data", ERRORS(EINVAL, EIO, ENXIO)},
	{"seek_hole", ERRORS(EINVAL, EIO, ENXIO)},
	{"position", ERRORS(EOVERFLOW, ESPIPE)},
	{"set_position", ERRORS(EINVAL, EOVERFLOW, ESPIPE)},
	{"copy_range",
	 ERRORS(EDQUOT, EFBIG, EINVAL, EIO, ENOMEM, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM, ETXTBSY, EXDEV)},
	{"clone", ERRORS(EINVAL, EIO, ENOSPC, EOPNOTSUPP, EPERM, ETXTBSY, EXDEV)},
	/* fsync(2), sync_file_range(2), posix_fadvise(2), cachestat(2) */
	{"fsync", ERRORS(EDQUOT, EIO, ENOSPC, EROFS, EINVAL)},
	{"fdatasync", ERRORS(EDQUOT, EIO, ENOSPC, EROFS, EINVAL)},
	{"flush_range", ERRORS(EDQUOT, EIO, ENOMEM, ENOSPC)},
	{"writeback_range", ERRORS(EINVAL, EIO, ENOMEM, ENOSPC, ESPIPE)},
	{"fadvise", ERRORS(EINVAL, ESPIPE)},
	{"cachestat", ERRORS(EFAULT, ENOMEM, ENOSYS, EOPNOTSUPP, EPERM)},
	/* flock(2), fcntl_locking(2): never waiting, so never EINTR */
	{"flock", ERRORS(ENOLCK, ENOMEM, EOPNOTSUPP, EWOULDBLOCK)},
	{"ofd_lock", ERRORS(EACCES, EAGAIN, EDEADLK, ENOLCK, ENOMEM, EOPNOTSUPP)},
	{"ofd_test", ERRORS(ENOLCK, ENOMEM, EOPNOTSUPP)},
	/* mmap(2), mremap(2), msync(2), madvise(2), mprotect(2), mlock(2), mincore(2), prctl(2) */
	{"map", ERRORS(EACCES, EAGAIN, ENFILE, ENODEV, ENOMEM, EOVERFLOW, EPERM)},
	{"remap", ERRORS(EAGAIN, EFAULT, ENOMEM)},
	{"unmap", ERRORS(ENOMEM)},
	{"msync", ERRORS(EBUSY, EIO, ENOMEM, ENOSPC, EDQUOT)},
	{"madvise", ERRORS(EACCES, EAGAIN, EBUSY, EFAULT, EHWPOISON, EINVAL, EIO, ENOMEM, EPERM)},
	{"protect", ERRORS(EACCES, ENOMEM, EPERM)},
	{"mlock", ERRORS(EAGAIN, ENOMEM, EPERM)},
	{"munlock", ERRORS(EAGAIN, ENOMEM)},
	{"mincore", ERRORS(EAGAIN, ENOMEM)},
	{"name_memory", ERRORS(EINVAL, ENOMEM)},
	/* process_vm_readv(2), futex(2), pipe(2) */
	{"read_own", ERRORS(EFAULT, ENOMEM, ENOSYS, EPERM)},
	{"write_own", ERRORS(EFAULT, ENOMEM, ENOSYS, EPERM)},
	{"peek_own", ERRORS(EFAULT, ENOMEM, ENOSYS, EPERM)},
	{"touch_own", ERRORS(EFAULT, ENOSYS, EPERM)},
	{"pipe", ERRORS(EMFILE, ENFILE, ENOMEM)},
	/* sigaction(2), sigprocmask(2), raise(3), sigaltstack(2) */
	{"get_action", ERRORS(EINVAL)},
	{"set_action", ERRORS(EINVAL)},
	{"set_mask", ERRORS(EINVAL)},
	{"raise", ERRORS(EAGAIN)},
	{"rearm_stack", ERRORS(EINVAL, ENOMEM, EPERM)},
	{"block_signals", ERRORS(EINVAL)},
	{"restore_signals", ERRORS(EINVAL)},
	/* nanosleep(2), poll(2), eventfd(2), futex(2), getrandom(2), /proc */
	{"sleep_ms", ERRORS(EINTR)},
	{"poll_in", ERRORS(EINTR, ENOMEM)},
	{"eventfd", ERRORS(EMFILE, ENFILE, ENODEV, ENOMEM)},
	{"event_signal", ERRORS(EAGAIN)},
	{"event_clear", ERRORS(EAGAIN)},
	{"futex_wait", ERRORS(EAGAIN, EINTR, ETIMEDOUT)},
	{"futex_wake", ERRORS(EINVAL)},
	{"random", ERRORS(EIO, ENOSYS)},
	{"boot_id", ERRORS(EACCES, EIO, EMFILE, ENFILE, ENOENT)},
};

const int *table_plausible(const char *call)
{
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		if (strcmp(faults[i].call, call) == 0)
			return faults[i].errors;
	return NULL;
}

/*
 * Failures that operations get over: the work is done all the same, or was only a kindness. One that is not here
 * stands with the operation. "call" is all of its errnos, "call:EIO" is one.
 */
static const char excused[] =
	" close" /* the descriptor is gone whatever close(2) says; what was written is synced before */
	" unmap munlock" /* giving back: there is nothing the caller could do */
	" name_memory"   /* a name in /proc, which is for people */
	" event_signal event_clear futex_wake set_mask restore_signals rearm_stack" /* cannot fail with these arguments */
	" openat:ENOENT fstatat:ENOENT" /* it went while it was looked at: all begins again, or is as wished */
	" openat:EACCES"                /* a directory that may not be read may do to find names in */
	" fallocate:ENOSYS fallocate:EOPNOTSUPP allocate:ENOSYS allocate:EOPNOTSUPP" /* bytes are written instead */
	" seals:EINVAL" /* a file that has none */
	" fs_type"      /* an unknown file system is one that promises nothing */
	" read_own:ENOSYS read_own:EPERM write_own:ENOSYS write_own:EPERM peek_own:ENOSYS peek_own:EPERM" /* a pipe */
	" remap:EFAULT" /* several pieces: they are mapped anew */
	" ";

static bool contains(const char *list, const char *call, const char *error)
{
	char word[64];
	snprintf(word, sizeof word, " %s%s ", call, error);
	return strstr(list, word) != NULL;
}

bool table_is_excused(const char *call, int nth, int error, const char *also)
{
	char list[600], with_error[40], with_place[40];
	assert_true(snprintf(list, sizeof list, " %s ", also != NULL ? also : "") < (int)sizeof list);
	snprintf(with_error, sizeof with_error, ":%s", filemap_error_name(-error));
	snprintf(with_place, sizeof with_place, "#%d", nth);
	return contains(excused, call, "") || contains(excused, call, with_error) ||
	       contains(list, call, "") || contains(list, call, with_error) ||
	       contains(list, call, with_place);
}
