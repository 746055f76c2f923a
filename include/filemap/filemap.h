/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap/filemap.h - everything: mappings, views of them, files, the queue, the append log. */
#ifndef FILEMAP_FILEMAP_H
#define FILEMAP_FILEMAP_H

#include <filemap/access.h>
#include <filemap/base.h>
#include <filemap/cursor.h>
#include <filemap/file.h>
#include <filemap/guard.h>
#include <filemap/log.h>
#include <filemap/map.h>
#include <filemap/queue.h>

#endif
