/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * growth: a second lock, for the time of changing the size only, among those who share the first one.
 *
 * Invariant: it is of the family that the first one is not, so that the two never meet: one byte at the end
 * of what offsets can be, or flock(2). It is held for some system calls and never while waiting.
 */
#include "map/growth.h"

#include <errno.h>
#include <sys/file.h>

#include "base/error.h"
#include "map/options.h"
#include "sys/sys.h"

#define LAST_BYTE (FM_FILE_MAX - 1)
#define PAUSE_MS 1u
#define PATIENCE_NS UINT64_C(1000000000)

bool fm__growth_is_needed(const struct fm__origin *origin)
{
	return origin->sharing == FILEMAP_SHARING_COOPERATE && origin->lock.in_kernel &&
	       __atomic_load_n(&origin->lock.kind, __ATOMIC_RELAXED) != FILEMAP_EXCLUSIVE_LOCK;
}

static int try_once(const struct fm__origin *origin)
{
	int r;
	if (origin->lock.family == FILEMAP_LOCK_OFD)
		r = fm__sys_flock(origin->backing->fd, LOCK_EX | LOCK_NB);
	else
		r = fm__sys_ofd_lock(origin->backing->fd, F_WRLCK, LAST_BYTE, 1);
	return r == -EWOULDBLOCK || r == -EACCES ? FILEMAP_ELOCKED : r;
}

int fm__growth_begin(struct fm__origin *origin, struct filemap_error *reterr)
{
	uint64_t started_ns;
	int r;

	if (!fm__growth_is_needed(origin))
		return 0;
	started_ns = fm__sys_monotonic_ns();
	for (;;) {
		r = try_once(origin);
		if (r != FILEMAP_ELOCKED || fm__sys_monotonic_ns() - started_ns > PATIENCE_NS)
			break;
		r = fm__sys_sleep_ms(PAUSE_MS);
		if (r < 0)
			break;
	}
	return r < 0 ? fm__fail(reterr, r, "lock for growth", "file") : 0;
}

void fm__growth_end(struct fm__origin *origin)
{
	if (!fm__growth_is_needed(origin))
		return;
	if (origin->lock.family == FILEMAP_LOCK_OFD)
		fm__sys_flock(origin->backing->fd, LOCK_UN);
	else
		fm__sys_ofd_lock(origin->backing->fd, F_UNLCK, LAST_BYTE, 1);
}
