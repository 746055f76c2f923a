/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Other libraries that map files. Each is in a file of its own, linked in where its package is. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <filemap/map.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bench_peer {
	const char *name;
	unsigned modes; /* bits of FILEMAP_READ and its like: what it can do of what we do */
	/* Open, map, unmap, close, in the way its manual shows. 0, or -1 if any of it failed. */
	int (*open_close)(const char *path, unsigned mode);
};

/* The address is NULL if it was not built in. */
extern const struct bench_peer bench_peer_glib __attribute__((weak));
extern const struct bench_peer bench_peer_iostreams __attribute__((weak));
extern const struct bench_peer bench_peer_interprocess __attribute__((weak));
extern const struct bench_peer bench_peer_libpmem __attribute__((weak));

#ifdef __cplusplus
}
#endif

#endif
