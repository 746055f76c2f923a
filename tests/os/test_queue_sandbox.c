/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Queues in a container that forbids io_uring, each in a child with a filter of its own: AUTO does as if nothing
 * were, and who insists is told why. The suites run there as a whole, too: FILEMAP_TEST_NO_URING.
 */
#include "t.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filemap/queue.h>

#include "deny.h"

#define SETUP 425 /* io_uring's calls: the same numbers on every architecture but alpha */
#define ENTER 426
#define REGISTER 427

#define NEED(condition)                                                                         \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			return 1;                                                               \
		}                                                                               \
	} while (0)

#define NO_FILTERS 77
#define NOT_BUILT 78

struct sandbox {
	const struct t_dir *dir;
	unsigned denied[3]; /* 0 = no more */
	unsigned error;
};

static int flush_by(struct filemap_queue *queue, const struct t_dir *dir)
{
	struct filemap_completion done;
	struct filemap *map;
	uint64_t ticket;

	NEED(filemap_open(t_path(dir, "a"), FILEMAP_WRITE,
			  FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 5000), &map, NULL) == 0);
	NEED(filemap_queue_flush(queue, map, 0, FILEMAP_TO_END, NULL, NULL, &ticket) == 0);
	NEED(filemap_queue_wait(queue, ticket, -1, &done) == 1 && done.result == 0);
	filemap_close(map);
	return 0;
}

static int auto_works(const struct t_dir *dir, uint32_t flags)
{
	struct filemap_queue *queue;

	NEED(filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.flags = flags), &queue, NULL) == 0);
	NEED(strcmp(filemap_queue_backend(queue), "threads") == 0);
	NEED(flush_by(queue, dir) == 0);
	filemap_queue_close(queue);
	return 0;
}

static int who_insists_is_told(uint32_t flags, int expected)
{
	struct filemap_queue *queue = NULL;
	struct filemap_error error = {0};
	const int r = filemap_queue_open(
		FILEMAP_QUEUE_OPTIONS(.backend = FILEMAP_QUEUE_URING, .flags = flags), &queue, &error);

	if (r == -EOPNOTSUPP)
		return NOT_BUILT;
	NEED(r == expected);
	NEED(queue == NULL);
	NEED(error.code == r && error.sys_errno == -r);
	NEED(strcmp(error.step, "open ring") == 0);
	NEED(error.hint != NULL && strlen(error.hint) > 20);
	return 0;
}

static int live_in(void *context)
{
	const struct sandbox *sandbox = context;
	const int expected = -(int)sandbox->error;
	int r;

	for (int i = 0; i < 3 && sandbox->denied[i] != 0; i++)
		if (deny_call(sandbox->denied[i], sandbox->error) < 0)
			return NO_FILTERS;
	NEED(auto_works(sandbox->dir, 0) == 0);
	NEED(auto_works(sandbox->dir, FILEMAP_QUEUE_ONE_THREAD) == 0);
	r = who_insists_is_told(0, expected);
	return r != 0 ? r : who_insists_is_told(FILEMAP_QUEUE_ONE_THREAD, expected);
}

static bool is_allowed(void)
{
	return syscall(SETUP, 1, NULL) < 0 && errno == EFAULT;
}

static void live_without(void **state, struct sandbox sandbox)
{
	int r;

	sandbox.dir = *state;
	r = t_in_child(live_in, &sandbox);
	if (r == NOT_BUILT)
		t_skip("the library was built without io_uring");
	if (r == NO_FILTERS)
		t_skip("system calls cannot be filtered here");
	assert_int_equal(r, 0);
}

static void all_of_io_uring_is_forbidden(void **state)
{
	live_without(state, (struct sandbox){.denied = {SETUP, ENTER, REGISTER}, .error = EPERM});
}

static void all_of_io_uring_is_unknown(void **state)
{
	live_without(state, (struct sandbox){.denied = {SETUP, ENTER, REGISTER}, .error = ENOSYS});
}

static void a_ring_may_be_made_and_not_entered(void **state)
{
	if (!is_allowed())
		t_skip("no ring can be made here");
	live_without(state, (struct sandbox){.denied = {ENTER}, .error = EPERM});
}

T_MAIN(T_TEST(all_of_io_uring_is_forbidden), T_TEST(all_of_io_uring_is_unknown),
       T_TEST(a_ring_may_be_made_and_not_entered))
