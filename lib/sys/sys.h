/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * THE door to the kernel. Only lib/sys/linux implements it; nothing above calls the kernel otherwise.
 *
 * Every function returns >= 0 or -errno, once, here: nobody above reads errno. EINTR is retried where
 * nothing is lost by it and returned where waiting is the point (locks, poll, futex). Descriptors are
 * close-on-exec and never 0, 1 or 2. Tests step in with -Wl,--wrap=fm__sys_NAME.
 */
#ifndef FM_SYS_SYS_H
#define FM_SYS_SYS_H

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <ucontext.h>

/* ---- heap ---- */
void *fm__zalloc(size_t size); /* zeroed, NULL if there is no memory */
char *fm__strdup(const char *text);
void fm__free(void *memory); /* NULL is fine */

/* ---- files ---- */
int fm__sys_openat(int dirfd, const char *path, int flags, unsigned mode);
void fm__sys_close(int fd); /* -1 is fine; keeps errno */
int fm__sys_dup(int fd);
int fm__sys_set_blocking(int fd); /* as if opened without O_NONBLOCK */
int fm__sys_fstat(int fd, struct stat *ret);
int fm__sys_fstatat(int dirfd, const char *path, struct stat *ret, int flags);
int fm__sys_statx(int fd, struct statx *ret); /* the basic fields and the time of birth */
int fm__sys_fs_type(int fd, uint64_t *ret);   /* f_type of statfs(2) */
int fm__sys_may_write(int fd);                /* 0, or -EACCES: whether the user may write this file */
int fm__sys_is_owner(int fd);                 /* 1: the user owns this file, or is privileged to act so */
/* The handle of name_to_handle_at(2). *length: room, then size. -EOPNOTSUPP: the file system has none. */
int fm__sys_file_handle(int fd, uint32_t *ret_type, unsigned char *to, uint32_t *length);
int fm__sys_reopen(int fd, int flags);     /* the file behind fd once more, through /proc/self/fd */
int fm__sys_memory_file(const char *name); /* memfd_create(2) */
int fm__sys_link_fd(int fd, int dirfd, const char *name); /* a name for O_TMPFILE's file; -EEXIST */
int64_t fm__sys_copy_range(int from_fd, uint64_t from, int to_fd, uint64_t to,
			   uint64_t length);                           /* one copy_file_range(2) */
int fm__sys_writeback_range(int fd, uint64_t offset, uint64_t length); /* started, not waited for */
struct fm__cache_pages {
	uint64_t cached, dirty, writeback;
};
int fm__sys_cachestat(int fd, uint64_t offset, uint64_t length,
		      struct fm__cache_pages *ret); /* -ENOSYS before 6.5 */
int fm__sys_ftruncate(int fd, uint64_t size);
int fm__sys_fallocate(int fd, int mode, uint64_t offset, uint64_t length);
int fm__sys_sealable_file(const char *name); /* a memory file that takes seals: F_SEAL_* */
int fm__sys_seal(int fd, int seals);         /* -EBUSY: somebody could still store into it */
int fm__sys_seals(int fd);                   /* -EINVAL: not a file that has any */
int fm__sys_clone(int to_fd,
		  int from_fd); /* FICLONE: the whole content, blocks shared; -EOPNOTSUPP, -EXDEV */
int fm__sys_free_blocks(int fd, uint64_t *ret); /* of the file system, for the likes of the caller */
int fm__sys_check_seals(int fd, bool grows);    /* -EPERM: a seal forbids to empty it, or then to grow it */
int64_t fm__sys_pread(int fd, void *to, size_t length, uint64_t offset);      /* less only at the end */
int fm__sys_pwrite(int fd, const void *from, size_t length, uint64_t offset); /* all of it, or -errno */
int64_t fm__sys_read(int fd, void *to, size_t length); /* one read(2); -EINTR: nothing came before a signal */
/* The next byte from `from` on that is, or is not, in a hole. -ENXIO: none up to the end of the file. */
int64_t fm__sys_seek_data(int fd, uint64_t from);
int64_t fm__sys_seek_hole(int fd, uint64_t from);
int64_t fm__sys_position(int fd); /* where fm__sys_read() goes on; -ESPIPE */
int64_t fm__sys_set_position(int fd, uint64_t to);
int fm__sys_fsync(int fd);
int fm__sys_fdatasync(int fd);
/* Mappings of a file that name ranges to flush, and are never touched: made when they are needed first, kept for the next
 * flush. All zero: none yet. Any thread; they all belong to one open file description. */
#define FM_FLUSH_WINDOWS 7
struct fm__flush_windows {
	void *at[FM_FLUSH_WINDOWS]; /* atomic; each from the start of the file, longer than the one before */
};
/* Durable data of this range, by descriptor only; windows NULL = nothing is kept. */
int fm__sys_flush_range(int fd, uint64_t offset, uint64_t length, struct fm__flush_windows *windows);
void fm__sys_end_windows(struct fm__flush_windows *windows); /* no flush uses them any more */
int fm__sys_fadvise(int fd, uint64_t offset, uint64_t length, int advice);
int fm__sys_flock(int fd, int operation); /* LOCK_*; -EWOULDBLOCK with LOCK_NB */
int fm__sys_ofd_lock(int fd, int type, uint64_t start,
		     uint64_t length); /* F_RDLCK, F_WRLCK, F_UNLCK; never waits: -EAGAIN */
