/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The file `meta`. Invariant (order rule O6): a write goes to the slot of its own sequence number's
 * bit 0, which never holds the newest sequence, so a torn write leaves the newest slot intact.
 */
#include "log/meta.h"

#include "base/bytes.h"
#include "log/block.h"
#include "sys/sys.h"

static const char meta_magic[8] = "FMLGMETA";

void fm__log_meta_encode(const struct fm__log_meta *meta, uint8_t block[FM_LOG_BLOCK])
{
	memset(block, 0, FM_LOG_BLOCK);
	memcpy(block, meta_magic, sizeof meta_magic);
	fm__put_le32(block + 8, FM_LOG_FORMAT);
	fm__put_le32(block + 12, meta->compat);
	fm__put_le32(block + 16, meta->incompat);
	fm__log_block_geometry_put(block, &meta->geometry);
	fm__put_le64(block + 40, meta->sequence);
	fm__put_le32(block + 56, meta->epoch);
	fm__put_le32(block + 60, meta->state);
	fm__put_le64(block + 64, meta->first);
	fm__put_le64(block + 72, meta->last);
	fm__put_le64(block + 80, meta->durable);
	fm__put_le64(block + 88, meta->end);
	fm__put_le64(block + 96, meta->discard_from);
	fm__put_le64(block + 104, meta->discard_to);
	fm__put_le64(block + 112, meta->sealed);
	fm__log_block_seal(block);
}

static bool position_sane(const struct fm__log_meta *meta, uint64_t lsn)
{
	const struct fm__log_geometry *g = &meta->geometry;
	uint64_t n = fm__log_segment_of(g, lsn);

	if (lsn % g->unit != 0 || lsn < fm__log_start(g, n) || lsn >= fm__log_end(g, n))
		return false;
	return n <= meta->last || lsn == fm__log_start(g, meta->last + 1);
}

/* What nobody writes would otherwise become a position that is computed with. */
static bool meta_sane(const struct fm__log_meta *meta)
{
	if (!fm__log_geometry_valid(&meta->geometry) || meta->epoch == 0)
		return false;
	if (meta->state != FM_LOG_META_OPEN && meta->state != FM_LOG_META_CLEAN)
		return false;
	if (meta->last >= UINT64_MAX / meta->geometry.segment_size - 1 || meta->sealed > meta->last + 1)
		return false;
	if (!position_sane(meta, meta->first))
		return false;
	if (meta->durable > fm__log_start(&meta->geometry, meta->last + 1))
		return false;
	return meta->state != FM_LOG_META_CLEAN ||
	       (position_sane(meta, meta->end) && meta->end >= meta->first);
}

static void fields_get(const uint8_t *block, struct fm__log_meta *ret)
{
	ret->compat = fm__get_le32(block + 12);
	ret->incompat = fm__get_le32(block + 16);
	fm__log_block_geometry_get(block, &ret->geometry);
	ret->sequence = fm__get_le64(block + 40);
	ret->epoch = fm__get_le32(block + 56);
	ret->state = fm__get_le32(block + 60);
	ret->first = fm__get_le64(block + 64);
	ret->last = fm__get_le64(block + 72);
	ret->durable = fm__get_le64(block + 80);
	ret->end = fm__get_le64(block + 88);
	ret->discard_from = fm__get_le64(block + 96);
	ret->discard_to = fm__get_le64(block + 104);
	ret->sealed = fm__get_le64(block + 112);
}

int fm__log_meta_decode(const uint8_t block[FM_LOG_BLOCK], struct fm__log_meta *ret)
{
	struct fm__log_meta meta;
	int r = fm__log_block_check(block, meta_magic);

	if (r < 0)
		return r;
	fields_get(block, &meta);
	if (meta.incompat & ~FM_LOG_INCOMPAT_KNOWN)
		return FILEMAP_EVERSION;
	if (!meta_sane(&meta))
		return FILEMAP_ECORRUPT;
	*ret = meta;
	return 0;
}

static uint64_t slot_offset(uint64_t sequence)
{
	return (sequence & 1) * FM_LOG_META_SLOT;
}

/* A slot counts only in its own place: a copied slot must not outrank the true one. */
static int slot_read(int fd, unsigned slot, struct fm__log_meta *ret)
{
	uint8_t block[FM_LOG_BLOCK];
	int64_t got = fm__sys_pread(fd, block, sizeof block, slot_offset(slot));
	int r;

	if (got < 0)
		return (int)got;
	if (got != (int64_t)sizeof block)
		return FILEMAP_ECORRUPT;
	r = fm__log_meta_decode(block, ret);
	if (r < 0)
		return r;
	return (ret->sequence & 1) == slot ? 0 : FILEMAP_ECORRUPT;
}

/* A newer version in one slot outweighs a readable older slot: that program knows what the other one means. */
int fm__log_meta_read(int fd, struct fm__log_meta *ret)
{
	struct fm__log_meta slots[2];
	int r0 = slot_read(fd, 0, &slots[0]);
	int r1 = slot_read(fd, 1, &slots[1]);

	if (r0 < 0 && r0 != FILEMAP_ECORRUPT)
		return r0;
	if (r1 < 0 && r1 != FILEMAP_ECORRUPT)
		return r1;
	if (r0 < 0 && r1 < 0)
		return FILEMAP_ECORRUPT;
	if (r0 == 0 && r1 == 0)
		*ret = slots[slots[1].sequence > slots[0].sequence];
	else
		*ret = slots[r0 < 0];
	return 0;
}

int fm__log_meta_again(int fd, const struct fm__log_meta *meta)
{
	uint8_t block[FM_LOG_BLOCK];
	int r;

	fm__log_meta_encode(meta, block);
	r = fm__sys_pwrite(fd, block, sizeof block, slot_offset(meta->sequence));
	if (r < 0)
		return r;
	return fm__sys_fdatasync(fd);
}

int fm__log_meta_watermark(int fd, struct fm__log_meta *meta)
{
	meta->sequence++;
	return fm__log_meta_again(fd, meta);
}

int fm__log_meta_structural(int fd, struct fm__log_meta *meta)
{
	int r = fm__log_meta_watermark(fd, meta);

	if (r < 0)
		return r;
	return fm__log_meta_watermark(fd, meta);
}
