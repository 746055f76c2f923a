/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What others do between two calls of a removal: at each place they replace the name, take it away, fill the gap,
 * or run recovery. Foreign files are there afterwards, each exactly once; ours is gone if the result says so, and
 * only then; what stays hidden the error names. The plain way, disturbed at the same place, loses the file.
 */
#include "t.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"
#include "sys/sys.h"

#define NOREPLACE (1u << 0)
#define CALLS_MOST 40
#define NAME_STATES (FILEMAP_STATE_NEEDS_UNLINK | FILEMAP_STATE_NEEDS_PARENT_SYNC | FILEMAP_STATE_REMOVED)

enum way { WAY_HIDDEN, WAY_PRIVATE, WAY_COUNT };

/* What removes: a mapping, or the call for files that are not mapped. */
enum form { FORM_MAPPED, FORM_FILE, FORM_COUNT };

/* field/file is ours; aside/foreign and aside/third are not, and come onto the name from there. */
static struct {
	char top[300], field[320], aside[320], path[340];
	int field_fd, aside_fd, own_fd;
	struct filemap *map; /* NULL: to be removed as a file */
	enum way way;
	int result;
	struct filemap_error error;
} scene;

static void fill(const char *name)
{
	char path[400];

	snprintf(path, sizeof path, "%s/%s", scene.top, name);
	t_write_file(path, name, strlen(name));
}

static int open_directory(const char *path, mode_t mode)
{
	int fd;

	assert_ok(mkdir(path, 0700));
	assert_ok(chmod(path, mode));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void begin(void **state, enum way way, enum form form)
{
	static unsigned number;

	snprintf(scene.top, sizeof scene.top, "%s/%u", ((struct t_dir *)*state)->path, number++);
	snprintf(scene.field, sizeof scene.field, "%s/field", scene.top);
	snprintf(scene.aside, sizeof scene.aside, "%s/aside", scene.top);
	snprintf(scene.path, sizeof scene.path, "%s/file", scene.field);
	assert_ok(mkdir(scene.top, 0755));
	scene.field_fd = open_directory(scene.field, way == WAY_PRIVATE ? 0777 : 0755);
	scene.aside_fd = open_directory(scene.aside, 0755);
	fill("field/file");
	fill("aside/foreign");
	fill("aside/third");
	scene.own_fd = open(scene.path, O_RDONLY | O_CLOEXEC);
	scene.map = NULL;
	scene.way = way;
	memset(&scene.error, 0, sizeof scene.error);
	if (form == FORM_MAPPED)
		assert_ok(filemap_open(scene.path, FILEMAP_WRITE, NULL, &scene.map, NULL));
	fault_reset();
}

static int remove_it(void)
{
	scene.error.detail[0] = '\0';
	scene.result = scene.map ? filemap_remove(scene.map, &scene.error)
				 : filemap_remove_file(AT_FDCWD, scene.path, NULL, &scene.error);
	return scene.result;
}

static unsigned name_state(void)
{
	return filemap_state(scene.map) & NAME_STATES;
}

static void end(void)
{
	fault_reset();
	if (scene.map) {
		assert_ok(filemap_set_remove_on_close(scene.map, 0));
		filemap_close(scene.map);
	}
	close(scene.own_fd);
	close(scene.aside_fd);
	close(scene.field_fd);
}

/* ---- what others do ---- */

static int move(int from_fd, const char *from, int to_fd, const char *to)
{
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, NOREPLACE);
}

static void take_away(void *context)
{
	(void)context;
	if (move(scene.field_fd, "file", scene.aside_fd, "taken") < 0)
		assert_int_equal(errno, ENOENT);
}

static void replace(void *context)
{
	take_away(context);
	assert_ok(move(scene.aside_fd, "foreign", scene.field_fd, "file"));
}

static void replace_by_link(void *context)
{
	take_away(context);
	assert_ok(symlinkat("../aside/foreign", scene.field_fd, "file"));
}

static void replace_by_directory(void *context)
{
	take_away(context);
	assert_ok(mkdirat(scene.field_fd, "file", 0755));
}

