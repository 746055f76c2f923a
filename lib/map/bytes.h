/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Private memory that is filled first and shown then. */
#ifndef FM_MAP_BYTES_H
#define FM_MAP_BYTES_H

#include "map/private.h"

/* Zeros that can be written and resized. */
int fm__bytes_new(const char *label, size_t room, struct filemap **ret, struct filemap_error *reterr);

/* What was filled in gets its mode, and the permissions of that. */
int fm__bytes_settle(struct filemap *map, unsigned mode, struct filemap_error *reterr);

#endif
