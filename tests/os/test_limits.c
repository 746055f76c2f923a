/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Limits of the process and of the system, reached for real in forked children: the code, a hint that names the
 * limit, nothing left open or half done, and success as soon as there is enough.
 */
#include "limited.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>

#define CHILD_CANNOT 77

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_IS_OURS 0 /* the sanitizer needs more of it than it can be given */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MEMORY_IS_OURS 0
#endif
#endif
#ifndef MEMORY_IS_OURS
#define MEMORY_IS_OURS 1
#endif

#define CHECK(condition)                                                        \
	do {                                                                    \
		if (!(condition)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			return 1;                                               \
		}                                                               \
	} while (0)

static void need_memory(void)
{
	if (!MEMORY_IS_OURS)
		t_skip("the sanitizer maps memory of its own");
}

static void finish(int r, const char *why)
{
	if (r == CHILD_CANNOT)
		t_skip(why);
	assert_ok(r);
}

/* ---- one operation under a limit ---- */

struct limit {
	int code;         /* the answer while the limit holds */
	const char *name; /* in the hint */
};

static bool makes_threads(const struct operation *operation)
{
	return operation->run == do_threads || operation->run == do_ring || operation->run == do_log;
}

/* pthread_create(3) answers EAGAIN for a stack that cannot be mapped, too. */
static bool is_expected(const struct operation *operation, const struct limit *limit, int r)
{
	return r == limit->code || (r == -EAGAIN && limit->code == -ENOMEM && makes_threads(operation));
}

/* 0 as well as the limit's code are right; *ret_r tells which. */
static int check_answer(const struct operation *operation, const struct limit *limit, int r,
			const struct filemap_error *error)
{
	if (r == 0)
		return 0;
	if (!is_expected(operation, limit, r) || error->code != r || error->sys_errno != -r) {
		fprintf(stderr, "%s: %s at %s\n", operation->name, filemap_error_name(r),
			error->step ? error->step : "?");
		return 1;
	}
	if (!error->hint || !strstr(error->hint, limit->name)) {
		fprintf(stderr, "%s: hint at %s: %s\n", operation->name, error->step,
			error->hint ? error->hint : "none");
		return 1;
	}
	return 0;
}

/* Once, with the limit on as long as the operation runs. */
static int run_limited(const struct t_dir *dir, const struct operation *operation, const struct limit *limit,
		       void (*restrict_to)(void *context, size_t n), void (*release)(void *context),
		       void *context, size_t n, int *ret_r)
{
	struct filemap_error error = {0};
	struct scene scene;

	scene_make(&scene, operation, dir);
	const struct t_census before = t_census_take(dir->path);
	restrict_to(context, n);
	const int r = operation->run(&scene, &error);
	release(context);
	const struct t_census after = t_census_take(dir->path);
	CHECK(check_answer(operation, limit, r, &error) == 0);
	const char *wrong = scene_is_wrong(&scene, operation, r);
	const bool same = before.descriptors == after.descriptors && before.mappings == after.mappings;
	if (wrong || (!same && !(operation->removes_old && r == 0))) {
		fprintf(stderr, "%s, %zu, %s: %s\n", operation->name, n, filemap_error_name(r),
			wrong ? wrong : "it leaks");
		return 1;
	}
	scene_end(&scene, r);
	*ret_r = r;
	return 0;
}

/* ---- descriptors ---- */

static struct rlimit before_limit;

