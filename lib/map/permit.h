/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Who may store and who may execute: never two windows of one file, the one this and the other that. */
#ifndef FM_MAP_PERMIT_H
#define FM_MAP_PERMIT_H

#include "map/private.h"

/* Tests for fm__origin_any(); the argument is not looked at. */
bool fm__can_store(const struct filemap *map, uint64_t unused);
bool fm__can_execute(const struct filemap *map, uint64_t unused);

/* Whether the lock that is held allows stores: any with COOPERATE, none where there is none to be had. */
bool fm__lock_permits_stores(const struct fm__origin *origin);

#endif
