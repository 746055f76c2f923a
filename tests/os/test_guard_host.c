/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Programs that own SIGBUS and adopt the guard; and what a fault leaves as it was: the signal mask, errno, the
 * signals that were sent meanwhile.
 */
#include "guarding.h"

static volatile sig_atomic_t calls, last_code;

/* ---- the program's handler ---- */

static volatile sig_atomic_t gives_context;
static sigjmp_buf escape;

static void dispatch_first(int signo, siginfo_t *info, void *ucontext)
{
	if (filemap_fault_dispatch(signo, info, gives_context ? ucontext : NULL))
		_exit(99); /* never: it does not return if it is ours */
	calls++;
	last_code = info->si_code;
	if (info->si_code > 0)
		siglongjmp(escape, 1);
}

static int load_behind_end(void *context)
{
	struct stage *stage = context;
	return load((const unsigned char *)filemap_data(stage->map) + page_size());
}

static bool faults(const struct stage *stage)
{
	const struct filemap *const map = stage->map;
	struct filemap_fault fault;
	unsigned char bytes[8];

	return filemap_guarded_read(map, page_size() - 4, bytes, 8, 0, &fault) == FILEMAP_EFAULT &&
	       fault.offset == page_size() && fault.signal_code == BUS_ADRERR &&
	       filemap_guarded_call(&map, 1, load_behind_end, (void *)(uintptr_t)stage, NULL, &fault) ==
		       FILEMAP_EFAULT;
}

static int open_cut(struct stage *stage, const struct t_dir *dir)
{
	if (stage_open(stage, t_path(dir, "file"), FILEMAP_WRITE, 0) < 0)
		return -1;
	return stage_cut(stage, page_size());
}

/* ---- masks ---- */

static sigset_t odd_mask(int number)
{
	sigset_t mask;

	sigemptyset(&mask);
	if (number == 1)
		sigfillset(&mask);
	for (int signo = 1; number >= 2 && signo <= SIGRTMAX; signo++)
		if (signo % number == 0)
			sigaddset(&mask, signo);
	sigdelset(&mask, SIGBUS);
	sigdelset(&mask, SIGSEGV);
	return mask;
}

/* Three faults, each of which comes back with the mask that it found. */
static int fault_with_masks(const struct stage *stage)
{
	for (int number = 0; number < 6; number++) {
		const sigset_t mask = odd_mask(number);
		MUST(pthread_sigmask(SIG_SETMASK, &mask, NULL) == 0);
		const sigset_t before = mask_now();
		for (int i = 0; i < 3; i++) {
			MUST(faults(stage));
			const sigset_t after = mask_now();
			MUST(same_mask(&before, &after));
		}
	}
	return 0;
}

static int mask_after_ours(void *context)
{
	struct stage stage;

	MUST(open_cut(&stage, context) == 0 && filemap_guard_install(NULL) == 0);
	MUST(fault_with_masks(&stage) == 0);
	stage_close(&stage);
	return 0;
}
CHILD_CASE(fault_leaves_the_signal_mask_as_it_found_it, mask_after_ours)

static int adopt_with(const struct t_dir *dir, int flags, const sigset_t *mask)
{
	struct stage stage;

	gives_context = 1;
	MUST(open_cut(&stage, dir) == 0 && set_action(dispatch_first, flags, mask) == 0);
	MUST(filemap_guard_adopt() == 0 && filemap_guard_state() == FILEMAP_GUARD_ADOPTED);
	MUST(fault_with_masks(&stage) == 0 && calls == 0);
	MUST(filemap_guard_disown() == 0 && filemap_guard_state() == 0);
	stage_close(&stage);
	return 0;
}

static int adopt_in_all_ways(void *context)
{
	const int flags[] = {0, SA_NODEFER, SA_ONSTACK, SA_NODEFER | SA_ONSTACK};
	const stack_t stack = {.ss_sp = malloc(64 * 1024), .ss_size = 64 * 1024};
	const stack_t none = {.ss_flags = SS_DISABLE};
	sigset_t full;

	sigfillset(&full);
	MUST(sigaltstack(&stack, NULL) == 0);
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		MUST(adopt_with(context, flags[i], NULL) == 0);
		MUST(adopt_with(context, flags[i], &full) == 0);
	}
	MUST(sigaltstack(&none, NULL) == 0);
	free(stack.ss_sp);
	return 0;
}
CHILD_CASE(adopted_handler_may_have_any_flags_and_any_mask, adopt_in_all_ways)

