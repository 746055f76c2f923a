/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The removal of a mapped file's name, now or when its last window goes. */
#ifndef FM_MAP_REMOVE_H
#define FM_MAP_REMOVE_H

#include "map/options.h"
#include "map/origin.h"

/* The file is open by now: what the plan says of its removal counts. */
void fm__remove_arm(struct fm__origin *origin, const struct fm__plan *plan);

/* The last window is gone: remove the name, if that is due, free the origin, and tell what came of it. */
void fm__remove_last(struct fm__origin *origin);

#endif
