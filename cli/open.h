/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Opening a file for the commands that only read, and what to say when that fails. */
#ifndef CLI_OPEN_H
#define CLI_OPEN_H

#include "cli.h"

/* Map a file for reading; says what failed, and what to do about a lock. CLI_OK or CLI_FAILED. */
int cli_open(const char *path, uint32_t lock_family, struct filemap **ret_map);

/* The same for anything that can be read: "-" is standard input, FIFOs and files of /proc are fine. */
int cli_open_stream(const char *path, size_t max_bytes, uint32_t lock_family, struct filemap **ret_map);

/* Tell of a file that could not be opened; names who holds a lock. The advice is added then, if not NULL. */
int cli_open_failed(const char *path, uint32_t lock_family, bool wanted_exclusive, int code,
		    const struct filemap_error *error, const char *advice); /* returns CLI_FAILED */

#endif
