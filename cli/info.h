/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What `filemap info` knows of a file, and the two ways to write it. */
#ifndef CLI_INFO_H
#define CLI_INFO_H

#include "cli.h"
#include "holders.h"

struct cli_info {
	const char *path;
	const char *mode, *lock; /* of the mapping: "read"; "shared" or "none" */
	bool reservable;
	struct filemap_stat stat;
	char identity[FILEMAP_IDENTITY_TEXT];
	int residency_result; /* what filemap_residency() returned; `residency` is set if 0 */
	struct filemap_residency residency;
	struct cli_holders holders;
};

void cli_info_text(const struct cli_info *info);
void cli_info_json(const struct cli_info *info);

#endif
