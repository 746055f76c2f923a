// SPDX-License-Identifier: Apache-2.0 OR MIT
// Boost.Interprocess: file_mapping and mapped_region.
#include "bench_peers.h"

#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>

namespace ipc = boost::interprocess;

static ipc::mode_t map_mode(unsigned mode)
{
	if (mode == FILEMAP_READ)
		return ipc::read_only;
	return mode == FILEMAP_COW ? ipc::copy_on_write : ipc::read_write;
}

static int open_close(const char *path, unsigned mode)
try {
	ipc::file_mapping file(path, mode == FILEMAP_WRITE ? ipc::read_write : ipc::read_only);
	ipc::mapped_region region(file, map_mode(mode));
	return region.get_address() ? 0 : -1;
} catch (const std::exception &) {
	return -1;
}

const struct bench_peer bench_peer_interprocess = {"Boost.Interprocess mapped_region",
						   FILEMAP_READ | FILEMAP_COW | FILEMAP_WRITE, open_close};
