/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The server of fuse_fault.h, one thread in a child that dies with the test, and how it is started and ended.
 * Invariant: bytes become durable by a sync that succeeds, and in no other way.
 */
#define FUSE_USE_VERSION 31
#include "fuse_fault.h"

#include <errno.h>
#include <fuse.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct fuse_fault *served;

static int switched(const int *the_switch)
{
	return -__atomic_load_n(the_switch, __ATOMIC_SEQ_CST);
}

static void count(uint32_t *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

static void note(uint64_t offset, uint64_t length)
{
	const uint32_t at = __atomic_fetch_add(&served->logged, 1, __ATOMIC_SEQ_CST);

	if (at < FUSE_FAULT_LOG)
		served->log[at] = (struct fuse_fault_request){offset, length};
}

static struct fuse_fault_file *find(const char *path)
{
	for (unsigned i = 0; i < FUSE_FAULT_FILES; i++)
		if (served->files[i].path[0] && strcmp(served->files[i].path, path) == 0)
			return &served->files[i];
	return NULL;
}

/* An open file is known by its entry: it may have lost its name. */
static struct fuse_fault_file *of(const char *path, const struct fuse_file_info *info)
{
	return info && info->fh ? &served->files[info->fh - 1] : find(path);
}

static int add(const char *path, mode_t mode, struct fuse_file_info *info)
{
	for (unsigned i = 0; i < FUSE_FAULT_FILES; i++) {
		struct fuse_fault_file *file = &served->files[i];

		if (file->path[0])
			continue;
		if (strlen(path) >= sizeof file->path)
			return -ENAMETOOLONG;
		memset(file, 0, sizeof *file);
		strcpy(file->path, path);
		file->mode = mode;
		if (info)
			info->fh = i + 1;
		return 0;
	}
	return -ENOSPC;
}

static int op_getattr(const char *path, struct stat *ret, struct fuse_file_info *info)
{
	const struct fuse_fault_file *file = of(path, info);

	if (!file)
		return -ENOENT;
	*ret = (struct stat){
		.st_ino = (ino_t)(file - served->files) + 1,
		.st_mode = file->mode,
		.st_nlink = file->path[0] ? 1 : 0,
		.st_size = (off_t)file->size,
		.st_blocks = (blkcnt_t)(file->size / 512),
	};
	return 0;
}

static int op_create(const char *path, mode_t mode, struct fuse_file_info *info)
{
	return add(path, S_IFREG | (mode & 07777), info);
}

static int op_mkdir(const char *path, mode_t mode)
{
	return add(path, S_IFDIR | (mode & 07777), NULL);
}

static int op_open(const char *path, struct fuse_file_info *info)
{
	const struct fuse_fault_file *file = find(path);

	if (!file)
		return -ENOENT;
	info->fh = (uint64_t)(file - served->files) + 1;
	info->keep_cache = 1;
	return 0;
}

static int op_read(const char *path, char *to, size_t length, off_t offset, struct fuse_file_info *info)
{
	const struct fuse_fault_file *file = of(path, info);

	count(&served->reads);
	if (switched(&served->read_error))
		return switched(&served->read_error);
	if ((uint64_t)offset >= file->size)
		return 0;
	if (length > file->size - (uint64_t)offset)
		length = file->size - (uint64_t)offset;
	memcpy(to, file->written + offset, length);
	return (int)length;
}

static int op_write(const char *path, const char *from, size_t length, off_t offset,
		    struct fuse_file_info *info)
{
	struct fuse_fault_file *file = of(path, info);

	count(&served->writes);
	if (switched(&served->write_error))
		return switched(&served->write_error);
	if ((uint64_t)offset > FUSE_FAULT_BYTES || length > FUSE_FAULT_BYTES - (uint64_t)offset)
		return -EFBIG;
	memcpy(file->written + offset, from, length);
	if (file->size < (uint64_t)offset + length)
		file->size = (uint64_t)offset + length;
	note((uint64_t)offset, length);
	return (int)length;
}

static bool take_pass(void)
{
	uint32_t left = __atomic_load_n(&served->passes, __ATOMIC_SEQ_CST);

	while (left > 0 && !__atomic_compare_exchange_n(&served->passes, &left, left - 1, false,
							__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	return left > 0;
}

static void stay_while_held(void)
{
	const struct timespec pause = {0, 100000};

	if (switched(&served->hold) == 0)
		return;
	count(&served->held);
	while (switched(&served->hold) != 0 && !take_pass())
		nanosleep(&pause, NULL);
}

static int op_fsync(const char *path, int data_only, struct fuse_file_info *info)
{
	struct fuse_fault_file *file = of(path, info);
	int r;
	(void)data_only;

	stay_while_held();
	r = switched(&served->fsync_error);
	count(&served->fsyncs);
	if (r == 0)
		note(0, 0);
	if (r == 0)
		memcpy(file->durable, file->written, sizeof file->durable);
	else if (switched(&served->loses))
		memcpy(file->written, file->durable, sizeof file->written);
	return r;
}

static int op_fsyncdir(const char *path, int data_only, struct fuse_file_info *info)
{
	(void)path;
	(void)data_only;
	(void)info;
	return 0;
}

static int op_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
	struct fuse_fault_file *file = of(path, info);

	if ((uint64_t)size > FUSE_FAULT_BYTES)
		return -EFBIG;
	if ((uint64_t)size < file->size)
		memset(file->written + size, 0, file->size - (uint64_t)size);
	file->size = (uint64_t)size;
	return 0;
}

static int op_fallocate(const char *path, int mode, off_t offset, off_t length, struct fuse_file_info *info)
{
	struct fuse_fault_file *file = of(path, info);

	if (mode != 0)
		return -EOPNOTSUPP;
	if ((uint64_t)offset + (uint64_t)length > FUSE_FAULT_BYTES)
		return -EFBIG;
	if (file->size < (uint64_t)offset + (uint64_t)length)
		file->size = (uint64_t)offset + (uint64_t)length;
	return 0;
}

static int op_unlink(const char *path)
{
	struct fuse_fault_file *file = find(path);

	if (!file)
		return -ENOENT;
	file->path[0] = '\0';
	return 0;
}

static int op_rename(const char *from, const char *to, unsigned flags)
{
	struct fuse_fault_file *file = find(from), *old = find(to);

	if (flags & ~1u) /* RENAME_NOREPLACE */
		return -EINVAL;
	if (flags && old)
		return -EEXIST;
	if (strlen(to) >= sizeof file->path)
		return -ENAMETOOLONG;
	if (old)
		old->path[0] = '\0';
	strcpy(file->path, to);
	return 0;
}

static int op_readdir(const char *path, void *list, fuse_fill_dir_t fill, off_t offset,
		      struct fuse_file_info *info, enum fuse_readdir_flags flags)
{
	const size_t above = strcmp(path, "/") == 0 ? 0 : strlen(path);
	(void)offset;
	(void)info;
	(void)flags;

	fill(list, ".", NULL, 0, 0);
	fill(list, "..", NULL, 0, 0);
	for (unsigned i = 0; i < FUSE_FAULT_FILES; i++) {
		const char *name = served->files[i].path;

		if (strncmp(name, path, above) != 0 || name[above] != '/' || name[above + 1] == '\0')
			continue;
		if (!strchr(name + above + 1, '/'))
			fill(list, name + above + 1, NULL, 0, 0);
	}
	return 0;
}

static int op_chmod(const char *path, mode_t mode, struct fuse_file_info *info)
{
	struct fuse_fault_file *file = of(path, info);

	file->mode = (file->mode & S_IFMT) | (mode & 07777);
	return 0;
}

static int op_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *info)
{
	(void)path;
	(void)times;
	(void)info;
	return 0;
}

static void *op_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
	(void)connection;
	config->use_ino = 1;
	config->kernel_cache = 1;
	config->hard_remove = 1;
	return NULL;
}

