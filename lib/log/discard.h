/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* R8d: putting an unfinished tail aside. */
#ifndef FM_LOG_DISCARD_H
#define FM_LOG_DISCARD_H

#include "log/recover.h"

/* Covers everything at or above found->end that is not zero, or lies below `published`, with PAD DISCARD frames
 * of the epoch in found->meta and flushes them. *ret_end is E. Nothing is zeroed. */
int fm__log_discard_tail(const struct fm__log_dir *dir, const struct fm__log_found *found, uint64_t published,
			 uint64_t *ret_end, struct filemap_error *reterr);

#endif