static void replace_by_fifo(void *context)
{
	take_away(context);
	assert_ok(mkfifoat(scene.field_fd, "file", 0600));
}

static void put_third(void *context)
{
	(void)context;
	assert_ok(move(scene.aside_fd, "third", scene.field_fd, "file"));
}

static void fill_gap(void *context)
{
	(void)context;
	if (move(scene.aside_fd, "third", scene.field_fd, "file") < 0)
		assert_int_equal(errno, EEXIST);
}

static void recover(void *context)
{
	(void)context;
	assert_true(filemap_recover_quarantine(scene.field_fd, NULL) >= 0);
}

/* A second party, when the foreign file goes back. */
static void replace_and_fill_gap(void *context)
{
	replace(context);
	fault_hook("move", 1, put_third, NULL); /* the one after that which is about to happen */
}

/* Again and again, before what `context` names. */
static void recover_for_ever(void *context)
{
	recover(NULL);
	fault_hook(context, 1, recover_for_ever, context);
}

static const struct {
	const char *name;
	void (*run)(void *);
} actions[] = {
	{"replace", replace},
	{"take away", take_away},
	{"replace by a symbolic link", replace_by_link},
	{"replace by a directory", replace_by_directory},
	{"replace by a FIFO", replace_by_fifo},
	{"fill the gap", fill_gap},
	{"recover", recover},
};

/* ---- what there is afterwards ---- */

struct count {
	unsigned foreign, third, others; /* others: what is neither of the two, nor ours */
	unsigned own;
	unsigned hidden, unnamed;
	unsigned named; /* the name means something */
};

static void count_entry(struct count *count, int dirfd, const char *name)
{
	char text[16] = "";
	struct stat status, own;
	const int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	assert_ok(fstatat(dirfd, name, &status, AT_SYMLINK_NOFOLLOW));
	assert_ok(fstat(scene.own_fd, &own));
	if (S_ISREG(status.st_mode))
		assert_true(read(fd, text, sizeof text - 1) > 0);
	if (fd >= 0)
		close(fd);
	count->own += status.st_ino == own.st_ino;
	count->foreign += strcmp(text, "aside/foreign") == 0;
	count->third += strcmp(text, "aside/third") == 0;
	count->others += !S_ISREG(status.st_mode);
}

/* Whether the error tells of it; a directory's content is told of. */
static bool is_named(const char *hidden)
{
	const size_t length = strlen(hidden);

	return scene.result < 0 && strncmp(scene.error.detail, hidden, length) == 0 &&
	       (scene.error.detail[length] == '\0' || strcmp(scene.error.detail + length, "/file") == 0);
}

static void count_hidden(struct count *count, const char *name)
{
	char inside[300];

	count->hidden++;
	count->unnamed += !is_named(name);
	snprintf(inside, sizeof inside, "%s/file", name);
	count_entry(count, scene.field_fd,
		    faccessat(scene.field_fd, inside, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? inside : name);
}

static void count_directory(struct count *count, const char *path, int fd)
{
	DIR *dir = opendir(path);

	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (entry->d_name[0] == '.') {
			count_hidden(count, entry->d_name);
			continue;
		}
		count->named += strcmp(entry->d_name, "file") == 0;
		count_entry(count, fd, entry->d_name);
	}
	closedir(dir);
}

static struct count count_all(void)
{
	struct count count = {0};

	count_directory(&count, scene.field, scene.field_fd);
	count_directory(&count, scene.aside, scene.aside_fd);
	return count;
}

/* The rules that hold whatever was done, and when. */
static void assert_rules(const struct count *count, bool other_was_made)
{
	assert_int_equal(count->foreign, 1);
	assert_int_equal(count->third, 1);
	assert_int_equal(count->others, other_was_made);
	assert_int_equal(count->own, scene.result < 0);
	assert_int_equal(count->unnamed, 0);
	assert_true(scene.result == 0 || scene.result == FILEMAP_EGONE || scene.result == FILEMAP_EREPLACED ||
		    scene.result == FILEMAP_EMODE);
	if (!scene.map)
		return;
	if (scene.result == 0)
		assert_int_equal(name_state(), FILEMAP_STATE_REMOVED);
	else
		assert_int_equal(name_state(),
				 scene.result == FILEMAP_EMODE ? 0 : FILEMAP_STATE_NEEDS_UNLINK);
}

