/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * advise: hints for the kernel.
 *
 * Invariant: no advice of this table changes a byte that anybody reads; what does is in discard.c.
 */
#include "base/util.h"
#include "map/flags.h"
#include "map/memory.h"
#include "sys/sys.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

static const struct {
	unsigned bit;
	int advice;
} advices[] = {
	{FILEMAP_ADVICE_NORMAL, MADV_NORMAL},
	{FILEMAP_ADVICE_RANDOM, MADV_RANDOM},
	{FILEMAP_ADVICE_SEQUENTIAL, MADV_SEQUENTIAL},
	{FILEMAP_ADVICE_WILLNEED, MADV_WILLNEED},
	{FILEMAP_ADVICE_HUGEPAGE, MADV_HUGEPAGE},
	{FILEMAP_ADVICE_NOHUGEPAGE, MADV_NOHUGEPAGE},
	{FILEMAP_ADVICE_COLD, MADV_COLD},
	{FILEMAP_ADVICE_PAGEOUT, MADV_PAGEOUT},
	{FILEMAP_ADVICE_DONTDUMP, MADV_DONTDUMP},
	{FILEMAP_ADVICE_DODUMP, MADV_DODUMP},
	{FILEMAP_ADVICE_MERGEABLE, MADV_MERGEABLE},
	{FILEMAP_ADVICE_UNMERGEABLE, MADV_UNMERGEABLE},
	{FILEMAP_ADVICE_COLLAPSE, MADV_COLLAPSE},
};

int fm__memory_advise(void *at, size_t length, unsigned advice)
{
	int r = 0;

	for (size_t i = 0; i < FM_ARRAY_SIZE(advices) && r == 0; i++)
		if (advice & advices[i].bit)
			r = fm__sys_madvise(at, length, advices[i].advice);
	return r;
}

int filemap_advise(struct filemap *map, unsigned advice, size_t offset, size_t length)
{
	struct fm__pages pages;

	int r = fm__memory_check(map);
	if (r < 0)
		return r;
	if (!fm__advice_is_sound(advice))
		return FILEMAP_EOPTION;
	r = fm__memory_pages(map, offset, length, &pages);
	if (r < 0 || pages.length == 0)
		return r;
	return fm__memory_advise(pages.at, pages.length, advice);
}

/* No byte at no address: the kernel looks at the advice first, and gives it to nothing. */
bool filemap_advice_supported(unsigned advice)
{
	unsigned known = 0;

	for (size_t i = 0; i < FM_ARRAY_SIZE(advices); i++)
		known |= advices[i].bit;
	if (advice == 0 || (advice & ~known))
		return false;
	return fm__memory_advise(NULL, 0, advice) == 0;
}
