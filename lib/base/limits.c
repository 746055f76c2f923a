/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * limits: the hint of an error whose place gives none: which limit may have been reached.
 *
 * Invariant: what is named is what the kernel answers this errno for at this step; where the library itself says
 * no, nothing is named.
 */
#include "base/limits.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/util.h"

static const char memory[] = "memory is used up, or limited: RLIMIT_AS, RLIMIT_DATA (ulimit -v, -d), "
			     "vm.max_map_count, vm.overcommit_memory, or a cgroup";
static const char locked[] = "RLIMIT_MEMLOCK (ulimit -l) may be too small";
static const char ring[] = "memory is used up, or limited: RLIMIT_AS (ulimit -v), vm.max_map_count or "
			   "RLIMIT_MEMLOCK (ulimit -l)";
static const char threads[] =
	"no more threads are allowed, by RLIMIT_NPROC (ulimit -u), kernel.threads-max or a "
	"cgroup; or no more stacks, by RLIMIT_AS (ulimit -v) or vm.max_map_count";

/* The first line that fits counts; NULL fits all. */
static const struct {
	int error;
	const char *step, *subject, *hint;
} limits[] = {
	{EMFILE, NULL, NULL, "RLIMIT_NOFILE (ulimit -n) allows this process no more descriptors"},
	{ENFILE, NULL, NULL, "the whole system may have no more files open: see fs.file-max"},
	{EDQUOT, NULL, NULL, "the quota of blocks or files is used up: see quota(1)"},
	{ENOSPC, NULL, "memory", memory},
	{ENOSPC, NULL, "memory file", memory},
	{ENOSPC, "allocate blocks", NULL, "the file system has no free blocks: see df(1)"},
	{ENOSPC, NULL, NULL, "the file system has no free blocks, or no free inodes: see df(1), df -i"},
	{EFBIG, NULL, "max_bytes", NULL},
	{EFBIG, NULL, NULL, "RLIMIT_FSIZE (ulimit -f), or the file system, allows no file so large"},
	{ENOMEM, "lock in memory", NULL, locked},
	{EAGAIN, "lock in memory", NULL, locked},
	{EPERM, "lock in memory", NULL, locked},
	{EAGAIN, "map", NULL, locked},   /* after mlockall(2) */
	{EAGAIN, "remap", NULL, locked}, /* of locked pages */
	{ENOMEM, "open ring", NULL, ring},
	{EAGAIN, "start workers", NULL, threads},
	{EAGAIN, "start ring thread", NULL, threads},
	{EAGAIN, "start thread", NULL, threads},
	{ENOMEM, NULL, NULL, memory},
};

static int fits(const char *wanted, const char *is)
{
	return !wanted || (is && strcmp(wanted, is) == 0);
}

const char *fm__limit_hint(int error, const char *step, const char *subject)
{
	for (size_t i = 0; i < FM_ARRAY_SIZE(limits); i++)
		if (limits[i].error == error && fits(limits[i].step, step) &&
		    fits(limits[i].subject, subject))
			return limits[i].hint;
	return NULL;
}
