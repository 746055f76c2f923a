/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * prep: flushes that go through the program's own ring.
 *
 * Invariant: between prep and finish a flush holds a pin of the mapping and nothing else. With the pin the
 * handle lives, with it the backing, and with it the descriptor; so finish gives back exactly what prep took,
 * whatever became of the window, of the state and of the range in between.
 */
#include <filemap/uring.h>

#include <errno.h>

#include "map/map.h"
#include "sys/ring.h"

/* Memory needs no call, but an entry: the loop of the program waits for one. */
static int fill(struct io_uring_sqe *sqe, const struct fm__flush *flush)
{
	if (flush->length > FM_RING_FLUSH_MAX)
		return FILEMAP_ERANGE;
	return fm__ring_fill_flush(sqe, flush->fd, flush->offset, flush->is_memory ? 0 : flush->length);
}

int filemap_prep_flush(struct filemap *map, size_t offset, size_t length, struct io_uring_sqe *sqe)
{
	struct fm__flush flush;

	int r = fm__map_flush_begin(map, offset, length, &flush);
	if (r < 0)
		return r;
	r = fill(sqe, &flush);
	if (r == 0)
		fm__map_hold(map);
	(void)fm__map_flush_end(&flush, -ECANCELED); /* the pin holds what it held */
	return r;
}

int filemap_finish_flush(struct filemap *map, size_t offset, size_t length, int res)
{
	struct fm__flush flush;
	(void)offset;
	(void)length;

	fm__map_flush_resume(map, &flush);
	int r = fm__map_flush_end(&flush, res < 0 ? res : 0);
	filemap_unpin(map);
	return r;
}
