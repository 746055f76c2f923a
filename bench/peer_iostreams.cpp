// SPDX-License-Identifier: Apache-2.0 OR MIT
// Boost.Iostreams: mapped_file.
#include "bench_peers.h"

#include <boost/iostreams/device/mapped_file.hpp>

using boost::iostreams::mapped_file;

static mapped_file::mapmode map_mode(unsigned mode)
{
	if (mode == FILEMAP_READ)
		return mapped_file::readonly;
	return mode == FILEMAP_COW ? mapped_file::priv : mapped_file::readwrite;
}

static int open_close(const char *path, unsigned mode)
try {
	mapped_file file(path, map_mode(mode));
	return file.is_open() ? 0 : -1;
} catch (const std::exception &) {
	return -1;
}

const struct bench_peer bench_peer_iostreams = {"Boost.Iostreams mapped_file",
						FILEMAP_READ | FILEMAP_COW | FILEMAP_WRITE, open_close};
