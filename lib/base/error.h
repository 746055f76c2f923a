/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Filling in struct filemap_error. Every function returns the code it was given. */
#ifndef FM_BASE_ERROR_H
#define FM_BASE_ERROR_H

#include <filemap/base.h>

/* step and subject (and hint) must be static strings; subject may be NULL, reterr too.
 * A code above FILEMAP_ELOCKED's range is taken as -errno and copied to sys_errno. An errno that tells of a limit brings a
 * hint that names it (base/limits.h). */
int fm__fail(struct filemap_error *reterr, int code, const char *step, const char *subject);

/* The same with the errno that stood behind a private code (positive; 0 = none). */
int fm__fail_errno(struct filemap_error *reterr, int code, int sys_errno, const char *step,
		   const char *subject);

/* Add to a record that fm__fail() has filled; both ignore a NULL record. `detail` is copied and cut. */
void fm__fail_hint(struct filemap_error *reterr, const char *hint);
void fm__fail_hint_if_none(struct filemap_error *reterr, const char *hint); /* that of a limit stays */
void fm__fail_detail(struct filemap_error *reterr, const char *detail);
void fm__fail_detail_if_none(struct filemap_error *reterr,
			     const char *detail); /* what is said already stays */
void fm__fail_range(struct filemap_error *reterr, uint64_t offset, uint64_t length);

#endif
