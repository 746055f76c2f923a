/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap/filemap.h - everything: base, mappings, the queue, the append log. */
#ifndef FILEMAP_FILEMAP_H
#define FILEMAP_FILEMAP_H

#include <filemap/base.h>
#include <filemap/log.h>
#include <filemap/map.h>
#include <filemap/queue.h>

#endif
