/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Guarded calls: bodies that fault in one of several maps, in each other's, on stacks that are nearly full, in
 * forked children; and what the program's own handler gets of all that.
 */
#include "guarding.h"

#include <sys/auxv.h>
#include <sys/wait.h>

#include "map/private.h"

/* ---- the program's own handler: leaves by a jump ---- */

static sigjmp_buf escape;
static volatile sig_atomic_t escapes;

static void jump_out(int signo, siginfo_t *info, void *ucontext)
{
	(void)signo;
	(void)info;
	(void)ucontext;
	escapes++;
	siglongjmp(escape, 1);
}

static unsigned char load_from(const struct filemap *map, size_t offset)
{
	return load((const unsigned char *)filemap_data(map) + offset);
}

static void store_into(struct filemap *map, size_t offset)
{
	((volatile unsigned char *)filemap_data_mut(map))[offset] = 'S';
}

/* Nobody of ours is in the way of a fault that is the program's. */
static bool foreign_fault_escapes(const void *at)
{
	const int before = escapes;

	if (sigsetjmp(escape, 1) == 0)
		(void)load(at);
	return escapes == before + 1;
}

/* Three files; each cut at the start of its second page. */
static int open_three(const struct t_dir *dir, struct stage stages[3], const size_t windows[3])
{
	const char *const names[] = {"a", "b", "c"};

	for (int i = 0; i < 3; i++) {
		stages[i].code = BUS_ADRERR;
		if (stage_open(&stages[i], t_path(dir, names[i]), FILEMAP_WRITE, windows[i]) < 0 ||
		    stage_cut(&stages[i], page_size()) < 0)
			return -1;
	}
	return 0;
}

static void close_three(struct stage stages[3])
{
	for (int i = 0; i < 3; i++)
		stage_close(&stages[i]);
}

static const size_t at_start[3];

/* ---- which map, where, and what is told ---- */

struct touch {
	struct filemap *map;
	size_t offset;
	int stores, reached;
};

static int touch(void *context)
{
	struct touch *one = context;

	one->reached = 1;
	if (one->stores)
		store_into(one->map, one->offset);
	else
		(void)load_from(one->map, one->offset);
	one->reached = 2;
	return 42;
}

static int call_on_three(void *context)
{
	const size_t p = page_size(), windows[3] = {0, 1, p + 100};
	const size_t pages[3] = {2 * p, 2 * p - 1,
				 2 * p - (p + 100)}; /* of file offset 2p, from each window */
	struct stage stages[3] = {{.fd = -1}};
	struct filemap_fault fault;

	MUST(filemap_guard_install(NULL) == 0 && open_three(context, stages, windows) == 0);
	const struct filemap *const maps[] = {stages[0].map, NULL, stages[1].map, stages[2].map};
	const uint64_t indices[] = {0, 2, 3};
	for (int i = 0; i < 6; i++) {
		struct touch one = {.map = stages[i % 3].map, .offset = pages[i % 3] + 17, .stores = i / 3};
		int result = -5;
		MUST(filemap_guarded_call(maps, 4, touch, &one, &result, &fault) == FILEMAP_EFAULT);
		MUST(one.reached == 1 && result == -5);
		MUST(fault.index == indices[i % 3] && fault.offset == pages[i % 3]);
		MUST(fault.cause == FILEMAP_FAULT_PAST_END && fault.signal_code == BUS_ADRERR);
	}
	struct touch first = {.map = stages[2].map, .offset = 3}; /* in the page that the window begins in */
	MUST(filemap_guarded_call(maps, 4, touch, &first, NULL, &fault) == FILEMAP_EFAULT);
	MUST(fault.index == 3 && fault.offset == 0);
	MUST(filemap_guarded_call(maps, 4, touch, &first, NULL, NULL) == FILEMAP_EFAULT);
	close_three(stages);
	return 0;
}
CHILD_CASE(fault_in_one_of_several_maps_tells_which_and_its_page, call_on_three)

