/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A file's pages in a row of cells, for `filemap residency`. */
#ifndef CLI_RESIDENCY_H
#define CLI_RESIDENCY_H

#include "cli.h"

struct cli_picture {
	const char *path;
	struct filemap_residency total;
	size_t count;
	struct filemap_residency cells[]; /* of equally many pages, up to one */
};

void cli_picture_text(const struct cli_picture *picture);
void cli_picture_json(const struct cli_picture *picture);

#endif
