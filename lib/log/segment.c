/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Segments as files. Invariant (order rule O1): the name .seg appears only over a file of S bytes
 * whose zeros and header were flushed through the descriptor that is then given away, so that no
 * write-back error on it can be missed.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "log/block.h"
#include "log/dir.h"
#include "sys/sys.h"

static int fail_segment(struct filemap_error *reterr, int code, const char *step,
			const struct fm__log_geometry *g, uint64_t n)
{
	char name[FM_LOG_NAME_SIZE];

	fm__log_segment_name(n, "seg", name);
	code = fm__fail(reterr, code, step, "segment");
	fm__fail_detail(reterr, name);
	fm__fail_range(reterr, fm__log_start(g, n), 0);
	return code;
}

/*
 * Page by page: one large write would give the file large folios, and then each later append would write a
 * whole one back. Real zeros: an extent that is only reserved costs a second device flush per append.
 */
static int write_zeros(int fd, uint64_t segment_size)
{
	static const uint8_t zeros[FM_LOG_BLOCK];

	for (uint64_t at = FM_LOG_BLOCK; at < segment_size; at += FM_LOG_BLOCK) {
		int r = fm__sys_pwrite(fd, zeros, sizeof zeros, at);

		if (r < 0)
			return r;
	}
	return 0;
}

static int write_header(int fd, const struct fm__log_geometry *g, uint64_t n, uint32_t epoch)
{
	struct fm__log_header header = {
		.geometry = *g,
		.n = n,
		.epoch = epoch,
		.incompat = FM_LOG_INCOMPAT_DRAFT,
		.time_base = fm__sys_realtime_ms(),
	};
	uint8_t block[FM_LOG_BLOCK];

	fm__log_header_encode(&header, block);
	return fm__sys_pwrite(fd, block, sizeof block, 0);
}

static int fill(int fd, const struct fm__log_dir *dir, const struct fm__log_geometry *g, uint64_t n,
		uint32_t epoch, const char **ret_step)
{
	char prep[FM_LOG_NAME_SIZE], seg[FM_LOG_NAME_SIZE];
	int r;

	*ret_step = "write";
	r = write_header(fd, g, n, epoch);
	if (r < 0)
		return r;
	r = write_zeros(fd, g->segment_size);
	if (r < 0)
		return r;
	*ret_step = "flush";
	r = fm__sys_fdatasync(fd);
	if (r < 0)
		return r;
	*ret_step = "rename";
	fm__log_segment_name(n, "prep", prep);
	fm__log_segment_name(n, "seg", seg);
	r = fm__sys_rename(dir->fd, prep, seg, false);
	if (r < 0)
		return r;
	*ret_step = "sync directory";
	r = fm__sys_fsync(dir->fd);
	if (r < 0)
		(void)fm__sys_unlinkat(dir->fd, seg, 0); /* nobody was told of it */
	return r;
}

int fm__log_segment_prepare(const struct fm__log_dir *dir, const struct fm__log_geometry *g, uint64_t n,
			    uint32_t epoch, int *ret_fd, struct filemap_error *reterr)
{
	char prep[FM_LOG_NAME_SIZE];
	const char *step;
	int fd, r;

	fm__log_segment_name(n, "prep", prep);
	r = fm__sys_unlinkat(dir->fd, prep, 0);
	if (r < 0 && r != -ENOENT)
		return fail_segment(reterr, r, "remove leftover file", g, n);
	fd = fm__sys_openat(dir->fd, prep, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, dir->permissions);
	if (fd < 0)
		return fail_segment(reterr, fd, "create", g, n);

	r = fill(fd, dir, g, n, epoch, &step);
	if (r < 0) {
		(void)fm__sys_unlinkat(dir->fd, prep, 0);
		fm__sys_close(fd);
		return fail_segment(reterr, r, step, g, n);
	}
	*ret_fd = fd;
	return 0;
}

static int check(int fd, const struct fm__log_geometry *g, uint64_t n, struct fm__log_header *ret,
		 const char **ret_step)
{
	uint8_t block[FM_LOG_BLOCK];
	struct stat st;
	int64_t got;
	int r;

	*ret_step = "check size";
	r = fm__sys_fstat(fd, &st);
	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != g->segment_size)
		return FILEMAP_ECORRUPT;

	*ret_step = "read header";
	got = fm__sys_pread(fd, block, sizeof block, 0);
	if (got < 0)
		return (int)got;
	if (got != (int64_t)sizeof block)
		return -EIO;

	*ret_step = "check header";
	r = fm__log_header_decode(block, ret);
	if (r < 0)
		return r;
	return ret->n == n && fm__log_geometry_same(&ret->geometry, g) ? 0 : FILEMAP_ECORRUPT;
}

int fm__log_segment_open(const struct fm__log_dir *dir, const struct fm__log_geometry *g, uint64_t n,
			 unsigned access, int *ret_fd, struct fm__log_header *ret_header,
			 struct filemap_error *reterr)
{
	int flags = (access == FM_LOG_RW ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK;
	char name[FM_LOG_NAME_SIZE];
	struct fm__log_header header;
	const char *step;
	int fd, r;

	fm__log_segment_name(n, "seg", name);
	fd = fm__sys_openat(dir->fd, name, flags, 0);
	if (fd < 0)
		return fail_segment(reterr, fd, "open", g, n);
	r = check(fd, g, n, &header, &step);
	if (r < 0) {
		fm__sys_close(fd);
		return fail_segment(reterr, r, step, g, n);
	}
	*ret_fd = fd;
	*ret_header = header;
	return 0;
}
