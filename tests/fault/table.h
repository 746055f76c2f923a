/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The complete sweep: every system call of an operation fails once, with every errno that its manual page lists
 * as plausible (table_faults.c), and what came of it is a line of a table,
 *
 *   operation  call#n  errnos  result  step/subject  state
 *
 * which is kept under version control as golden/AREA.tsv. The errnos that came to the same are one line; a result
 * that is the injected errno itself is "-errno". A failure that ends in success (the result is not negative) has
 * to be excused: by the list of calls in table_faults.c, or by the operation's own.
 *
 *   static void open_read(struct table *t) { t->result = filemap_open(t->file, ..., &t->made, &t->error); }
 *   static const struct table_operation operations[] = {{.name = "open READ", .prepare = table_file, .run = open_read}};
 *   static void every_open(void **state) { table_run(*state, "open", operations, 1); }
 *   TABLE_MAIN(T_TEST(every_open))
 *
 * The library sees pages of TABLE_PAGE bytes, so that the table is the same on all machines; but see TABLE_REAL_PAGES.
 *
 * What the engine asserts of every line: a failure left t->made and t->ret untouched and filled the error record,
 * a success left the record alone; after cleanup no descriptor, no mapping and no lock is left.
 *
 * `test_table_X --update`, or FILEMAP_GOLDEN_UPDATE=1 in the environment, writes the golden files anew.
 */
#ifndef FAULT_TABLE_H
#define FAULT_TABLE_H

#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"

#define TABLE_PAGE ((size_t)65536)
#define TABLE_SIZE (2 * TABLE_PAGE + 100) /* of the file that table_file() makes */
#define TABLE_RET 8192

/* What one run of an operation has at hand: all of it is new each time, and given up after it. */
struct table {
	const struct t_dir *dir;
	char file[300];  /* path of "file" in the directory */
	char other[300]; /* of "other" */

	struct filemap *map; /* what the operation works on; closed after the run. A close sets it to NULL. */
	struct filemap *made; /* what the operation makes; closed after the run */
	int fd;               /* closed after the run; -1 */
	void *own;            /* the case's own: to be given up by its cleanup */

	int64_t result;               /* of run */
	int injected;                 /* the errno that a call failed with; 0: none */
	struct filemap_error error;   /* for run to fill in */
	unsigned char ret[TABLE_RET]; /* for other results: must be untouched after a failure */

	char state[600]; /* by table_say() */
	size_t state_length;
};

#define TABLE_NO_ERROR (1u << 0)    /* the operation has no error record */
#define TABLE_RET_CHANGES (1u << 1) /* a failure may write to t->ret: its contract says so */
#define TABLE_ONCE (1u << 2)        /* after a failure it cannot be called again on the same handle */
#define TABLE_OWN_STATE (1u << 3) /* nothing is said of t->map, t->made and the files: describe says it all */
#define TABLE_REAL_PAGES \
	(1u << 4) /* addresses count, not only sizes: the pages are those of the machine, 4 KiB */

struct table_operation {
	const char *name;
	void (*prepare)(struct table *t); /* NULL: nothing is there */
	void (*arm)(void); /* further faults, by fault_arm_also(): they take another way through it */
	void (*run)(struct table *t); /* one call of the library, t->result = ...; again after a failure */
	void (*describe)(struct table *t); /* adds what table_state() does not say; may be NULL */
	void (*cleanup)(struct table *t);  /* of `own`; may be NULL */
	const char *(*lacks)(void);        /* why it cannot run on this machine, or NULL */
	const char *excuses; /* what it survives beside the common ones: "zalloc fstat:EIO flock#2" */
	unsigned flags;      /* TABLE_* */
	int most; /* of the calls of one name only the first so many and the last one fail; 0 = all */
	const char *
		only; /* only calls of these names fail: others come from other threads, in no fixed number */
};

/* Run them all, compare with golden/AREA.tsv, print the table. Fails the case if there is a difference. */
void table_run(const struct t_dir *dir, const char *area, const struct table_operation *operations,
	       size_t count);

/* For `lacks`: that of the case that runs. */
extern const struct t_dir *table_dir;
const char *table_no_exec(void); /* the file system is mounted noexec */

int table_main(int argc, char **argv, const struct CMUnitTest *tests, size_t count);
#define TABLE_MAIN(...)                                                             \
	int main(int argc, char **argv)                                             \
	{                                                                           \
		const struct CMUnitTest tests[] = {__VA_ARGS__};                    \
		return table_main(argc, argv, tests, sizeof tests / sizeof *tests); \
	}

/* ---- what operations start from (table_state.c) ---- */
void table_file(struct table *t);  /* "file" of TABLE_SIZE bytes, each by its place */
void table_read(struct table *t);  /* and t->map, FILEMAP_READ with PIN_PARENT */
void table_write(struct table *t); /* and t->map, FILEMAP_WRITE */
void table_open(struct table *t, unsigned mode, const struct filemap_options *options); /* file and t->map */
unsigned char table_byte(size_t place);                                                 /* of the file */

/* ---- what is said of the outcome ---- */
__attribute__((format(printf, 2, 3))) void table_say(struct table *t, const char *format, ...);
void table_say_map(struct table *t, const char *name, const struct filemap *map); /* state, window, lock */
void table_say_file(struct table *t, const char *name); /* in the directory: is it there, same, cut, grown? */
void table_say_beside(struct table *t); /* other names in the directory, what is random in them masked */
void table_say_code(struct table *t, const char *word, int64_t result); /* word=0, word=-EIO, word=ELOCKED */

/* ---- among the parts of the engine ---- */
struct table_census {
	int descriptors;
	size_t mapped; /* bytes */
};
struct table_census table_take_census(const struct t_dir *dir);
const int *table_plausible(const char *call); /* ends with 0; NULL: there is no entry */
bool table_is_excused(const char *call, int nth, int error, const char *also);
bool table_suits(const char *path);                   /* the file system is one that the table is made on */
const char *table_code(int64_t result, int injected); /* static text, in a ring */
void table_empty_dir(const struct t_dir *dir);

/* One table: lines by operation. */
struct table_text {
	char *bytes;
	size_t length, size;
};
void table_append(struct table_text *text, const char *line);
/* How many lines differ; `skipped`: operations that are not compared, "a\nb\n". */
int table_compare(const char *area, const struct table_text *now, const char *skipped);

#endif
