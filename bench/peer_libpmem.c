/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* libpmem's pmem_map_file, which maps whole files shared and writable. */
#include "bench_peers.h"

#include <libpmem.h>

static int open_close(const char *path, unsigned mode)
{
	size_t length;
	void *at = pmem_map_file(path, 0, 0, 0, &length, NULL);

	(void)mode;
	return at ? pmem_unmap(at, length) : -1;
}

const struct bench_peer bench_peer_libpmem = {"libpmem pmem_map_file", FILEMAP_WRITE, open_close};
