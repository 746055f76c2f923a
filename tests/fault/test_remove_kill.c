/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A process is killed before each call of a removal, of a publication and of a replacement, in each of the ways
 * in which these can go. What it leaves is what the headers say: the file is there, gone, or hidden and given
 * back by the recovery; the name has the old content or the new one, complete; no other file is lost.
 * The outcomes are printed as a table: "# WAY: before calls FIRST-LAST (their names): what was left".
 */
#include "remove_cases.h"

#include <signal.h>
#include <sys/mman.h>

#define MOST_CALLS 60

static struct scene scene;
static char *shared_trace; /* of a child that was not killed */
#define TRACE_SIZE 4096

/* ---- the table ---- */

struct table {
	char what[128], left[160]; /* of the lines that are gathered */
	int first, last;
};

static const char *call_name(int nth, char to[64])
{
	const char *at = shared_trace;

	for (int i = 1; i < nth; i++)
		at = strchr(at, ' ') + 1;
	snprintf(to, 64, "%.*s", (int)strcspn(at, " "), at);
	return to;
}

static void table_flush(struct table *table)
{
	char name[64];

	if (table->first == 0)
		return;
	printf("# %s: before calls %d-%d (%s", table->what, table->first, table->last,
	       call_name(table->first, name));
	for (int n = table->first + 1; n <= table->last; n++)
		printf(" %s", call_name(n, name));
	printf("): %s\n", table->left);
	table->first = 0;
}

static void table_add(struct table *table, const char *what, int nth, const char *left)
{
	if (table->first != 0 && strcmp(table->left, left) != 0)
		table_flush(table);
	if (table->first == 0)
		table->first = nth;
	table->last = nth;
	snprintf(table->what, sizeof table->what, "%s", what);
	snprintf(table->left, sizeof table->left, "%s", left);
}

/* ---- children ---- */

struct job {
	int nth; /* die before this call; 0 = live */
	const struct action *action;
};

struct action {
	const char *name;
	void (*prepare)(const struct action *action); /* in the child; NULL = nothing */
	void (*arm)(const struct action *action);     /* what makes it go its way */
	int (*run)(const struct action *action);
	unsigned flags;
	struct filemap_identity *expect;
};

static int body(void *context)
{
	const struct job *job = context;

	if (job->action->prepare != NULL)
		job->action->prepare(job->action);
	fault_reset();
	job->action->arm(job->action);
	if (job->nth > 0)
		fault_arm_also("", job->nth, FAULT_KILL);
	fault_trace_start();
	const int r = job->action->run(job->action);
	snprintf(shared_trace, TRACE_SIZE, "%s", fault_trace());
	return r;
}

/* Whether it was killed; else the calls were fewer. */
static bool is_killed_before(int nth, const struct action *action)
{
	struct job job = {nth, action};
	const int status = t_in_child(body, &job);

	assert_true(status == 0 || status == -SIGKILL);
	return status == -SIGKILL;
}

static void share_trace(void)
{
	if (shared_trace != NULL)
		return;
	shared_trace = mmap(NULL, TRACE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(shared_trace, MAP_FAILED);
}

/* ---- removal ---- */

/* Whatever it says is for other tests. */
static int ignore(int r)
{
	(void)r;
	return 0;
}

static void open_mapped(const struct action *action)
{
	assert_ok(filemap_open(scene.file, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = action->flags), &scene.map,
			       NULL));
}

static void arm_scene(const struct action *action)
{
	(void)action;
	scene_arm(&scene);
}

static int remove_mapped(const struct action *action)
{
	(void)action;
	return ignore(filemap_remove(scene.map, NULL));
}

static int remove_at_close(const struct action *action)
{
	(void)action;
	filemap_close(scene.map);
	return 0;
}

static int remove_unmapped(const struct action *action)
{
	(void)action;
	return ignore(filemap_remove_file(AT_FDCWD, scene.file, NULL, NULL));
}

static void describe(const struct outcome *outcome, char to[160])
{
	const struct place *own = &outcome->own, *foreign = &outcome->foreign;
	int length = snprintf(to, 160, "%s%s%s%s", own->named ? "under its name" : "",
			      own->named && own->hidden ? " and " : "", own->hidden ? "hidden" : "",
			      own->aside ? "aside" : "");

	if (length == 0)
		length = snprintf(to, 160, "gone");
	if (foreign->named || foreign->hidden)
		length += snprintf(to + length, (size_t)(160 - length), ", foreign %s%s%s",
				   foreign->named ? "under the name" : "",
				   foreign->named && foreign->hidden ? " and " : "",
				   foreign->hidden ? "hidden" : "");
	if (outcome->litter > 0)
		snprintf(to + length, (size_t)(160 - length), ", an empty directory");
}

