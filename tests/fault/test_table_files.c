/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The table of file.h: every operation on names and files, with each of its calls failing once in each plausible
 * way. The state is what the directory has then: `file=old .tmp=new`. Asserted on each line: what failed has left
 * the old file or none, complete, under its name; what succeeded has done all of it.
 */
#include "table.h"

#include <dirent.h>
#include <sys/stat.h>

#define NEW "new content"
#define OLD "old"
#define HIDDEN ".file.0123456789abcdef"
#define MOST_NAMES 8

static struct filemap_identity identity; /* of the old file */
static struct filemap_bytes text = {NEW, sizeof NEW - 1};

/* ---- what is there ---- */

static bool holds(const char *of, const char *expected, size_t length)
{
	char bytes[64];

	return t_file_size(of) == (int64_t)length && t_read_file(of, bytes, sizeof bytes) == length &&
	       memcmp(bytes, expected, length) == 0;
}

/* Of a directory, what is hidden in it. */
static const char *content_of(const char *of)
{
	static const char zeros[sizeof NEW - 1];
	char inside[640];
	struct stat status;

	if (lstat(of, &status) < 0)
		return "none";
	if (S_ISDIR(status.st_mode)) {
		snprintf(inside, sizeof inside, "%s/file", of);
		return content_of(inside);
	}
	if (status.st_size == 0)
		return "empty";
	if (holds(of, zeros, sizeof zeros))
		return "hole";
	return holds(of, OLD, sizeof OLD - 1) ? "old" : holds(of, NEW, sizeof NEW - 1) ? "new" : "partial";
}

/* What is hidden has a random name: its kind is the end of it. */
static const char *kind_of(const char *name)
{
	const char *dot = strrchr(name, '.');

	return name[0] == '.' && dot != NULL ? dot : name;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int list_entries(const struct table *t, char names[MOST_NAMES][300])
{
	DIR *stream = opendir(t->dir->path);
	int count = 0;

	assert_non_null(stream);
	for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		assert_true(count < MOST_NAMES);
		snprintf(names[count++], 300, "%s", entry->d_name);
	}
	closedir(stream);
	qsort(names, (size_t)count, 300, by_name);
	return count;
}

static void describe(struct table *t)
{
	char names[MOST_NAMES][300];
	const int count = list_entries(t, names);

	for (int i = 0; i < count; i++)
		table_say(t, "%s=%s", kind_of(names[i]), content_of(t_path(t->dir, names[i])));
	if (count == 0)
		table_say(t, "nothing");
}

/* ---- what is prepared ---- */

static void prepare_old(struct table *t)
{
	t_write_file(t->file, OLD, sizeof OLD - 1);
	assert_ok(filemap_file_identity(AT_FDCWD, t->file, &identity, NULL));
}

static void prepare_hidden(struct table *t)
{
	t_write_file(t_path(t->dir, HIDDEN ".del"), OLD, sizeof OLD - 1);
}

static void prepare_hidden_inside(struct table *t)
{
	assert_ok(mkdir(t_path(t->dir, HIDDEN ".deld"), 0700));
	t_write_file(t_path(t->dir, HIDDEN ".deld/file"), OLD, sizeof OLD - 1);
}

