/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Flags and advice of struct filemap_options, checked for one kind of mapping. */
#ifndef FM_MAP_FLAGS_H
#define FM_MAP_FLAGS_H

#include <stdbool.h>

#include <filemap/map.h>

/* The kinds of mapping that a flag can have an effect on. */
#define NAMED_READ (1u << 0) /* and EXEC */
#define NAMED_COW (1u << 1)
#define NAMED_WRITE (1u << 2)
#define FD_READ (1u << 3)
#define FD_COW (1u << 4)
#define FD_WRITE (1u << 5)
#define MEMORY (1u << 6)
#define MEMORY_FILE (1u << 7)
#define SNAPSHOT (1u << 8) /* of a file by name */
#define NAMED (NAMED_READ | NAMED_COW | NAMED_WRITE)
#define FILES (NAMED | FD_READ | FD_COW | FD_WRITE)
#define WRITES (NAMED_WRITE | FD_WRITE)
#define ANONYMOUS (MEMORY | MEMORY_FILE)

/* `where` is one of the kinds. FILEMAP_EOPTION, with the flag's name as detail. */
int fm__flags_check(uint32_t flags, unsigned where, struct filemap_error *reterr);

/* Of the option `advice`: 0 is none. */
int fm__advice_check(uint32_t advice, struct filemap_error *reterr);

/* Whether the bits of FILEMAP_ADVICE_* are known, at least one, and do not contradict each other. */
bool fm__advice_is_sound(unsigned advice);

#endif
