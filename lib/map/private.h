/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The inside of a mapping. Only lib/map includes this. */
#ifndef FM_MAP_PRIVATE_H
#define FM_MAP_PRIVATE_H

#include "map/backing.h"
#include "map/lock.h"
#include "map/map.h"
#include "map/options.h"
#include "map/window.h"

struct filemap {
	/* First, and of frozen layout: callers read it. Written by publish and withdraw below only. */
	struct filemap_view view;

	struct fm__backing *backing; /* constant; the descriptor is backing->fd */
	unsigned char *region;       /* page-aligned; region_length bytes from file_start on are mapped */
	size_t region_length;        /* never 0; changed by resize only */
	uint64_t file_start;         /* constant */
	uint64_t reserve;            /* constant; != 0: region never moves */
	struct fm__window window;    /* constant: what the user asked for */
	unsigned mode;               /* constant */
	uint32_t flags;              /* constant */
	int poison_cause;            /* atomic; why the window is gone, 0 = it is not */
	unsigned generation;         /* constant: of the process that opened */
	int parent_fd;               /* constant: WRITE pins its directory; -1 = none */
	char *path;                  /* constant; as given */
	struct fm__lock lock;        /* touched by open and close only */
};

/* An empty handle: nothing mapped, no descriptor. -ENOMEM. */
int fm__filemap_new(const char *path, const struct fm__plan *plan, struct filemap **ret);
void fm__filemap_free(struct filemap *map); /* releases whatever it has by now */

/* Map the pages of a span; the file may still be shorter. Nothing can be seen through the view yet. */
int fm__filemap_map(struct filemap *map, const struct fm__span *span);

/* Make the window of a span visible; its pages are mapped and within the file. */
void fm__filemap_publish(struct filemap *map, const struct fm__span *span);

/* The window is gone; what was mapped stays so until close. */
void fm__filemap_poison(struct filemap *map, int cause);

/* 0, FILEMAP_EPOISONED for a poisoned mapping, or for a tainted one, too. */
int fm__filemap_check_window(const struct filemap *map);
int fm__filemap_check_durable(const struct filemap *map);

size_t fm__view_size(const struct filemap *map);

#endif
