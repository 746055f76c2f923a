/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Between the library and the kernel: each call that changes a file is done and written down under one
 * lock. Flushes are not done at all: the model decides what they mean. Everything stored before a flush
 * began is covered once it has returned; what was stored meanwhile is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "log/store.h"
#include "sim.h"
#include "sys/sys.h"
#include "wraps.h"

/* ---- stores into mappings ---- */

static void shake(void)
{
	static uint32_t count;

	if (sim_world.shake && __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) % 7 == 0)
		sched_yield();
}

void __wrap_fm__log_store(void *to, const void *from, size_t length)
{
	uint64_t offset = 0;
	uint32_t file;

	shake();
	if (!sim_enter()) {
		__real_fm__log_store(to, from, length);
		return;
	}
	__real_fm__log_store(to, from, length);
	file = sim_find_mapping(to, &offset);
	if (file != SIM_NO_FILE)
		sim_event_store(file, offset, from, length);
	sim_leave();
}

void __wrap_fm__log_store_commit(void *to, uint64_t word)
{
	uint64_t offset = 0;
	uint32_t file;

	shake();
	if (!sim_enter()) {
		__real_fm__log_store_commit(to, word);
		return;
	}
	__real_fm__log_store_commit(to, word);
	file = sim_find_mapping(to, &offset);
	if (file != SIM_NO_FILE)
		sim_event_store(file, offset, to, sizeof word);
	sim_leave();
	shake();
}

/* ---- content and size ---- */

static void grow_to(int fd, uint32_t file, uint64_t before)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && (uint64_t)st.st_size != before) {
		struct sim_event *event = sim_event(SIM_SIZE);
		event->file = file;
		event->length = (uint64_t)st.st_size;
	}
}

static uint64_t size_of(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static bool all_zero(const uint8_t *bytes, size_t length)
{
	return length > 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
}

/*
 * Zeros behind the end only make a file longer. A segment is made of hundreds of such writes; most become one
 * event, so that crashes spend their time elsewhere.
 */
static void appended_zeros(uint32_t file, uint64_t end)
{
	struct sim_event *last = sim_last_event();

	if (last == NULL || last->kind != SIM_SIZE || last->file != file || end % (1u << 18) == 0) {
		last = sim_event(SIM_SIZE);
		last->file = file;
	}
	last->length = end;
}

int __wrap_fm__sys_pwrite(int fd, const void *from, size_t length, uint64_t offset)
{
	uint64_t before;
	uint32_t file;
	int r;

	if (!sim_enter())
		return __real_fm__sys_pwrite(fd, from, length, offset);
	before = size_of(fd);
	r = __real_fm__sys_pwrite(fd, from, length, offset);
	file = sim_file_of_fd(fd);
	if (r == 0 && file != SIM_NO_FILE && offset >= before && all_zero(from, length)) {
		appended_zeros(file, offset + length);
	} else if (r == 0 && file != SIM_NO_FILE) {
		grow_to(fd, file, before);
		if (!sim_bug_hides_write(file, length))
			sim_event_store(file, offset, from, length);
	}
	sim_leave();
	return r;
}

int __wrap_fm__sys_ftruncate(int fd, uint64_t size)
{
	uint64_t before;
	uint32_t file;
	int r;

	if (!sim_enter())
		return __real_fm__sys_ftruncate(fd, size);
	before = size_of(fd);
	r = __real_fm__sys_ftruncate(fd, size);
	file = sim_file_of_fd(fd);
	if (r == 0 && file != SIM_NO_FILE)
		grow_to(fd, file, before);
	sim_leave();
	return r;
}

int __wrap_fm__sys_fallocate(int fd, int mode, uint64_t offset, uint64_t length)
{
	uint64_t before;
	uint32_t file;
	int r;

	if (!sim_enter())
		return __real_fm__sys_fallocate(fd, mode, offset, length);
	before = size_of(fd);
	r = __real_fm__sys_fallocate(fd, mode, offset, length);
	file = sim_file_of_fd(fd);
	if (r == 0 && file != SIM_NO_FILE)
		grow_to(fd, file, before);
	sim_leave();
	return r;
}

/* ---- flushes ---- */

static bool flush_fails(void)
{
	if (sim_world.fail_flush <= 0 || --sim_world.fail_flush > 0)
		return false;
	sim_world.flush_failed = true;
	sim_world.failures++;
	return true;
}

static int flush_done(uint32_t file, uint64_t offset, uint64_t length, uint64_t begin, bool is_dir)
{
	struct sim_event *event;
	bool fails = !is_dir && flush_fails();

	if (!fails && sim_bug_hides_flush(file, offset, &length, &begin, is_dir))
		return 0;
	event = sim_event(is_dir ? SIM_DIR_SYNCED : fails ? SIM_FLUSH_FAILED : SIM_FLUSHED);
	event->dir = event->file = file;
	event->offset = offset;
	event->length = length;
	event->begin = begin;
	return fails && !sim_bug(SIM_BUG_RETRY_FLUSH) ? -EIO : 0; /* a retry is told 0 */
}

/* Locked on entry, unlocked on return. */
static int flush(uint32_t file, uint64_t offset, uint64_t length, bool is_dir)
{
	uint64_t begin = ++sim_world.seq;
	void (*hook)(void *) = sim_opening ? sim_world.at_flush : NULL;
	int r;

	sim_leave();
	if (hook != NULL)
		hook(sim_world.at_flush_context);
	sched_yield();
	if (file == SIM_NO_FILE || !sim_enter())
		return 0;
	r = flush_done(file, offset, length, begin, is_dir);
	sim_leave();
	return r;
}

static int flush_whole(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		sim_leave();
		return -errno;
	}
	return flush(sim_file_of(&st), 0, UINT64_MAX, S_ISDIR(st.st_mode));
}

