/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The functions that the linker puts in front of the library's own, and what the seeded bugs need. */
#ifndef SIM_WRAPS_H
#define SIM_WRAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct fm__flush_windows;

/* What a file is, by the name under which it was made. */
enum sim_file_kind { SIM_IS_OTHER, SIM_IS_SEGMENT, SIM_IS_META, SIM_IS_CTL };
void sim_name_file(uint32_t file, const char *name);
enum sim_file_kind sim_kind_of(uint32_t file);
uint64_t sim_segment_number(uint32_t file);
uint64_t sim_highest_segment(void);
void sim_forget_names(void);

/* Is this write, this flush, kept from the model by a seeded bug? They may shorten what is flushed. */
bool sim_bug_hides_write(uint32_t file, size_t length);
bool sim_bug_hides_flush(uint32_t file, uint64_t offset, uint64_t *length, uint64_t *begin, bool is_dir);

/* X(result, name, parameters) */
#define SIM_WRAPS(X)                                                                                   \
	X(void, fm__log_store, (void *to, const void *from, size_t length))                            \
	X(void, fm__log_store_commit, (void *to, uint64_t word))                                       \
	X(int, fm__sys_pwrite, (int fd, const void *from, size_t length, uint64_t offset))             \
	X(int, fm__sys_ftruncate, (int fd, uint64_t size))                                             \
	X(int, fm__sys_fallocate, (int fd, int mode, uint64_t offset, uint64_t length))                \
	X(int, fm__sys_fsync, (int fd))                                                                \
	X(int, fm__sys_fdatasync, (int fd))                                                            \
	X(int, fm__sys_flush_range,                                                                    \
	  (int fd, uint64_t offset, uint64_t length, struct fm__flush_windows *windows))               \
	X(int, fm__sys_msync, (void *at, size_t length))                                               \
	X(int, fm__sys_openat, (int dirfd, const char *path, int flags, unsigned mode))                \
	X(int, fm__sys_mkdirat, (int dirfd, const char *path, unsigned mode))                          \
	X(int, fm__sys_unlinkat, (int dirfd, const char *path, int flags))                             \
	X(int, fm__sys_rename, (int dirfd, const char *from, const char *to, bool replace))            \
	X(int, fm__sys_map,                                                                            \
	  (void *at, size_t length, int prot, int flags, int fd, uint64_t offset, void **ret))         \
	X(int, fm__sys_unmap, (void *at, size_t length))                                               \
	X(int, fm__sys_remap, (void *at, size_t old_length, size_t new_length, int flags, void **ret)) \
	X(int, fm__sys_fstat, (int fd, struct stat *ret))                                              \
	X(int, fm__sys_fstatat, (int dirfd, const char *path, struct stat *ret, int flags))            \
	X(int, fm__sys_sleep_ms, (unsigned ms))                                                        \
	X(int, fm__sys_boot_id, (uint8_t ret[16]))                                                     \
	X(int, fm__sys_fs_type, (int fd, uint64_t *ret))

#define SIM_WRAP_DECLARE(result, name, parameters) \
	result __wrap_##name parameters;           \
	result __real_##name parameters;
SIM_WRAPS(SIM_WRAP_DECLARE)

#endif