static void allow_descriptors(void *context, size_t n)
{
	const int lowest = open("/", O_RDONLY | O_CLOEXEC);
	(void)context;

	close(lowest);
	getrlimit(RLIMIT_NOFILE, &before_limit);
	const struct rlimit limit = {(rlim_t)lowest + n, before_limit.rlim_max};
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void allow_descriptors_again(void *context)
{
	(void)context;
	setrlimit(RLIMIT_NOFILE, &before_limit);
}

static int run_out_of_descriptors(void *context)
{
	const struct limit limit = {-EMFILE, "RLIMIT_NOFILE"};

	for (size_t i = 0; i < OPERATIONS; i++) {
		int r = -1;
		for (size_t n = 0; r != 0; n++) {
			CHECK(run_limited(context, &operations[i], &limit, allow_descriptors,
					  allow_descriptors_again, NULL, n, &r) == 0);
			CHECK(n < 64);
		}
	}
	return 0;
}

static void each_descriptor_that_is_missing_is_an_error_that_names_the_limit(void **state)
{
	finish(t_in_child(run_out_of_descriptors, *state), "");
}

/* ---- memory ---- */

static size_t virtual_bytes(void)
{
	unsigned long pages = 0;
	FILE *stream = fopen("/proc/self/statm", "r");

	if (stream) {
		if (fscanf(stream, "%lu", &pages) != 1)
			pages = 0;
		(void)fclose(stream);
	}
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void allow_memory(void *context, size_t n)
{
	(void)context;
	getrlimit(RLIMIT_AS, &before_limit);
	const struct rlimit limit = {virtual_bytes() + n, before_limit.rlim_max};
	setrlimit(RLIMIT_AS, &limit);
}

static void allow_memory_again(void *context)
{
	(void)context;
	setrlimit(RLIMIT_AS, &before_limit);
}

static int run_out_of_memory(void *context)
{
	const struct limit limit = {-ENOMEM, "RLIMIT_AS"};

	for (size_t i = 0; i < OPERATIONS; i++) {
		int r = -1;
		for (size_t n = 0; r != 0; n += n < 8 << 20 ? 192 << 10 : n / 2) {
			CHECK(run_limited(context, &operations[i], &limit, allow_memory, allow_memory_again,
					  NULL, n, &r) == 0);
			CHECK(n < 1u << 30);
		}
	}
	return 0;
}

static void address_space_that_is_missing_is_an_error_that_names_the_limit(void **state)
{
	need_memory();
	finish(t_in_child(run_out_of_memory, *state), "");
}

#define MOST_PIECES 40000
#define BREATH 64

/* Pairs of pages of different protection: a mapping each. */
struct pieces {
	unsigned char *at;
	size_t count;
};

static int set_piece(const struct pieces *pieces, size_t i, int protection)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return mprotect(pieces->at + 2 * i * page, page, protection);
}

static void give_back(struct pieces *pieces, size_t n)
{
	for (; n > 0 && pieces->count > 0; n--)
		set_piece(pieces, --pieces->count, PROT_NONE);
}

/* There is room for n of them, and a few that the kernel needs on the way. */
static void use_up_mappings(void *context, size_t n)
{
	struct pieces *pieces = context;

	while (pieces->count < MOST_PIECES && set_piece(pieces, pieces->count, PROT_READ) == 0)
		pieces->count++;
	give_back(pieces, n);
}

static void give_mappings_back(void *context)
{
	give_back(context, BREATH);
}

static int run_out_of_mappings(void *context)
{
	const size_t size = 2 * MOST_PIECES * (size_t)sysconf(_SC_PAGESIZE);
	void *at = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct pieces pieces = {at, 0};

	CHECK(at != MAP_FAILED);
	for (size_t i = 0; i < OPERATIONS; i++) {
		const struct limit limit = {-ENOMEM, "vm.max_map_count"};
		int r = -1;
		for (size_t n = 0; r != 0; n++) {
			CHECK(run_limited(context, &operations[i], &limit, use_up_mappings,
					  give_mappings_back, &pieces, n, &r) == 0);
			if (pieces.count + n + BREATH >= MOST_PIECES)
				return CHILD_CANNOT;
			CHECK(n < 64);
		}
	}
	return 0;
}

static void mappings_that_are_used_up_are_an_error_that_names_the_limit(void **state)
{
	need_memory();
	finish(t_in_child(run_out_of_mappings, *state), "vm.max_map_count is larger than usual");
}

/* ---- the size of files ---- */

static void limit_size(void *context, size_t n)
{
	(void)context;
	getrlimit(RLIMIT_FSIZE, &before_limit);
	const struct rlimit limit = {n, before_limit.rlim_max};
	setrlimit(RLIMIT_FSIZE, &limit);
}

static void allow_size_again(void *context)
{
	(void)context;
	setrlimit(RLIMIT_FSIZE, &before_limit);
}

static int exceed_the_size(void *context)
{
	const struct limit limit = {-EFBIG, "RLIMIT_FSIZE"};
	const size_t sizes[] = {0, 4096, LIMITED_SIZE - 1, LIMITED_SIZE, 3 * LIMITED_SIZE};

	signal(SIGXFSZ, SIG_DFL);
	for (size_t i = 0; i < OPERATIONS; i++)
		for (size_t k = 0; k < 5; k++) {
			const bool large = operations[i].makes_new || operations[i].grows_old;
			int r;
			CHECK(run_limited(context, &operations[i], &limit, limit_size, allow_size_again, NULL,
					  sizes[k], &r) == 0);
			CHECK(!(large && k < 3) || r == -EFBIG);
			CHECK(k < 4 || r == 0);
		}
	return 0;
}

static void files_beyond_their_limit_are_an_error_and_no_signal(void **state)
{
	finish(t_in_child(exceed_the_size, *state), "");
}

/* ---- locked memory, threads ---- */

static int lock_too_much(void *context)
{
	const struct rlimit limit = {1 << 16, 1 << 16};
	const struct t_dir *dir = context;
	struct filemap_error error;
	struct filemap *map;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 || t_become_nobody() < 0)
		return CHILD_CANNOT;
	const struct filemap_options *locked =
		FILEMAP_OPTIONS(.flags = FILEMAP_MLOCK | FILEMAP_CREATE, .size = 1 << 20);
	CHECK(filemap_open(t_path(dir, "file"), FILEMAP_WRITE, locked, &map, &error) == -ENOMEM);
	CHECK(strstr(error.hint, "RLIMIT_MEMLOCK") && t_file_size(t_path(dir, "file")) < 0);
	CHECK(filemap_anonymous(1 << 20, FILEMAP_OPTIONS(.flags = FILEMAP_MLOCK), &map, &error) < 0);
	CHECK(strstr(error.hint, "RLIMIT_MEMLOCK"));
	for (int reserved = 0; reserved < 2; reserved++) {
		const struct filemap_options *small =
			FILEMAP_OPTIONS(.flags = FILEMAP_MLOCK | FILEMAP_CREATE, .size = 4096,
					.reserve = reserved ? 1 << 20 : 0);
		CHECK(filemap_open(t_path(dir, "small"), FILEMAP_WRITE, small, &map, &error) == 0);
		CHECK(filemap_resize(map, 1 << 19, &error) < 0);
		if (!error.hint || !strstr(error.hint, "RLIMIT_MEMLOCK"))
			fprintf(stderr, "%s %d: %s\n", error.step, error.code,
				error.hint ? error.hint : "no hint");
		CHECK(error.hint && strstr(error.hint, "RLIMIT_MEMLOCK"));
		CHECK(filemap_size(map) == 4096 && t_file_size(t_path(dir, "small")) == 4096);
		filemap_close(map);
	}
	return 0;
}

