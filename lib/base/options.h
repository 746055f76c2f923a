/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Reading a sized options struct of any version: the Linux copy_struct_from_user() rules. */
#ifndef FM_BASE_OPTIONS_H
#define FM_BASE_OPTIONS_H

#include <filemap/base.h>

/*
 * Copy `from` (its first member is uint32_t struct_size; NULL = all defaults) into `to`, which has
 * `known_size` bytes; a missing tail is zero. Smaller than `first_size`: FILEMAP_EOPTION; longer with a
 * tail that is not zero: FILEMAP_EVERSION; both name "struct_size". struct_size of `to` becomes known_size.
 */
int fm__options_read(void *to, size_t known_size, const void *from, size_t first_size,
		     struct filemap_error *reterr);

/* FILEMAP_EOPTION, step "check options", subject the field's name. Static strings. */
int fm__options_refuse(struct filemap_error *reterr, const char *field, const char *hint);

#endif
