/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The seam's waiting: events, futexes, sleep, and what a signal does to them; clocks and chance. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "t.h"

#include "sys/sys.h"

#define LONG_MS 20000 /* longer than any machine needs: reaching it is a failure */

static void ignore_signal(int number)
{
	(void)number;
}

/* A handled signal every 2 ms, so that one surely comes while a wait sleeps; 0 ends it. */
static void interrupt_every(int microseconds)
{
	const struct itimerval timer = {{0, microseconds}, {0, microseconds}};
	struct sigaction action = {.sa_handler = ignore_signal};

	assert_ok(sigaction(SIGALRM, &action, NULL));
	assert_ok(setitimer(ITIMER_REAL, &timer, NULL));
}

static void event_is_readable_from_signal_to_clear(void **state)
{
	const int event = fm__sys_eventfd();
	(void)state;

	assert_true(event >= 3);
	assert_int_equal(fm__sys_poll_in(event, 0), 0);
	assert_ok(fm__sys_event_signal(event));
	assert_ok(fm__sys_event_signal(event));
	assert_int_equal(fm__sys_poll_in(event, LONG_MS), 1);
	assert_ok(fm__sys_event_clear(event));
	assert_int_equal(fm__sys_poll_in(event, 1), 0);
	assert_ok(fm__sys_event_clear(event));
	fm__sys_close(event);
	assert_int_equal(fm__sys_event_signal(event), -EBADF);
	assert_int_equal(fm__sys_event_clear(event), -EBADF);
	assert_int_equal(fm__sys_poll_in(event, 0), -EBADF);
}

static void event_with_a_full_counter_takes_another_signal(void **state)
{
	const int event = fm__sys_eventfd();
	const uint64_t most = UINT64_MAX - 1;
	(void)state;

	assert_int_equal(write(event, &most, sizeof most), sizeof most);
	assert_ok(fm__sys_event_signal(event));
	assert_int_equal(fm__sys_poll_in(event, 0), 1);
	fm__sys_close(event);
}

static void poll_of_a_hung_up_pipe_is_readable(void **state)
{
	int ends[2];
	(void)state;

	assert_ok(pipe(ends));
	close(ends[1]);
	assert_int_equal(fm__sys_poll_in(ends[0], LONG_MS), 1);
	close(ends[0]);
}

static void waits_report_a_signal(void **state)
{
	static const uint32_t word = 7;
	const int event = fm__sys_eventfd();
	(void)state;

	interrupt_every(2000);
	const int polled = fm__sys_poll_in(event, LONG_MS), slept = fm__sys_sleep_ms(LONG_MS);
	const int waited = fm__sys_futex_wait(&word, 7, -1);
	interrupt_every(0);
	fm__sys_close(event);
	assert_int_equal(polled, -EINTR);
	assert_int_equal(slept, -EINTR);
	assert_int_equal(waited, -EINTR);
}

static void futex_with_another_value_or_time_over_does_not_wait(void **state)
{
	static const uint32_t word = 7;
	(void)state;

	assert_int_equal(fm__sys_futex_wait(&word, 8, -1), -EAGAIN);
	assert_int_equal(fm__sys_futex_wait(&word, 7, 0), -ETIMEDOUT);
	assert_int_equal(fm__sys_futex_wait(&word, 7, 1), -ETIMEDOUT);
	assert_ok(fm__sys_futex_wake(&word));
}

/* Wakes until somebody was woken: who that is sleeps in another process. */
static int wake_somebody(const uint32_t *word)
{
	const uint64_t limit = fm__sys_monotonic_ns() + (uint64_t)LONG_MS * 1000000;

	while (fm__sys_monotonic_ns() < limit) {
		const int woken = fm__sys_futex_wake(word);
		if (woken != 0)
			return woken == 1 ? 0 : 1;
		sched_yield();
	}
	return 2;
}

static void futex_in_shared_memory_is_woken_by_a_child(void **state)
{
	void *shared;
	int status;
	(void)state;

	assert_ok(
		fm__sys_map(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0, &shared));
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(wake_somebody(shared));
	assert_ok(fm__sys_futex_wait(shared, 0, LONG_MS));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_ok(fm__sys_unmap(shared, 4096));
}

static void clocks_advance_and_sleep_lasts_as_told(void **state)
{
	const uint64_t before = fm__sys_monotonic_ns();
	(void)state;

	assert_ok(fm__sys_sleep_ms(5));
	assert_ok(fm__sys_sleep_ms(0));
	assert_true(fm__sys_monotonic_ns() - before >= 5 * 1000000);
	const uint64_t earliest = (uint64_t)time(NULL) * 1000;
	const uint64_t now = fm__sys_realtime_ms();
	/* time() may lag behind by one tick; an hour is any unit's mistake. */
	assert_true(now + 1000 >= earliest && now < earliest + 3600 * 1000);
}

static void random_bytes_differ(void **state)
{
	unsigned char a[300], b[300];
	(void)state;

	memset(a, 0, sizeof a);
	memset(b, 0, sizeof b);
	assert_ok(fm__sys_random(a, sizeof a));
	assert_ok(fm__sys_random(b, sizeof b));
	assert_memory_not_equal(a, b, sizeof a);
	assert_memory_not_equal(a + 268, b + 268, 32); /* to the last byte */
	assert_ok(fm__sys_random(NULL, 0));
}

static void boot_id_is_the_kernels(void **state)
{
	char text[64] = "", ours[40];
	uint8_t id[16];
	(void)state;

	assert_ok(fm__sys_boot_id(id));
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof text, file));
	fclose(file);
	snprintf(ours, sizeof ours, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11], id[12],
		 id[13], id[14], id[15]);
	assert_memory_equal(text, ours, 36);
}

static void blocked_signals_are_all_but_the_synchronous_ones(void **state)
{
	static const int open_ones[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
	sigset_t old, now;
	(void)state;

	assert_ok(fm__sys_block_signals(&old));
	assert_ok(pthread_sigmask(SIG_SETMASK, NULL, &now));
	assert_ok(fm__sys_restore_signals(&old));
	assert_true(sigismember(&now, SIGTERM) && sigismember(&now, SIGUSR1) && sigismember(&now, SIGALRM));
	for (size_t i = 0; i < sizeof open_ones / sizeof *open_ones; i++)
		assert_false(sigismember(&now, open_ones[i]));
	assert_ok(pthread_sigmask(SIG_SETMASK, NULL, &now));
	assert_int_equal(sigismember(&now, SIGTERM), sigismember(&old, SIGTERM));
	assert_false(sigismember(&now, SIGUSR1));
}

T_MAIN(T_PLAIN(event_is_readable_from_signal_to_clear),
       T_PLAIN(event_with_a_full_counter_takes_another_signal), T_PLAIN(poll_of_a_hung_up_pipe_is_readable),
       T_PLAIN(waits_report_a_signal), T_PLAIN(futex_with_another_value_or_time_over_does_not_wait),
       T_PLAIN(futex_in_shared_memory_is_woken_by_a_child), T_PLAIN(clocks_advance_and_sleep_lasts_as_told),
       T_PLAIN(random_bytes_differ), T_PLAIN(boot_id_is_the_kernels),
       T_PLAIN(blocked_signals_are_all_but_the_synchronous_ones))
