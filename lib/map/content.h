/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where the content of a new file comes from. */
#ifndef FM_MAP_CONTENT_H
#define FM_MAP_CONTENT_H

#include <stdint.h>

/* All of a file that nobody else has, to the start of an empty one; holes stay holes. -errno. */
int fm__content_copy(int from_fd, uint64_t length, int to_fd);

#endif
