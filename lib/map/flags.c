/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * flags: which flag and which advice means something for which kind of mapping.
 *
 * Invariant: a flag is either known and has an effect on what is to be opened, or it is refused by name.
 */
#include "map/flags.h"

#include "base/error.h"
#include "base/options.h"
#include "base/util.h"

#define FLAGS_CREATE (FILEMAP_CREATE | FILEMAP_CREATE_NEW)

static const struct flag {
	const char *name;
	uint32_t flag;
	unsigned where;
} known_flags[] = {
	{"CREATE", FILEMAP_CREATE, NAMED_WRITE},
	{"CREATE_NEW", FILEMAP_CREATE_NEW, NAMED_WRITE},
	{"TRUNCATE", FILEMAP_TRUNCATE, WRITES},
	{"SPARSE", FILEMAP_SPARSE, WRITES},
	{"EMPTY", FILEMAP_EMPTY, FILES},
	{"NOFOLLOW", FILEMAP_NOFOLLOW, NAMED | SNAPSHOT},
	{"NO_DURABLE_NAME", FILEMAP_NO_DURABLE_NAME, NAMED_WRITE},
	{"LOCK_IF_SUPPORTED", FILEMAP_LOCK_IF_SUPPORTED, FILES | SNAPSHOT},
	{"DONTFORK", FILEMAP_DONTFORK, FILES | SNAPSHOT | ANONYMOUS},
	{"POPULATE", FILEMAP_POPULATE, FILES | SNAPSHOT | ANONYMOUS},
	{"PIN_PARENT", FILEMAP_PIN_PARENT, NAMED},
	{"DOWNGRADE_ON_FREEZE", FILEMAP_DOWNGRADE_ON_FREEZE, WRITES},
	{"NORESERVE", FILEMAP_NORESERVE, NAMED_COW | FD_COW | MEMORY},
	{"STACK", FILEMAP_STACK, MEMORY},
	{"HUGE_2M", FILEMAP_HUGE_2M, MEMORY},
	{"HUGE_1G", FILEMAP_HUGE_1G, MEMORY},
	{"MLOCK", FILEMAP_MLOCK, FILES | SNAPSHOT | ANONYMOUS},
	{"DONTDUMP", FILEMAP_DONTDUMP, FILES | SNAPSHOT | ANONYMOUS},
	{"SHARED", FILEMAP_SHARED, ANONYMOUS},
	{"REMOVE_ON_CLOSE", FILEMAP_REMOVE_ON_CLOSE, NAMED},
	{"REFLINK", FILEMAP_REFLINK, SNAPSHOT},
};

/* Advice that makes sense before the first access. */
#define ADVICE_LATER (FILEMAP_ADVICE_COLD | FILEMAP_ADVICE_PAGEOUT | FILEMAP_ADVICE_COLLAPSE)

static int refuse_flag(struct filemap_error *reterr, const char *name, const char *hint)
{
	fm__options_refuse(reterr, "flags", hint);
	fm__fail_detail(reterr, name);
	return FILEMAP_EOPTION;
}

static int check_known(uint32_t flags, unsigned where, struct filemap_error *reterr)
{
	for (size_t i = 0; flags != 0 && i < FM_ARRAY_SIZE(known_flags); i++) {
		const struct flag *known = &known_flags[i];
		if (!(flags & known->flag))
			continue;
		if (!(known->where & where))
			return refuse_flag(reterr, known->name, "it has no effect on this kind of mapping");
		flags &= ~known->flag;
	}
	if (flags)
		return fm__options_refuse(reterr, "flags", "a bit that this version does not know is set");
	return 0;
}

int fm__flags_check(uint32_t flags, unsigned where, struct filemap_error *reterr)
{
	int r = check_known(flags, where, reterr);
	if (r < 0 || flags == 0)
		return r;
	if ((flags & FLAGS_CREATE) == FLAGS_CREATE)
		return refuse_flag(reterr, "CREATE_NEW", "choose one of CREATE and CREATE_NEW");
	if ((flags & FILEMAP_CREATE_NEW) && (flags & FILEMAP_TRUNCATE))
		return refuse_flag(reterr, "TRUNCATE", "a file made by CREATE_NEW is empty already");
	if ((flags & FILEMAP_NO_DURABLE_NAME) && !(flags & FLAGS_CREATE))
		return refuse_flag(reterr, "NO_DURABLE_NAME", "it needs CREATE or CREATE_NEW");
	if ((flags & FILEMAP_HUGE_2M) && (flags & FILEMAP_HUGE_1G))
		return refuse_flag(reterr, "HUGE_1G", "choose one of HUGE_2M and HUGE_1G");
	if ((flags & FILEMAP_NORESERVE) && (flags & (FILEMAP_HUGE_2M | FILEMAP_HUGE_1G)))
		return refuse_flag(reterr, "NORESERVE",
				   "a huge page that is missing later would be a signal");
	return 0;
}

/* Two bits of each of these say the opposite. */
static const unsigned opposites[] = {
	FILEMAP_ADVICE_NORMAL | FILEMAP_ADVICE_RANDOM,
	FILEMAP_ADVICE_NORMAL | FILEMAP_ADVICE_SEQUENTIAL,
	FILEMAP_ADVICE_RANDOM | FILEMAP_ADVICE_SEQUENTIAL,
	FILEMAP_ADVICE_HUGEPAGE | FILEMAP_ADVICE_NOHUGEPAGE,
	FILEMAP_ADVICE_COLLAPSE | FILEMAP_ADVICE_NOHUGEPAGE,
	FILEMAP_ADVICE_DONTDUMP | FILEMAP_ADVICE_DODUMP,
	FILEMAP_ADVICE_MERGEABLE | FILEMAP_ADVICE_UNMERGEABLE,
	FILEMAP_ADVICE_WILLNEED | FILEMAP_ADVICE_COLD,
	FILEMAP_ADVICE_WILLNEED | FILEMAP_ADVICE_PAGEOUT,
};

bool fm__advice_is_sound(unsigned advice)
{
	if (advice == 0 || advice >= FILEMAP_ADVICE_COLLAPSE << 1)
		return false;
	for (size_t i = 0; i < FM_ARRAY_SIZE(opposites); i++)
		if ((advice & opposites[i]) == opposites[i])
			return false;
	return true;
}

int fm__advice_check(uint32_t advice, struct filemap_error *reterr)
{
	if (advice == 0)
		return 0;
	if (!fm__advice_is_sound(advice))
		return fm__options_refuse(reterr, "advice", "unknown bits, or two that contradict");
	if (advice & ADVICE_LATER)
		return fm__options_refuse(reterr, "advice",
					  "COLD, PAGEOUT and COLLAPSE have no effect before any access");
	return 0;
}