int __wrap_fm__sys_fsync(int fd)
{
	return sim_enter() ? flush_whole(fd) : __real_fm__sys_fsync(fd);
}

int __wrap_fm__sys_fdatasync(int fd)
{
	return sim_enter() ? flush_whole(fd) : __real_fm__sys_fdatasync(fd);
}

int __wrap_fm__sys_flush_range(int fd, uint64_t offset, uint64_t length, struct fm__flush_windows *windows)
{
	if (!sim_enter())
		return __real_fm__sys_flush_range(fd, offset, length, windows);
	return flush(sim_file_of_fd(fd), offset, length, false);
}

int __wrap_fm__sys_msync(void *at, size_t length)
{
	uint64_t offset = 0;
	uint32_t file;

	if (!sim_enter())
		return __real_fm__sys_msync(at, length);
	file = sim_find_mapping(at, &offset);
	return flush(file, offset, length, false);
}

/* ---- names ---- */

static void created(uint32_t dir, const char *name, const struct stat *st)
{
	uint32_t file = sim_new_file(st);
	struct sim_event *event = sim_event(SIM_CREATED);

	event->dir = dir;
	event->file = file;
	event->is_dir = S_ISDIR(st->st_mode);
	memcpy(event->name, name, SIM_NAME);
	sim_name_file(file, name);
}

int __wrap_fm__sys_openat(int dirfd, const char *path, int flags, unsigned mode)
{
	char name[SIM_NAME] = "";
	struct stat st;
	uint32_t dir;
	bool existed;
	int fd;

	if ((flags & (O_CREAT | O_TRUNC)) == 0 || !sim_enter())
		return __real_fm__sys_openat(dirfd, path, flags, mode);
	dir = sim_resolve(dirfd, path, name);
	existed = fstatat(dirfd, path, &st, 0) == 0;
	fd = __real_fm__sys_openat(dirfd, path, flags, mode);
	if (fd >= 0 && dir != SIM_NO_FILE) {
		uint64_t before = existed ? (uint64_t)st.st_size : 0;
		if (fstat(fd, &st) == 0 && !existed)
			created(dir, name, &st);
		else
			grow_to(fd, sim_file_of(&st), before);
	}
	sim_leave();
	return fd;
}

