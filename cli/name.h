/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the commands that change names have in common: telling where a file had to be left, and identities. */
#ifndef CLI_NAME_H
#define CLI_NAME_H

#include "cli.h"

/* The hidden name under which a file had to be left, in the directory of that path, or NULL: there is none. */
const char *cli_kept(const char *path, const struct filemap_error *error);

/* As cli_fail(), and says where a file was left. */
int cli_name_failed(const char *path, int code, const struct filemap_error *error);

/* As `filemap info` prints it; CLI_OK, or CLI_USAGE, told. */
int cli_parse_identity(const struct cli_command *self, const char *text, struct filemap_identity *ret);

#endif
