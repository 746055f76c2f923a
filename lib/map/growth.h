/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Growing a file that others may grow, too: FILEMAP_SHARING_COOPERATE. */
#ifndef FM_MAP_GROWTH_H
#define FM_MAP_GROWTH_H

#include <stdbool.h>

#include "map/origin.h"

/* From begin to end nobody else of those who cooperate changes the file's size. Does nothing for those who
 * exclude everybody anyway. FILEMAP_ELOCKED: another one was at it for a whole second; -EINTR. */
int fm__growth_begin(struct fm__origin *origin, struct filemap_error *reterr);
void fm__growth_end(struct fm__origin *origin);

/* Whether they do anything. */
bool fm__growth_is_needed(const struct fm__origin *origin);

#endif