static int call_without_handler(void *context)
{
	struct filemap *sealed;
	struct stage stage;

	MUST(stage_open(&stage, t_path(context, "file"), FILEMAP_READ, 0) == 0);
	MUST(filemap_snapshot_map(stage.map, 0, FILEMAP_TO_END, &sealed, NULL) == 0);
	const struct filemap *const maps[] = {sealed, stage.map, NULL, sealed};
	struct touch one = {.map = sealed};
	for (size_t from = 0; from < 2; from++)
		MUST(filemap_guarded_call(maps + from, 4 - from, touch, &one, NULL, NULL) == FILEMAP_EMODE);
	MUST(one.reached == 0);
	MUST(filemap_guarded_call(maps + 2, 2, touch, &one, NULL, NULL) == 0 && one.reached == 2);
	filemap_close(sealed);
	stage_close(&stage);
	return 0;
}
CHILD_CASE(one_of_several_maps_that_cannot_be_guarded_refuses_the_call, call_without_handler)

static int call_well(void *context)
{
	struct stage stages[3] = {{.fd = -1}};
	struct filemap_fault fault, before;
	int result = 0;

	memset(&fault, 0x11, sizeof fault);
	before = fault;
	MUST(filemap_guard_install(NULL) == 0 && open_three(context, stages, at_start) == 0);
	const struct filemap *const maps[] = {NULL, stages[0].map};
	struct touch one = {.map = stages[0].map, .offset = 5, .stores = 1};
	MUST(filemap_guarded_call(maps, 2, touch, &one, &result, &fault) == 0);
	MUST(result == 42 && one.reached == 2 && load_from(stages[0].map, 5) == 'S');
	MUST(filemap_guarded_call(NULL, 0, touch, &one, NULL, NULL) == 0);
	MUST(filemap_guarded_call(maps, 1, touch, &one, &result, &fault) == 0);
	MUST(filemap_guarded_call(NULL, 1, touch, &one, &result, &fault) == FILEMAP_EOPTION);
	MUST(filemap_guarded_call(maps, 2, NULL, &one, &result, &fault) == FILEMAP_EOPTION);
	fm__filemap_poison(stages[0].map, -EIO);
	one.reached = 0;
	MUST(filemap_guarded_call(maps, 2, touch, &one, &result, &fault) == FILEMAP_EPOISONED);
	MUST(one.reached == 0 && memcmp(&fault, &before, sizeof fault) == 0);
	close_three(stages);
	return 0;
}
CHILD_CASE(body_that_returns_is_a_success_and_wrong_arguments_are_refused, call_well)

static int call_without_pages(void *context)
{
	struct touch one = {.map = context};
	const struct filemap *const maps[] = {context};

	MUST(filemap_guarded_call(maps, 1, touch, &one, NULL, NULL) == FILEMAP_EFORKED && one.reached == 0);
	return 0;
}

static int call_in_child_without_pages(void *context)
{
	struct filemap *map;

	(void)context;
	MUST(filemap_guard_install(NULL) == 0);
	MUST(filemap_anonymous(100, FILEMAP_OPTIONS(.flags = FILEMAP_DONTFORK), &map, NULL) == 0);
	MUST(t_in_child(call_without_pages, map) == 0);
	filemap_close(map);
	return 0;
}
CHILD_CASE(call_on_pages_that_were_kept_from_a_child_is_eforked, call_in_child_without_pages)

/* ---- one within another ---- */

struct nest {
	struct stage *stages; /* three */
	const struct filemap *maps[3];
	unsigned char *foreign;
	int depth, reached, inner;
	struct filemap_fault fault; /* of the inner one */
};

static int start_nest(struct nest *nest, const struct t_dir *dir, struct stage stages[3])
{
	*nest = (struct nest){.stages = stages};
	if (filemap_guard_install(NULL) < 0 || open_three(dir, stages, at_start) < 0)
		return -1;
	for (int i = 0; i < 3; i++)
		nest->maps[i] = stages[i].map;
	return 0;
}