static int adopt_without_context(void *context)
{
	struct stage stage;
	sigset_t full;

	if (THREAD_SANITIZED)
		return SKIPPED;
	sigfillset(&full);
	gives_context = 0;
	MUST(open_cut(&stage, context) == 0 && filemap_guard_adopt() == 0);
	MUST(set_action(dispatch_first, 0, NULL) == 0 && fault_with_masks(&stage) == 0);
	MUST(set_action(dispatch_first, SA_NODEFER, NULL) == 0 && fault_with_masks(&stage) == 0);
	MUST(set_action(dispatch_first, 0, &full) == 0);
	for (int i = 0; i < 3; i++)
		MUST(faults(&stage));
	const sigset_t after = mask_now();
	MUST(!sigismember(&after, SIGBUS) && sigismember(&after, SIGUSR1) && calls == 0);
	stage_close(&stage);
	return 0;
}

static void dispatch_without_a_context_lets_the_signal_in_again(void **state)
{
	must_in_child(state, adopt_without_context, "the thread sanitizer blocks all signals in a handler");
}

/* ---- what is not ours ---- */

static int dispatch_wrongly(void *context)
{
	siginfo_t info = {.si_code = BUS_ADRERR};
	struct stage stage;

	MUST(open_cut(&stage, context) == 0 && filemap_guard_adopt() == 0);
	info.si_addr = filemap_data_mut(stage.map);
	MUST(!filemap_fault_dispatch(SIGBUS, &info, NULL)); /* nobody is in a guarded access */
	MUST(!filemap_fault_dispatch(SIGBUS, NULL, NULL));
	MUST(!filemap_fault_dispatch(SIGSEGV, &info, NULL));
	MUST(!filemap_fault_dispatch(0, &info, NULL));
	stage_close(&stage);
	return 0;
}
CHILD_CASE(dispatch_outside_of_guarded_access_is_false, dispatch_wrongly)

struct told {
	const struct filemap *map;
	int code;
};

/* As a handler would be called; memory cannot be broken on purpose. */
static int tell_within(void *context)
{
	const struct told *told = context;
	siginfo_t info = {.si_code = told->code};

	info.si_addr = (void *)((uintptr_t)filemap_data(told->map) + page_size() + 5);
	(void)filemap_fault_dispatch(SIGBUS, &info, NULL);
	return 0;
}

static int dispatch_each_code(void *context)
{
	const int codes[] = {BUS_ADRERR, BUS_OBJERR, 4 /* BUS_MCEERR_AR */};
	struct filemap_fault fault;
	struct stage stage;

	MUST(open_cut(&stage, context) == 0 && filemap_guard_adopt() == 0);
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		struct told told = {stage.map, codes[i]};
		MUST(filemap_guarded_call((const struct filemap *const[]){stage.map}, 1, tell_within, &told,
					  NULL, &fault) == FILEMAP_EFAULT);
		MUST(fault.signal_code == codes[i] && fault.offset == page_size());
		MUST(fault.cause == (i == 2 ? FILEMAP_FAULT_HWPOISON : FILEMAP_FAULT_PAST_END));
	}
	stage_close(&stage);
	return 0;
}
CHILD_CASE(dispatch_takes_faults_of_each_kind, dispatch_each_code)

struct asked {
	struct stage *stage;
	int yes;
};

/* From within a body, with addresses of its map: what the handler would be asked. */
static int ask_within(void *context)
{
	const int foreign_codes[] = {SI_USER,    SI_QUEUE,  SI_TKILL,
				     BUS_ADRALN, SI_KERNEL, 5 /* BUS_MCEERR_AO */};
	struct asked *asked = context;
	siginfo_t info = {.si_code = BUS_ADRERR};

	for (size_t i = 0; i < sizeof foreign_codes / sizeof *foreign_codes; i++) {
		info.si_addr = filemap_data_mut(asked->stage->map);
		info.si_code = foreign_codes[i];
		asked->yes += filemap_fault_dispatch(SIGBUS, &info, NULL);
	}
	info.si_code = BUS_ADRERR;
	info.si_addr = &info;
	asked->yes += filemap_fault_dispatch(SIGBUS, &info, NULL);
	info.si_addr = (char *)filemap_data_mut(asked->stage->map) + PAGES * page_size();
	asked->yes += filemap_fault_dispatch(SIGBUS, &info, NULL);
	info.si_addr = (char *)filemap_data_mut(asked->stage->map) - 1;
	asked->yes += filemap_fault_dispatch(SIGBUS, &info, NULL);
	return 3;
}

