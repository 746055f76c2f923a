/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The names that files have while they are on their way: ".NAME.RANDOM.SUFFIX". */
#ifndef FM_MAP_HIDDEN_H
#define FM_MAP_HIDDEN_H

#include <stdbool.h>
#include <stdint.h>

#define FM_HIDDEN_SIZE 192 /* with the final zero: no longer than what an error record can name */

#define FM_HIDDEN_NEW "tmp"           /* a file that is being made: nobody needs what a crash leaves of it */
#define FM_HIDDEN_REMOVED "del"       /* a file on its way out, or changing places */
#define FM_HIDDEN_REMOVED_FROM "deld" /* a directory of this user's own that holds one, under its NAME */

/* What no other can foresee. -errno. */
int fm__hidden_number(uint64_t *ret);

/* With all of NAME, so that it can be read back: -ENAMETOOLONG. */
int fm__hidden_write(const char *name, uint64_t number, const char *suffix, char to[FM_HIDDEN_SIZE]);

/* With as much of NAME as is useful to people; always fits. */
void fm__hidden_write_cut(const char *name, uint64_t number, const char *suffix, char to[FM_HIDDEN_SIZE]);

/* Whether it is such a name with this suffix; then NAME, which is never empty, "." or "..". */
bool fm__hidden_read(const char *hidden, const char *suffix, char ret_name[FM_HIDDEN_SIZE]);

#endif