/* What the name means, as text; "" = nothing. */
static const char *name_means(void)
{
	static char text[32];
	struct stat status;
	const int fd = openat(scene.field_fd, "file", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	memset(text, 0, sizeof text);
	if (fd < 0)
		return errno == ELOOP ? "link" : "";
	assert_ok(fstat(fd, &status));
	if (!S_ISREG(status.st_mode))
		strcpy(text, S_ISDIR(status.st_mode) ? "directory" : "special");
	else
		assert_true(read(fd, text, sizeof text - 1) > 0);
	close(fd);
	return text;
}

static void assert_outcome(int result, const char *meaning)
{
	const struct count count = count_all();

	assert_int_equal(scene.result, result);
	assert_string_equal(name_means(), meaning);
	assert_rules(&count, !strcmp(meaning, "link") || !strcmp(meaning, "directory") ||
				     !strcmp(meaning, "special"));
}

/* ---- each place, each party ---- */

struct calls {
	char text[1024], *name[CALLS_MOST];
	int nth[CALLS_MOST]; /* the how many of its kind */
	int count;
};

static void record_calls(void **state, enum way way, enum form form, struct calls *calls)
{
	char *rest;

	begin(state, way, form);
	fault_trace_start();
	assert_int_equal(remove_it(), 0);
	snprintf(calls->text, sizeof calls->text, "%s", fault_trace());
	calls->count = 0;
	for (char *call = strtok_r(calls->text, " ", &rest); call; call = strtok_r(NULL, " ", &rest)) {
		assert_true(calls->count < CALLS_MOST);
		calls->name[calls->count] = call;
		calls->nth[calls->count] = 1;
		for (int i = 0; i < calls->count; i++)
			calls->nth[calls->count] += strcmp(calls->name[i], call) == 0;
		calls->count++;
	}
	end();
}

static bool makes_other(void (*run)(void *))
{
	return run == replace_by_link || run == replace_by_directory || run == replace_by_fifo;
}

/* Not mapped, the first to be looked at is the file that is meant: these would be it, or be refused at once. */
static bool is_other_case(enum form form, const struct calls *calls, int call)
{
	int looks = 0;

	for (int i = 0; i <= call; i++)
		looks += strcmp(calls->name[i], "fstatat") == 0;
	return form == FORM_FILE && looks == 0;
}

static void disturb(void **state, enum way way, enum form form, const struct calls *calls)
{
	for (int call = 0; call < calls->count; call++) {
		if (is_other_case(form, calls, call))
			continue;
		for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
			struct count count;
			begin(state, way, form);
			fault_hook(calls->name[call], calls->nth[call], actions[i].run, NULL);
			remove_it();
			fault_reset();
			count = count_all();
			if (count.foreign != 1 || count.unnamed || count.own != (scene.result < 0))
				print_error("%s before %s, %d\n", actions[i].name, calls->name[call],
					    calls->nth[call]);
			assert_rules(&count, makes_other(actions[i].run));
			end();
		}
	}
}

static void disturb_everywhere(void **state, enum way way)
{
	struct calls calls;

	for (enum form form = 0; form < FORM_COUNT; form++) {
		record_calls(state, way, form, &calls);
		assert_true(calls.count > 8);
		disturb(state, way, form, &calls);
	}
}

static void anything_at_any_place_loses_nothing_from_a_hidden_name(void **state)
{
	disturb_everywhere(state, WAY_HIDDEN);
}

static void anything_at_any_place_loses_nothing_from_a_private_directory(void **state)
{
	disturb_everywhere(state, WAY_PRIVATE);
}

/* ---- what the header says of single places ---- */

static void remove_disturbed(void **state, enum way way, const char *call, int nth, void (*run)(void *))
{
	begin(state, way, FORM_MAPPED);
	fault_hook(call, nth, run, NULL);
	remove_it();
	fault_hook("", 0, NULL, NULL);
}