static int fault_in_b(void *context)
{
	struct nest *nest = context;
	return load_from(nest->maps[1], 2 * page_size());
}

static int fault_in_a(void *context)
{
	struct nest *nest = context;
	return load_from(nest->maps[0], 2 * page_size());
}

/* The inner one meets a fault in its own map, and this one goes on. */
static int survive_inner(void *context)
{
	struct nest *nest = context;

	nest->inner = filemap_guarded_call(&nest->maps[1], 1, fault_in_b, nest, NULL, &nest->fault);
	nest->reached = load_from(nest->maps[0], 0) == byte_at(0);
	return 1;
}

/* The inner one meets a fault in the outer one's map: both are left. */
static int lose_both(void *context)
{
	struct nest *nest = context;

	nest->inner = filemap_guarded_call(&nest->maps[1], 1, fault_in_a, nest, NULL, &nest->fault);
	nest->reached = 2;
	return 1;
}

static int nest_two(void *context)
{
	struct stage stages[3] = {{.fd = -1}};
	struct filemap_fault fault;
	struct nest nest;
	int result;

	MUST(set_action(jump_out, 0, NULL) == 0 && start_nest(&nest, context, stages) == 0);
	MUST(filemap_guarded_call(nest.maps, 1, survive_inner, &nest, &result, &fault) == 0 && result == 1);
	MUST(nest.inner == FILEMAP_EFAULT && nest.fault.index == 0 && nest.reached == 1);
	nest.inner = 99;
	nest.reached = 0;
	MUST(filemap_guarded_call(nest.maps, 1, lose_both, &nest, &result, &fault) == FILEMAP_EFAULT);
	MUST(nest.inner == 99 && nest.reached == 0 && fault.offset == 2 * page_size() && fault.index == 0);
	/* Neither of the two is there any more. */
	for (int i = 0; i < 3; i++)
		MUST(foreign_fault_escapes((const char *)filemap_data(nest.maps[i]) + 2 * page_size()));
	close_three(stages);
	return 0;
}
CHILD_CASE(fault_in_the_outer_map_abandons_the_inner_call_as_well, nest_two)

#define DEPTH 200

static int nest_deeper(void *context)
{
	struct nest *nest = context;

	if (++nest->depth == DEPTH)
		return fault_in_a(context);
	nest->inner = filemap_guarded_call(&nest->maps[1], 1, nest_deeper, nest, NULL, NULL);
	nest->reached++;
	return 0;
}

static int nest_many(void *context)
{
	struct stage stages[3] = {{.fd = -1}};
	struct nest nest;
	int result = 0;

	MUST(start_nest(&nest, context, stages) == 0);
	for (int i = 0; i < 3; i++) {
		nest.depth = 0;
		MUST(filemap_guarded_call(nest.maps, 1, nest_deeper, &nest, &result, NULL) == FILEMAP_EFAULT);
		MUST(nest.depth == DEPTH && nest.reached == 0);
	}
	close_three(stages);
	return 0;
}
NATIVE_CASE(fault_in_the_outermost_map_leaves_hundreds_of_calls, nest_many)

/* Copies inside a body: faults of the copy are the copy's, faults of its other side the body's. */
static int copy_within(void *context)
{
	struct nest *nest = context;
	const size_t p = page_size();
	unsigned char byte;

	nest->inner = filemap_guarded_read(nest->maps[0], 2 * p, &byte, 1, 0, &nest->fault);
	nest->reached = 1;
	if (filemap_guarded_write(nest->stages[0].map, p + 1, "x", 1, 0, NULL) != FILEMAP_EFAULT)
		return 0;
	nest->reached = 2;
	const unsigned char *bad = (const unsigned char *)filemap_data(nest->maps[0]) + 2 * p;
	(void)filemap_guarded_write(nest->stages[1].map, 0, bad, 8, 0, NULL);
	nest->reached = 3;
	return 0;
}

