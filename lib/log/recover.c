/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The rules R8 a-d: from what an examination found to a log that may be written.
 *
 *   a  make dirty again and flush what is believed but not proven durable
 *   b  a new epoch in meta
 *   d  PAD DISCARD over the torn tail (discard.c); c does not arise: a pending discard is refused
 *
 * Invariant: each step writes either the bytes that are there already, or what the next attempt would also
 * arrive at; after a failure or a crash anywhere the way is to examine again.
 */
#include <errno.h>

#include "log/recover.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/util.h"
#include "log/discard.h"
#include "log/scan.h"
#include "sys/sys.h"

#define CHUNK (UINT64_C(1) << 20)

struct redirty {
	const struct fm__log_dir *dir;
	const struct fm__log_geometry *geometry;
	uint8_t *buffer; /* CHUNK bytes */
	struct filemap_error *reterr;
};

/*
 * A write-back that failed earlier has left clean pages that are not on the device, and no later flush says so:
 * only bytes that are written again are on the device after the next flush.
 */
static int write_again(struct redirty *redirty, int fd, uint64_t from, uint64_t to)
{
	size_t length;
	int r;

	for (; from < to; from += length) {
		length = (size_t)FM_MIN(CHUNK, to - from);
		r = fm__log_read_exactly(fd, redirty->buffer, length, from, redirty->reterr);
		if (r < 0)
			return r;
		r = fm__sys_pwrite(fd, redirty->buffer, length, from);
		if (r < 0)
			return fm__fail(redirty->reterr, r, "write again what was found", "segment");
	}
	r = fm__sys_fdatasync(fd);
	if (r < 0)
		return fm__fail(redirty->reterr, r, "flush what was found", "segment");
	return 0;
}

/* from, to: offsets in segment n */
static int redirty_segment(struct redirty *redirty, uint64_t n, uint64_t from, uint64_t to)
{
	struct fm__log_header header;
	int fd, r;

	r = fm__log_scan_open(redirty->dir, redirty->geometry, n, FM_LOG_RW, &fd, &header, redirty->reterr);
	if (r < 0)
		return r;
	r = write_again(redirty, fd, from, to);
	fm__sys_close(fd);
	return r;
}

static int redirty_parts(struct redirty *redirty, const struct fm__log_found *found)
{
	uint64_t size = redirty->geometry->segment_size;
	uint64_t from = fm__align_down(found->durable, fm__sys_page_size());
	uint64_t sealed = found->sealed_below, n;
	int r;

	if (sealed > found->meta.first / size) {
		r = redirty_segment(redirty, sealed - 1, size - FM_LOG_BLOCK, size);
		if (r < 0)
			return r;
	}
	for (n = from / size; n <= found->meta.last && n * size < found->end; n++) {
		uint64_t low = FM_MAX(from, n * size), high = FM_MIN(found->end, (n + 1) * size);

		if (low >= high)
			continue;
		r = redirty_segment(redirty, n, low - n * size, high - n * size);
		if (r < 0)
			return r;
	}
	return 0;
}

/* R8a */
static int make_durable(const struct fm__log_dir *dir, const struct fm__log_found *found,
			struct filemap_error *reterr)
{
	struct redirty redirty = {.dir = dir, .geometry = &found->meta.geometry, .reterr = reterr};
	int r;

	redirty.buffer = fm__zalloc((size_t)CHUNK);
	if (!redirty.buffer)
		return fm__fail(reterr, -ENOMEM, "allocate memory", "copy buffer");
	r = redirty_parts(&redirty, found);
	fm__free(redirty.buffer);
	return r;
}

/*
 * A creation leaves this to the first opening, which may come after a crash: an epoch above the first one is
 * written only behind it.
 */
static int make_names_durable(const struct fm__log_dir *dir, const struct fm__log_found *found,
			      struct filemap_error *reterr)
{
	return found->meta.epoch > 1 ? 0 : fm__log_dir_sync_names(dir, reterr);
}

/*
 * R8a for meta: after a flush that failed, the slot that was found may be in the page cache only. The new epoch
 * is written over the other one, which would then be all that the device has.
 */
static int make_meta_durable(const struct fm__log_dir *dir, const struct fm__log_found *found,
			     struct filemap_error *reterr)
{
	int r = fm__log_meta_again(dir->meta_fd, &found->meta);

	return r < 0 ? fm__fail(reterr, r, "write again what was found", "meta") : 0;
}

/* R8b. The seals below sealed_below are on the device by now, so that meta may say so. */
static int begin_epoch(const struct fm__log_dir *dir, struct fm__log_found *found,
		       struct filemap_error *reterr)
{
	struct fm__log_meta meta = found->meta;
	int r;

	if (found->epoch == UINT32_MAX)
		return fm__fail(reterr, FILEMAP_ERANGE, "begin a new epoch", "epoch");
	meta.state = FM_LOG_META_OPEN;
	meta.epoch = found->epoch + 1;
	meta.durable = found->durable;
	meta.end = 0;
	meta.sealed = FM_MAX(meta.sealed, found->sealed_below);
	r = fm__log_meta_structural(dir->meta_fd, &meta);
	if (r < 0)
		return fm__fail(reterr, r, "write meta", "meta");
	found->meta = meta;
	found->epoch = meta.epoch;
	return 0;
}

int fm__log_recover(const struct fm__log_dir *dir, const struct fm__log_ctl_view *ctl,
		    struct fm__log_found *found, uint64_t *ret_end, struct filemap_error *reterr)
{
	int r;

	if (found->state == FILEMAP_LOG_CORRUPT) {
		r = fm__fail(reterr, FILEMAP_ECORRUPT, "recover", "log");
		fm__fail_range(reterr, found->end, 0);
		return r;
	}
	/* A log that was closed in order was flushed up to its end by the writer that said so. */
	if (!found->clean_meta) {
		r = make_durable(dir, found, reterr);
		if (r < 0)
			return r;
	}
	r = make_meta_durable(dir, found, reterr);
	if (r < 0)
		return r;
	r = make_names_durable(dir, found, reterr);
	if (r < 0)
		return r;
	r = begin_epoch(dir, found, reterr);
	if (r < 0)
		return r;
	return fm__log_discard_tail(dir, found, ctl ? ctl->published : 0, ret_end, reterr);
}