static void name_that_means_another_one_already_is_not_touched(void **state)
{
	static const struct {
		void (*run)(void *);
		int result;
		const char *meaning;
	} cases[] = {
		{replace, FILEMAP_EREPLACED, "aside/foreign"},
		{replace_by_directory, FILEMAP_EREPLACED, "directory"},
		{replace_by_fifo, FILEMAP_EREPLACED, "special"},
		{replace_by_link, FILEMAP_EMODE, "link"},
		{take_away, FILEMAP_EGONE, ""},
	};

	for (enum way way = 0; way < WAY_COUNT; way++) {
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			remove_disturbed(state, way, "fstatat", 1, cases[i].run);
			assert_int_equal(fault_count("move"), 0);
			assert_int_equal(fault_count("mkdirat"), 0);
			assert_int_equal(fault_count("fsync"), 0);
			assert_outcome(cases[i].result, cases[i].meaning);
			end();
		}
	}
}

static void what_came_before_the_move_is_put_back_and_synced(void **state)
{
	static const struct {
		void (*run)(void *);
		const char *meaning;
	} cases[] = {
		{replace, "aside/foreign"},
		{replace_by_directory, "directory"},
		{replace_by_fifo, "special"},
		{replace_by_link, "link"},
	};

	for (enum way way = 0; way < WAY_COUNT; way++) {
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			remove_disturbed(state, way, "move", 1, cases[i].run);
			assert_int_equal(fault_count("fsync"), 1);
			assert_outcome(FILEMAP_EREPLACED, cases[i].meaning);
			assert_int_equal(count_all().hidden, 0);
			end();
		}
	}
}

static void name_that_goes_before_the_move_is_egone(void **state)
{
	for (enum way way = 0; way < WAY_COUNT; way++) {
		remove_disturbed(state, way, "move", 1, take_away);
		assert_outcome(FILEMAP_EGONE, "");
		end();
	}
}

/* The hidden name in the error leads to it, and recovery brings it back once the name is free. */
static void what_cannot_be_put_back_is_kept_where_the_error_says(void **state)
{
	for (enum way way = 0; way < WAY_COUNT; way++) {
		char text[16] = "", path[700];
		remove_disturbed(state, way, "move", 1, replace_and_fill_gap);
		assert_outcome(FILEMAP_EREPLACED, "aside/third");
		assert_int_equal(count_all().hidden, 1);
		assert_non_null(strstr(scene.error.hint, "the name was taken"));
		snprintf(path, sizeof path, "%s/%s", scene.field, scene.error.detail);
		assert_int_equal(t_read_file(path, text, sizeof text), strlen("aside/foreign"));
		assert_string_equal(text, "aside/foreign");
		assert_int_equal(filemap_recover_quarantine(scene.field_fd, NULL), -EEXIST);
		assert_ok(move(scene.field_fd, "file", scene.aside_fd, "third"));
		assert_int_equal(filemap_recover_quarantine(scene.field_fd, NULL), 1);
		assert_string_equal(name_means(), "aside/foreign");
		assert_int_equal(count_all().hidden, 0);
		end();
	}
}

/* It came after ours was hidden: it is not in question. */
static void what_comes_into_the_gap_stays_and_ours_is_removed(void **state)
{
	static const struct {
		const char *call;
		int nth;
	} places[] = {{"fstatat", 2}, {"unlinkat", 1}, {"fsync", 1}};

	for (enum way way = 0; way < WAY_COUNT; way++) {
		for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
			remove_disturbed(state, way, places[i].call, places[i].nth, put_third);
			assert_outcome(0, "aside/third");
			end();
		}
	}
}

static void file_that_recovery_gave_back_is_removed_after_another_look(void **state)
{
	static const struct {
		const char *call;
		int nth;
	} places[] = {{"fstatat", 2}, {"unlinkat", 1}};

	for (enum way way = 0; way < WAY_COUNT; way++) {
		for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
			remove_disturbed(state, way, places[i].call, places[i].nth, recover);
			assert_outcome(0, "");
			end();
		}
	}
}