static int dispatch_within(void *context)
{
	struct stage stage;
	struct asked asked = {.stage = &stage};
	int result = 0;

	MUST(open_cut(&stage, context) == 0 && filemap_guard_adopt() == 0);
	const struct filemap *const maps[] = {stage.map};
	MUST(filemap_guarded_call(maps, 1, ask_within, &asked, &result, NULL) == 0);
	MUST(result == 3 && asked.yes == 0);
	stage_close(&stage);
	return 0;
}
CHILD_CASE(only_faults_of_the_kernel_at_guarded_addresses_are_claimed, dispatch_within)

static int send_all_ways(void *context)
{
	const union sigval value = {.sival_ptr = context};

	if (kill(getpid(), SIGBUS) < 0 || raise(SIGBUS) != 0 || sigqueue(getpid(), SIGBUS, value) < 0)
		return 1;
	return pthread_kill(pthread_self(), SIGBUS) == 0 ? 2 : 1;
}

static void count_call(int signo, siginfo_t *info, void *ucontext)
{
	(void)signo;
	(void)ucontext;
	calls++;
	last_code = info->si_code;
}

/* The value that is sent along lies where a fault's address would: in the very map. */
static int send_within(void *context)
{
	struct stage stage;
	int result = 0;

	MUST(open_cut(&stage, context) == 0 && set_action(count_call, 0, NULL) == 0);
	const struct filemap *const maps[] = {stage.map};
	unsigned char *bytes = filemap_data_mut(stage.map);
	MUST(filemap_guard_install(NULL) == 0);
	MUST(filemap_guarded_call(maps, 1, send_all_ways, bytes, &result, NULL) == 0);
	MUST(result == 2 && calls == 4 && last_code <= 0);
	MUST(faults(&stage) && calls == 4);
	MUST(filemap_guard_uninstall() == 0);
	gives_context = 1;
	MUST(set_action(dispatch_first, 0, NULL) == 0 && filemap_guard_adopt() == 0);
	MUST(filemap_guarded_call(maps, 1, send_all_ways, bytes, &result, NULL) == 0 && calls == 8);
	MUST(faults(&stage) && calls == 8);
	stage_close(&stage);
	return 0;
}
CHILD_CASE(signal_that_was_sent_is_not_claimed_by_a_body, send_within)

static int adopt_with_foreign(void *context)
{
	unsigned char *foreign = foreign_bytes(context, page_size());
	struct filemap_fault fault;
	struct stage stage;

	gives_context = 1;
	MUST(foreign && open_cut(&stage, context) == 0 && set_action(dispatch_first, 0, NULL) == 0);
	MUST(filemap_guard_adopt() == 0);
	for (volatile int i = 0; i < 4; i++) {
		if (sigsetjmp(escape, 1) == 0)
			(void)load(foreign);
		MUST(calls == i + 1 && last_code == BUS_ADRERR && faults(&stage));
	}
	if (sigsetjmp(escape, 1) == 0)
		(void)filemap_guarded_read(stage.map, 0, foreign, 1, 0, &fault);
	MUST(calls == 5);
	stage_close(&stage);
	return 0;
}
CHILD_CASE(adopted_handler_gets_what_is_not_ours, adopt_with_foreign)

/* What was on the stack is not any more. */
static void __attribute__((noinline)) overwrite_stack(void)
{
	volatile unsigned char bytes[16384];
	memset((void *)bytes, 0x5A, sizeof bytes);
}

static int jump_out_of_copy(void *context)
{
	const size_t p = page_size();
	unsigned char *foreign = foreign_bytes(context, 2 * p), bytes[8];
	struct stage stage;

	gives_context = 1;
	MUST(foreign && open_cut(&stage, context) == 0 && set_action(dispatch_first, 0, NULL) == 0);
	MUST(filemap_guard_adopt() == 0);
	for (volatile int i = 0; i < 8; i++) {
		if (sigsetjmp(escape, 1) == 0) {
			if (i % 2)
				(void)filemap_guarded_read(stage.map, 3, foreign + p - 3, 8, 0, NULL);
			else
				(void)filemap_guarded_write(stage.map, 3, foreign + p - 3, 8, 0, NULL);
			return 1;
		}
		overwrite_stack();
		MUST(calls == 2 * i + 1);
		if (sigsetjmp(escape, 1) == 0)
			(void)load(foreign);
		MUST(calls == 2 * i + 2 && faults(&stage));
		MUST(filemap_guarded_read(stage.map, 0, bytes, 8, 0, NULL) == 0);
	}
	stage_close(&stage);
	return 0;
}
CHILD_CASE(adopted_handler_that_jumps_out_of_a_copy_leaves_no_guard_behind, jump_out_of_copy)

