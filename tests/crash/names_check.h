/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the headers promise about removing, publishing, replacing and recovering, as rules about what is found
 * in a directory after a crash. Files are told apart by their bytes: LENGTH times one letter.
 */
#ifndef NAMES_CHECK_H
#define NAMES_CHECK_H

#include "names.h"

#define NAMES_OLD 'O'     /* under the name from the start */
#define NAMES_NEW 'N'     /* published, replacing */
#define NAMES_FOREIGN 'F' /* moved onto the name by somebody else, from "foreign" */
#define NAMES_THIRD 'T'   /* likewise, later, from "third" */
#define NAMES_NOBODY '?'  /* not complete */
#define NAMES_LENGTH 48u

enum names_promise { NAMES_REMOVES, NAMES_PUBLISHES, NAMES_REPLACES, NAMES_RECOVERS };

/* What is promised of one play. */
struct names_terms {
	enum names_promise promise;
	const char *name;
	bool was_missing; /* nothing was under the name at first */
	bool is_taken;    /* PUBLISHES: by the old file */
	bool has_tmp;     /* may leave one */
	bool has_second;  /* the old file has a further name, "second" */
	bool has_foreign, has_third;
	unsigned mode; /* of the new file, if not 0 */
	unsigned owner;
};

struct names_sighting {
	const struct names_terms *terms;
	const struct names_run *run;
	const struct names_moment *moment;
	const struct names_run *recovery; /* if that crashed, too; else NULL */
	const struct names_moment *recovery_moment;
	const struct names_view *before; /* NULL: nobody has recovered anything yet */
	const struct names_view *view;
	char ended[4]; /* letters of files that others have ended */
	int recovered; /* what the recovery returned */
};

void names_check(const struct names_sighting *s);

char names_letter(const struct names_version *version);
bool names_is_recoverable(const char *path, const char *name);

/* Violations: counted, the first one is kept. */
extern unsigned names_violations;
extern char names_first_violation[4000];
extern const char *names_title; /* of the play */

#endif
