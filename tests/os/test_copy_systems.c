/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Copies on file systems of each kind: full ones, those that share blocks, those without unnamed files, from
 * one to another. Each case runs in a child with mounts of its own, which vanish with it.
 */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "copy.h"

#define SIZE 300000
#define SKIPPED 77

static unsigned char content[SIZE];
static struct filemap_error error;

static int private_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		return -1;
	return mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL);
}

static int mount_tmpfs(const char *path, const char *options)
{
	if (private_mounts() < 0 || mkdir(path, 0700) < 0)
		return -1;
	return mount("tmpfs", path, "tmpfs", 0, options);
}

static struct filemap *open_content(const char *path, unsigned mode)
{
	struct filemap *map = NULL;

	fill_bytes(content, SIZE);
	t_write_file(path, content, SIZE);
	return filemap_open(path, mode, NULL, &map, NULL) == 0 ? map : NULL;
}

static void in_child(void **state, int (*body)(void *), const char *reason)
{
	const int r = t_in_child(body, *state);
	if (r == SKIPPED)
		t_skip(reason);
	assert_int_equal(r, 0);
}

/* What one mapping can do with a full disk: no file, and no block of it. */
static int fail_on_full(const struct t_dir *dir, struct filemap *map)
{
	const char *full = t_path(dir, "full");
	if (!map)
		return 1;
	memset(&error, 0, sizeof error);
	if (filemap_copy_to(map, 0, FILEMAP_TO_END, t_path(dir, "full/copy"), &error) != -ENOSPC)
		return 2;
	if (strcmp(error.step, "copy bytes") || strcmp(error.subject, "file") || error.detail[0] != '/')
		return 3;
	if (count_entries(full) != 0)
		return 4;
	if (filemap_copy_to(map, 0, 4096, t_path(dir, "full/copy"), NULL) != 0)
		return 5;
	filemap_close(map);
	return unlink(t_path(dir, "full/copy")) == 0 ? 0 : 6;
}

static int copy_to_full(void *context)
{
	const struct t_dir *dir = context;
	struct filemap *memory;
	int r;

	if (mount_tmpfs(t_path(dir, "full"), "size=64k") < 0)
		return SKIPPED;
	r = fail_on_full(dir, open_content(t_path(dir, "source"), FILEMAP_READ));
	if (r != 0)
		return r;
	if (filemap_from_bytes(NULL, FILEMAP_READ, content, SIZE, &memory, NULL) != 0)
		return 10;
	return fail_on_full(dir, memory);
}

static void full_disk_is_enospc_and_leaves_nothing(void **state)
{
	in_child(state, copy_to_full, "mounting in a private namespace is not permitted");
}

/* The same file system, so that the kernel copies, and not from memory. */
static int copy_within_full(void *context)
{
	const struct t_dir *dir = context;
	struct filemap *map;

	if (mount_tmpfs(t_path(dir, "full"), "size=400k") < 0)
		return SKIPPED;
	map = open_content(t_path(dir, "full/source"), FILEMAP_READ);
	if (!map)
		return 1;
	if (filemap_copy_to(map, 0, SIZE, t_path(dir, "full/copy"), &error) != -ENOSPC)
		return 2;
	filemap_close(map);
	return count_entries(t_path(dir, "full")) == 1 ? 0 : 3;
}

static void disk_that_fills_up_under_the_kernel_s_copy_is_enospc(void **state)
{
	in_child(state, copy_within_full, "mounting in a private namespace is not permitted");
}

static int copy_between(void *context)
{
	const struct t_dir *dir = context;
	struct filemap *map;

	if (mount_tmpfs(t_path(dir, "other"), "size=4m") < 0)
		return SKIPPED;
	map = open_content(t_path(dir, "source"), FILEMAP_WRITE);
	if (!map)
		return 1;
	content[12345] ^= 0xFF;
	if (filemap_write_all(map, 12345, content + 12345, 1) != 0)
		return 2;
	if (filemap_copy_to(map, 1, SIZE - 2, t_path(dir, "other/copy"), NULL) != 0)
		return 3;
	filemap_close(map);
	return file_is(t_path(dir, "other/copy"), content + 1, SIZE - 2) ? 0 : 4;
}

static void copy_from_one_file_system_to_another_has_the_bytes(void **state)
{
	in_child(state, copy_between, "mounting in a private namespace is not permitted");
}

static int mount_image(const struct t_dir *dir, const char *type, unsigned mib)
{
	char command[1024];

	if (private_mounts() < 0 || mkdir(t_path(dir, "mounted"), 0700) < 0)
		return -1;
	snprintf(command, sizeof command,
		 "exec >/dev/null 2>&1; PATH=$PATH:/sbin:/usr/sbin; cd '%s' && truncate -s %uM image && "
		 "mkfs.%s -q image && mount -o loop image mounted",
		 dir->path, mib, type);
	return system(command) == 0 ? 0 : -1;
}

/* Bytes that were stored a moment ago: from the start, where whole blocks can be shared, and from odd places. */
static int copy_dirty_again_and_again(const struct t_dir *dir)
{
	struct filemap *map = open_content(t_path(dir, "mounted/source"), FILEMAP_WRITE);

	if (!map)
		return 1;
	for (unsigned round = 0; round < 20; round++) {
		const size_t offset = round % 2 ? 0 : round * 513, length = SIZE - offset - round / 2 * 4099;
		const char *copy = t_path(dir, "mounted/copy");
		for (size_t i = round; i < SIZE; i += 997)
			content[i]++;
		memcpy(filemap_data_mut(map), content, SIZE);
		if (filemap_copy_to(map, offset, length, copy, &error) != 0)
			return 2;
		memset(filemap_data_mut(map), 0, SIZE); /* shared blocks part again */
		if (!file_is(copy, content + offset, length))
			return 3;
		if (unlink(copy) < 0)
			return 4;
	}
	filemap_close(map);
	return 0;
}

