/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Runs a command and outlives it, passing signals on. All wait blocked in sigwaitinfo(2), so there is no handler, and
 * the process that they go to cannot have been reaped.
 */
#include "command.h"
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND 127
#define STATUS_SIGNAL 128

static void waited_signals(sigset_t *ret)
{
	static const int signals[] = {SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

	sigemptyset(ret);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaddset(ret, signals[i]);
}

static int spawn(char **argv, const sigset_t *mask, pid_t *ret_pid)
{
	posix_spawnattr_t attributes;
	int r = posix_spawnattr_init(&attributes);

	if (r != 0)
		return -r;
	r = posix_spawnattr_setsigmask(&attributes, mask);
	if (r == 0)
		r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	if (r == 0)
		r = posix_spawnp(ret_pid, argv[0], NULL, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

static int status_of(int status)
{
	return WIFSIGNALED(status) ? STATUS_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

/*
 * What the keys of a terminal send reaches the command by itself, because it is in the same group. A hangup does
 * not: the kernel tells the leader of the session alone, which may be us.
 */
static bool is_to_be_passed_on(const siginfo_t *info)
{
	const bool from_keys = info->si_signo == SIGINT || info->si_signo == SIGQUIT;

	return info->si_signo != SIGCHLD && (!from_keys || info->si_code <= 0);
}

static int wait_for(pid_t pid, const sigset_t *signals)
{
	siginfo_t info;
	int status;

	for (;;) {
		const int signal = sigwaitinfo(signals, &info);
		if (signal == SIGCHLD && waitpid(pid, &status, WNOHANG) == pid)
			return status_of(status);
		if (signal > 0 && is_to_be_passed_on(&info))
			kill(pid, signal);
	}
}

int cli_command_run(char **argv)
{
	sigset_t signals, before;
	pid_t pid;
	int r;

	waited_signals(&signals);
	signal(SIGCHLD, SIG_DFL); /* whoever ignored it would not let us see the end */
	sigprocmask(SIG_BLOCK, &signals, &before);
	r = spawn(argv, &before, &pid);
	if (r == 0)
		return wait_for(pid, &signals);
	cli_error("%s: %s", argv[0], strerror(-r));
	return r == -ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
}
