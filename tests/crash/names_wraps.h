/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The functions that the linker puts in front of the library's own, and what they write down. */
#ifndef NAMES_WRAPS_H
#define NAMES_WRAPS_H

#include "names.h"
#include "sys/sys.h"

void names_die(const char *what);
bool names_recording(void);
unsigned names_node_of(int fd); /* NAMES_NONE: none of ours */
unsigned names_add_node(int fd);
unsigned names_node_at(int dirfd, const char *name); /* found, or added */
void names_look_for_writes(void);                    /* since the last event, in whatever way */
void names_add(struct names_event event, const char *name, const char *to);
extern bool names_by_other; /* what is recorded is not the library's doing */

void names_insert(struct names_run *run, unsigned at, struct names_event event);
void names_insert_falsely(struct names_run *run, struct names_event event);

#endif