static void dispatch_or_mend(int signo, siginfo_t *info, void *ucontext)
{
	const uintptr_t mask = ~(uintptr_t)(page_size() - 1);

	if (filemap_fault_dispatch(signo, info, ucontext))
		_exit(99);
	calls++;
	(void)mmap((void *)((uintptr_t)info->si_addr & mask), page_size(), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* Across the end of the file, into and out of a buffer of two pages of which neither is there. */
static int mend_in_copy(void *context)
{
	const size_t p = page_size();
	struct filemap_fault fault;
	struct stage stage;

	MUST(open_cut(&stage, context) == 0 && set_action(dispatch_or_mend, 0, NULL) == 0);
	MUST(filemap_guard_adopt() == 0);
	for (int i = 0; i < 4; i++) {
		unsigned char *foreign = foreign_bytes(context, 2 * p);
		MUST(foreign != NULL);
		const int r = i % 2 ? filemap_guarded_read(stage.map, 100, foreign + 100, p, 0, &fault)
				    : filemap_guarded_write(stage.map, 100, foreign + 100, p, 0, &fault);
		MUST(r == FILEMAP_EFAULT && fault.offset == p && fault.cause == FILEMAP_FAULT_PAST_END);
		MUST(calls > 0 && calls <= 2 * (i + 1));
		MUST(munmap(foreign, 2 * p) == 0);
	}
	stage_close(&stage);
	return 0;
}
NATIVE_CASE(copy_whose_buffer_an_adopted_handler_mends_is_still_guarded, mend_in_copy)

/* ---- errno, and the stack of the handler ---- */

static int keep_errno(void *context)
{
	struct stage stage;
	unsigned char to[8];

	if (THREAD_SANITIZED)
		return SKIPPED;
	MUST(open_cut(&stage, context) == 0 && set_action(count_call, 0, NULL) == 0);
	MUST(filemap_guard_install(NULL) == 0);
	errno = ENOTTY;
	const bool is_fault =
		filemap_guarded_read(stage.map, page_size(), to, 1, 0, NULL) == FILEMAP_EFAULT &&
		filemap_guarded_read(stage.map, 0, to, 8, FILEMAP_GUARD_CHECK_END, NULL) == 0;
	MUST(errno == ENOTTY && is_fault);
	MUST(raise(SIGBUS) == 0 && errno == ENOTTY && calls == 1);
	stage_close(&stage);
	return 0;
}

static void errno_is_kept(void **state)
{
	must_in_child(state, keep_errno, "the thread sanitizer gives handlers an errno of its own");
}

static const char *volatile where;

static void tell_stack(int signo, siginfo_t *info, void *ucontext)
{
	char here;

	(void)signo;
	(void)info;
	(void)ucontext;
	where = &here;
	calls++;
}

static int use_stack(void *context)
{
	const stack_t stack = {.ss_sp = malloc(64 * 1024), .ss_size = 64 * 1024};
	const char *bottom = stack.ss_sp;
	struct stage stage;

#if defined(__SANITIZE_ADDRESS__)
	return SKIPPED; /* locals may live on a heap of its own */
#endif
	MUST(open_cut(&stage, context) == 0 && set_action(tell_stack, 0, NULL) == 0);
	MUST(sigaltstack(&stack, NULL) == 0 && filemap_guard_install(NULL) == 0);
	for (int i = 1; i < 4; i++) {
		MUST(raise(SIGBUS) == 0 && calls == i);
		MUST(where >= bottom && where < bottom + stack.ss_size && faults(&stage));
	}
	stage_close(&stage);
	return 0;
}

static void our_handler_runs_on_the_alternate_stack(void **state)
{
	must_in_child(state, use_stack, "the address sanitizer moves local variables elsewhere");
}

T_MAIN(T_TEST(fault_leaves_the_signal_mask_as_it_found_it),
       T_TEST(adopted_handler_may_have_any_flags_and_any_mask),
       T_TEST(dispatch_without_a_context_lets_the_signal_in_again),
       T_TEST(dispatch_takes_faults_of_each_kind), T_TEST(dispatch_outside_of_guarded_access_is_false),
       T_TEST(only_faults_of_the_kernel_at_guarded_addresses_are_claimed),
       T_TEST(signal_that_was_sent_is_not_claimed_by_a_body), T_TEST(adopted_handler_gets_what_is_not_ours),
       T_TEST(adopted_handler_that_jumps_out_of_a_copy_leaves_no_guard_behind),
       T_TEST(copy_whose_buffer_an_adopted_handler_mends_is_still_guarded), T_TEST(errno_is_kept),
       T_TEST(our_handler_runs_on_the_alternate_stack))
