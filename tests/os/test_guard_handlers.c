/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Who else handles SIGBUS: handlers that were there before ours get what is not ours as the kernel would have
 * given it; those that come after ours, and go again, find ours in order.
 */
#include "guarding.h"

#include <sys/wait.h>

/* ---- handlers of the program ---- */

static sigjmp_buf escape;
static volatile sig_atomic_t calls, last_signo, last_code;
static const void *volatile last_address;
static sigset_t mask_inside;

static void note(int signo, const siginfo_t *info)
{
	calls++;
	last_signo = signo;
	last_code = info ? info->si_code : 0;
	last_address = info ? info->si_addr : NULL;
	mask_inside = mask_now();
}

static void note_and_jump(int signo, siginfo_t *info, void *ucontext)
{
	note(ucontext ? signo : -1, info);
	if (info->si_code > 0)
		siglongjmp(escape, 1);
}

/* Puts memory where the fault was, so that the access goes on. */
static void repair(const void *at)
{
	const uintptr_t mask = ~(uintptr_t)(page_size() - 1);
	(void)mmap((void *)((uintptr_t)at & mask), page_size(), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void note_and_repair(int signo, siginfo_t *info, void *ucontext)
{
	note(ucontext ? signo : -1, info);
	if (info->si_code > 0)
		repair(info->si_addr);
}

static const void *volatile plain_place; /* a plain handler is not told */

static void note_plainly(int signo)
{
	note(signo, NULL);
	if (plain_place)
		repair((const void *)plain_place);
}

static bool foreign_fault_escapes(const void *at)
{
	const int before = calls;

	if (sigsetjmp(escape, 1) == 0)
		(void)load(at);
	return calls == before + 1 && last_address == at && last_code == BUS_ADRERR;
}

static int open_cut(struct stage *stage, const struct t_dir *dir)
{
	stage->code = BUS_ADRERR;
	if (stage_open(stage, t_path(dir, "file"), FILEMAP_WRITE, 0) < 0)
		return -1;
	return stage_cut(stage, page_size());
}

/* A guarded access that faults, and nobody hears of it. */
static bool guard_works(const struct stage *stage)
{
	const int before = calls;
	struct filemap_fault fault;
	unsigned char bytes[8];
	const size_t p = page_size();

	return filemap_guarded_read(stage->map, p - 4, bytes, 8, 0, &fault) == FILEMAP_EFAULT &&
	       fault.offset == p && calls == before;
}

/* ---- handlers that were there before ---- */

static int hand_on_to_siginfo(void *context)
{
	unsigned char *foreign = foreign_bytes(context, 4 * page_size());
	struct sigaction before;
	struct stage stage;
	sigset_t mask, old;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	MUST(foreign && set_action(note_and_jump, SA_RESTART, &mask) == 0 && open_cut(&stage, context) == 0);
	MUST(sigaction(SIGBUS, NULL, &before) == 0 && filemap_guard_install(NULL) == 0);
	old = mask_now();
	for (int i = 0; i < 4; i++) {
		MUST(foreign_fault_escapes(foreign + (size_t)i * page_size() + 11));
		MUST(last_signo == SIGBUS);
		MUST(sigismember(&mask_inside, SIGUSR1) && sigismember(&mask_inside, SIGBUS));
		MUST(THREAD_SANITIZED || !sigismember(&mask_inside, SIGUSR2));
		const sigset_t after = mask_now();
		MUST(same_mask(&old, &after) && guard_works(&stage));
	}
	MUST(filemap_guard_uninstall() == 0 && is_action(&before) && filemap_guard_state() == 0);
	stage_close(&stage);
	return 0;
}
CHILD_CASE(handler_before_ours_gets_foreign_faults_with_its_mask, hand_on_to_siginfo)

static int hand_on_nodefer(void *context)
{
	unsigned char *foreign = foreign_bytes(context, 4 * page_size());
	struct stage stage;

	MUST(foreign && set_action(note_and_repair, SA_NODEFER, NULL) == 0 && open_cut(&stage, context) == 0);
	MUST(filemap_guard_install(NULL) == 0);
	const sigset_t old = mask_now();
	for (int i = 0; i < 4; i++) {
		MUST(load(foreign + (size_t)i * page_size()) == 0 && calls == i + 1);
		MUST(THREAD_SANITIZED || same_mask(&mask_inside, &old));
		const sigset_t after = mask_now();
		MUST(same_mask(&old, &after) && guard_works(&stage));
	}
	stage_close(&stage);
	return 0;
}
NATIVE_CASE(handler_with_nodefer_that_repairs_a_fault_lets_the_program_go_on, hand_on_nodefer)

/* Who adopted may be another part of the program: it is ours that is wanted, too. */
static int install_after_adopting(void *context)
{
	struct stage stage;

	MUST(open_cut(&stage, context) == 0 && filemap_guard_adopt() == 0);
	MUST(filemap_guard_install(NULL) == 0 && guard_works(&stage) && filemap_guard_uninstall() == 0);
	stage_close(&stage);
	return 0;
}
CHILD_CASE(handler_is_installed_also_if_somebody_adopted, install_after_adopting)

struct two_faults {
	const unsigned char *foreign, *cut;
};

/* The first one is mended; the second one has to find the guard still there. */
static int load_foreign_then_cut(void *context)
{
	const struct two_faults *faults = context;

	(void)load(faults->foreign);
	(void)load(faults->cut);
	return 0;
}

static int mend_in_a_body(void *context)
{
	const unsigned char *foreign = foreign_bytes(context, page_size());
	struct filemap_fault fault;
	struct two_faults faults;
	struct stage stage;

	MUST(foreign && set_action(note_and_repair, 0, NULL) == 0 && open_cut(&stage, context) == 0);
	MUST(filemap_guard_install(NULL) == 0);
	faults = (struct two_faults){foreign, (const unsigned char *)filemap_data(stage.map) + page_size()};
	MUST(filemap_guarded_call((const struct filemap *const[]){stage.map}, 1, load_foreign_then_cut,
				  &faults, NULL, &fault) == FILEMAP_EFAULT);
	MUST(fault.offset == page_size() && calls == 1 && last_address == foreign);
	stage_close(&stage);
	return 0;
}
NATIVE_CASE(handler_that_mends_a_foreign_fault_in_a_body_leaves_its_guard, mend_in_a_body)

static int hand_on_plainly(void *context)
{
	unsigned char *foreign = foreign_bytes(context, 2 * page_size());
	struct stage stage;

	MUST(foreign && set_plain(note_plainly, 0) == 0 && open_cut(&stage, context) == 0);
	MUST(filemap_guard_install(NULL) == 0);
	MUST(raise(SIGBUS) == 0 && calls == 1 && last_signo == SIGBUS);
	plain_place = foreign + page_size();
	MUST(load(foreign + page_size() + 5) == 0 && calls == 2);
	MUST(sigismember(&mask_inside, SIGBUS) && guard_works(&stage));
	stage_close(&stage);
	return 0;
}
NATIVE_CASE(plain_handler_before_ours_is_called_with_the_number, hand_on_plainly)

/* The copy's other side faults; the program's handler mends it, and the copy goes on under its guard. */
static int repair_in_copy(void *context)
{
	const size_t p = page_size();
	unsigned char *foreign = foreign_bytes(context, 2 * p);
	struct filemap_fault fault;
	struct stage stage;

	MUST(foreign && set_action(note_and_repair, 0, NULL) == 0 && open_cut(&stage, context) == 0);
	MUST(filemap_guard_install(NULL) == 0);
	MUST(filemap_guarded_read(stage.map, 0, foreign, 100, 0, &fault) == 0 && calls == 1);
	MUST(expect_bytes(&stage, p, 0, foreign, 100) == 0);
	MUST(filemap_guarded_write(stage.map, 0, foreign + p, 100, 0, &fault) == 0 && calls == 2);
	MUST(load(filemap_data(stage.map)) == 0 && guard_works(&stage));
	stage_close(&stage);
	return 0;
}
NATIVE_CASE(handler_that_mends_the_caller_s_buffer_lets_the_copy_go_on, repair_in_copy)

/* In the middle of a copy, whose guard must not be found any more; other parts of the mapping are not guarded. */
static int jump_out_of_copy(void *context)
{
	const size_t p = page_size();
	unsigned char *foreign = foreign_bytes(context, 2 * p), *cut;
	struct filemap_fault fault;
	struct stage stage;

	MUST(foreign && set_action(note_and_jump, 0, NULL) == 0 && open_cut(&stage, context) == 0);
	MUST(filemap_guard_install(NULL) == 0);
	cut = filemap_data_mut(stage.map);
	unsigned char *const bad[] = {foreign, cut + p, cut + 2 * p};
	for (volatile int i = 0; i < 9; i++) {
		const int before = calls;
		if (sigsetjmp(escape, 1) == 0) {
			if (i % 2)
				(void)filemap_guarded_read(stage.map, 0, bad[i % 3], 9, 0, &fault);
			else
				(void)filemap_guarded_write(stage.map, 0, bad[i % 3], 9, 0, &fault);
			return 1; /* claimed, or read through a hole */
		}
		MUST(calls == before + 1 && (size_t)((const unsigned char *)last_address - bad[i % 3]) < 9);
		MUST(foreign_fault_escapes(cut + p) && guard_works(&stage) && foreign_fault_escapes(cut + p));
	}
	stage_close(&stage);
	return 0;
}
CHILD_CASE(fault_in_the_caller_s_buffer_is_the_program_s_also_if_it_jumps_out, jump_out_of_copy)

static int call_once(void *context)
{
	unsigned char *foreign = foreign_bytes(context, 2 * page_size());
	struct stage stage;

	MUST(foreign && set_action(note_and_repair, (int)SA_RESETHAND, NULL) == 0);
	MUST(open_cut(&stage, context) == 0 && filemap_guard_install(NULL) == 0);
	MUST(guard_works(&stage) && load(foreign) == 0 && calls == 1 && guard_works(&stage));
	(void)load(foreign + page_size());
	return 0;
}

static void handler_for_one_time_is_called_once_and_then_the_program_dies(void **state)
{
	assert_int_equal(t_in_child(call_once, *state), -SIGBUS);
}

static int give_back_spent(void *context)
{
	const struct sigaction fresh = {.sa_handler = SIG_DFL};
	struct sigaction now;

	(void)context;
	(void)fresh;
	MUST(set_action(note_and_jump, (int)SA_RESETHAND, NULL) == 0 && filemap_guard_install(NULL) == 0);
	MUST(raise(SIGBUS) == 0 && calls == 1 && filemap_guard_uninstall() == 0);
	MUST(sigaction(SIGBUS, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
	MUST(set_action(note_and_jump, (int)SA_RESETHAND, NULL) == 0 && filemap_guard_install(NULL) == 0);
	MUST(raise(SIGBUS) == 0 && calls == 2 && filemap_guard_uninstall() == 0); /* a new time */
	return 0;
}
CHILD_CASE(handler_for_one_time_that_was_called_is_not_put_back, give_back_spent)

/* ---- default and ignored ---- */

static int default_fault(void *context)
{
	unsigned char *foreign = foreign_bytes(context, page_size());
	struct stage stage;

	MUST(foreign && set_plain(SIG_DFL, 0) == 0 && open_cut(&stage, context) == 0);
	MUST(filemap_guard_install(NULL) == 0 && guard_works(&stage));
	(void)load(foreign);
	return 0;
}

static int default_kill(void *context)
{
	(void)context;
	MUST(set_plain(SIG_DFL, 0) == 0 && filemap_guard_install(NULL) == 0);
	kill(getpid(), SIGBUS);
	return 0;
}

static int default_buffer(void *context)
{
	unsigned char *foreign = foreign_bytes(context, page_size());
	struct stage stage;

	MUST(foreign && set_plain(SIG_DFL, 0) == 0 && open_cut(&stage, context) == 0);
	MUST(filemap_guard_install(NULL) == 0);
	return filemap_guarded_read(stage.map, 0, foreign, 1, 0, NULL) == 0 ? 0 : 1;
}

/* As some runtimes write it: the flag means nothing for these two. */
static int default_with_siginfo(void *context)
{
	unsigned char *foreign = foreign_bytes(context, page_size());

	MUST(foreign && set_plain(SIG_DFL, SA_SIGINFO | SA_RESTART) == 0 && filemap_guard_install(NULL) == 0);
	(void)load(foreign);
	return 0;
}

static void default_action_kills_by_the_signal_itself(void **state)
{
	assert_int_equal(t_in_child(default_with_siginfo, *state), -SIGBUS);
	assert_int_equal(t_in_child(default_fault, *state), -SIGBUS);
	assert_int_equal(t_in_child(default_kill, *state), -SIGBUS);
	assert_int_equal(t_in_child(default_buffer, *state), -SIGBUS);
}

static int ignore_sent_with(void *context, int flags)
{
	const union sigval value = {.sival_int = 1};
	struct sigaction before;
	struct stage stage;

	MUST(set_plain(SIG_IGN, flags) == 0 && open_cut(&stage, context) == 0);
	MUST(sigaction(SIGBUS, NULL, &before) == 0 && filemap_guard_install(NULL) == 0);
	MUST(kill(getpid(), SIGBUS) == 0 && raise(SIGBUS) == 0 && sigqueue(getpid(), SIGBUS, value) == 0);
	MUST(guard_works(&stage) && kill(getpid(), SIGBUS) == 0);
	MUST(filemap_guard_uninstall() == 0 && is_action(&before));
	stage_close(&stage);
	return 0;
}

static int ignore_sent(void *context)
{
	MUST(ignore_sent_with(context, 0) == 0);
	return ignore_sent_with(context, SA_SIGINFO);
}
CHILD_CASE(ignored_signal_that_was_sent_is_ignored, ignore_sent)

static int ignore_fault(void *context)
{
	unsigned char *foreign = foreign_bytes(context, page_size());

	MUST(foreign && set_plain(SIG_IGN, 0) == 0 && filemap_guard_install(NULL) == 0);
	MUST(kill(getpid(), SIGBUS) == 0);
	(void)load(foreign);
	return 0;
}

static void ignored_fault_kills_all_the_same(void **state)
{
	assert_int_equal(t_in_child(ignore_fault, *state), -SIGBUS);
}

/* ---- handlers that come later: each hands on what is not its own ---- */

#define HOSTS 17

static struct sigaction below[HOSTS];
static volatile sig_atomic_t host_calls[HOSTS];
static unsigned char *volatile host_page[HOSTS]; /* where its own faults are */

static void act_as_host(int number, int signo, siginfo_t *info, void *ucontext)
{
	host_calls[number]++;
	if (info->si_addr == host_page[number] && info->si_code > 0)
		siglongjmp(escape, 1);
	if (below[number].sa_flags & SA_SIGINFO)
		below[number].sa_sigaction(signo, info, ucontext);
	else if (below[number].sa_handler != SIG_DFL && below[number].sa_handler != SIG_IGN)
		below[number].sa_handler(signo);
}

#define HOST(n)                                                          \
	static void host_##n(int signo, siginfo_t *info, void *ucontext) \
	{                                                                \
		act_as_host(n, signo, info, ucontext);                   \
	}
HOST(0)
HOST(1)
HOST(2)
HOST(3)
HOST(4)
HOST(5)
HOST(6)
HOST(7)
HOST(8)
HOST(9)
HOST(10)
HOST(11)
HOST(12)
HOST(13)
HOST(14)
HOST(15)
HOST(16)

static void (*const hosts[HOSTS])(int, siginfo_t *, void *) = {
	host_0, host_1,  host_2,  host_3,  host_4,  host_5,  host_6,  host_7, host_8,
	host_9, host_10, host_11, host_12, host_13, host_14, host_15, host_16};

static int come_on_top(int number, int flags)
{
	const struct sigaction action = {.sa_sigaction = hosts[number],
					 .sa_flags = SA_SIGINFO | SA_ONSTACK | flags};
	return sigaction(SIGBUS, &action, &below[number]);
}

/* One before, one after: as virtual machines and crash reporters do. */
static int sandwich(const struct t_dir *dir, int flags)
{
	unsigned char *foreign = foreign_bytes(dir, 2 * page_size());
	struct stage stage;

	MUST(foreign && open_cut(&stage, dir) == 0);
	MUST(set_action(note_and_jump, 0, NULL) == 0 && filemap_guard_install(NULL) == 0);
	MUST(come_on_top(0, flags) == 0 && filemap_guard_state() == FILEMAP_GUARD_INSTALLED);
	host_page[0] = foreign;
	for (int i = 1; i <= 5; i++) {
		const int before = calls;
		MUST(guard_works(&stage)); /* faults once; may be tried twice */
		const int seen = host_calls[0];
		MUST(sigsetjmp(escape, 1) != 0 || (load(foreign), false));
		MUST(host_calls[0] == seen + 1 && calls == before);
		MUST(foreign_fault_escapes(foreign + page_size()) && host_calls[0] == seen + 2);
		MUST(raise(SIGBUS) == 0 && calls == before + 2);
	}
	stage_close(&stage);
	return 0;
}

static int sandwich_deferring(void *context)
{
	return sandwich(context, 0);
}
CHILD_CASE(handlers_before_and_after_ours_each_get_their_own, sandwich_deferring)

static int sandwich_nodefer(void *context)
{
	return sandwich(context, SA_NODEFER);
}
CHILD_CASE(handler_after_ours_may_have_nodefer, sandwich_nodefer)

/* Given up below another one, and wanted again on top of it: a fault passes each of them once. */
static int go_under(void *context)
{
	unsigned char *foreign = foreign_bytes(context, page_size());
	struct stage stage;

	MUST(foreign && open_cut(&stage, context) == 0);
	MUST(set_action(note_and_jump, 0, NULL) == 0 && filemap_guard_install(NULL) == 0);
	MUST(come_on_top(0, 0) == 0 && filemap_guard_uninstall() == 0 && filemap_guard_state() == 0);
	MUST(filemap_guard_uninstall() == FILEMAP_EMODE);
	MUST(foreign_fault_escapes(foreign) && host_calls[0] == 1);
	stage.code = 0;
	MUST(guard_works(&stage) && host_calls[0] == 1); /* by the kernel */
	MUST(filemap_guard_install(NULL) == 0);
	MUST(filemap_guard_state() == (FILEMAP_GUARD_INSTALLED | FILEMAP_GUARD_ON_TOP));
	for (int i = 2; i < 6; i++) { /* at the same place of the stack each time */
		MUST(foreign_fault_escapes(foreign) && host_calls[0] == i);
		MUST(guard_works(&stage) && host_calls[0] == i);
	}
	MUST(raise(SIGBUS) == 0 && host_calls[0] == 6 && last_code <= 0);
	MUST(filemap_guard_uninstall() == 0 && filemap_guard_state() == 0);
	MUST(foreign_fault_escapes(foreign) && host_calls[0] == 7);
	stage_close(&stage);
	return 0;
}
CHILD_CASE(guard_wanted_again_above_another_handler_makes_no_circle, go_under)

static int go_under_often(void *context)
{
	unsigned char *foreign = foreign_bytes(context, page_size());
	struct filemap_error error = {.code = 0};
	struct stage stage;

	MUST(foreign && open_cut(&stage, context) == 0 && set_action(note_and_jump, 0, NULL) == 0);
	for (int i = 0; i < 16; i++) {
		MUST(filemap_guard_install(NULL) == 0);
		for (int round = 0; round < 3; round++) {
			memset((void *)host_calls, 0, sizeof host_calls);
			MUST(foreign_fault_escapes(foreign) && guard_works(&stage));
			for (int j = 0; j < HOSTS; j++)
				MUST(host_calls[j] == (j < i));
		}
		MUST(come_on_top(i, i % 2 ? SA_NODEFER : 0) == 0 && filemap_guard_uninstall() == 0);
	}
	MUST(filemap_guard_install(&error) == FILEMAP_EBUSY && error.code == FILEMAP_EBUSY);
	MUST(filemap_guard_state() == 0 && filemap_guard_uninstall() == FILEMAP_EMODE);
	memset((void *)host_calls, 0, sizeof host_calls);
	MUST(foreign_fault_escapes(foreign) && host_calls[0] == 1 && host_calls[15] == 1);
	MUST(sigaction(SIGBUS, &below[15], NULL) == 0); /* the last one goes: ours is on top */
	MUST(filemap_guard_install(NULL) == 0 && guard_works(&stage) && foreign_fault_escapes(foreign));
	MUST(filemap_guard_uninstall() == 0);
	stage_close(&stage);
	return 0;
}
CHILD_CASE(ours_above_the_sixteenth_different_handler_is_the_last, go_under_often)

/* One comes and goes around each time ours is given up and wanted again: nothing is used up by that. */
static int come_and_go(void *context)
{
	unsigned char *foreign = foreign_bytes(context, page_size());
	struct sigaction before;
	struct stage stage;

	MUST(foreign && open_cut(&stage, context) == 0 && set_action(note_and_jump, 0, NULL) == 0);
	MUST(sigaction(SIGBUS, NULL, &before) == 0);
	for (int i = 0; i < 100; i++) {
		MUST(filemap_guard_install(NULL) == 0 && come_on_top(0, 0) == 0);
		MUST(filemap_guard_uninstall() == 0 && filemap_guard_install(NULL) == 0);
		MUST(sigaction(SIGBUS, &below[0], NULL) == 0); /* what it found is ours: an older level */
		MUST(filemap_guard_state() == (FILEMAP_GUARD_INSTALLED | FILEMAP_GUARD_ON_TOP));
		host_calls[0] = 0;
		MUST(guard_works(&stage) && foreign_fault_escapes(foreign) && host_calls[0] == 0);
		MUST(filemap_guard_uninstall() == 0 && is_action(&before));
	}
	stage_close(&stage);
	return 0;
}
CHILD_CASE(handlers_that_come_and_go_again_use_nothing_up, come_and_go)

/* From the top of the chain down through those above ours. */
static bool is_ours_reached(void)
{
	struct sigaction at;
	int i;

	(void)sigaction(SIGBUS, NULL, &at);
	do {
		for (i = 0; i < HOSTS && at.sa_sigaction != hosts[i]; i++)
			;
		if (i < HOSTS)
			at = below[i];
	} while (i < HOSTS);
	return at.sa_sigaction != note_and_jump;
}

struct order {
	struct t_dir *dir;
	unsigned random;
};

static unsigned next_of(struct order *order, unsigned limit)
{
	order->random = order->random * 1103515245u + 12345u;
	return (order->random >> 16) % limit;
}

/* Each comes once and goes once, in whatever order; what it puts back may be out of date by then. */
static int step_at_random(struct order *order, int *come, bool gone[], bool *wanted)
{
	const int one = *come == 0 ? 0 : (int)next_of(order, (unsigned)*come);

	switch (next_of(order, 4)) {
	case 0:
		return *come == 12 ? 0 : come_on_top((*come)++, next_of(order, 2) ? SA_NODEFER : 0);
	case 1:
		if (*come == 0 || gone[one])
			return 0;
		gone[one] = true;
		return sigaction(SIGBUS, &below[one], NULL);
	default:
		*wanted = !*wanted;
		return *wanted ? filemap_guard_install(NULL) : filemap_guard_uninstall();
	}
}

static int come_and_go_at_random(void *context)
{
	struct order *order = context;
	unsigned char *foreign = foreign_bytes(order->dir, page_size());
	bool gone[HOSTS] = {false}, wanted = false;
	int come = 0;
	struct stage stage;

	MUST(foreign && open_cut(&stage, order->dir) == 0 && set_action(note_and_jump, 0, NULL) == 0);
	for (int i = 0; i < 60; i++) {
		MUST(step_at_random(order, &come, gone, &wanted) == 0);
		memset((void *)host_calls, 0, sizeof host_calls);
		MUST(foreign_fault_escapes(foreign));
		for (int j = 0; j < HOSTS; j++)
			MUST(host_calls[j] <= 1);
		stage.code = wanted ? BUS_ADRERR : 0;
		MUST((wanted && !is_ours_reached()) || guard_works(&stage));
	}
	stage_close(&stage);
	return 0;
}

static void handlers_that_come_and_go_in_any_order_are_called_once_each(void **state)
{
	struct order order = {.dir = *state};

	for (unsigned seed = 1; seed <= 40; seed++) {
		order.random = seed * 7919;
		const int r = t_in_child(come_and_go_at_random, &order);
		if (r != 0)
			printf("seed %u\n", seed);
		assert_int_equal(r, 0);
	}
}

/* Whoever was about to hand on finds whom it was to hand on to, not half of one and half of another. */
static void *send_until(void *context)
{
	while (!__atomic_load_n((const int *)context, __ATOMIC_ACQUIRE))
		raise(SIGBUS);
	return NULL;
}

static void count_quietly(int signo, siginfo_t *info, void *ucontext)
{
	if (signo != SIGBUS || info == NULL || ucontext == NULL)
		_exit(99);
}

static int change_below_ours(void *context)
{
	pthread_t threads[3];
	int stop = 0;

	(void)context;
	MUST(set_plain(SIG_IGN, 0) == 0);
	for (int i = 0; i < 3; i++)
		MUST(pthread_create(&threads[i], NULL, send_until, &stop) == 0);
	for (int i = 0; i < 4000; i++) {
		MUST((i % 2 ? set_plain(SIG_IGN, 0) : set_action(count_quietly, 0, NULL)) == 0);
		MUST(filemap_guard_install(NULL) == 0);
		MUST(filemap_guard_uninstall() == 0);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 3; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	return 0;
}
CHILD_CASE(signals_that_come_while_ours_comes_and_goes_reach_a_whole_handler, change_below_ours)

/* ---- counting ---- */

static int count(void *context)
{
	const unsigned on_top = FILEMAP_GUARD_INSTALLED | FILEMAP_GUARD_ON_TOP;
	struct sigaction before;

	(void)context;
	MUST(set_plain(note_plainly, SA_RESTART) == 0 && sigaction(SIGBUS, NULL, &before) == 0);
	MUST(filemap_guard_state() == 0 && filemap_guard_uninstall() == FILEMAP_EMODE);
	MUST(filemap_guard_disown() == FILEMAP_EMODE && is_action(&before));
	for (int i = 0; i < 3; i++)
		MUST(filemap_guard_install(NULL) == 0 && filemap_guard_state() == on_top);
	MUST(filemap_guard_adopt() == 0 && filemap_guard_adopt() == 0);
	MUST(filemap_guard_state() == (on_top | FILEMAP_GUARD_ADOPTED));
	for (int i = 0; i < 2; i++)
		MUST(filemap_guard_uninstall() == 0 && (filemap_guard_state() & on_top) == on_top);
	MUST(filemap_guard_uninstall() == 0 && filemap_guard_state() == FILEMAP_GUARD_ADOPTED);
	MUST(is_action(&before) && filemap_guard_uninstall() == FILEMAP_EMODE);
	MUST(filemap_guard_disown() == 0 && filemap_guard_state() == FILEMAP_GUARD_ADOPTED);
	MUST(filemap_guard_disown() == 0 && filemap_guard_state() == 0);
	MUST(filemap_guard_disown() == FILEMAP_EMODE);
	MUST(filemap_guard_install(NULL) == 0 && set_plain(SIG_DFL, 0) == 0);
	MUST(filemap_guard_state() == FILEMAP_GUARD_INSTALLED && filemap_guard_uninstall() == 0);
	MUST(sigaction(SIGBUS, NULL, &before) == 0 && before.sa_handler == SIG_DFL);
	return 0;
}
CHILD_CASE(installing_and_adopting_are_counted_and_the_state_tells, count)

#define THREADS 8

struct changer {
	const struct stage *stage;
	int failed;
	bool reads;
};

static int change_often(const struct changer *changer)
{
	unsigned char byte;

	for (int i = 0; i < 200; i++) {
		MUST(filemap_guard_install(NULL) == 0);
		if (changer->reads)
			MUST(filemap_guarded_read(changer->stage->map, page_size(), &byte, 1, 0, NULL) ==
			     FILEMAP_EFAULT);
		MUST((filemap_guard_state() & FILEMAP_GUARD_INSTALLED) != 0);
		MUST(filemap_guard_adopt() == 0 && filemap_guard_disown() == 0);
		MUST(filemap_guard_uninstall() == 0);
	}
	return 0;
}

static void *run_changer(void *context)
{
	struct changer *changer = context;
	changer->failed = change_often(changer);
	return NULL;
}

static int change_on_threads(const struct stage *stage, bool reads)
{
	struct changer changers[THREADS];
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++) {
		changers[i] = (struct changer){.stage = stage, .reads = reads};
		MUST(pthread_create(&threads[i], NULL, run_changer, &changers[i]) == 0);
	}
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i], NULL) == 0 && changers[i].failed == 0);
	return 0;
}

static int change_at_once(void *context)
{
	struct sigaction before;
	struct stage stage;

	MUST(set_action(note_and_jump, 0, NULL) == 0 && sigaction(SIGBUS, NULL, &before) == 0);
	MUST(open_cut(&stage, context) == 0);
	MUST(change_on_threads(&stage, false) == 0 && filemap_guard_state() == 0 && is_action(&before));
	MUST(filemap_guard_install(NULL) == 0);
	MUST(change_on_threads(&stage, true) == 0 && calls == 0);
	MUST(filemap_guard_uninstall() == 0 && filemap_guard_state() == 0 && is_action(&before));
	stage_close(&stage);
	return 0;
}
CHILD_CASE(threads_install_and_give_up_at_once, change_at_once)

T_MAIN(T_TEST(handler_before_ours_gets_foreign_faults_with_its_mask),
       T_TEST(handler_with_nodefer_that_repairs_a_fault_lets_the_program_go_on),
       T_TEST(handler_that_mends_a_foreign_fault_in_a_body_leaves_its_guard),
       T_TEST(handler_is_installed_also_if_somebody_adopted),
       T_TEST(plain_handler_before_ours_is_called_with_the_number),
       T_TEST(handler_that_mends_the_caller_s_buffer_lets_the_copy_go_on),
       T_TEST(fault_in_the_caller_s_buffer_is_the_program_s_also_if_it_jumps_out),
       T_TEST(handler_for_one_time_is_called_once_and_then_the_program_dies),
       T_TEST(handler_for_one_time_that_was_called_is_not_put_back),
       T_TEST(default_action_kills_by_the_signal_itself), T_TEST(ignored_signal_that_was_sent_is_ignored),
       T_TEST(ignored_fault_kills_all_the_same), T_TEST(handlers_before_and_after_ours_each_get_their_own),
       T_TEST(handler_after_ours_may_have_nodefer),
       T_TEST(guard_wanted_again_above_another_handler_makes_no_circle),
       T_TEST(ours_above_the_sixteenth_different_handler_is_the_last),
       T_TEST(handlers_that_come_and_go_again_use_nothing_up),
       T_TEST(handlers_that_come_and_go_in_any_order_are_called_once_each),
       T_TEST(signals_that_come_while_ours_comes_and_goes_reach_a_whole_handler),
       T_TEST(installing_and_adopting_are_counted_and_the_state_tells),
       T_TEST(threads_install_and_give_up_at_once))
