/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * fault: finds out, after the event, why a byte could not be had.
 *
 * Invariant: nothing is claimed that does not hold at this moment: what can be had by now has no known cause.
 */
#include "map/fault.h"

#include <errno.h>
#include <signal.h>

#include "base/checked.h"
#include "fault/guard.h"
#include "sys/sys.h"

/* The page of a byte, as an address. */
static unsigned char *page_of(const struct filemap *map, size_t offset)
{
	uintptr_t at = (uintptr_t)__atomic_load_n(&map->view.data, __ATOMIC_RELAXED) + offset;
	return (unsigned char *)(at & ~(uintptr_t)(fm__filemap_page(map) - 1));
}

static bool can_be_loaded(const struct filemap *map, size_t offset)
{
	size_t done;
	return fm__own_peek(page_of(map, offset), 1, 1, &done) >= 0;
}

/* A private copy must not come to be because somebody wanted to know. */
static bool can_be_stored(const struct filemap *map, size_t offset)
{
	if (map->mode != FILEMAP_WRITE || map->frozen != FM_THAWED)
		return true;
	return fm__sys_touch_own(page_of(map, offset)) >= 0;
}

static bool is_in_hole(int fd, uint64_t offset)
{
	int64_t data = fm__sys_seek_data(fd, offset);
	return data == -ENXIO || data > (int64_t)offset;
}

static bool is_full(int fd)
{
	uint64_t blocks;
	return fm__sys_free_blocks(fd, &blocks) >= 0 && blocks == 0;
}

/* A load wants no block, but for what some file systems put into a hole, and for huge pages: a full disk is not why
 * it failed. */
static bool lacks_space(const struct filemap *map, uint64_t at, bool loads)
{
	int fd = fm__filemap_fd(map);
	if (is_in_hole(fd, at))
		return true;
	return (loads || fm__filemap_page(map) > fm__sys_page_size()) && is_full(fd);
}

/* Others may cut the file and grow it again between one look and the next: a few of them have to agree. */
#define LOOKS 3

static uint32_t cause_in_file(const struct filemap *map, size_t offset, bool stores)
{
	uint64_t at = fm__align_down(map->window.offset + offset, fm__sys_page_size());
	int fd = fm__filemap_fd(map);
	bool loads = false;

	for (int i = 0; i < LOOKS; i++) {
		struct stat status;
		if (fm__sys_fstat(fd, &status) < 0)
			return FILEMAP_FAULT_UNKNOWN;
		if (at >= (uint64_t)status.st_size)
			return FILEMAP_FAULT_PAST_END;
		loads = can_be_loaded(map, offset);
		if (loads && (!stores || can_be_stored(map, offset)))
			return FILEMAP_FAULT_UNKNOWN;
	}
	return lacks_space(map, at, loads) ? FILEMAP_FAULT_NO_SPACE : FILEMAP_FAULT_IO;
}

/* Private memory is lost with the swap device; huge pages, by sharing a pool that is too small. */
static uint32_t cause_in_memory(const struct filemap *map, size_t offset, bool stores)
{
	if (map->kind == FM_KIND_BORROWED)
		return FILEMAP_FAULT_UNKNOWN;
	if (can_be_loaded(map, offset) && (!stores || can_be_stored(map, offset)))
		return FILEMAP_FAULT_UNKNOWN;
	return map->flags & (FILEMAP_HUGE_2M | FILEMAP_HUGE_1G) ? FILEMAP_FAULT_NO_SPACE : FILEMAP_FAULT_IO;
}

static uint32_t find_cause(const struct filemap *map, size_t offset, int code, bool stores)
{
	if (code == BUS_MCEERR_AR)
		return FILEMAP_FAULT_HWPOISON;
	if (map->kind == FM_KIND_FILE)
		return cause_in_file(map, offset, stores);
	return cause_in_memory(map, offset, stores);
}

void fm__fault_describe(const struct filemap *map, size_t offset, int code, bool stores,
			struct filemap_fault *ret)
{
	if (ret)
		*ret = (struct filemap_fault){.offset = offset,
					      .signal_code = code,
					      .cause = find_cause(map, offset, code, stores)};
}

void fm__fault_past_end(size_t offset, struct filemap_fault *ret)
{
	if (ret)
		*ret = (struct filemap_fault){.offset = offset, .cause = FILEMAP_FAULT_PAST_END};
}