/* Nothing is hidden any more, nothing was lost, and the name means what it meant. */
static void recover_and_check(const struct outcome *before)
{
	const bool own = before->own.hidden, foreign = before->foreign.hidden;
	const int fd = open(scene.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct filemap_error error = {0};

	assert_int_equal(filemap_recover_quarantine(fd, &error), own || foreign);
	assert_int_equal(filemap_recover_quarantine(fd, &error), 0);
	close(fd);
	const struct outcome after = scene_look(&scene);
	scene_assert_contents(&scene, &after);
	assert_int_equal(after.litter, 0);
	assert_false(after.own.hidden || after.foreign.hidden);
	assert_int_equal(after.own.named, before->own.named || own);
	assert_int_equal(after.own.aside, before->own.aside);
	assert_int_equal(after.foreign.named, before->foreign.named || foreign);
}

/* The next program removes it, if it is to be removed. */
static void remove_finally(void)
{
	if (!scene_look(&scene).own.named)
		return;
	assert_int_equal(filemap_remove_file(AT_FDCWD, scene.file, NULL, NULL), 0);
	assert_int_equal(scene_look(&scene).entries, 0);
}

/* The descriptor keeps the file's number from being given to another one. */
static bool kill_removal_once(void **state, enum way way, const struct action *action, int nth,
			      struct table *table)
{
	char what[128], left[160];

	scene_make(&scene, state, way);
	const int pin = open(scene.file, O_PATH | O_CLOEXEC);
	const bool killed = is_killed_before(nth, action);
	const struct outcome outcome = scene_look(&scene);
	scene_assert_contents(&scene, &outcome);
	if (killed) {
		describe(&outcome, left);
		snprintf(what, sizeof what, "%s, %s", action->name, way_names[way]);
		table_add(table, what, nth, left);
	}
	recover_and_check(&outcome);
	remove_finally();
	close(pin);
	scene_drop(&scene);
	return killed;
}

/* The first round, without a death, writes down the names of the calls. */
static void kill_removals(void **state, const struct action *action, enum way last)
{
	share_trace();
	for (enum way way = WAY_HIDDEN; way <= last; way++) {
		struct table table = {.first = 0};
		int nth = 1;

		kill_removal_once(state, way, action, 0, &table);
		while (nth < MOST_CALLS && kill_removal_once(state, way, action, nth, &table))
			nth++;
		table_flush(&table);
		assert_in_range(nth, 7, MOST_CALLS - 1);
	}
	t_census_same(*state);
}

static void removal_that_is_killed_loses_no_file(void **state)
{
	const struct action action = {"filemap_remove", open_mapped, arm_scene, remove_mapped, 0, NULL};

	kill_removals(state, &action, WAY_COUNT - 1);
}

static void close_that_is_killed_while_removing_loses_no_file(void **state)
{
	const struct action action = {"filemap_close",         open_mapped, arm_scene, remove_at_close,
				      FILEMAP_REMOVE_ON_CLOSE, NULL};

	kill_removals(state, &action, WAY_FOREIGN);
}

static void removal_of_an_unmapped_file_that_is_killed_loses_no_file(void **state)
{
	const struct action action = {"filemap_remove_file", NULL, arm_scene, remove_unmapped, 0, NULL};

	kill_removals(state, &action, WAY_FOREIGN);
}

/* ---- publication and replacement ---- */

/* The content of a file that is one of the two whole ones, or of ours that came between: 0 = none, '?' = a part. */
static char whole_content(const char *path)
{
	char bytes[SCENE_BYTES + 1];

	if (t_file_size(path) < 0)
		return 0;
	if (t_read_file(path, bytes, sizeof bytes) != SCENE_BYTES)
		return '?';
	for (size_t i = 0; i < SCENE_BYTES; i++)
		if (bytes[i] != bytes[0])
			return '?';
	return bytes[0];
}

static int fill(int fd, void *context)
{
	char bytes[SCENE_BYTES];

	(void)context;
	memset(bytes, 'n', sizeof bytes);
	return filemap_fill_bytes(fd, &(struct filemap_bytes){bytes, sizeof bytes});
}

static int publish(const struct action *action)
{
	(void)action;
	return ignore(filemap_publish(AT_FDCWD, scene.file, fill, NULL, NULL, NULL));
}

static int replace(const struct action *action)
{
	return ignore(filemap_replace_file(
		AT_FDCWD, scene.file, fill, NULL,
		FILEMAP_NEW_OPTIONS(.flags = action->flags, .expect = action->expect), NULL));
}

static void arm_nothing(const struct action *action)
{
	(void)action;
}

/* The directory is opened first, then the file without a name. */
static void arm_no_unnamed(const struct action *action)
{
	(void)action;
	fault_arm_call("openat", 2, EOPNOTSUPP);
}

static void arm_no_link(const struct action *action)
{
	(void)action;
	fault_arm_call("link_fd", 1, EPERM);
}

static void arm_foreign(const struct action *action)
{
	(void)action;
	fault_hook("move", 1, scene_swap, &scene);
}

static void arm_no_exchange(const struct action *action)
{
	(void)action;
	fault_arm_call_persistent("move", 1, EINVAL);
}

static void arm_no_unlink(const struct action *action)
{
	(void)action;
	fault_arm_call("unlinkat", 1, EPERM);
}

/* What lies in the directory beside the name: complete or not, but nobody's, and named as such. */
static void describe_left(char to[160])
{
	DIR *dir = opendir(scene.directory);
	char path[640];
	int length = 0;

	to[0] = '\0';
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		const size_t end = strlen(entry->d_name);
		if (entry->d_name[0] != '.' || end < 5)
			continue;
		const char *suffix = entry->d_name + end - 4;
		snprintf(path, sizeof path, "%s/%s", scene.directory, entry->d_name);
		const char content = whole_content(path);
		assert_true(strcmp(suffix, ".tmp") == 0 || strcmp(suffix, ".del") == 0);
		assert_true(strcmp(suffix, ".tmp") == 0 || content != '?');
		length += snprintf(to + length, (size_t)(160 - length), ", *%s is %s", suffix,
				   content == '?'   ? "incomplete"
				   : content == 'o' ? "the old one"
				   : content == 'n' ? "the new one"
						    : "the foreign one");
	}
	closedir(dir);
}