static int copy_on_ext4(void *context)
{
	return mount_image(context, "ext4", 32) < 0 ? SKIPPED : copy_dirty_again_and_again(context);
}

static int copy_on_xfs(void *context)
{
	return mount_image(context, "xfs", 300) < 0 ? SKIPPED : copy_dirty_again_and_again(context);
}

static int copy_on_btrfs(void *context)
{
	return mount_image(context, "btrfs", 110) < 0 ? SKIPPED : copy_dirty_again_and_again(context);
}

static void dirty_bytes_are_in_the_copy_on_ext4(void **state)
{
	in_child(state, copy_on_ext4, "no mkfs.ext4, or no loop mounts here");
}

static void dirty_bytes_are_in_the_copy_on_xfs(void **state)
{
	in_child(state, copy_on_xfs, "no mkfs.xfs, or no loop mounts here");
}

static void dirty_bytes_are_in_the_copy_on_btrfs(void **state)
{
	in_child(state, copy_on_btrfs, "no mkfs.btrfs, or no loop mounts here");
}

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LOW_WORD 4
#else
#define LOW_WORD 0
#endif

/* openat(2) of an unnamed file is answered as by a file system that has none. */
static int deny_unnamed(void)
{
	const unsigned flag = O_TMPFILE & ~(unsigned)O_DIRECTORY;
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2]) + LOW_WORD),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flag, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = 6, .filter = rules};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return -1;
	return open("/tmp", O_RDWR | O_TMPFILE, 0600) < 0 && errno == EOPNOTSUPP ? 0 : -1;
}

static int copy_without_unnamed(void *context)
{
	const struct t_dir *dir = context;
	struct filemap *map = open_content(t_path(dir, "source"), FILEMAP_READ);
	const char *copy = t_path(dir, "copy");
	struct stat status;

	if (deny_unnamed() < 0)
		return SKIPPED;
	umask(027);
	if (filemap_copy_to(map, 0, SIZE, copy, NULL) != 0 || !file_is(copy, content, SIZE))
		return 1;
	if (stat(copy, &status) < 0 || (status.st_mode & 07777) != 0640 || status.st_nlink != 1)
		return 2;
	if (filemap_copy_to(map, 0, 10, copy, NULL) != -EEXIST || !file_is(copy, content, SIZE))
		return 3;
	filemap_close(map);
	return count_entries(dir->path) == 2 ? 0 : 4;
}

static void copy_without_unnamed_files_is_made_under_a_hidden_name(void **state)
{
	in_child(state, copy_without_unnamed, "no seccomp filters here");
}

/* The longest name there is, of letters with two bytes each: the hidden one is cut, and between letters. */
static int copy_to_a_long_name(void *context)
{
	const struct t_dir *dir = context;
	struct filemap *map = open_content(t_path(dir, "source"), FILEMAP_READ);
	char name[256] = "n";

	for (size_t i = 1; i < 255; i += 2)
		memcpy(name + i, "\xC3\xA4", 3);
	if (deny_unnamed() < 0)
		return SKIPPED;
	if (filemap_copy_to(map, 0, SIZE, t_path(dir, name), NULL) != 0)
		return 1;
	filemap_close(map);
	return file_is(t_path(dir, name), content, SIZE) ? 0 : 2;
}

static void longest_name_works_without_unnamed_files(void **state)
{
	in_child(state, copy_to_a_long_name, "no seccomp filters here");
}

static int copy_beyond_the_limit(void *context)
{
	const struct t_dir *dir = context;
	const struct rlimit limit = {.rlim_cur = 8192, .rlim_max = 8192};
	struct filemap *map = open_content(t_path(dir, "source"), FILEMAP_READ), *memory;

	if (filemap_from_bytes(NULL, FILEMAP_READ, content, SIZE, &memory, NULL) != 0)
		return 1;
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return SKIPPED;
	if (filemap_copy_to(map, 0, SIZE, t_path(dir, "copy"), NULL) != -EFBIG)
		return 2;
	if (filemap_copy_to(memory, 0, SIZE, t_path(dir, "copy"), NULL) != -EFBIG)
		return 3;
	filemap_close(memory);
	filemap_close(map);
	return count_entries(dir->path) == 1 ? 0 : 4;
}

static void limit_of_file_sizes_is_efbig_and_no_signal(void **state)
{
	in_child(state, copy_beyond_the_limit, "the limit cannot be set here");
}

T_MAIN(T_TEST(full_disk_is_enospc_and_leaves_nothing),
       T_TEST(disk_that_fills_up_under_the_kernel_s_copy_is_enospc),
       T_TEST(copy_from_one_file_system_to_another_has_the_bytes),
       T_TEST(dirty_bytes_are_in_the_copy_on_ext4), T_TEST(dirty_bytes_are_in_the_copy_on_xfs),
       T_TEST(dirty_bytes_are_in_the_copy_on_btrfs),
       T_TEST(copy_without_unnamed_files_is_made_under_a_hidden_name),
       T_TEST(longest_name_works_without_unnamed_files), T_TEST(limit_of_file_sizes_is_efbig_and_no_signal))
