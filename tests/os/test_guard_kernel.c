/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Guarded copies without a handler: the kernel copies, by process_vm_readv(2), or through a pipe where that is
 * forbidden, and every answer is the same as with a handler. No signal is ever raised: SIGBUS would end the child.
 */
#include "guarding.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include "deny.h"

#define NO_FILTERS "no seccomp filters here"

static int open_descriptors(void)
{
	return count_entries("/proc/self/fd");
}

static int copy_everything(const struct t_dir *dir)
{
	const int before = open_descriptors();

	MUST(filemap_guard_state() == 0);
	MUST(try_reads(dir, FILEMAP_READ, 0) == 0);
	MUST(try_reads(dir, FILEMAP_COW, 0) == 0);
	MUST(try_writes(dir, 0) == 0);
	MUST(try_private_pages(dir, 0) == 0);
	MUST(open_descriptors() == before);
	return 0;
}

static int copy_by_kernel(void *context)
{
	return copy_everything(context);
}
CHILD_CASE(kernel_s_copy_tells_the_same_as_a_handler, copy_by_kernel)

static int deny_own(unsigned error)
{
	if (deny_call(SYS_process_vm_readv, error) < 0 || deny_call(SYS_process_vm_writev, error) < 0)
		return -1;
	return 0;
}

static int copy_by_pipe(void *context)
{
	return deny_own(EPERM) < 0 ? SKIPPED : copy_everything(context);
}

static void pipe_tells_the_same_where_the_kernel_refuses_its_copy(void **state)
{
	must_in_child(state, copy_by_pipe, NO_FILTERS);
}

static int copy_by_pipe_of_old_kernel(void *context)
{
	return deny_own(ENOSYS) < 0 ? SKIPPED : copy_everything(context);
}

static void pipe_tells_the_same_where_the_kernel_has_no_copy(void **state)
{
	must_in_child(state, copy_by_pipe_of_old_kernel, NO_FILTERS);
}

/* More than a pipe holds, so that it is filled and emptied many times. */
static int copy_much(const struct t_dir *dir)
{
	const size_t length = 3000000;
	unsigned char *bytes = malloc(length), *back = malloc(length);
	struct filemap_fault fault;
	struct filemap *map;

	fill_bytes(bytes, length);
	MUST(filemap_open(t_path(dir, "much"), FILEMAP_WRITE,
			  FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = length), &map, NULL) == 0);
	MUST(filemap_guarded_write(map, 1, bytes, length - 1, FILEMAP_GUARD_CHECK_END, NULL) == 0);
	MUST(filemap_guarded_read(map, 1, back, length - 1, FILEMAP_GUARD_CHECK_END, NULL) == 0);
	MUST(memcmp(bytes, back, length - 1) == 0);
	MUST(truncate(t_path(dir, "much"), 2000001) == 0);
	MUST(filemap_guarded_read(map, 1, back, length - 1, 0, &fault) == FILEMAP_EFAULT);
	MUST(fault.offset == (2000001 + page_size() - 1) / page_size() * page_size());
	MUST(memcmp(bytes, back, 2000000) == 0);
	filemap_close(map);
	free(bytes);
	free(back);
	return unlink(t_path(dir, "much"));
}

static int copy_much_both_ways(void *context)
{
	MUST(copy_much(context) == 0);
	if (deny_own(EPERM) < 0)
		return SKIPPED;
	return copy_much(context);
}

static void megabytes_are_copied_by_both_ways(void **state)
{
	must_in_child(state, copy_much_both_ways, NO_FILTERS);
}

/* ---- the caller's own side ---- */

/* A page that can be used, and behind it one that cannot. */
static unsigned char *half_bad(int protection)
{
	const size_t p = page_size();
	unsigned char *at = mmap(NULL, 2 * p, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || mprotect(at + p, p, protection) < 0)
		return NULL;
	return at + p;
}