static int copy_in_body(void *context)
{
	struct stage stages[3] = {{.fd = -1}};
	struct filemap_fault fault;
	struct nest nest;

	MUST(set_action(jump_out, 0, NULL) == 0 && start_nest(&nest, context, stages) == 0);
	MUST(filemap_guarded_call(nest.maps, 1, copy_within, &nest, NULL, &fault) == FILEMAP_EFAULT);
	MUST(nest.inner == FILEMAP_EFAULT && nest.fault.offset == 2 * page_size());
	MUST(nest.reached == 2 && fault.index == 0 && fault.offset == 2 * page_size());
	MUST(escapes == 0);
	MUST(foreign_fault_escapes((const char *)filemap_data(nest.maps[1]) + 2 * page_size()));
	close_three(stages);
	return 0;
}
CHILD_CASE(guarded_copies_in_a_body_keep_their_own_faults_and_leave_the_body_its, copy_in_body)

/* ---- faults that are nobody's ---- */

static int fault_elsewhere(void *context)
{
	struct nest *nest = context;
	return load(nest->foreign);
}

/* The program's handler jumps out of the middle of the body, and later faults are the program's again. */
static int escape_from_body(void *context)
{
	struct stage stages[3] = {{.fd = -1}};
	struct filemap_fault fault;
	struct nest nest;

	MUST(set_action(jump_out, 0, NULL) == 0 && start_nest(&nest, context, stages) == 0);
	MUST((nest.foreign = foreign_bytes(context, page_size())) != NULL);
	const unsigned char *a = filemap_data(nest.maps[0]);
	for (volatile int i = 0; i < 5; i++) {
		const int before = escapes;
		if (sigsetjmp(escape, 1) == 0) {
			(void)filemap_guarded_call(nest.maps, 3, fault_elsewhere, &nest, NULL, &fault);
			return 1;
		}
		MUST(escapes == before + 1);
		MUST(foreign_fault_escapes(a + 2 * page_size()));
		MUST(filemap_guarded_call(nest.maps, 3, fault_in_a, &nest, NULL, &fault) == FILEMAP_EFAULT);
		MUST(foreign_fault_escapes(nest.foreign));
		MUST(filemap_guarded_call(nest.maps, 3, fault_in_b, &nest, NULL, &fault) == FILEMAP_EFAULT);
		MUST(fault.index == 1 && escapes == before + 3);
	}
	close_three(stages);
	return 0;
}
CHILD_CASE(handler_that_jumps_out_of_a_body_leaves_nothing_behind, escape_from_body)

/* ---- stacks ---- */

#define THREAD_STACK ((size_t)256 * 1024)
#define REST ((size_t)3 * 1024) /* less than the kernel needs to deliver a signal */

struct deep {
	struct nest *nest;
	unsigned char *bottom;
	int failed;
};

static int descend(struct deep *deep)
{
	volatile unsigned char here[256];
	struct filemap_fault fault;

	here[0] = 1;
	if ((uintptr_t)here - (uintptr_t)deep->bottom > REST + sizeof here)
		return descend(deep) + here[0] - 1;
	/* Only the faults; what they are is asked for where there is room. */
	for (int i = 0; i < 3; i++)
		if (filemap_guarded_call(deep->nest->maps, 1, fault_in_a, deep->nest, NULL, NULL) !=
		    FILEMAP_EFAULT)
			return 1;
	(void)fault;
	return 0;
}

static void *run_deep(void *context)
{
	struct deep *deep = context;
	const stack_t stack = {.ss_sp = malloc(64 * 1024), .ss_size = 64 * 1024};
	const stack_t none = {.ss_flags = SS_DISABLE};

	deep->failed = sigaltstack(&stack, NULL) != 0 || descend(deep) != 0;
	deep->failed |= sigaltstack(&none, NULL) != 0;
	free(stack.ss_sp);
	return NULL;
}

