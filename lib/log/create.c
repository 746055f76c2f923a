/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The creation of a log: directory, LOCK, segment 0, and last the name `meta`, which makes it one.
 * Invariant: a directory without meta is taken over only if it holds nothing but what an
 * interrupted creation leaves, which is looked at twice: before anything is changed, and again
 * under the lock. A creation that fails removes what it made.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "log/block.h"
#include "log/dir.h"
#include "sys/sys.h"

struct creation {
	struct fm__log_dir *dir; /* the caller's: a fork has to find LOCK's descriptor in it */
	const struct fm__log_geometry *geometry;
	const char *path;
	unsigned made; /* MADE_*: what a failure has to remove */
	unsigned reserved;
};

#define MADE_DIRECTORY (1u << 0)
#define MADE_LOCK (1u << 1)
#define MADE_SEGMENT (1u << 2)
#define MADE_META_NEW (1u << 3)
#define MADE_META (1u << 4)

static int fail(const struct creation *c, int code, const char *step, const char *subject,
		struct filemap_error *reterr)
{
	code = fm__fail(reterr, code, step, subject);
	fm__fail_detail(reterr, c->path);
	return code;
}

/* 1: behind the header there are zeros only; 0: there is something. */
static int is_blank(int fd, uint64_t size)
{
	static const uint8_t zeros[FM_LOG_BLOCK];
	uint8_t block[FM_LOG_BLOCK];

	for (uint64_t at = FM_LOG_BLOCK; at < size; at += FM_LOG_BLOCK) {
		int64_t got = fm__sys_pread(fd, block, sizeof block, at);

		if (got < 0)
			return (int)got;
		if (memcmp(block, zeros, (size_t)got) != 0)
			return 0;
	}
	return 1;
}

static int segment_is_blank(int dir_fd, const char *name)
{
	int fd = fm__sys_openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	r = fm__sys_fstat(fd, &st);
	if (r == 0)
		r = S_ISREG(st.st_mode) ? is_blank(fd, (uint64_t)st.st_size) : 0;
	fm__sys_close(fd);
	return r;
}

static int check_name(void *context, const char *name)
{
	const struct fm__log_dir *dir = context;
	uint64_t n;
	int r;

	if (strcmp(name, "meta") == 0)
		return -EEXIST;
	if (strcmp(name, "LOCK") == 0 || strcmp(name, "ctl") == 0 || strcmp(name, "meta.new") == 0)
		return 0;
	if (fm__log_segment_parse(name, "prep", &n))
		return 0;
	if (!fm__log_segment_parse(name, "seg", &n) || n != 0)
		return -ENOTEMPTY;
	r = segment_is_blank(dir->fd, name);
	if (r < 0)
		return r;
	return r == 1 ? 0 : -ENOTEMPTY;
}

static int check_contents(struct creation *c, struct filemap_error *reterr)
{
	int r = fm__sys_list_dir(c->dir->fd, check_name, c->dir);
	struct stat st;

	/* The listing has no order: a log's segments may come before its meta. */
	if (r == -ENOTEMPTY && fm__sys_fstatat(c->dir->fd, "meta", &st, AT_SYMLINK_NOFOLLOW) == 0)
		r = -EEXIST;
	if (r >= 0)
		return 0;
	r = fail(c, r, "check contents", "log directory", reterr);
	if (r == -EEXIST)
		fm__fail_hint(reterr, "there is a log already");
	if (r == -ENOTEMPTY)
		fm__fail_hint(reterr, "it holds something that is no part of an unfinished log");
	return r;
}

static int remove_leftover(void *context, const char *name)
{
	const struct fm__log_dir *dir = context;
	int r;

	if (strcmp(name, "LOCK") == 0)
		return 0;
	r = fm__sys_unlinkat(dir->fd, name, 0);
	return r == -ENOENT ? 0 : r;
}

static int make_directory(struct creation *c, unsigned permissions, struct filemap_error *reterr)
{
	unsigned mode = permissions | (permissions & 0444u) >> 2; /* who may read may also enter */
	int r = fm__sys_mkdirat(AT_FDCWD, c->path, mode);

	if (r < 0 && r != -EEXIST)
		return fail(c, r, "create", "log directory", reterr);
	if (r == 0)
		c->made |= MADE_DIRECTORY;
	r = fm__log_dir_start(c->path, c->dir, reterr);
	if (r < 0)
		return r;
	c->dir->permissions = permissions;
	return 0;
}

/* LOCK is taken away again only while its lock is held: another process may have taken it meanwhile. */
static bool may_remove_lock(const struct creation *c, int r)
{
	if (r == FILEMAP_ELOCKED || r == FILEMAP_EREPLACED)
		return false;
	return fm__sys_ofd_lock(c->dir->lock_fd, F_WRLCK, 0, 1) == 0;
}

