/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where the content of a new file comes from: standard input, or something that has a name. */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include "cli.h"

struct cli_source {
	const char *name;    /* for people */
	struct filemap *map; /* keeps the lock of a regular file; NULL: there is none */
	int fd;              /* the map's, standard input, or our own */
	int result;          /* what filling a file from it came to */
};

/* NULL or "-" is standard input. Files by the reader's lock, as `filemap copy` does. CLI_OK, or CLI_FAILED, told. */
int cli_source_open(const char *path, uint32_t lock_family, struct cli_source *ret);

/* A filemap_fill_fn; the context is the source. */
int cli_source_fill(int fd, void *source);

void cli_source_close(struct cli_source *source);

#endif