static int use_bad_buffers(const struct t_dir *dir)
{
	unsigned char *unreadable = half_bad(PROT_NONE), *readable = half_bad(PROT_READ);
	struct filemap_fault fault, before;
	struct stage stage;

	memset(&fault, 0x55, sizeof fault);
	before = fault;
	MUST(stage_open(&stage, t_path(dir, "file"), FILEMAP_WRITE, 3) == 0);
	for (unsigned flags = 0; flags <= FILEMAP_GUARD_CHECK_END; flags++)
		for (size_t within = 0; within < 9; within += 4) {
			MUST(filemap_guarded_read(stage.map, 0, unreadable - within, 9, flags, &fault) ==
			     -EFAULT);
			MUST(filemap_guarded_read(stage.map, 0, readable - within, 9, flags, &fault) ==
			     -EFAULT);
			MUST(filemap_guarded_write(stage.map, 0, unreadable - within, 9, flags, &fault) ==
			     -EFAULT);
			MUST(filemap_guarded_read(stage.map, 0, NULL, 9, flags, &fault) == -EFAULT);
			MUST(filemap_guarded_write(stage.map, 0, NULL, 9, flags, &fault) == -EFAULT);
		}
	MUST(filemap_guarded_write(stage.map, 0, readable, 9, 0, &fault) == 0);
	MUST(memcmp(&fault, &before, sizeof fault) == 0);
	stage_close(&stage);
	return 0;
}

static int use_foreign_buffer(const struct t_dir *dir)
{
	unsigned char *foreign = foreign_bytes(dir, page_size());
	struct filemap_fault fault;
	struct stage stage;

	MUST(foreign && stage_open(&stage, t_path(dir, "file"), FILEMAP_WRITE, 0) == 0);
	for (size_t start = 0; start < 4; start++) {
		MUST(filemap_guarded_read(stage.map, 0, foreign + start, 9, 0, &fault) == -EFAULT);
		MUST(filemap_guarded_write(stage.map, 0, foreign + start, 9, 0, &fault) == -EFAULT);
	}
	MUST(munmap(foreign, page_size()) == 0);
	stage_close(&stage);
	return 0;
}

static int use_bad_buffers_both_ways(void *context)
{
	MUST(use_bad_buffers(context) == 0 && use_foreign_buffer(context) == 0);
	if (deny_own(EPERM) < 0)
		return SKIPPED;
	MUST(use_bad_buffers(context) == 0 && use_foreign_buffer(context) == 0);
	return 0;
}

static void bad_buffer_of_the_caller_is_efault_and_no_fault_of_the_mapping(void **state)
{
	must_in_child(state, use_bad_buffers_both_ways, NO_FILTERS);
}

/* ---- no pipe ---- */

static int copy_without_anything(void *context)
{
	unsigned char to[16] = "kept";
	struct rlimit limit;
	struct stage stage;

	MUST(stage_open(&stage, t_path(context, "file"), FILEMAP_WRITE, 0) == 0);
	if (deny_own(EPERM) < 0)
		return SKIPPED;
	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	const int before = open_descriptors();
	const rlim_t usual = limit.rlim_cur;
	limit.rlim_cur = 0;
	MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	MUST(filemap_guarded_read(stage.map, 0, to, 16, 0, NULL) == -EMFILE);
	MUST(filemap_guarded_read(stage.map, 0, to, 16, FILEMAP_GUARD_CHECK_END, NULL) == -EMFILE);
	MUST(filemap_guarded_write(stage.map, 0, to, 16, 0, NULL) == -EMFILE);
	MUST(filemap_guarded_write(stage.map, 0, to, 16, FILEMAP_GUARD_CHECK_END, NULL) == -EMFILE);
	MUST(memcmp(to, "kept", 4) == 0);
	MUST(((const unsigned char *)filemap_data(stage.map))[0] == byte_at(0));
	limit.rlim_cur = usual;
	MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	MUST(open_descriptors() == before);
	MUST(filemap_guarded_read(stage.map, 0, to, 16, 0, NULL) == 0 && to[0] == byte_at(0));
	stage_close(&stage);
	return 0;
}

static void no_pipe_is_an_error_and_copies_nothing(void **state)
{
	must_in_child(state, copy_without_anything, NO_FILTERS);
}

/* ---- what is not theirs ---- */

static volatile sig_atomic_t signals;

static void count_signal(int signo)
{
	(void)signo;
	signals++;
}

