/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * handler: owns the disposition of SIGBUS while somebody wants it, and remembers whose it was.
 *
 * Invariant: every fault that is no guard's reaches the handler that was there before, as the kernel would
 * have called it. Once set, what is remembered is never changed: the handler reads it without a lock.
 *
 * When ours is given up while another one is on top, it stays below that one, and what it remembers stays,
 * too. Wanted again, it goes on top of the other one, which may hand on to ours below: so there is a level for each
 * one that was replaced, with a function of its own. By that function each level knows whom to hand on to, and who
 * takes his handler away puts the right one back. Nobody can tell who kept the address of a function of ours, or
 * which thread is about to enter it: so a level is never used for another one.
 */
#include <pthread.h>
#include <string.h>

#include <filemap/base.h>

#include "base/util.h"
#include "fault/guard.h"
#include "sys/sys.h"

#define LEVELS 16

static struct level {
	struct sigaction action; /* whom to hand on to */
	bool spent;              /* atomic; SA_RESETHAND: it was called once */
} levels[LEVELS];
static int level_count;               /* those that are set; atomic; changed under the mutex */
static unsigned installers, adopters; /* atomic; changed under the mutex */
unsigned fm__guard_users;             /* their sum */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int watch_result;

static void lock(void)
{
	pthread_mutex_lock(&mutex);
}

static void unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

static void watch_fork(void)
{
	watch_result = -pthread_atfork(lock, unlock, unlock);
}

/* Nothing comes back from the default action: a fault meets it by itself, in the instruction that is at fault. */
static void die(const siginfo_t *info)
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_handler = SIG_DFL;
	fm__sys_set_action(SIGBUS, &action);
	if (info->si_code <= 0 || info->si_code == BUS_MCEERR_AO)
		fm__sys_raise(SIGBUS);
}

/* Ignoring is for signals that are sent: an access that faults cannot go on. */
static void ignore(const siginfo_t *info)
{
	if (info->si_code > 0 && info->si_code != BUS_MCEERR_AO)
		die(info);
}

static void call(const struct sigaction *action, int signo, siginfo_t *info, void *ucontext)
{
	sigset_t blocked = action->sa_mask, old;

	if (!(action->sa_flags & SA_NODEFER))
		sigaddset(&blocked, signo);
	fm__sys_set_mask(SIG_BLOCK, &blocked, &old);
	if (action->sa_flags & SA_SIGINFO)
		action->sa_sigaction(signo, info, ucontext);
	else
		action->sa_handler(signo);
	fm__sys_set_mask(SIG_SETMASK, &old, NULL);
}

/* Whether it was used up: the kernel puts the default in its place before it calls. */
static bool is_spent(struct level *level)
{
	if (!(level->action.sa_flags & (int)SA_RESETHAND))
		return false;
	return __atomic_exchange_n(&level->spent, true, __ATOMIC_RELAXED);
}

/* The default and the ignoring one are what they are by their address, whatever the flags say. */
static void hand_on(struct level *level, int signo, siginfo_t *info, void *ucontext)
{
	const struct sigaction *action = &level->action;

	(void)__atomic_load_n(&level_count,
			      __ATOMIC_ACQUIRE); /* seen, as the kernel calls us: so is what was set */
	if (action->sa_handler == SIG_DFL)
		die(info);
	else if (action->sa_handler == SIG_IGN)
		ignore(info);
	else if (is_spent(level))
		die(info);
	else
		call(action, signo, info, ucontext);
}

static void on_bus(struct level *level, int signo, siginfo_t *info, void *ucontext)
{
	struct fm__guard *guard;

	(void)fm__guard_dispatch(signo, info, ucontext); /* does not return if it is ours */
	guard = fm__guard_suspend();
	hand_on(level, signo, info, ucontext);
	fm__guard_resume(guard);
}

#define HANDLER(n)                                                         \
	static void on_bus_##n(int signo, siginfo_t *info, void *ucontext) \
	{                                                                  \
		on_bus(&levels[n], signo, info, ucontext);                 \
	}
HANDLER(0)
HANDLER(1)
HANDLER(2)
HANDLER(3)
HANDLER(4)
HANDLER(5)
HANDLER(6)
HANDLER(7)
HANDLER(8)
HANDLER(9)
HANDLER(10)
HANDLER(11)
HANDLER(12)
HANDLER(13)
HANDLER(14)
HANDLER(15)

