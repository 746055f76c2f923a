/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* GLib's GMappedFile, whose writable mappings are private copies. */
#include "bench_peers.h"

#include <glib.h>

static int open_close(const char *path, unsigned mode)
{
	GMappedFile *file = g_mapped_file_new(path, mode == FILEMAP_COW, NULL);
	if (!file)
		return -1;
	g_mapped_file_unref(file);
	return 0;
}

const struct bench_peer bench_peer_glib = {"GLib g_mapped_file_new", FILEMAP_READ | FILEMAP_COW, open_close};