static int keep_handler(void *context)
{
	struct sigaction before;

	MUST(set_plain(count_signal, SA_RESTART) == 0 && sigaction(SIGBUS, NULL, &before) == 0);
	MUST(try_reads(context, FILEMAP_READ, 0) == 0);
	MUST(is_action(&before) && signals == 0);
	return 0;
}
CHILD_CASE(program_s_handler_is_neither_changed_nor_called, keep_handler)

static int block_signal(void *context)
{
	sigset_t all, before;

	sigfillset(&all);
	MUST(pthread_sigmask(SIG_SETMASK, &all, NULL) == 0);
	before = mask_now();
	MUST(try_reads(context, FILEMAP_READ, 0) == 0 && try_writes(context, 0) == 0);
	const sigset_t after = mask_now();
	MUST(same_mask(&before, &after));
	return 0;
}
CHILD_CASE(signals_may_all_be_blocked, block_signal)

/* The process is named by its first thread, whose memory is gone once that has ended; the others go on. */
static int copy_after_first(struct stage *stage)
{
	usleep(50000); /* for the first thread to end; a bit of what is tested is lost if it has not */
	MUST(stage_cut(stage, 2 * page_size()) == 0);
	MUST(try_ranges(stage, 2 * page_size(), read_step, false) == 0);
	MUST(filemap_probe(stage->map, 0, 2 * page_size()) == 0);
	MUST(write_one(stage, 2 * page_size(), 5, page_size(), 0) == 0);
	return 0;
}

static void *run_after_first(void *context)
{
	const int r = copy_after_first(context);

	fflush(NULL);
	_exit(r);
}

static int end_first_thread(void *context)
{
	static struct stage stage;
	pthread_t other;

	MUST(stage_open(&stage, t_path(context, "file"), FILEMAP_WRITE, 0) == 0);
	MUST(pthread_create(&other, NULL, run_after_first, &stage) == 0);
	pthread_exit(NULL);
}
CHILD_CASE(threads_whose_first_one_has_ended_copy_as_before, end_first_thread)

/* A call without guard for what nobody can change is fine; for a file there is no help. */
static int return_seven(void *context)
{
	++*(int *)context;
	return 7;
}

static int call_without_handler(void *context)
{
	struct filemap *memory;
	const struct filemap *maps[2] = {NULL, NULL};
	struct stage stage;
	int called = 0, result = 0;

	MUST(stage_open(&stage, t_path(context, "file"), FILEMAP_READ, 0) == 0);
	MUST(filemap_from_bytes(NULL, FILEMAP_READ, "bytes", 5, &memory, NULL) == 0);
	maps[1] = stage.map;
	MUST(filemap_guarded_call(maps, 2, return_seven, &called, &result, NULL) == FILEMAP_EMODE);
	maps[0] = memory;
	MUST(filemap_guarded_call(maps, 2, return_seven, &called, &result, NULL) == FILEMAP_EMODE);
	MUST(called == 0 && result == 0);
	MUST(filemap_guarded_call(maps, 1, return_seven, &called, &result, NULL) == 0);
	MUST(called == 1 && result == 7);
	MUST(filemap_guarded_call(NULL, 0, return_seven, &called, NULL, NULL) == 0 && called == 2);
	filemap_close(memory);
	stage_close(&stage);
	return 0;
}
CHILD_CASE(guarded_call_without_handler_is_only_for_what_is_immutable, call_without_handler)

T_MAIN(T_TEST(kernel_s_copy_tells_the_same_as_a_handler),
       T_TEST(pipe_tells_the_same_where_the_kernel_refuses_its_copy),
       T_TEST(pipe_tells_the_same_where_the_kernel_has_no_copy), T_TEST(megabytes_are_copied_by_both_ways),
       T_TEST(bad_buffer_of_the_caller_is_efault_and_no_fault_of_the_mapping),
       T_TEST(no_pipe_is_an_error_and_copies_nothing),
       T_TEST(program_s_handler_is_neither_changed_nor_called), T_TEST(signals_may_all_be_blocked),
       T_TEST(threads_whose_first_one_has_ended_copy_as_before),
       T_TEST(guarded_call_without_handler_is_only_for_what_is_immutable))