static const struct fuse_operations operations = {
	.init = op_init,
	.getattr = op_getattr,
	.create = op_create,
	.mkdir = op_mkdir,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.fsyncdir = op_fsyncdir,
	.truncate = op_truncate,
	.fallocate = op_fallocate,
	.unlink = op_unlink,
	.rmdir = op_unlink,
	.rename = op_rename,
	.readdir = op_readdir,
	.chmod = op_chmod,
	.utimens = op_utimens,
};

static void serve(int ready)
{
	char name[] = "fuse_fault";
	char *arguments[] = {name, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, arguments);
	struct fuse *fuse;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	fuse = fuse_new(&args, &operations, sizeof operations, NULL);
	if (!fuse || fuse_mount(fuse, served->mounted_at) != 0)
		return;
	if (write(ready, "", 1) == 1)
		(void)fuse_loop(fuse);
}

static void discard(struct fuse_fault *device)
{
	int status;

	while (device->server > 0 && waitpid(device->server, &status, 0) < 0 && errno == EINTR)
		;
	munmap(device, sizeof *device);
}

static int start_server(struct fuse_fault *device)
{
	int ready[2];
	char byte;
	ssize_t got;
	pid_t pid;

	if (pipe(ready) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		close(ready[0]);
		served = device;
		serve(ready[1]);
		_exit(0);
	}
	device->server = pid; /* not by the child, which has the same memory */
	close(ready[1]);
	got = pid < 0 ? 0 : read(ready[0], &byte, 1);
	close(ready[0]);
	return got == 1 ? 0 : -1;
}

struct fuse_fault *fuse_fault_start(const char *mount_point, const char **ret_why)
{
	struct fuse_fault *device;

	*ret_why = "FUSE cannot be mounted here";
	if (access("/dev/fuse", R_OK | W_OK) < 0 || strlen(mount_point) >= sizeof device->mounted_at)
		return NULL;
	device = mmap(NULL, sizeof *device, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (device == MAP_FAILED)
		return NULL;
	strcpy(device->mounted_at, mount_point);
	strcpy(device->files[0].path, "/");
	device->files[0].mode = S_IFDIR | 0755;
	if (start_server(device) == 0)
		return device;
	discard(device);
	return NULL;
}

void fuse_fault_stop(struct fuse_fault *device)
{
	if (!device)
		return;
	fuse_fault_set(&device->fsync_error, 0);
	fuse_fault_set(&device->write_error, 0);
	fuse_fault_set(&device->hold, 0);
	(void)umount2(device->mounted_at, MNT_DETACH);
	if (device->server > 0)
		kill(device->server, SIGKILL); /* what still uses it gets ENOTCONN */
	discard(device);
}

void fuse_fault_set(int *the_switch, int value)
{
	__atomic_store_n(the_switch, value, __ATOMIC_SEQ_CST);
}

const struct fuse_fault_file *fuse_fault_find(const struct fuse_fault *device, const char *path)
{
	for (unsigned i = 0; i < FUSE_FAULT_FILES; i++)
		if (strcmp(device->files[i].path, path) == 0)
			return &device->files[i];
	return NULL;
}
