/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * seal: memory files that are filled once and then sealed against everybody, this process as well.
 *
 * Invariant: a file is sealed before it is mapped, and mapped by a descriptor that cannot write: so the kernel
 * refuses each way to its bytes, mprotect(2) too.
 */
#include "map/seal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"
#include "sys/sys.h"

#define NAME_SIZE 80 /* with the final zero; what the kernel takes is a little more than 200 */

/* What makes bytes immutable, and with it what makes the whole file so. */
#define FINAL (F_SEAL_WRITE | F_SEAL_SHRINK)
#define ALL (FINAL | F_SEAL_GROW | F_SEAL_SEAL)

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

int fm__seal_new_file(const char *path, struct filemap_error *reterr)
{
	char name[NAME_SIZE];
	int r;

	snprintf(name, sizeof name, "%s", last_component(path));
	r = fm__sys_sealable_file(name);
	return r < 0 ? fm__fail(reterr, r, "create memory file", "memory") : r;
}

static int fail_size(int r, struct filemap_error *reterr)
{
	fm__fail(reterr, r, "set size", "memory file");
	if (r == -EFBIG)
		fm__fail_hint(reterr, "RLIMIT_FSIZE (ulimit -f) counts for memory files, too");
	return r;
}

int fm__seal_set_size(int fd, uint64_t keep, uint64_t size, struct filemap_error *reterr)
{
	int r = fm__sys_ftruncate(fd, keep);
	if (r >= 0 && size != keep)
		r = fm__sys_ftruncate(fd, size);
	return r < 0 ? fail_size(r, reterr) : 0;
}

/* Trusting what was told is not enough for a promise that others will rely on. */
static int seal(int fd, struct filemap_error *reterr)
{
	int r = fm__sys_seal(fd, ALL);
	if (r >= 0)
		r = fm__sys_seals(fd);
	if (r >= 0 && (r & ALL) != ALL)
		r = -EPERM;
	return r < 0 ? fm__fail(reterr, r, "seal", "memory file") : 0;
}

/* By a descriptor that could write, kernels before 6.7 do not map a sealed file as shared, and a private mapping
 * is one that mprotect(2) can open. Where there is no /proc, what can be had is tried. */
static int lose_write_access(struct fm__backing *backing, struct filemap_error *reterr)
{
	int r = fm__sys_reopen(backing->fd, O_RDONLY);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return fm__fail(reterr, r, "open again", "memory file");
	fm__sys_close(backing->fd);
	backing->fd = r;
	return 0;
}

int fm__seal_and_map(struct filemap *map, const struct fm__plan *plan, uint64_t size,
		     struct filemap_error *reterr)
{
	const struct fm__found found = {.status = {.st_size = (off_t)size}};
	struct fm__origin *origin = map->origin;
	int r;

	r = seal(origin->backing->fd, reterr);
	if (r < 0)
		return r;
	r = lose_write_access(origin->backing, reterr);
	if (r < 0)
		return r;
	origin->is_sealed = true;
	origin->lock.family = FILEMAP_LOCK_NONE; /* there is nobody to keep out */
	return fm__fill(map, plan, &found, reterr);
}

int fm__seal_is_final(int fd)
{
	int seals = fm__sys_seals(fd);
	return seals >= 0 && (seals & FINAL) == FINAL;
}