static int count_content(char byte)
{
	DIR *dir = opendir(scene.directory);
	char path[640];
	int count = 0;

	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", scene.directory, entry->d_name);
		count += whole_content(path) == byte;
	}
	closedir(dir);
	return count + (whole_content(scene.other) == byte);
}

static const char *content_name(char byte)
{
	switch (byte) {
	case 0:
		return "no file";
	case 'o':
		return "the old file";
	case 'n':
		return "the new file";
	case 'f':
		return "the foreign file";
	default:
		return "a part of a file";
	}
}

static bool kill_new_file_once(void **state, const struct action *action, bool exists, int nth,
			       struct table *table)
{
	char left[160], line[256];

	scene_make(&scene, state, WAY_HIDDEN);
	if (!exists)
		assert_ok(unlink(scene.file));
	if (action->expect != NULL)
		assert_ok(filemap_file_identity(AT_FDCWD, scene.file, action->expect, NULL));
	const bool killed = is_killed_before(nth, action);
	const char content = whole_content(scene.file);
	const bool foreign = t_file_size(scene.other) < 0;
	assert_int_equal(count_content('f'), 1);
	if (foreign)
		assert_true(content == 'f' || content == 'n');
	else if (exists)
		assert_true(content == 'o' || content == 'n');
	else
		assert_true(content == 0 || content == 'n');
	describe_left(left);
	snprintf(line, sizeof line, "%s under the name%s", content_name(content), left);
	line[159] = '\0';
	if (killed)
		table_add(table, action->name, nth, line);
	else
		assert_string_equal(left, "");
	scene_drop(&scene);
	return killed;
}

static void kill_new_file(void **state, const struct action *action, bool exists)
{
	struct table table = {.first = 0};
	int nth = 1;

	share_trace();
	kill_new_file_once(state, action, exists, 0, &table);
	while (nth < MOST_CALLS && kill_new_file_once(state, action, exists, nth, &table))
		nth++;
	table_flush(&table);
	assert_in_range(nth, 7, MOST_CALLS - 1);
	t_census_same(*state);
}

static void publication_that_is_killed_leaves_nothing_or_the_whole_file(void **state)
{
	const struct action actions[] = {
		{"filemap_publish", NULL, arm_nothing, publish, 0, NULL},
		{"filemap_publish, no unnamed files", NULL, arm_no_unnamed, publish, 0, NULL},
		{"filemap_publish, no linking", NULL, arm_no_link, publish, 0, NULL},
	};

	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		kill_new_file(state, &actions[i], false);
}

static void replacement_that_is_killed_leaves_the_old_file_or_the_new_one(void **state)
{
	const unsigned keep = FILEMAP_KEEP_MODE | FILEMAP_KEEP_OWNER;
	const struct action actions[] = {
		{"filemap_replace_file", NULL, arm_nothing, replace, 0, NULL},
		{"filemap_replace_file, mode and owner kept", NULL, arm_nothing, replace, keep, NULL},
		{"filemap_replace_file, no linking", NULL, arm_no_link, replace, 0, NULL},
	};

	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		kill_new_file(state, &actions[i], true);
	kill_new_file(state, &actions[0], false);
}

static void replacement_of_an_expected_file_that_is_killed_loses_no_file(void **state)
{
	struct filemap_identity expected;
	const struct action actions[] = {
		{"filemap_replace_file, expected", NULL, arm_nothing, replace, 0, &expected},
		{"filemap_replace_file, expected, foreign", NULL, arm_foreign, replace, 0, &expected},
		{"filemap_replace_file, expected, no exchange", NULL, arm_no_exchange, replace, 0, &expected},
		{"filemap_replace_file, expected, put back", NULL, arm_no_unlink, replace, 0, &expected},
	};

	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		kill_new_file(state, &actions[i], true);
}

T_MAIN(T_TEST(removal_that_is_killed_loses_no_file),
       T_TEST(close_that_is_killed_while_removing_loses_no_file),
       T_TEST(removal_of_an_unmapped_file_that_is_killed_loses_no_file),
       T_TEST(publication_that_is_killed_leaves_nothing_or_the_whole_file),
       T_TEST(replacement_that_is_killed_leaves_the_old_file_or_the_new_one),
       T_TEST(replacement_of_an_expected_file_that_is_killed_loses_no_file))