static void memory_that_may_not_be_locked_is_an_error_that_names_the_limit(void **state)
{
	const struct t_dir *dir = *state;

	assert_ok(chmod(dir->path, 0777));
	finish(t_in_child(lock_too_much, *state), "only root can become somebody else");
}

static int start_too_many(void *context)
{
	const struct rlimit limit = {1, 1};
	const struct limit expected = {-EAGAIN, "RLIMIT_NPROC"};
	const struct t_dir *dir = context;

	if (t_become_nobody() < 0 || setrlimit(RLIMIT_NPROC, &limit) < 0)
		return CHILD_CANNOT;
	for (size_t i = 0; i < OPERATIONS; i++) {
		struct filemap_error error = {0};
		struct scene scene;
		if (!makes_threads(&operations[i]))
			continue;
		scene_make(&scene, &operations[i], dir);
		const int before = t_census_take(dir->path).descriptors;
		const int r = operations[i].run(&scene, &error);
		CHECK(check_answer(&operations[i], &expected, r, &error) == 0 && r != 0);
		CHECK(t_census_take(dir->path).descriptors == before);
		scene_end(&scene, 1);
	}
	return 0;
}

static void threads_that_may_not_be_started_are_an_error_that_names_the_limit(void **state)
{
	const struct t_dir *dir = *state;

	assert_ok(chmod(dir->path, 0777));
	finish(t_in_child(start_too_many, *state), "only root can become somebody else");
}

