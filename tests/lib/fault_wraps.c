/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One function in front of each of lib/sys/sys.h. What refuses does not make the call when it is to fail; what
 * gives something back makes it nevertheless, as the kernel would have done.
 */
#include <fcntl.h>
#include <sys/file.h>

#include "fault_pass.h"
#include "sys/sys.h"

/* One wrapper: REFUSE fails instead of the real call, RELEASE does the real call in any case. */
#define REFUSE(type, name, parameters, arguments)                   \
	type __real_fm__sys_##name parameters;                      \
	type __wrap_fm__sys_##name parameters;                      \
	type __wrap_fm__sys_##name parameters                       \
	{                                                           \
		const int r = fault_pass(#name);                    \
		return r < 0 ? r : __real_fm__sys_##name arguments; \
	}
#define RELEASE(name, parameters, arguments)                   \
	int __real_fm__sys_##name parameters;                  \
	int __wrap_fm__sys_##name parameters;                  \
	int __wrap_fm__sys_##name parameters                   \
	{                                                      \
		const int injected = fault_pass(#name);        \
		const int r = __real_fm__sys_##name arguments; \
		return injected < 0 ? injected : r;            \
	}

REFUSE(int, openat, (int dirfd, const char *path, int flags, unsigned mode), (dirfd, path, flags, mode))
REFUSE(int, dup, (int fd), (fd))
REFUSE(int, set_blocking, (int fd), (fd))
REFUSE(int, fstat, (int fd, struct stat *ret), (fd, ret))
REFUSE(int, fstatat, (int dirfd, const char *path, struct stat *ret, int flags), (dirfd, path, ret, flags))
REFUSE(int, fs_type, (int fd, uint64_t *ret), (fd, ret))
REFUSE(int, statx, (int fd, struct statx *ret), (fd, ret))
REFUSE(int, check_seals, (int fd, bool grows), (fd, grows))
REFUSE(int, may_write, (int fd), (fd))
REFUSE(int, is_owner, (int fd), (fd))
REFUSE(int, file_handle, (int fd, uint32_t *ret_type, unsigned char *to, uint32_t *length),
       (fd, ret_type, to, length))
REFUSE(int, reopen, (int fd, int flags), (fd, flags))
REFUSE(int, memory_file, (const char *name), (name))
REFUSE(int, sealable_file, (const char *name), (name))
REFUSE(int, seal, (int fd, int seals), (fd, seals))
REFUSE(int, seals, (int fd), (fd))
REFUSE(int, clone, (int to_fd, int from_fd), (to_fd, from_fd))
REFUSE(int, free_blocks, (int fd, uint64_t *ret), (fd, ret))
REFUSE(int64_t, read_own, (void *to, const void *from, size_t length), (to, from, length))
REFUSE(int64_t, write_own, (void *to, const void *from, size_t length), (to, from, length))
REFUSE(int64_t, peek_own, (const void *at, size_t stride, size_t count), (at, stride, count))
REFUSE(int, touch_own, (void *word), (word))
REFUSE(int, pipe, (int ret[2]), (ret))
REFUSE(int64_t, write, (int fd, const void *from, size_t length), (fd, from, length))
REFUSE(int, get_action, (int signo, struct sigaction *ret), (signo, ret))
REFUSE(int, set_action, (int signo, const struct sigaction *action), (signo, action))
REFUSE(int, raise, (int signo), (signo))
REFUSE(int, link_fd, (int fd, int dirfd, const char *name), (fd, dirfd, name))
REFUSE(int64_t, seek_data, (int fd, uint64_t from), (fd, from))
REFUSE(int64_t, seek_hole, (int fd, uint64_t from), (fd, from))
REFUSE(int64_t, position, (int fd), (fd))
REFUSE(int64_t, set_position, (int fd, uint64_t to), (fd, to))
REFUSE(int64_t, copy_range, (int from_fd, uint64_t from, int to_fd, uint64_t to, uint64_t length),
       (from_fd, from, to_fd, to, length))
REFUSE(int, writeback_range, (int fd, uint64_t offset, uint64_t length), (fd, offset, length))
REFUSE(int, cachestat, (int fd, uint64_t offset, uint64_t length, struct fm__cache_pages *ret),
       (fd, offset, length, ret))
REFUSE(int, ftruncate, (int fd, uint64_t size), (fd, size))
REFUSE(int, fallocate, (int fd, int mode, uint64_t offset, uint64_t length), (fd, mode, offset, length))
REFUSE(int64_t, pread, (int fd, void *to, size_t length, uint64_t offset), (fd, to, length, offset))
REFUSE(int, pwrite, (int fd, const void *from, size_t length, uint64_t offset), (fd, from, length, offset))
REFUSE(int64_t, read, (int fd, void *to, size_t length), (fd, to, length))
REFUSE(int, fsync, (int fd), (fd))
REFUSE(int, fdatasync, (int fd), (fd))
REFUSE(int, flush_range, (int fd, uint64_t offset, uint64_t length, struct fm__flush_windows *windows),
       (fd, offset, length, windows))
REFUSE(int, fadvise, (int fd, uint64_t offset, uint64_t length, int advice), (fd, offset, length, advice))
REFUSE(int, ofd_test, (int fd, int type, uint64_t start, uint64_t length), (fd, type, start, length))
REFUSE(int, unlinkat, (int dirfd, const char *name, int flags), (dirfd, name, flags))
REFUSE(int, rename, (int dirfd, const char *from, const char *to, bool replace), (dirfd, from, to, replace))
REFUSE(int, move, (int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned how),
       (from_dirfd, from, to_dirfd, to, how))
REFUSE(int, linkat, (int from_dirfd, const char *from, int to_dirfd, const char *to),
       (from_dirfd, from, to_dirfd, to))
REFUSE(int, acl_drop, (int fd), (fd))
REFUSE(int, acl_group, (int fd, unsigned *ret), (fd, ret))
REFUSE(int, set_mode, (int fd, unsigned permissions), (fd, permissions))
REFUSE(int, set_owner, (int fd, unsigned owner, unsigned group), (fd, owner, group))
REFUSE(int, is_user, (unsigned owner), (owner))
REFUSE(int, mkdirat, (int dirfd, const char *path, unsigned mode), (dirfd, path, mode))
REFUSE(int, list_dir, (int dirfd, int (*visit)(void *context, const char *name), void *context),
       (dirfd, visit, context))
REFUSE(int, map, (void *at, size_t length, int prot, int flags, int fd, uint64_t offset, void **ret),
       (at, length, prot, flags, fd, offset, ret))
REFUSE(int, remap, (void *at, size_t old_length, size_t new_length, int flags, void **ret),
       (at, old_length, new_length, flags, ret))
REFUSE(int, msync, (void *at, size_t length), (at, length))
REFUSE(int, madvise, (void *at, size_t length, int advice), (at, length, advice))
REFUSE(int, protect, (void *at, size_t length, int prot), (at, length, prot))
REFUSE(int, mlock, (void *at, size_t length, bool on_fault), (at, length, on_fault))
REFUSE(int, mincore, (void *at, size_t length, unsigned char *ret_pages), (at, length, ret_pages))
REFUSE(int, name_memory, (void *at, size_t length, const char *name), (at, length, name))
REFUSE(int, sleep_ms, (unsigned ms), (ms))
REFUSE(int, poll_in, (int fd, int timeout_ms), (fd, timeout_ms))
REFUSE(int, eventfd, (void), ())
REFUSE(int, futex_wait, (const uint32_t *word, uint32_t value, int timeout_ms), (word, value, timeout_ms))
REFUSE(int, random, (void *to, size_t length), (to, length))
REFUSE(int, boot_id, (uint8_t ret[16]), (ret))
REFUSE(int, block_signals, (void *old_mask), (old_mask))
RELEASE(unmap, (void *at, size_t length), (at, length))
RELEASE(munlock, (void *at, size_t length), (at, length))
RELEASE(event_signal, (int fd), (fd))
RELEASE(event_clear, (int fd), (fd))
RELEASE(futex_wake, (const uint32_t *word), (word))
RELEASE(rearm_stack, (const ucontext_t *interrupted), (interrupted))
RELEASE(set_mask, (int how, const sigset_t *mask, sigset_t *ret_old), (how, mask, ret_old))
RELEASE(restore_signals, (const void *old_mask), (old_mask))

void __real_fm__sys_close(int fd);
void __wrap_fm__sys_close(int fd);
void __wrap_fm__sys_close(int fd)
{
	if (fd >= 0)
		(void)fault_pass("close");
	__real_fm__sys_close(fd);
}

int __real_fm__sys_flock(int fd, int operation);
int __wrap_fm__sys_flock(int fd, int operation);
int __wrap_fm__sys_flock(int fd, int operation)
{
	const int injected = fault_pass("flock");

	if (injected < 0 && (operation & LOCK_UN) == 0)
		return injected;
	const int r = __real_fm__sys_flock(fd, operation);
	return injected < 0 ? injected : r;
}

int __real_fm__sys_ofd_lock(int fd, int type, uint64_t start, uint64_t length);
int __wrap_fm__sys_ofd_lock(int fd, int type, uint64_t start, uint64_t length);
int __wrap_fm__sys_ofd_lock(int fd, int type, uint64_t start, uint64_t length)
{
	const int injected = fault_pass("ofd_lock");

	if (injected < 0 && type != F_UNLCK)
		return injected;
	const int r = __real_fm__sys_ofd_lock(fd, type, start, length);
	return injected < 0 ? injected : r;
}

size_t __real_fm__sys_page_size(void);
size_t __wrap_fm__sys_page_size(void);
size_t __wrap_fm__sys_page_size(void)
{
	const size_t real = __real_fm__sys_page_size();
	const size_t fake = fault_fake_page_size();

	return fake > real ? fake : real;
}

/* Tells nobody of a failure: no fault is made of it. */
void __real_fm__sys_end_windows(struct fm__flush_windows *windows);
void __wrap_fm__sys_end_windows(struct fm__flush_windows *windows);
void __wrap_fm__sys_end_windows(struct fm__flush_windows *windows)
{
	__real_fm__sys_end_windows(windows);
}

void *__real_fm__zalloc(size_t size);
void *__wrap_fm__zalloc(size_t size);
void *__wrap_fm__zalloc(size_t size)
{
	return fault_heap_fails("zalloc") ? NULL : __real_fm__zalloc(size);
}

char *__real_fm__strdup(const char *text);
char *__wrap_fm__strdup(const char *text);
char *__wrap_fm__strdup(const char *text)
{
	return fault_heap_fails("strdup") ? NULL : __real_fm__strdup(text);
}
