/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The complete sweep of removing the mapped file: at once, again after a failure, and by closing. */
#include "table.h"

#include <sys/stat.h>

static int told; /* what on_remove was told last; 1000: nothing */
static int told_code;

static void on_remove(void *context, int result, const struct filemap_error *error)
{
	(void)context;
	told = result;
	told_code = error != NULL ? error->code : 0;
}

static void written(struct table *t)
{
	told = 1000;
	table_open(t, FILEMAP_WRITE, FILEMAP_OPTIONS(.on_remove = on_remove));
}

static void removed_by_close(struct table *t)
{
	written(t);
	assert_ok(filemap_set_remove_on_close(t->map, 1));
}

static void without_a_last_sync(struct table *t)
{
	written(t);
	fault_arm_call("fsync", 1, EIO);
	assert_int_equal(filemap_remove(t->map, NULL), FILEMAP_EUNSYNCED);
}

static void exclusive_reader(struct table *t)
{
	told = 1000;
	table_open(t, FILEMAP_READ,
		   FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE, .on_remove = on_remove));
}

/* Where others can write the directory the hidden name is in a directory of its own. */
static void in_a_public_directory(struct table *t)
{
	written(t);
	assert_ok(fchmod(t->dir->fd, 0777));
}

static void private_again(struct table *t)
{
	filemap_close(t->map);
	t->map = NULL;
	assert_ok(fchmod(t->dir->fd, 0700));
}

static void remove_it(struct table *t)
{
	t->result = filemap_remove(t->map, &t->error);
}

static void set_remove(struct table *t)
{
	t->result = filemap_set_remove_on_close(t->map, 1);
	assert_ok(filemap_set_remove_on_close(t->map, 0));
}

static void close_it(struct table *t)
{
	filemap_close(t->map);
	t->map = NULL;
	t->result = 0;
}

static void say_told(struct table *t)
{
	if (told == 1000) {
		table_say(t, "told=nothing");
		return;
	}
	table_say(t, "told=%s", table_code(told, t->injected));
	assert_int_equal(told < 0 ? told : 0, told_code);
}

/* Of a close, the result is what on_remove is told: every failure may end in it. */
#define ALL                                                                                                  \
	"openat fstat fstatat statx random rename move unlinkat mkdirat fsync flock set_mode linkat zalloc " \
	"strdup "                                                                                            \
	"is_user file_handle list_dir acl_group"

/* A hidden name that cannot be made: another one, or the next weaker way (result 2 is FILEMAP_WEAKLY_CHECKED). */
#define OTHER_WAYS \
	"random:ENOSYS move:EDQUOT move:EEXIST move:EINVAL move:ENOENT move:ENOSPC move:ENOSYS move:EXDEV"

static const struct table_operation removals[] = {
	{.name = "remove", .prepare = written, .run = remove_it, .excuses = OTHER_WAYS},
	{.name = "remove in a public directory",
	 .prepare = in_a_public_directory,
	 .run = remove_it,
	 .excuses = OTHER_WAYS " unlinkat#2 mkdirat:EDQUOT mkdirat:EEXIST mkdirat:EMLINK "
			       "mkdirat:ENAMETOOLONG mkdirat:ENOSPC openat",
	 .cleanup = private_again},
	{.name = "remove, only the sync is left", .prepare = without_a_last_sync, .run = remove_it},
	{.name = "set_remove_on_close", .prepare = written, .run = set_remove, .flags = TABLE_NO_ERROR},
	{.name = "close WRITE, removing",
	 .prepare = removed_by_close,
	 .run = close_it,
	 .describe = say_told,
	 .excuses = ALL},
	{.name = "close READ, removing",
	 .prepare = exclusive_reader,
	 .run = close_it,
	 .describe = say_told,
	 .excuses = ALL},
};

static void every_removal_of_a_mapped_file(void **state)
{
	table_run(*state, "remove", removals, sizeof removals / sizeof *removals);
}

TABLE_MAIN(T_TEST(every_removal_of_a_mapped_file))
