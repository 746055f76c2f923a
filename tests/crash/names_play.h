/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One run of the library in a directory, and everything that crashes can make of it. */
#ifndef NAMES_PLAY_H
#define NAMES_PLAY_H

#include <filemap/filemap.h>

#include "names_check.h"

struct names_play {
	char dir[320];
	int fd; /* of it */
	struct filemap *map;
	struct filemap_identity identity;
	struct names_terms terms;
	struct names_run run;
};

struct names_scene {
	const char *title;
	struct names_terms terms;                 /* name NULL = "f" */
	void (*prepare)(struct names_play *play); /* what is durable from the start */
	void (*plan)(struct names_play *play);    /* what fails, who comes between; may be NULL */
	void (*act)(struct names_play *play);
	int results[3];     /* in this order; INT_MAX = no more */
	enum names_bug bug; /* acted out, and still nothing may go wrong */
};

struct names_counts {
	uint64_t scenes, combinations, states, ordered, recoveries;
};
extern struct names_counts names_counts;

/* Everything is left in `parent`. Violations are counted. */
void names_run_scene(const struct names_scene *scene, enum names_bug bug, const char *parent);

void names_put(struct names_play *play, const char *name, char letter);
const char *names_path(const struct names_play *play, const char *name); /* static */

#endif