/* An empty one could be what a crash left. */
static void directory_that_recovery_took_away_is_made_again(void **state)
{
	static const char *const calls[] = {"openat", "move"};

	for (size_t i = 0; i < 2; i++) {
		remove_disturbed(state, WAY_PRIVATE, calls[i], 1, recover);
		assert_outcome(0, "");
		assert_true(fault_count("mkdirat") >= 2);
		end();
	}
}

static void recovery_without_an_end_is_ebusy_and_the_file_is_there(void **state)
{
	for (enum way way = 0; way < WAY_COUNT; way++) {
		static char call[] = "unlinkat";
		begin(state, way, FORM_MAPPED);
		fault_hook(call, 1, recover_for_ever, call);
		assert_int_equal(remove_it(), -EBUSY);
		fault_reset();
		assert_int_equal(name_state(), FILEMAP_STATE_NEEDS_UNLINK);
		assert_string_equal(name_means(), "field/file");
		assert_int_equal(count_all().hidden, 0);
		assert_int_equal(remove_it(), 0);
		assert_outcome(0, "");
		end();
	}
}

/* Ours was put aside, and comes back. */
static void file_that_comes_back_is_removed_by_the_next_call(void **state)
{
	for (enum way way = 0; way < WAY_COUNT; way++) {
		remove_disturbed(state, way, "move", 1, replace);
		assert_outcome(FILEMAP_EREPLACED, "aside/foreign");
		assert_ok(move(scene.field_fd, "file", scene.aside_fd, "foreign"));
		assert_ok(move(scene.aside_fd, "taken", scene.field_fd, "file"));
		assert_int_equal(remove_it(), 0);
		assert_outcome(0, "");
		end();
	}
}

/* Where the foreign file is kept is its owner's affair: what counts is what the name means. */
static void file_that_comes_back_is_removed_though_another_one_is_kept(void **state)
{
	for (enum way way = 0; way < WAY_COUNT; way++) {
		remove_disturbed(state, way, "move", 1, replace_and_fill_gap);
		assert_outcome(FILEMAP_EREPLACED, "aside/third");
		assert_ok(move(scene.field_fd, "file", scene.aside_fd, "third"));
		assert_ok(move(scene.aside_fd, "taken", scene.field_fd, "file"));
		assert_int_equal(remove_it(), 0);
		assert_string_equal(name_means(), "");
		assert_int_equal(count_all().own, 0);
		assert_int_equal(filemap_recover_quarantine(scene.field_fd, NULL), 1);
		assert_string_equal(name_means(), "aside/foreign");
		end();
	}
}

static void replace_and_recover(void *context)
{
	replace(context);
	fault_hook("move", 1, recover, NULL); /* when it is to be moved back */
}

/* It is under its name: there is nothing hidden to be told of. */
static void foreign_file_that_recovery_gave_back_is_not_said_to_be_hidden(void **state)
{
	for (enum way way = 0; way < WAY_COUNT; way++) {
		remove_disturbed(state, way, "move", 1, replace_and_recover);
		assert_outcome(FILEMAP_EREPLACED, "aside/foreign");
		assert_int_equal(count_all().hidden, 0);
		assert_string_equal(scene.error.detail, scene.path);
		end();
	}
}

/* ---- the same adversary, and the plain way ---- */

static int remove_plainly(void)
{
	struct stat own, named;
	int r = fm__sys_fstat(scene.own_fd, &own);
	if (r < 0)
		return r;
	r = fm__sys_fstatat(scene.field_fd, "file", &named, AT_SYMLINK_NOFOLLOW);
	if (r < 0)
		return r;
	if (named.st_ino != own.st_ino || named.st_dev != own.st_dev)
		return FILEMAP_EREPLACED;
	r = fm__sys_unlinkat(scene.field_fd, "file", 0);
	return r < 0 ? r : fm__sys_fsync(scene.field_fd);
}

static unsigned count_losses(void **state, unsigned rounds, enum way way, int (*remove)(void))
{
	unsigned lost = 0;

	for (unsigned i = 0; i < rounds; i++) {
		begin(state, way, FORM_MAPPED);
		fault_hook("unlinkat", 1, replace, NULL);
		remove();
		lost += count_all().foreign == 0;
		end();
	}
	return lost;
}