/* ---- file systems ---- */

static int mount_small(const struct t_dir *dir, const char *options)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	return mount("tmpfs", dir->path, "tmpfs", 0, options);
}

static int use_up_inodes(void *context)
{
	const struct t_dir *dir = context;
	struct filemap_bytes content = {"x", 1};
	struct filemap_error error;
	struct filemap *map;

	if (mount_small(dir, "size=1m,nr_inodes=2") < 0)
		return CHILD_CANNOT;
	t_write_file(t_path(dir, "old"), "x", 1);
	CHECK(filemap_open(t_path(dir, "new"), FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE), &map,
			   &error) == -ENOSPC);
	CHECK(strstr(error.hint, "inodes") && t_file_size(t_path(dir, "new")) < 0);
	CHECK(filemap_publish(AT_FDCWD, t_path(dir, "new"), filemap_fill_bytes, &content, NULL, &error) ==
	      -ENOSPC);
	CHECK(strstr(error.hint, "inodes") && t_file_size(t_path(dir, "new")) < 0);
	CHECK(filemap_replace_file(AT_FDCWD, t_path(dir, "old"), filemap_fill_bytes, &content, NULL,
				   &error) == -ENOSPC);
	CHECK(strstr(error.hint, "inodes") && t_file_size(t_path(dir, "old")) == 1);
	return 0;
}

static void inodes_that_are_used_up_are_named(void **state)
{
	finish(t_in_child(use_up_inodes, *state), "no mount namespace or tmpfs for this user");
}

static int use_up_quota(void *context)
{
	const struct t_dir *dir = context;
	struct filemap_error error;
	struct filemap *map;

	if (mount_small(dir, "size=8m,mode=777,usrquota_block_hardlimit=1m") < 0 || t_become_nobody() < 0)
		return CHILD_CANNOT;
	const struct filemap_options *large = FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 2 << 20);
	CHECK(filemap_open(t_path(dir, "new"), FILEMAP_WRITE, large, &map, &error) == -EDQUOT);
	CHECK(strstr(error.hint, "quota") && t_file_size(t_path(dir, "new")) < 0);
	CHECK(filemap_open(t_path(dir, "new"), FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE), &map,
			   &error) == 0);
	CHECK(filemap_resize(map, 2 << 20, &error) == -EDQUOT && strstr(error.hint, "quota"));
	CHECK(filemap_size(map) == 0 && t_file_size(t_path(dir, "new")) == 0);
	CHECK(filemap_resize(map, 1 << 19, &error) == 0);
	filemap_close(map);
	return 0;
}

static void a_quota_that_is_used_up_is_named(void **state)
{
	finish(t_in_child(use_up_quota, *state), "no tmpfs with quotas (Linux 6.6) for this user");
}

T_MAIN(T_TEST(each_descriptor_that_is_missing_is_an_error_that_names_the_limit),
       T_TEST(address_space_that_is_missing_is_an_error_that_names_the_limit),
       T_TEST(mappings_that_are_used_up_are_an_error_that_names_the_limit),
       T_TEST(files_beyond_their_limit_are_an_error_and_no_signal),
       T_TEST(memory_that_may_not_be_locked_is_an_error_that_names_the_limit),
       T_TEST(threads_that_may_not_be_started_are_an_error_that_names_the_limit),
       T_TEST(inodes_that_are_used_up_are_named), T_TEST(a_quota_that_is_used_up_is_named))
