/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The harness around cmocka: a directory and a census per case, Meson's exit codes, forked bodies.
 *
 * Each case runs as a cmocka group of its own, because cmocka reports failures but not skips: what
 * t_skip() noted in `skipped_now` is the only record of them. Only the process that entered t_run()
 * cleans up and counts; a forked child that an assertion throws out of its body ends at once.
 */
#include "t.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define T_EXIT_SKIPPED 77
#define T_EXIT_STRAYED 125 /* a forked child came back to the harness */

static pid_t harness;
static bool skipped_now;

static void end_strayed_child(void)
{
	if (harness == 0 || getpid() == harness)
		return;
	fflush(NULL);
	_exit(T_EXIT_STRAYED);
}

static const char *scratch_root(void)
{
	static const char *const variables[] = {"FILEMAP_TEST_DIR", "TMPDIR"};

	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
		const char *value = getenv(variables[i]);
		if (value != NULL && value[0] == '/')
			return value;
	}
	return "/tmp";
}

static int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	if (dir == NULL)
		return -1;
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
		count += entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(dir);
	closedir(dir);
	return count;
}

static int count_mappings(const char *below)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[1024];
	int count = 0;

	if (maps == NULL)
		return -1;
	while (fgets(line, sizeof line, maps) != NULL)
		count += strstr(line, below) != NULL;
	fclose(maps);
	return count;
}

struct t_census t_census_take(const char *dir_path)
{
	const struct t_census census = {
		.descriptors = count_descriptors(),
		.mappings = count_mappings(dir_path),
	};
	return census;
}

static bool census_differs(const struct t_dir *dir)
{
	const struct t_census now = t_census_take(dir->path);

	if (now.descriptors != dir->before.descriptors)
		print_error("leak: %d descriptors before, %d now\n", dir->before.descriptors,
			    now.descriptors);
	if (now.mappings != dir->before.mappings)
		print_error("leak: %d mappings before, %d now\n", dir->before.mappings, now.mappings);
	return now.descriptors != dir->before.descriptors || now.mappings != dir->before.mappings;
}

void t_census_same(const struct t_dir *dir)
{
	assert_false(census_differs(dir));
}

int t_setup_dir(void **state)
{
	struct t_dir *dir = calloc(1, sizeof *dir);
	char resolved[PATH_MAX];

	if (dir == NULL || realpath(scratch_root(), resolved) == NULL)
		goto fail;
	if (snprintf(dir->path, sizeof dir->path, "%s/filemap-XXXXXX", resolved) >= (int)sizeof dir->path)
		goto fail;
	if (mkdtemp(dir->path) == NULL)
		goto fail;
	dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->fd < 0)
		goto fail;
	dir->before = t_census_take(dir->path);
	*state = dir;
	return 0;
fail:
	print_error("cannot make a directory below %s: %s\n", scratch_root(), strerror(errno));
	free(dir);
	return -1;
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat;
	(void)type;
	(void)walk;
	return remove(path);
}

int t_teardown_dir(void **state)
{
	struct t_dir *dir = *state;

	end_strayed_child();
	const bool leaked = census_differs(dir);
	close(dir->fd);
	if (nftw(dir->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
		print_error("cannot remove %s: %s\n", dir->path, strerror(errno));
	free(dir);
	return leaked ? -1 : 0;
}

const char *t_path(const struct t_dir *dir, const char *name)
{
	static char ring[8][512];
	static unsigned next;
	char *path = ring[next++ % 8];

	assert_true(snprintf(path, sizeof ring[0], "%s/%s", dir->path, name) < (int)sizeof ring[0]);
	return path;
}

void t_write_file(const char *path, const void *bytes, size_t length)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	if (length > 0)
		assert_int_equal(fwrite(bytes, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

size_t t_read_file(const char *path, void *to, size_t size)
{
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	const size_t length = fread(to, 1, size, file);
	assert_false(ferror(file));
	fclose(file);
	return length;
}

int64_t t_file_size(const char *path)
{
	struct stat stat;

	if (lstat(path, &stat) < 0)
		return -1;
	return stat.st_size;
}

void t_skip(const char *reason)
{
	printf("skip: %s\n", reason);
	fflush(stdout);
	skipped_now = true;
	skip();
}

int t_in_child(int (*body)(void *context), void *context)
{
	fflush(NULL);
	const pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		const int code = body(context);
		fflush(NULL);
		_exit(code);
	}
	while (waitpid(child, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* FILEMAP_TEST_NO_URING=EPERM or ENOSYS in the environment: as in a container that forbids io_uring. */
bool t_forbids_uring(void)
{
	return getenv("FILEMAP_TEST_NO_URING") != NULL;
}

/* The numbers are the same on every architecture but alpha. */
static int forbid_uring(void)
{
	const char *error = getenv("FILEMAP_TEST_NO_URING");
	const unsigned setup = 425, three = 427;
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, setup, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, three, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = 5, .filter = rules};

	if (error == NULL)
		return 0;
	if (strcmp(error, "ENOSYS") == 0)
		rules[3].k = SECCOMP_RET_ERRNO | ENOSYS;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* T_FILTER=TEXT in the environment: only the cases whose name contains it. */
static bool is_wanted(const char *name)
{
	const char *filter = getenv("T_FILTER");
	return filter == NULL || strstr(name, filter) != NULL;
}

int t_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
	size_t passed = 0, failed = 0, skipped = 0;

	if (forbid_uring() < 0) {
		printf("skip: system calls cannot be filtered here: %s\n", strerror(errno));
		return T_EXIT_SKIPPED;
	}
	harness = getpid();
	setvbuf(stdout, NULL, _IOLBF, 0);
	cmocka_set_message_output(CM_OUTPUT_SUBUNIT);
	for (size_t i = 0; i < count; i++) {
		if (!is_wanted(tests[i].name))
			continue;
		skipped_now = false;
		const int failures = _cmocka_run_group_tests(name, &tests[i], 1, NULL, NULL);
		end_strayed_child();
		if (failures != 0)
			failed++;
		else if (skipped_now)
			skipped++;
		else
			passed++;
	}
	printf("t: %zu passed, %zu failed, %zu skipped\n", passed, failed, skipped);
	fflush(stdout);
	if (failed > 0)
		return 1;
	return passed == 0 ? T_EXIT_SKIPPED : 0;
}

int t_become_nobody(void)
{
	const unsigned nobody = 65534;
	if (setgroups(0, NULL) < 0 || setresgid(nobody, nobody, nobody) < 0)
		return -1;
	return setresuid(nobody, nobody, nobody);
}