static void file_that_comes_before_the_unlink_is_lost_by_the_plain_way_and_never_by_ours(void **state)
{
	const unsigned rounds = 50;

	assert_int_equal(count_losses(state, rounds, WAY_HIDDEN, remove_plainly), rounds);
	assert_int_equal(count_losses(state, rounds, WAY_HIDDEN, remove_it), 0);
	assert_int_equal(count_losses(state, rounds, WAY_PRIVATE, remove_it), 0);
	printf("# plain strategy: %u of %u rounds lost a foreign file, ours none\n", rounds, rounds);
}

/* Who owns the directory but may not enter ours puts another one of this user's in its place. */
static void exchange_directory(void *context)
{
	DIR *field = opendir(scene.field);
	const struct dirent *entry;

	(void)context;
	assert_non_null(field);
	while ((entry = readdir(field)) != NULL)
		if (strstr(entry->d_name, ".deld")) {
			assert_ok(move(scene.field_fd, entry->d_name, scene.aside_fd, "made"));
			assert_ok(move(scene.aside_fd, "precious", scene.field_fd, entry->d_name));
			break;
		}
	closedir(field);
}

/* With the same name in it, on a file system that cannot refuse to replace. */
static void other_directory_of_this_user_loses_nothing(void **state)
{
	struct stat status;
	int fd;

	begin(state, WAY_PRIVATE, FORM_FILE);
	assert_ok(mkdirat(scene.aside_fd, "precious", 0700));
	fill("aside/precious/file");
	fd = openat(scene.aside_fd, "precious/file", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	fault_arm_call("move", 1, EINVAL);
	fault_hook("openat", 3, exchange_directory, NULL);
	(void)remove_it();
	assert_int_equal(faccessat(scene.aside_fd, "precious", F_OK, 0), -1);
	assert_ok(fstat(fd, &status));
	assert_int_equal(status.st_nlink, 1);
	assert_int_equal(count_all().foreign, 1);
	close(fd);
	end();
}

/* Ours where nothing else can be done: it says so, and that our file has a name still. */
static void weak_removal_loses_what_comes_between_and_says_that_it_is_weak(void **state)
{
	begin(state, WAY_HIDDEN, FORM_MAPPED);
	fault_arm_call_persistent("move", 1, ENOSYS);
	fault_arm_also("mkdirat", 1, ENOSPC);
	fault_hook("unlinkat", 1, replace, NULL);
	assert_int_equal(remove_it(), FILEMAP_WEAKLY_CHECKED | FILEMAP_STILL_LINKED);
	assert_int_equal(count_all().foreign, 0);
	assert_int_equal(count_all().own, 1);
	end();
}

T_MAIN(T_TEST(anything_at_any_place_loses_nothing_from_a_hidden_name),
       T_TEST(anything_at_any_place_loses_nothing_from_a_private_directory),
       T_TEST(name_that_means_another_one_already_is_not_touched),
       T_TEST(what_came_before_the_move_is_put_back_and_synced),
       T_TEST(name_that_goes_before_the_move_is_egone),
       T_TEST(what_cannot_be_put_back_is_kept_where_the_error_says),
       T_TEST(what_comes_into_the_gap_stays_and_ours_is_removed),
       T_TEST(file_that_recovery_gave_back_is_removed_after_another_look),
       T_TEST(directory_that_recovery_took_away_is_made_again),
       T_TEST(recovery_without_an_end_is_ebusy_and_the_file_is_there),
       T_TEST(file_that_comes_back_is_removed_by_the_next_call),
       T_TEST(file_that_comes_back_is_removed_though_another_one_is_kept),
       T_TEST(foreign_file_that_recovery_gave_back_is_not_said_to_be_hidden),
       T_TEST(file_that_comes_before_the_unlink_is_lost_by_the_plain_way_and_never_by_ours),
       T_TEST(other_directory_of_this_user_loses_nothing),
       T_TEST(weak_removal_loses_what_comes_between_and_says_that_it_is_weak))
