/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Files that are reached through a descriptor and no name: opened again, made in memory, given a name.
 *
 * Invariant: every descriptor that leaves this file is close-on-exec and at least 3.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sys/linux/kernel.h"
#include "sys/linux/newer.h"
#include "sys/linux/proc_fd.h"
#include "sys/sys.h"

/* Also after the last name is gone, so ENOENT can only mean: no /proc. */
int fm__sys_reopen(int fd, int flags)
{
	char path[FM_PROC_FD_SIZE];

	fm__proc_fd(fd, path);
	return fm__sys_openat(AT_FDCWD, path, flags, 0);
}

/*
 * MFD_EXEC by name, or the kernel decides by a sysctl and logs that it had to. EINVAL: the kernel is older
 * than the flag. EACCES: the administrator allows no such files; the memory can still be mapped as code.
 */
int fm__sys_memory_file(const char *name)
{
	int fd = FM_RETRY(memfd_create(name, MFD_CLOEXEC | MFD_EXEC));
	if (fd == -EINVAL)
		fd = FM_RETRY(memfd_create(name, MFD_CLOEXEC));
	if (fd == -EACCES)
		fd = FM_RETRY(memfd_create(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL));
	return fm__raise_fd(fd);
}

/* Sealed against execution from the start where the kernel can: it is for data. */
int fm__sys_sealable_file(const char *name)
{
	int fd = FM_RETRY(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL));
	if (fd == -EINVAL)
		fd = FM_RETRY(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
	return fm__raise_fd(fd);
}

int fm__sys_seal(int fd, int seals)
{
	return fm__result(fcntl(fd, F_ADD_SEALS, seals));
}

int fm__sys_seals(int fd)
{
	return fm__result(fcntl(fd, F_GET_SEALS));
}

int fm__sys_clone(int to_fd, int from_fd)
{
	return fm__result(ioctl(to_fd, FICLONE, from_fd));
}

int fm__sys_check_seals(int fd, bool grows)
{
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return 0; /* only files in memory have any */
	return seals & (F_SEAL_SHRINK | (grows ? F_SEAL_GROW : 0)) ? -EPERM : 0;
}

/* The empty path needs a privilege or a kernel that sees who opened fd (6.10); /proc needs /proc. */
int fm__sys_link_fd(int fd, int dirfd, const char *name)
{
	char path[FM_PROC_FD_SIZE];

	int r = fm__result(linkat(fd, "", dirfd, name, AT_EMPTY_PATH));
	if (r != -ENOENT && r != -EPERM && r != -EINVAL)
		return r;
	fm__proc_fd(fd, path);
	return fm__result(linkat(AT_FDCWD, path, dirfd, name, AT_SYMLINK_FOLLOW));
}