int fm__sys_ofd_test(int fd, int type, uint64_t start,
		     uint64_t length); /* 1 = somebody else's lock conflicts */
int fm__sys_unlinkat(int dirfd, const char *name, int flags);
int fm__sys_rename(int dirfd, const char *from, const char *to,
		   bool replace); /* within one directory; -EEXIST */
/* renameat2(2) itself, also between directories: -EINVAL or -ENOSYS where the file system or kernel lacks it. */
#define FM_MOVE_OVER 0u /* replaces what is there */
#define FM_MOVE_NEW 1u  /* -EEXIST instead of replacing anything */
#define FM_MOVE_SWAP 2u /* both names exist, and change places in one step */
int fm__sys_move(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned how);
int fm__sys_linkat(int from_dirfd, const char *from, int to_dirfd, const char *to); /* follows no link */
int fm__sys_set_mode(int fd, unsigned permissions);
int fm__sys_acl_group(int fd, unsigned *ret); /* 1: there is a list; what the group may do, before the mask */
int fm__sys_acl_drop(int fd);                 /* only the permissions are left */
int fm__sys_set_owner(int fd, unsigned owner, unsigned group);
int fm__sys_is_user(unsigned owner); /* 1: it is the effective user of this process */
int fm__sys_mkdirat(int dirfd, const char *path, unsigned mode);
/* Calls visit for each name but . and ..; stops at the first non-zero result and returns it. */
int fm__sys_list_dir(int dirfd, int (*visit)(void *context, const char *name), void *context);

/* ---- memory ---- */
size_t fm__sys_page_size(void);
int fm__sys_map(void *at, size_t length, int prot, int flags, int fd, uint64_t offset, void **ret);
int fm__sys_unmap(void *at, size_t length);
int fm__sys_remap(void *at, size_t old_length, size_t new_length, int flags, void **ret); /* MREMAP_* */
int fm__sys_msync(void *at, size_t length); /* MS_SYNC; `at` page-aligned */
int fm__sys_madvise(void *at, size_t length, int advice);
int fm__sys_protect(void *at, size_t length, int prot); /* PROT_* */
int fm__sys_mlock(void *at, size_t length, bool on_fault);
int fm__sys_munlock(void *at, size_t length);
int fm__sys_mincore(void *at, size_t length, unsigned char *ret_pages);
int fm__sys_name_memory(void *at, size_t length, const char *name); /* in /proc; -EINVAL: not built in */

/* ---- this process's own memory, touched by the kernel: -EFAULT instead of a signal ---- */
#define FM_PEEK_MAX 256
/* Bytes copied, less than asked for if a page in the middle is bad; -EFAULT, -ENOSYS, -EPERM. */
int64_t fm__sys_read_own(void *to, const void *from, size_t length);
int64_t fm__sys_write_own(void *to, const void *from, size_t length);
/* Of `count` bytes, at most FM_PEEK_MAX, `stride` apart: how many can be read, from the first one on. */
int64_t fm__sys_peek_own(const void *at, size_t stride, size_t count);
int fm__sys_touch_own(void *word); /* an aligned 32-bit word: as a store to its page, without changing it */
int fm__sys_pipe(int ret[2]);      /* reading end, writing end; neither waits: -EAGAIN */
int64_t fm__sys_write(int fd, const void *from, size_t length); /* one write(2) */

/* ---- signals ---- */
int fm__sys_get_action(int signo, struct sigaction *ret);
int fm__sys_set_action(int signo, const struct sigaction *action);
int fm__sys_set_mask(int how, const sigset_t *mask, sigset_t *ret_old); /* of this thread; SIG_* */
int fm__sys_rearm_stack(const ucontext_t *interrupted);                 /* of this thread */
int fm__sys_raise(int signo);                                           /* to this thread */

/* ---- time, waiting, chance ---- */
uint64_t fm__sys_realtime_ms(void);
uint64_t fm__sys_monotonic_ns(void);
int fm__sys_sleep_ms(unsigned ms);           /* -EINTR when a signal came */
int fm__sys_poll_in(int fd, int timeout_ms); /* 1 readable, 0 timed out, -EINTR */
int fm__sys_eventfd(void);
int fm__sys_event_signal(int fd);
int fm__sys_event_clear(int fd); /* never waits */
int fm__sys_futex_wait(const uint32_t *word, uint32_t value,
		       int timeout_ms);       /* shared; 0 woken, -EAGAIN, -ETIMEDOUT, -EINTR */
int fm__sys_futex_wake(const uint32_t *word); /* everybody; shared */
int fm__sys_random(void *to, size_t length);
int fm__sys_boot_id(uint8_t ret[16]);
int fm__sys_block_signals(void *old_mask_sigset); /* for library threads: all but synchronous ones */
int fm__sys_restore_signals(const void *old_mask_sigset);

#endif
