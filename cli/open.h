/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef CLI_OPEN_H
#define CLI_OPEN_H

#include "cli.h"

/* Map a file for reading; says what failed, and what to do about a lock. CLI_OK or CLI_FAILED. */
int cli_open(const char *path, uint32_t lock_family, struct filemap **ret_map);

#endif
