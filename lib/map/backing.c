/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * backing: owns the one descriptor of a mapping, shared by it and its asynchronous flushes.
 *
 * Invariant: all flushes go through this descriptor's open file description, to which the kernel
 * reports a write-back error once; the record makes that one report last and reach everybody who has the
 * description, forked children too.
 */
#include "map/backing.h"

#include <errno.h>

#include "base/fork.h"
#include "map/extent.h"
#include "map/table.h"
#include "sys/sys.h"

void fm__backing_init(struct fm__backing *backing, void *block)
{
	backing->fd = -1;
	backing->references = 1;
	backing->generation = fm__fork_generation();
	backing->block = block;
}

/* A forked child has the mapping's reference only: its parent's flushes are not in flight here. */
static void count_anew_after_fork(struct fm__backing *backing)
{
	if (__atomic_load_n(&backing->generation, __ATOMIC_ACQUIRE) == fm__fork_generation())
		return;
	fm__process_lock();
	if (backing->generation != fm__fork_generation()) {
		__atomic_store_n(&backing->references, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&backing->generation, fm__fork_generation(), __ATOMIC_RELEASE);
	}
	fm__process_unlock();
}

void fm__backing_take(struct fm__backing *backing)
{
	count_anew_after_fork(backing);
	__atomic_add_fetch(&backing->references, 1, __ATOMIC_RELAXED);
}

void fm__backing_give(struct fm__backing *backing)
{
	count_anew_after_fork(backing);
	if (__atomic_sub_fetch(&backing->references, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	fm__sys_end_windows(&backing->windows);
	fm__sys_close(backing->fd);
	fm__doubt_give(&backing->doubt);
	fm__free(backing->block);
}

bool fm__backing_is_shared(struct fm__backing *backing)
{
	count_anew_after_fork(backing);
	return __atomic_load_n(&backing->references, __ATOMIC_ACQUIRE) > 1;
}

static uint32_t find_storage(int fd)
{
	uint64_t type;
	if (fm__sys_fs_type(fd, &type) < 0)
		return FM_STORAGE_DEVICE;
	return type == FM_TYPE_TMPFS || type == FM_TYPE_RAMFS || type == FM_TYPE_HUGETLBFS
		       ? FM_STORAGE_MEMORY
		       : FM_STORAGE_DEVICE;
}

/* Whoever asks at the same time finds the same. */
bool fm__backing_is_memory(struct fm__backing *backing)
{
	uint32_t storage = __atomic_load_n(&backing->storage, __ATOMIC_RELAXED);
	if (storage == FM_STORAGE_UNKNOWN) {
		storage = find_storage(backing->fd);
		__atomic_store_n(&backing->storage, storage, __ATOMIC_RELAXED);
	}
	return storage == FM_STORAGE_MEMORY;
}

void fm__backing_taint(struct fm__backing *backing, int cause, uint64_t offset, uint64_t length)
{
	fm__doubt_add(&backing->doubt, cause, offset, length);
}

int fm__backing_cause(const struct fm__backing *backing)
{
	return fm__doubt_cause(&backing->doubt);
}

int fm__backing_doubt(const struct fm__backing *backing, uint64_t *ret_offset, uint64_t *ret_length)
{
	if (fm__backing_cause(backing) == 0)
		return 0;
	fm__doubt_range(&backing->doubt, ret_offset, ret_length);
	return 1;
}

int fm__flush_is_failure(int result)
{
	return result < 0 && result != -EINTR && result != -ECANCELED && result != -EAGAIN;
}
