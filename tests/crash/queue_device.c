/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The device under the mapping. Invariant: of each sector a cut leaves one version from its floor on, and the
 * floor is the newest that was stored before a flush began which covers the sector and has returned.
 */
#include <stdlib.h>
#include <string.h>

#include "queue_sim.h"

static struct queue_version *add_version(struct queue_sector *sector)
{
	struct queue_version *version;

	sector->list = sim_grow(sector->list, sector->count, &sector->room, sizeof *sector->list);
	version = &sector->list[sector->count++];
	memset(version, 0, sizeof *version);
	return version;
}

void queue_device_init(struct queue_device *device)
{
	memset(device, 0, sizeof *device);
	for (size_t i = 0; i < QUEUE_SECTORS; i++)
		add_version(&device->sectors[i])->to = QUEUE_SECTOR;
}

void queue_device_free(struct queue_device *device)
{
	for (size_t i = 0; i < QUEUE_SECTORS; i++)
		free(device->sectors[i].list);
}

/* What of a range lies in a sector. */
static bool clip(size_t index, uint64_t offset, uint64_t length, uint32_t *ret_from, uint32_t *ret_to)
{
	const uint64_t start = index * QUEUE_SECTOR, end = start + QUEUE_SECTOR;
	const uint64_t from = offset > start ? offset : start;
	const uint64_t to = length > QUEUE_BYTES || offset + length > end ? end : offset + length;

	*ret_from = (uint32_t)(from - start);
	*ret_to = (uint32_t)(to - start);
	return offset < end && from < to;
}

static void store(struct queue_sector *sector, uint32_t from, uint32_t to, const uint8_t *bytes, uint64_t seq)
{
	struct queue_version *version = add_version(sector);

	*version = sector->list[sector->count - 2];
	version->seq = seq;
	version->from = from;
	version->to = to;
	memcpy(version->bytes + from, bytes, to - from);
}

static void flushed(struct queue_sector *sector, uint64_t begin)
{
	if (sector->lost)
		return;
	while (sector->floor + 1 < sector->count && sector->list[sector->floor + 1].seq < begin)
		sector->floor++;
}

void queue_device_apply(struct queue_device *device, const struct queue_event *event, uint64_t seq)
{
	uint32_t from, to;

	if (event->kind != QUEUE_STORE && event->kind != QUEUE_FLUSHED && event->kind != QUEUE_LOST)
		return;
	for (size_t i = 0; i < QUEUE_SECTORS; i++) {
		struct queue_sector *sector = &device->sectors[i];

		if (!clip(i, event->offset, event->length, &from, &to))
			continue;
		if (event->kind == QUEUE_STORE)
			store(sector, from, to, event->bytes + (i * QUEUE_SECTOR + from - event->offset),
			      seq);
		else if (event->kind == QUEUE_FLUSHED)
			flushed(sector, event->begin);
		else
			sector->lost = true;
	}
}

static uint32_t any_version(const struct queue_sector *sector, struct sim_rng *rng)
{
	return (uint32_t)(sector->floor + sim_below(rng, sector->count - sector->floor));
}

static bool holds_header(size_t index)
{
	for (uint32_t base = 0; base < QUEUE_BASES; base++)
		if (queue_header_at(base) / QUEUE_SECTOR == index)
			return true;
	return false;
}

static uint32_t choose(const struct queue_sector *sector, size_t index, enum queue_cut cut, size_t one,
		       struct sim_rng *rng)
{
	const uint32_t oldest = (uint32_t)sector->floor, newest = (uint32_t)(sector->count - 1);

	switch (cut) {
	case QUEUE_OLD:
		return oldest;
	case QUEUE_NEW:
		return newest;
	case QUEUE_ONE_KEPT:
		return index == one ? newest : oldest;
	case QUEUE_ONE_LOST:
		return index == one ? oldest : newest;
	case QUEUE_HEADERS: /* the worst that a commit can meet */
		return holds_header(index) ? newest : oldest;
	default:
		return any_version(sector, rng);
	}
}

/* One of those that a cut can change. */
static size_t choose_one(const struct queue_device *device, struct sim_rng *rng)
{
	size_t index = sim_below(rng, QUEUE_SECTORS);

	for (size_t i = 0; i < QUEUE_SECTORS; i++, index = (index + 1) % QUEUE_SECTORS)
		if (device->sectors[index].floor + 1 < device->sectors[index].count)
			break;
	return index;
}

void queue_device_cut(const struct queue_device *device, enum queue_cut cut, struct sim_rng *rng,
		      uint32_t left[QUEUE_SECTORS])
{
	const size_t one = choose_one(device, rng);

	for (size_t i = 0; i < QUEUE_SECTORS; i++)
		left[i] = choose(&device->sectors[i], i, cut, one, rng);
}

void queue_device_read(const struct queue_device *device, const uint32_t left[QUEUE_SECTORS], uint64_t offset,
		       void *to, size_t length)
{
	uint8_t *bytes = to;

	while (length > 0) {
		const size_t index = offset / QUEUE_SECTOR, at = offset % QUEUE_SECTOR;
		const size_t part = length < QUEUE_SECTOR - at ? length : QUEUE_SECTOR - at;

		memcpy(bytes, device->sectors[index].list[left[index]].bytes + at, part);
		bytes += part;
		offset += part;
		length -= part;
	}
}

void queue_device_promise(struct queue_device *device, uint64_t offset, uint64_t length, uint64_t seq,
			  uint64_t ticket)
{
	uint32_t from, to;

	for (size_t i = 0; i < QUEUE_SECTORS; i++) {
		struct queue_sector *sector = &device->sectors[i];
		size_t v = sector->count - 1;

		if (!clip(i, offset, length, &from, &to))
			continue;
		for (; v > 0; v--)
			if (sector->list[v].seq <= seq && sector->list[v].from < to &&
			    sector->list[v].to > from)
				break;
		if (sector->list[v].seq > sector->need) {
			sector->need = sector->list[v].seq;
			sector->need_ticket = ticket;
		}
	}
}
