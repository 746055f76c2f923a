/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Finding the end of a log (R1-R7, changes nothing) and making it writable again (R8 a-d). */
#ifndef FM_LOG_RECOVER_H
#define FM_LOG_RECOVER_H

#include "log/ctl.h"
#include "log/dir.h"

struct fm__log_found {
	struct fm__log_meta meta;
	uint32_t state;   /* FILEMAP_LOG_CLEAN, _TORN, _CORRUPT */
	uint32_t epoch;   /* the highest one seen in meta, headers, trailers, valid frames */
	uint64_t durable; /* D */
	uint64_t end;     /* X */
	uint64_t scanned_from;
	uint64_t records, bytes; /* DATA frames in [scanned_from, X) */
	uint64_t promise_end;    /* the promise that a frame at X may carry, see R8d: D after R8a is X */
	uint64_t evidence_at;    /* CORRUPT: the frame or trailer that promised more than X, 0: meta */
	uint64_t sealed_below;   /* s0: every lower segment has a valid trailer */
	uint32_t clean_meta;     /* R4 answered without a scan */
	uint32_t reserved;
};

#define FM_LOG_EXAMINE_ALL 1u /* scan from meta.first and check seals, chains and all frames (verify) */
#define FM_LOG_EXAMINE_SCAN \
	2u /* scan from the last seal on also if meta says CLEAN; check all headers and seals */
/* R1-R7. 0 also when state is CORRUPT; negative for IO errors, EVERSION, a missing or damaged meta or segment
 * (FILEMAP_ECORRUPT, reterr->offset = position). */
int fm__log_examine(const struct fm__log_dir *dir, unsigned flags, struct fm__log_found *ret,
		    struct filemap_error *reterr);

/* What was found, as the public interface says it. `discarded` is 0: nothing was changed. */
void fm__log_found_report(const struct fm__log_found *found, struct filemap_log_report *ret);

/* R8 a-d under the lock: found.state is not CORRUPT. `ctl` is the old control page if it can be trusted as
 * to boot_id, st_dev and st_ino, else NULL. On return found->meta is what is on the device (state OPEN, new
 * epoch), *ret_end is E, everything below E is durable. Idempotent: after a failure or crash examine again. */
int fm__log_recover(const struct fm__log_dir *dir, const struct fm__log_ctl_view *ctl,
		    struct fm__log_found *found, uint64_t *ret_end, struct filemap_error *reterr);

/* R8e: delete segments above last and below seg(first), .prep and .del leftovers. */
int fm__log_sweep(const struct fm__log_dir *dir, const struct fm__log_meta *meta,
		  struct filemap_error *reterr);

#endif