int __wrap_fm__sys_mkdirat(int dirfd, const char *path, unsigned mode)
{
	char name[SIM_NAME] = "";
	struct stat st;
	uint32_t dir;
	int r;

	if (!sim_enter())
		return __real_fm__sys_mkdirat(dirfd, path, mode);
	dir = sim_resolve(dirfd, path, name);
	r = __real_fm__sys_mkdirat(dirfd, path, mode);
	if (r == 0 && dir != SIM_NO_FILE && fstatat(dirfd, path, &st, 0) == 0)
		created(dir, name, &st);
	sim_leave();
	return r;
}

int __wrap_fm__sys_unlinkat(int dirfd, const char *path, int flags)
{
	char name[SIM_NAME] = "";
	uint32_t dir;
	int r;

	if (!sim_enter())
		return __real_fm__sys_unlinkat(dirfd, path, flags);
	dir = sim_resolve(dirfd, path, name);
	r = __real_fm__sys_unlinkat(dirfd, path, flags);
	if (r == 0 && dir != SIM_NO_FILE) {
		struct sim_event *event = sim_event(SIM_UNLINKED);
		event->dir = dir;
		memcpy(event->name, name, SIM_NAME);
	}
	sim_leave();
	return r;
}

int __wrap_fm__sys_rename(int dirfd, const char *from, const char *to, bool replace)
{
	uint32_t dir;
	int r;

	if (!sim_enter())
		return __real_fm__sys_rename(dirfd, from, to, replace);
	dir = sim_file_of_fd(dirfd);
	r = __real_fm__sys_rename(dirfd, from, to, replace);
	if (r == 0 && dir != SIM_NO_FILE) {
		struct sim_event *event = sim_event(SIM_RENAMED);
		event->dir = dir;
		snprintf(event->name, SIM_NAME, "%s", from);
		snprintf(event->to, SIM_NAME, "%s", to);
	}
	sim_leave();
	return r;
}

/* ---- mappings ---- */

int __wrap_fm__sys_map(void *at, size_t length, int prot, int flags, int fd, uint64_t offset, void **ret)
{
	uint32_t file;
	int r;

	if (!sim_enter())
		return __real_fm__sys_map(at, length, prot, flags, fd, offset, ret);
	r = __real_fm__sys_map(at, length, prot, flags, fd, offset, ret);
	if (r == 0) {
		file = fd < 0 ? SIM_NO_FILE : sim_file_of_fd(fd);
		sim_unmapped(*ret, length);
		if (file != SIM_NO_FILE && (flags & MAP_TYPE) != MAP_PRIVATE)
			sim_mapped(*ret, length, file, offset,
				   (prot & PROT_WRITE) != 0 && sim_kind_of(file) == SIM_IS_CTL);
	}
	sim_leave();
	return r;
}

int __wrap_fm__sys_unmap(void *at, size_t length)
{
	int r;

	if (!sim_enter())
		return __real_fm__sys_unmap(at, length);
	sim_unmapped(at, length);
	r = __real_fm__sys_unmap(at, length);
	sim_leave();
	return r;
}

int __wrap_fm__sys_remap(void *at, size_t old_length, size_t new_length, int flags, void **ret)
{
	uint64_t offset = 0;
	uint32_t file;
	int r;

	if (!sim_enter())
		return __real_fm__sys_remap(at, old_length, new_length, flags, ret);
	file = sim_find_mapping(at, &offset);
	r = __real_fm__sys_remap(at, old_length, new_length, flags, ret);
	if (r == 0) {
		sim_unmapped(at, old_length);
		if (file != SIM_NO_FILE)
			sim_mapped(*ret, new_length, file, offset, false);
	}
	sim_leave();
	return r;
}