static int make_lock(struct creation *c, struct filemap_error *reterr)
{
	const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK;
	int r = fm__log_dir_open_lock(c->dir, flags | O_CREAT | O_EXCL, c->dir->permissions);
	unsigned made = r == 0 ? MADE_LOCK : 0;

	if (r == -EEXIST)
		r = fm__log_dir_open_lock(c->dir, flags, 0);
	if (r < 0)
		return fail(c, r, "create", "LOCK", reterr);
	r = fm__log_dir_lock(c->dir, reterr);
	if (r == 0 || may_remove_lock(c, r))
		c->made |= made;
	return r;
}

static int make_segment(struct creation *c, struct filemap_error *reterr)
{
	int fd;
	int r = fm__log_segment_prepare(c->dir, c->geometry, 0, 1, &fd, reterr);

	if (r < 0)
		return r;
	fm__sys_close(fd); /* flushed, and nothing was stored since */
	c->made |= MADE_SEGMENT;
	return 0;
}

/* Both slots hold an empty, cleanly closed log. */
static void meta_block(const struct fm__log_geometry *g, uint64_t at, uint8_t block[FM_LOG_BLOCK])
{
	const struct fm__log_meta meta = {
		.geometry = *g,
		.incompat = FM_LOG_INCOMPAT_DRAFT,
		.sequence = at == 0 ? 2 : 1,
		.epoch = 1,
		.state = FM_LOG_META_CLEAN,
		.first = FM_LOG_FIRST,
		.durable = FM_LOG_FIRST,
		.end = FM_LOG_FIRST,
	};

	if (at % FM_LOG_META_SLOT == 0)
		fm__log_meta_encode(&meta, block);
	else
		memset(block, 0, FM_LOG_BLOCK);
}

static int write_meta(struct creation *c, struct filemap_error *reterr)
{
	uint8_t block[FM_LOG_BLOCK];
	int fd = fm__sys_openat(c->dir->fd, "meta.new", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW,
				c->dir->permissions);
	int r;

	if (fd < 0)
		return fail(c, fd, "create", "meta.new", reterr);
	c->dir->meta_fd = fd;
	c->made |= MADE_META_NEW;
	for (uint64_t at = 0; at < FM_LOG_META_SIZE; at += FM_LOG_BLOCK) {
		meta_block(c->geometry, at, block);
		r = fm__sys_pwrite(fd, block, sizeof block, at);
		if (r < 0)
			return fail(c, r, "write", "meta.new", reterr);
	}
	r = fm__sys_fdatasync(fd);
	return r < 0 ? fail(c, r, "flush", "meta.new", reterr) : 0;
}

static int name_meta(struct creation *c, struct filemap_error *reterr)
{
	int r = fm__sys_rename(c->dir->fd, "meta.new", "meta", false);

	if (r < 0)
		return fail(c, r, "rename", "meta.new", reterr);
	c->made = (c->made & ~MADE_META_NEW) | MADE_META;
	return 0;
}

/* meta first, LOCK last: at each point between, the directory is one that may be taken over. */
static void undo(struct creation *c)
{
	char name[FM_LOG_NAME_SIZE];

	fm__log_segment_name(0, "seg", name);
	if (c->made & MADE_META)
		(void)fm__sys_unlinkat(c->dir->fd, "meta", 0);
	if (c->made & MADE_META_NEW)
		(void)fm__sys_unlinkat(c->dir->fd, "meta.new", 0);
	if (c->made & MADE_SEGMENT)
		(void)fm__sys_unlinkat(c->dir->fd, name, 0);
	if (c->made & MADE_LOCK)
		(void)fm__sys_unlinkat(c->dir->fd, "LOCK", 0);
	fm__log_dir_close(c->dir);
	if (c->made & MADE_DIRECTORY)
		(void)fm__sys_unlinkat(AT_FDCWD, c->path, AT_REMOVEDIR);
}

static int create(struct creation *c, unsigned permissions, struct filemap_error *reterr)
{
	int r = make_directory(c, permissions, reterr);

	if (r < 0)
		return r;
	r = check_contents(c, reterr);
	if (r < 0)
		return r;
	r = make_lock(c, reterr);
	if (r < 0)
		return r;
	r = check_contents(c, reterr);
	if (r == -EEXIST)
		c->made &= ~MADE_LOCK; /* somebody took our LOCK, made the log and is gone: it is the log's */
	if (r < 0)
		return r;
	r = fm__sys_list_dir(c->dir->fd, remove_leftover, c->dir);
	if (r < 0)
		return fail(c, r, "remove leftover file", "log directory", reterr);
	r = make_segment(c, reterr);
	if (r < 0)
		return r;
	r = write_meta(c, reterr);
	if (r < 0)
		return r;
	return name_meta(c, reterr);
}

int fm__log_dir_create(const char *path, const struct fm__log_geometry *g, unsigned permissions,
		       struct fm__log_dir *dir, struct filemap_error *reterr)
{
	struct creation c = {
		.dir = dir,
		.geometry = g,
		.path = path,
	};
	int r;

	assert(fm__log_geometry_valid(g));
	*dir = FM_LOG_DIR_CLOSED;
	r = create(&c, permissions, reterr);
	if (r < 0)
		undo(&c);
	return r;
}