static void (*const handlers[LEVELS])(int, siginfo_t *, void *) = {
	on_bus_0, on_bus_1, on_bus_2,  on_bus_3,  on_bus_4,  on_bus_5,  on_bus_6,  on_bus_7,
	on_bus_8, on_bus_9, on_bus_10, on_bus_11, on_bus_12, on_bus_13, on_bus_14, on_bus_15};

/* The level of ours that a disposition calls, or -1. */
static int level_of(const struct sigaction *action)
{
	for (int i = 0; i < LEVELS && (action->sa_flags & SA_SIGINFO); i++)
		if (action->sa_sigaction == handlers[i])
			return i;
	return -1;
}

/* Calls that a sent signal interrupts go on, or not, as before. */
static int set_ours(int level)
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_sigaction = handlers[level];
	action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK | (levels[level].action.sa_flags & SA_RESTART);
	return fm__sys_set_action(SIGBUS, &action);
}

static bool is_same(const struct sigaction *a, const struct sigaction *b)
{
	if (a->sa_sigaction != b->sa_sigaction || a->sa_flags != b->sa_flags)
		return false;
	for (int signo = 1; signo < NSIG; signo++)
		if (sigismember(&a->sa_mask, signo) != sigismember(&b->sa_mask, signo))
			return false;
	return true;
}

/* The level that hands on to somebody: a new one for each, the same one each time. */
static int find_level(const struct sigaction *current)
{
	int i = 0;

	while (i < level_count && !is_same(&levels[i].action, current))
		i++;
	if (i == LEVELS)
		return FILEMAP_EBUSY;
	if (i == level_count) {
		levels[i].action = *current;
		__atomic_store_n(&level_count, i + 1, __ATOMIC_RELEASE);
	}
	/* Who is there can be called once more. */
	__atomic_store_n(&levels[i].spent, false, __ATOMIC_RELAXED);
	return i;
}

/* A level of ours that is on top already, because what lay above it was taken away, will do. */
static int push(void)
{
	struct sigaction current;
	int level, r = fm__sys_get_action(SIGBUS, &current);

	if (r < 0 || level_of(&current) >= 0)
		return r;
	level = find_level(&current);
	return level < 0 ? level : set_ours(level);
}

/* What the kernel would have by now: the default for a handler that was to be called once, and was. */
static struct sigaction before_ours(const struct level *level)
{
	struct sigaction action = level->action;

	if (__atomic_load_n(&level->spent, __ATOMIC_RELAXED)) {
		memset(&action, 0, sizeof action);
		action.sa_handler = SIG_DFL;
	}
	return action;
}

/* What is above ours was put there by others, and is theirs to take away; so is what lies between two of ours. */
static int pop(void)
{
	struct sigaction action, current;
	int level, r = fm__sys_get_action(SIGBUS, &current);

	if (r < 0)
		return r;
	level = level_of(&current);
	if (level < 0)
		return 0;
	action = before_ours(&levels[level]);
	return fm__sys_set_action(SIGBUS, &action);
}

static void count_one(unsigned *count, unsigned by)
{
	__atomic_store_n(count, *count + by, __ATOMIC_RELEASE);
	__atomic_store_n(&fm__guard_users, installers + adopters, __ATOMIC_RELEASE);
}

static int give_up(unsigned *count, int (*last)(void))
{
	int r = 0;

	lock();
	if (*count == 0)
		r = FILEMAP_EMODE;
	else if (*count == 1 && last)
		r = last();
	if (r >= 0)
		count_one(count, -1u);
	unlock();
	return r < 0 ? r : 0;
}

int fm__guard_install(void)
{
	int r = 0;

	pthread_once(&once, watch_fork);
	if (watch_result < 0)
		return watch_result;
	lock();
	if (installers == 0)
		r = push();
	if (r >= 0)
		count_one(&installers, 1);
	unlock();
	return r < 0 ? r : 0;
}

int fm__guard_uninstall(void)
{
	return give_up(&installers, pop);
}

int fm__guard_adopt(void)
{
	lock();
	count_one(&adopters, 1);
	unlock();
	return 0;
}

int fm__guard_disown(void)
{
	return give_up(&adopters, NULL);
}

bool fm__guard_is_installed(void)
{
	return __atomic_load_n(&installers, __ATOMIC_ACQUIRE) != 0;
}

bool fm__guard_is_adopted(void)
{
	return __atomic_load_n(&adopters, __ATOMIC_ACQUIRE) != 0;
}

bool fm__guard_is_on_top(void)
{
	struct sigaction current;
	return fm__sys_get_action(SIGBUS, &current) >= 0 && level_of(&current) >= 0;
}
