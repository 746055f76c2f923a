/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The inside of a mapping. Only lib/map includes this. */
#ifndef FM_MAP_PRIVATE_H
#define FM_MAP_PRIVATE_H

#include "map/map.h"
#include "map/options.h"
#include "map/origin.h"
#include "map/window.h"

/* What is mapped. */
#define FM_KIND_FILE 0u     /* a file, or a memory file: it has a descriptor */
#define FM_KIND_MEMORY 1u   /* private memory of this process */
#define FM_KIND_BORROWED 2u /* the caller's bytes: nothing is mapped, region is NULL */

/* What may be done with the pages now, beyond what the mode allows. */
#define FM_THAWED 0u
#define FM_FROZEN 1u
#define FM_FROZEN_EXEC 2u

struct filemap {
	/* First, and of frozen layout: callers read it. Written by publish and poison below only. */
	struct filemap_view view;

	struct fm__origin *origin;   /* constant */
	unsigned char *region;       /* page-aligned; region_length bytes from file_start on are mapped */
	size_t region_length;        /* never 0 for mapped kinds; changed by resize and refresh only */
	uint64_t file_start;         /* constant */
	uint64_t reserve;            /* constant; != 0: region never moves */
	struct fm__window window;    /* constant: what the user asked for */
	unsigned kind;               /* constant */
	unsigned mode;               /* constant */
	uint32_t flags;              /* constant */
	unsigned frozen;             /* changed by freeze and thaw only */
	int poison_cause;            /* atomic; why the window is gone, 0 = it is not */
	uint32_t uses;               /* atomic: one for the handle, one for each pin */
	uint32_t own_pins;           /* of these: that of a change that is being ended; class E calls only */
	bool is_closed;              /* atomic: the handle's use is given back, pins are left */
	struct filemap_time made;    /* constant; of memory only */
	struct filemap *next_window; /* under the process lock */
	struct filemap **window_link;
};

/* An empty handle, the first or a further window of the origin; nothing is mapped. -ENOMEM: the origin is
 * the caller's still. On success it lives with its windows. */
int fm__filemap_new(struct fm__origin *origin, const struct fm__plan *plan, struct filemap **ret);

/* As if never opened: releases whatever it has by now, and the origin with its last window. */
void fm__filemap_free(struct filemap *map);

/* Whether DONTFORK kept the pages from this process, a child: something else may be at their address. */
bool fm__filemap_is_absent(const struct filemap *map);

/* The unit in which the kernel maps this: pages, or huge ones. */
size_t fm__filemap_page(const struct filemap *map);

/* PROT_* and MAP_* that the mode, the kind and the state ask for. */
int fm__filemap_prot(const struct filemap *map);
int fm__filemap_map_flags(const struct filemap *map);

/* Map the pages of a span; the file may still be shorter. Nothing can be seen through the view yet. */
int fm__filemap_map(struct filemap *map, const struct fm__span *span);

/* Make the window of a span visible; its pages are mapped and within the file. */
void fm__filemap_publish(struct filemap *map, const struct fm__span *span);

/* The window is gone; what was mapped stays so until close. */
void fm__filemap_poison(struct filemap *map, int cause);

/* 0, FILEMAP_EPOISONED for a poisoned mapping, or for a tainted one, too. */
int fm__filemap_check_window(const struct filemap *map);
int fm__filemap_check_durable(const struct filemap *map);

/* Whether stores into the window are allowed now. */
bool fm__filemap_is_writable(const struct filemap *map);

/* Whether flushing the window means anything: a file's shared pages, not memory and not private copies. */
bool fm__filemap_has_device(const struct filemap *map);

/* Whether somebody holds a pin: it may not move, shrink, freeze or thaw. */
bool fm__filemap_is_pinned(const struct filemap *map);

static inline int fm__filemap_fd(const struct filemap *map)
{
	return map->origin->backing->fd;
}

size_t fm__view_size(const struct filemap *map);

#endif
