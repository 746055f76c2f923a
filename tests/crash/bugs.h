/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The functions that a seeded bug can replace. */
#ifndef SIM_BUGS_H
#define SIM_BUGS_H

#include "log/ctl.h"
#include "log/examine.h"
#include "log/recover.h"

/* X(result, name, parameters) */
#define SIM_BUG_WRAPS(X)                                                                                     \
	X(int, fm__log_meta_structural, (int fd, struct fm__log_meta *meta))                                 \
	X(uint32_t, fm__log_back, (const struct fm__log_geometry *g, uint64_t lsn, uint64_t durable))        \
	X(void, fm__log_frame_encode,                                                                        \
	  (const struct fm__log_geometry *g, struct fm__log_frame *frame, const struct filemap_bytes *parts, \
	   size_t count, uint8_t header[FM_LOG_FRAME_HEADER]))                                               \
	X(bool, fm__log_frame_decode,                                                                        \
	  (const struct fm__log_geometry *g, uint64_t lsn, const uint8_t *at, uint64_t available,            \
	   struct fm__log_frame *ret))                                                                       \
	X(int, fm__log_examine,                                                                              \
	  (const struct fm__log_dir *dir, unsigned flags, struct fm__log_found *ret,                         \
	   struct filemap_error *reterr))                                                                    \
	X(int, fm__log_examine_ahead, (struct fm__log_examination * e, uint32_t * any))                      \
	X(bool, fm__log_ctl_trusted, (const struct fm__log_ctl *ctl, const struct fm__log_geometry *g))

#define SIM_BUG_DECLARE(result, name, parameters) \
	result __wrap_##name parameters;          \
	result __real_##name parameters;
SIM_BUG_WRAPS(SIM_BUG_DECLARE)

#endif
