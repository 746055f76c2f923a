/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the tests of filemap_publish() and filemap_replace_file() share: contents, and systems that lack a way. */
#ifndef OS_NEW_FILE_H
#define OS_NEW_FILE_H

#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "copy.h"
#include "deny.h"

#define SKIPPED 77
#define TEXT "new content"
#define TEXT_LENGTH 11
#define OLD "old"
#define OLD_LENGTH 3
#define OWN_CODE (-31337)

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE (1u << 1)
#endif

static int filled; /* how often */
static struct filemap_bytes text = {TEXT, TEXT_LENGTH};

static inline int fill_text(int fd, void *context)
{
	(void)context;
	filled++;
	return filemap_fill_bytes(fd, &text);
}

static inline int fill_and_fail(int fd, void *context)
{
	(void)context;
	filled++;
	return pwrite(fd, "half", 4, 0) == 4 ? OWN_CODE : -EIO;
}

static inline bool is_text(const char *path)
{
	return file_is(path, TEXT, TEXT_LENGTH);
}

static inline bool is_old(const char *path)
{
	return file_is(path, OLD, OLD_LENGTH);
}

static inline int entries(const struct t_dir *dir)
{
	return count_entries(dir->path);
}

static inline const char *longest_name(void)
{
	static char name[256];

	memset(name, 'n', 255);
	return name;
}

static inline void in_child(void **state, int (*body)(void *), const char *reason)
{
	const int r = t_in_child(body, *state);
	if (r == SKIPPED)
		t_skip(reason);
	assert_int_equal(r, 0);
}

#define NO_FILTERS "no seccomp filters here"
#define NO_MOUNTS "mounting in a private namespace is not permitted"

/* openat(2) of a file without a name is answered as by a file system that has none. */
static inline int deny_unnamed(void)
{
	const unsigned flag = O_TMPFILE & ~(unsigned)O_DIRECTORY;
	const unsigned low = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 4;
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 (unsigned)offsetof(struct seccomp_data, args) + 8 * 2 + low),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flag, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = 6, .filter = rules};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static inline int deny_links(void)
{
	return deny_call(SYS_linkat, EPERM);
}

static inline int deny_exchange(void)
{
	return deny_call_with(SYS_renameat2, 4, RENAME_EXCHANGE, EINVAL);
}

static inline int mount_tmpfs(const char *path, const char *options)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	if (mkdir(path, 0700) < 0)
		return -1;
	return mount("tmpfs", path, "tmpfs", 0, options);
}

#endif