static void prepare_unnamed(struct table *t)
{
	t->fd = open(t->dir->path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	assert_true(t->fd >= 0);
	assert_int_equal(write(t->fd, NEW, sizeof NEW - 1), sizeof NEW - 1);
	assert_int_equal(lseek(t->fd, 0, SEEK_SET), 0);
}

static void prepare_pipe(struct table *t)
{
	int ends[2];

	assert_ok(pipe(ends));
	assert_int_equal(write(ends[1], NEW, sizeof NEW - 1), sizeof NEW - 1);
	close(ends[1]);
	t->fd = ends[0];
}

/* A file of another directory's kind: others may write there, and what is removed goes through a private one. */
static void prepare_shared(struct table *t)
{
	assert_ok(fchmod(t->dir->fd, 0777));
	prepare_old(t);
}

static void cleanup_shared(struct table *t)
{
	assert_ok(fchmod(t->dir->fd, 0700));
}

/* ---- the operations ---- */

static bool is_there(const struct table *t, const char *content)
{
	return strcmp(content_of(t->file), content) == 0;
}

static void open_how(struct table *t, unsigned how)
{
	t->fd = -1;
	t->result = filemap_file_open(t->file, how, 0, &t->fd, &t->error);
	assert_true(t->result == 0 ? t->fd >= 0 : t->fd == -1);
}

static void open_to_read(struct table *t)
{
	open_how(t, FILEMAP_FILE_READ);
	assert_true(is_there(t, "old"));
}

/* After a failure there is no new file. */
static void open_create(struct table *t)
{
	open_how(t, FILEMAP_FILE_WRITE | FILEMAP_FILE_DURABLE | FILEMAP_FILE_CREATE);
	assert_true(is_there(t, t->result < 0 ? "none" : "empty"));
}

static void open_create_new(struct table *t)
{
	open_how(t, FILEMAP_FILE_WRITE | FILEMAP_FILE_DURABLE | FILEMAP_FILE_CREATE_NEW);
	assert_true(is_there(t, t->result < 0 ? "none" : "empty"));
}

/* Nor was one emptied. */
static void open_truncate(struct table *t)
{
	open_how(t, FILEMAP_FILE_WRITE | FILEMAP_FILE_TRUNCATE);
	assert_true(is_there(t, t->result < 0 ? "old" : "empty"));
}

static void identify(struct table *t)
{
	struct filemap_identity found;

	memcpy(&found, t->ret, sizeof found);
	t->result = filemap_file_identity(AT_FDCWD, t->file, &found, &t->error);
	memcpy(t->ret, &found, sizeof found);
	assert_true(t->result < 0 || filemap_identity_equal(&found, &identity));
}

static void sync_dir(struct table *t)
{
	t->result = filemap_sync_dir(t->dir->path, &t->error);
}

static void sync_parent(struct table *t)
{
	t->result = filemap_sync_parent(t->file, &t->error);
}

/* Under its name or hidden. */
static bool is_kept(const struct table *t)
{
	char names[MOST_NAMES][300];
	const int count = list_entries(t, names);
	bool kept = false;

	for (int i = 0; i < count; i++)
		kept = kept || strcmp(content_of(t_path(t->dir, names[i])), "old") == 0;
	return kept;
}

/* A kernel that says it is gone, while it is hidden, is believed. */
static void remove_with(struct table *t, const struct filemap_identity *expected)
{
	const bool was_there = is_kept(t);

	t->result = filemap_remove_file(AT_FDCWD, t->file, expected, &t->error);
	if (t->result >= 0 || t->result == FILEMAP_EUNSYNCED)
		assert_true(is_there(t, "none"));
	else
		assert_true(is_kept(t) == was_there);
}

static void remove_any(struct table *t)
{
	remove_with(t, NULL);
}

static void remove_expected(struct table *t)
{
	remove_with(t, &identity);
}

static void recover(struct table *t)
{
	t->result = filemap_recover_quarantine(t->dir->fd, &t->error);
	assert_true(t->result == 1 ? is_there(t, "old") : is_kept(t));
}

/* A kernel that says that there is no data in the source is believed, too. */
static bool is_complete(const struct table *t)
{
	return is_there(t, "new") || is_there(t, "hole");
}

static void publish_by(struct table *t, filemap_fill_fn *fill, void *context)
{
	const char *before = content_of(t->file);

	t->result = filemap_publish(AT_FDCWD, t->file, fill, context, NULL, &t->error);
	assert_true(t->result == 0 || t->result == FILEMAP_EUNSYNCED ? is_complete(t) : is_there(t, before));
}

static void publish_bytes(struct table *t)
{
	publish_by(t, filemap_fill_bytes, &text);
}

/* After a failure the source stands anywhere. */
static void publish_fd(struct table *t)
{
	(void)lseek(t->fd, 0, SEEK_SET);
	publish_by(t, filemap_fill_fd, &t->fd);
}

static void replace_with(struct table *t, const struct filemap_new_options *options)
{
	const char *before = content_of(t->file);

	t->result = filemap_replace_file(AT_FDCWD, t->file, filemap_fill_bytes, &text, options, &t->error);
	assert_true(is_there(t, t->result >= 0 || t->result == FILEMAP_EUNSYNCED ? "new" : before));
}

static void replace_any(struct table *t)
{
	replace_with(t, NULL);
}

static void replace_keeping(struct table *t)
{
	replace_with(t, FILEMAP_NEW_OPTIONS(.flags = FILEMAP_KEEP_MODE | FILEMAP_KEEP_OWNER));
}

static void replace_expected(struct table *t)
{
	replace_with(t, FILEMAP_NEW_OPTIONS(.expect = &identity));
}

/* The copying alone: what did not fail is complete. */
static void fill_by(struct table *t, filemap_fill_fn *fill, void *context)
{
	const int fd = open(t->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	t->result = fill(fd, context);
	close(fd);
	assert_true(t->result < 0 || is_complete(t));
}

static void fill_from_bytes(struct table *t)
{
	fill_by(t, filemap_fill_bytes, &text);
}

static void fill_from_fd(struct table *t)
{
	fill_by(t, filemap_fill_fd, &t->fd);
}

/* ---- the table ----
 *
 * What is got over, and why that is right:
 *   fstatat, openat  a name that comes or goes meanwhile is looked at again; no unnamed files: a hidden name
 *   file_handle      file systems without handles: device, number and birth tell files apart
 *   random           old kernels: the name's number comes from elsewhere, and is tried until it is free
 *   move, mkdirat    not to replace, or not to exchange, is not supported: a link, or FILEMAP_WEAKLY_CHECKED;
 *                    no room for a hidden name: weakly, too; ENOENT and EEXIST: another attempt
 *   link_fd          not for unnamed files: copied to a hidden name
 *   seek_*, copy_range  read and written instead; ENXIO says that it is a hole
 *   unlinkat         ENOENT: somebody else has done it; a directory that stays is empty and for nobody's use
 */

#define FILLS (TABLE_OWN_STATE | TABLE_NO_ERROR | TABLE_ONCE)
#define OPERATION(text, before, call, ...)                                                      \
	{                                                                                       \
		.name = text, .prepare = before, .run = call, .describe = describe, __VA_ARGS__ \
	}

static const struct table_operation operations[] = {
	OPERATION("file_open READ", prepare_old, open_to_read, .flags = TABLE_OWN_STATE),
	OPERATION("file_open CREATE,DURABLE", NULL, open_create, .excuses = "fstatat openat",
		  .flags = TABLE_OWN_STATE),
	OPERATION("file_open CREATE_NEW,DURABLE", NULL, open_create_new, .flags = TABLE_OWN_STATE),
	OPERATION("file_open TRUNCATE", prepare_old, open_truncate, .flags = TABLE_OWN_STATE),
	OPERATION("file_identity", prepare_old, identify, .excuses = "file_handle", .flags = TABLE_OWN_STATE),
	OPERATION("sync_dir", prepare_old, sync_dir, .flags = TABLE_OWN_STATE),
	OPERATION("sync_parent", prepare_old, sync_parent, .flags = TABLE_OWN_STATE),
	OPERATION("remove_file", prepare_old, remove_any, .excuses = "random move", .flags = TABLE_OWN_STATE),
	OPERATION("remove_file expected", prepare_old, remove_expected, .excuses = "file_handle random move",
		  .flags = TABLE_OWN_STATE),
	OPERATION("remove_file in a shared directory", prepare_shared, remove_any, .cleanup = cleanup_shared,
		  .excuses = "random mkdirat openat move unlinkat", .flags = TABLE_OWN_STATE),
	OPERATION("recover_quarantine .del", prepare_hidden, recover, .excuses = "move",
		  .flags = TABLE_OWN_STATE),
	OPERATION("recover_quarantine .deld", prepare_hidden_inside, recover,
		  .excuses = "openat move unlinkat", .flags = TABLE_OWN_STATE),
	OPERATION("publish bytes", NULL, publish_bytes, .excuses = "openat link_fd",
		  .flags = TABLE_OWN_STATE),
	OPERATION("publish a file's content", prepare_unnamed, publish_fd,
		  .excuses = "openat seek_data seek_hole copy_range link_fd", .flags = TABLE_OWN_STATE),
	OPERATION("publish a pipe's content", prepare_pipe, publish_fd, .excuses = "openat link_fd",
		  .flags = TABLE_OWN_STATE | TABLE_ONCE),
	OPERATION("replace_file", prepare_old, replace_any, .excuses = "openat random link_fd",
		  .flags = TABLE_OWN_STATE),
	OPERATION("replace_file of no file", NULL, replace_any, .excuses = "openat random link_fd",
		  .flags = TABLE_OWN_STATE),
	OPERATION("replace_file KEEP_MODE,KEEP_OWNER", prepare_old, replace_keeping,
		  .excuses = "openat random link_fd", .flags = TABLE_OWN_STATE),
	OPERATION("replace_file expected", prepare_old, replace_expected,
		  .excuses = "file_handle openat random link_fd move unlinkat", .flags = TABLE_OWN_STATE),
	OPERATION("fill_bytes", NULL, fill_from_bytes, .flags = FILLS),
	OPERATION("fill_fd of a file", prepare_unnamed, fill_from_fd,
		  .excuses = "seek_data seek_hole copy_range", .flags = FILLS),
	OPERATION("fill_fd of a pipe", prepare_pipe, fill_from_fd, .flags = FILLS),
};

static void every_call_on_files_fails_once(void **state)
{
	table_run(*state, "files", operations, sizeof operations / sizeof *operations);
}

TABLE_MAIN(T_TEST(every_call_on_files_fails_once))