static int fault_on_full_stack(void *context)
{
	struct stage stages[3] = {{.fd = -1}};
	pthread_attr_t attributes;
	struct nest nest;
	struct deep deep = {.nest = &nest};
	pthread_t thread;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return SKIPPED;
#endif
	if (is_valgrind() || getauxval(AT_MINSIGSTKSZ) < REST)
		return SKIPPED;
	MUST(start_nest(&nest, context, stages) == 0);
	deep.bottom = mmap(NULL, THREAD_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(deep.bottom != MAP_FAILED && mprotect(deep.bottom, page_size(), PROT_NONE) == 0);
	(void)filemap_guarded_call(nest.maps, 1, fault_in_a, &nest, NULL,
				   NULL); /* binds names, on this stack */
	MUST(pthread_attr_init(&attributes) == 0);
	MUST(pthread_attr_setstack(&attributes, deep.bottom, THREAD_STACK) == 0);
	deep.bottom += page_size();
	MUST(pthread_create(&thread, &attributes, run_deep, &deep) == 0);
	MUST(pthread_join(thread, NULL) == 0 && deep.failed == 0);
	MUST(pthread_attr_destroy(&attributes) == 0);
	close_three(stages);
	return 0;
}

static void thread_whose_stack_is_nearly_full_faults_on_its_alternate_one(void **state)
{
	must_in_child(state, fault_on_full_stack,
		      "frames of sanitizers, or of a machine with few registers, are of another size");
}

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

/* Armed again after a jump out of it: the kernel does that only for a handler that returns. */
static int fault_on(const stack_t *stack, void *context)
{
	const stack_t none = {.ss_flags = SS_DISABLE};
	struct stage stages[3] = {{.fd = -1}};
	struct nest nest;
	stack_t after;

	if (is_valgrind() || sigaltstack(stack, NULL) != 0)
		return SKIPPED;
	MUST(start_nest(&nest, context, stages) == 0);
	for (int i = 0; i < 3; i++) {
		MUST(filemap_guarded_call(nest.maps, 1, fault_in_a, &nest, NULL, NULL) == FILEMAP_EFAULT);
		MUST(sigaltstack(NULL, &after) == 0);
		MUST(after.ss_sp == stack->ss_sp && after.ss_flags == stack->ss_flags);
	}
	MUST(sigaltstack(&none, NULL) == 0);
	close_three(stages);
	return 0;
}

static int fault_on_disarmed_stack(void *context)
{
	const stack_t stack = {
		.ss_sp = malloc(64 * 1024), .ss_size = 64 * 1024, .ss_flags = (int)SS_AUTODISARM};
	const int r = fault_on(&stack, context);

	free(stack.ss_sp);
	return r;
}

static void alternate_stack_that_disarms_itself_is_armed_after_a_fault(void **state)
{
	must_in_child(state, fault_on_disarmed_stack, "no alternate stacks that disarm themselves");
}

struct above {
	stack_t stack;
	void *dir;
	int result;
};

static void *run_below(void *context)
{
	struct above *above = context;
	above->result = fault_on(&above->stack, above->dir);
	return NULL;
}

/* Checked jumps (_FORTIFY_SOURCE) take a way down to the thread's stack for a broken one, if they know no better. */
static int fault_above_stack(void *context)
{
	const size_t half = (size_t)1 << 22; /* sanitizers want a lot */
	unsigned char *both =
		mmap(NULL, 2 * half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct above above = {
		{.ss_sp = both + half, .ss_size = half, .ss_flags = (int)SS_AUTODISARM}, context, 1};
	pthread_attr_t attributes;
	pthread_t thread;

	MUST(both != MAP_FAILED && pthread_attr_init(&attributes) == 0);
	MUST(pthread_attr_setstack(&attributes, both, half) == 0);
	MUST(pthread_create(&thread, &attributes, run_below, &above) == 0 && pthread_join(thread, NULL) == 0);
	MUST(pthread_attr_destroy(&attributes) == 0 && munmap(both, 2 * half) == 0);
	return above.result;
}

static void alternate_stack_that_disarms_itself_may_lie_above_the_thread_s(void **state)
{
	must_in_child(state, fault_above_stack, "no alternate stacks that disarm themselves");
}

/* ---- forks ---- */

static int fork_in_body(void *context)
{
	struct nest *nest = context;

	nest->inner = (int)fork();
	if (nest->inner == 0)
		return fault_in_a(context);
	nest->depth = -1;
	if (waitpid(nest->inner, &nest->depth, 0) != nest->inner)
		return 1;
	return fault_in_b(context);
}

static int fork_from_inside(void *context)
{
	struct stage stages[3] = {{.fd = -1}};
	struct filemap_fault fault;
	struct nest nest;

	MUST(start_nest(&nest, context, stages) == 0);
	MUST(filemap_guarded_call(nest.maps, 3, fork_in_body, &nest, NULL, &fault) == FILEMAP_EFAULT);
	if (nest.inner == 0)
		_exit(fault.index == 0 && fault.offset == 2 * page_size() ? 11 : 12);
	MUST(nest.inner > 0 && fault.index == 1);
	MUST(WIFEXITED(nest.depth) && WEXITSTATUS(nest.depth) == 11);
	close_three(stages);
	return 0;
}
CHILD_CASE(child_forked_in_a_body_faults_there_by_itself, fork_from_inside)

/* ---- threads ---- */

#define THREADS 16

struct caller {
	struct nest nest;
	int failed;
};

static int call_often(struct caller *caller)
{
	struct filemap_fault fault;

	for (int i = 0; i < 50; i++) {
		MUST(filemap_guarded_call(caller->nest.maps, 3, fault_in_b, &caller->nest, NULL, &fault) ==
		     FILEMAP_EFAULT);
		MUST(fault.index == 1);
		MUST(filemap_guarded_call(caller->nest.maps, 1, survive_inner, &caller->nest, NULL, &fault) ==
		     0);
		MUST(caller->nest.inner == FILEMAP_EFAULT);
		MUST(filemap_guarded_call(caller->nest.maps, 1, lose_both, &caller->nest, NULL, &fault) ==
		     FILEMAP_EFAULT);
	}
	return 0;
}

static void *run_caller(void *context)
{
	struct caller *caller = context;
	caller->failed = call_often(caller);
	return NULL;
}

static int call_on_threads(void *context)
{
	struct stage stages[3] = {{.fd = -1}};
	struct caller callers[THREADS];
	pthread_t threads[THREADS];
	struct nest nest;

	MUST(start_nest(&nest, context, stages) == 0);
	for (int i = 0; i < THREADS; i++) {
		callers[i] = (struct caller){.nest = nest};
		MUST(pthread_create(&threads[i], NULL, run_caller, &callers[i]) == 0);
	}
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i], NULL) == 0 && callers[i].failed == 0);
	close_three(stages);
	return 0;
}
CHILD_CASE(sixteen_threads_fault_in_bodies_within_bodies, call_on_threads)

T_MAIN(T_TEST(fault_in_one_of_several_maps_tells_which_and_its_page),
       T_TEST(body_that_returns_is_a_success_and_wrong_arguments_are_refused),
       T_TEST(one_of_several_maps_that_cannot_be_guarded_refuses_the_call),
       T_TEST(call_on_pages_that_were_kept_from_a_child_is_eforked),
       T_TEST(fault_in_the_outer_map_abandons_the_inner_call_as_well),
       T_TEST(fault_in_the_outermost_map_leaves_hundreds_of_calls),
       T_TEST(guarded_copies_in_a_body_keep_their_own_faults_and_leave_the_body_its),
       T_TEST(handler_that_jumps_out_of_a_body_leaves_nothing_behind),
       T_TEST(thread_whose_stack_is_nearly_full_faults_on_its_alternate_one),
       T_TEST(alternate_stack_that_disarms_itself_is_armed_after_a_fault),
       T_TEST(alternate_stack_that_disarms_itself_may_lie_above_the_thread_s),
       T_TEST(child_forked_in_a_body_faults_there_by_itself),
       T_TEST(sixteen_threads_fault_in_bodies_within_bodies))
