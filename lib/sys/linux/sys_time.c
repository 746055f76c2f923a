/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Clocks, sleeping, randomness, the identity of this boot, and the signal mask of library threads. */
#include <signal.h>
#include <sys/random.h>
#include <time.h>

#include "sys/linux/kernel.h"
#include "sys/sys.h"

static uint64_t read_clock(clockid_t clock, uint64_t units_per_second)
{
	struct timespec now;

	if (clock_gettime(clock, &now) < 0)
		return 0;
	uint64_t nanoseconds_per_unit = UINT64_C(1000000000) / units_per_second;
	return (uint64_t)now.tv_sec * units_per_second + (uint64_t)now.tv_nsec / nanoseconds_per_unit;
}

uint64_t fm__sys_realtime_ms(void)
{
	return read_clock(CLOCK_REALTIME, 1000);
}

uint64_t fm__sys_monotonic_ns(void)
{
	return read_clock(CLOCK_MONOTONIC, UINT64_C(1000000000));
}

int fm__sys_sleep_ms(unsigned ms)
{
	struct timespec duration = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

	return -clock_nanosleep(CLOCK_MONOTONIC, 0, &duration, NULL);
}

int fm__sys_random(void *to, size_t length)
{
	unsigned char *bytes = to;

	while (length > 0) {
		ssize_t n = getrandom(bytes, length, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		length -= (size_t)n;
	}
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* 32 hexadecimal digits with dashes anywhere between them. */
static int parse_uuid(const char *text, size_t length, uint8_t ret[16])
{
	unsigned digits = 0;

	for (size_t i = 0; i < length && digits < 32; i++) {
		int value = hex_digit(text[i]);
		if (value < 0)
			continue;
		ret[digits / 2] = (uint8_t)((unsigned)ret[digits / 2] << 4 | (unsigned)value);
		digits++;
	}
	return digits == 32 ? 0 : -EIO;
}

int fm__sys_boot_id(uint8_t ret[16])
{
	char text[64];
	uint8_t id[16] = {0};

	int fd = fm__sys_openat(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
	if (fd < 0)
		return fd;
	int64_t n = fm__sys_read(fd, text, sizeof text);
	fm__sys_close(fd);
	if (n < 0)
		return (int)n;
	int r = parse_uuid(text, (size_t)n, id);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < sizeof id; i++)
		ret[i] = id[i];
	return 0;
}

/* Synchronous signals stay open: blocked, a fault of the host's own code would end it without its handler. */
int fm__sys_block_signals(void *old_mask_sigset)
{
	/* SIGSYS: a sandbox's filter may trap a call, and a thread that blocks the signal is killed by it. */
	static const int synchronous[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
	sigset_t mask;

	sigfillset(&mask);
	for (size_t i = 0; i < sizeof synchronous / sizeof *synchronous; i++)
		sigdelset(&mask, synchronous[i]);
	return -pthread_sigmask(SIG_BLOCK, &mask, old_mask_sigset);
}

int fm__sys_restore_signals(const void *old_mask_sigset)
{
	return -pthread_sigmask(SIG_SETMASK, old_mask_sigset, NULL);
}
