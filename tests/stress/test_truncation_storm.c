/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A process cuts and extends a file at random while threads of another one read and write it under guard. Nobody dies,
 * every call is counted once, and with CHECK_END no byte is accepted that was not in the file: where the file is
 * only ever extended with its own pattern, that is a byte of the pattern.
 *
 *   FILEMAP_STORM_SECONDS: how long in all; FILEMAP_STORM_SEED
 */
#include "../os/guarding.h"

#include <inttypes.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>

#define SIZE ((size_t)64 * 4096)
#define MOST 9000 /* bytes of one access */
#define THREADS 5
#define SECONDS 3
#define CUTS 30 /* at least, each time */

/* How the program stands to SIGBUS. */
enum stand { OWN, ADOPTED, BELOW, NONE };

struct storm {
	const char *name;
	enum stand stand;
	bool fills;       /* extended with the pattern; else with zeros */
	unsigned percent; /* of the time */
};

static const struct storm storms[] = {
	{"zeros, a handler before ours", OWN, false, 20},
	{"pattern, a handler before ours", OWN, true, 30},
	{"pattern, handlers before and after ours", BELOW, true, 15},
	{"pattern, the program's handler asks us", ADOPTED, true, 15},
	{"pattern, no handler", NONE, true, 20},
};

/* Shared with the process that cuts. */
struct shared {
	unsigned stop, cuts; /* atomic */
};

struct reader {
	const struct storm *storm;
	struct filemap *map, *writable; /* of its own: threads share nothing but the file */
	struct shared *shared;
	const unsigned *stop; /* atomic */
	uint64_t random, calls, successes, retries, causes[5], bytes, zeros, checked;
	bool exact, failed;
};

static uint64_t next_random(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

static size_t below_number(uint64_t *random, size_t limit)
{
	return (size_t)(next_random(random) >> 11) % limit;
}

/* Never zero. */
static unsigned char pattern_at(size_t at)
{
	return (unsigned char)(1 + (at * 7 + at / 4096) % 255);
}

static void make_pattern(unsigned char *to, size_t at, size_t length)
{
	for (size_t i = 0; i < length; i++)
		to[i] = pattern_at(at + i);
}

/* ---- the process that cuts ---- */

static int extend(int fd, size_t from, size_t to, bool fills)
{
	static unsigned char bytes[SIZE];

	if (!fills)
		return ftruncate(fd, (off_t)to);
	make_pattern(bytes, from, to - from);
	return pwrite(fd, bytes, to - from, (off_t)from) == (ssize_t)(to - from) ? 0 : -1;
}

/* It ends at the word of its parent, and with it. */
static int cut_and_extend(const char *path, bool fills, struct shared *shared, uint64_t random, pid_t parent)
{
	const int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return 1;
	while (!__atomic_load_n(&shared->stop, __ATOMIC_ACQUIRE) && getppid() == parent) {
		const size_t end = below_number(&random, SIZE);
		if (ftruncate(fd, (off_t)end) < 0)
			return 2;
		if (below_number(&random, 4) == 0)
			usleep((unsigned)below_number(&random, 300));
		const size_t grown = end + 1 + below_number(&random, SIZE - end);
		if (extend(fd, end, grown, fills) < 0 || extend(fd, grown, SIZE, fills) < 0)
			return 3;
		__atomic_fetch_add(&shared->cuts, 1, __ATOMIC_RELAXED);
		if (below_number(&random, 3) == 0)
			usleep((unsigned)below_number(&random, 500));
	}
	return 0;
}

/* ---- readers ---- */

static int count_fault(struct reader *r, const struct filemap_fault *fault, size_t offset, size_t length)
{
	MUST(fault->cause == FILEMAP_FAULT_PAST_END || fault->cause == FILEMAP_FAULT_UNKNOWN);
	MUST(fault->offset >= offset && fault->offset < offset + length);
	MUST(fault->signal_code == 0 || (fault->signal_code == BUS_ADRERR && r->storm->stand != NONE));
	r->causes[fault->cause]++;
	return 0;
}

/* What was accepted, as far as it can be known. */
static int look_at(struct reader *r, const unsigned char *bytes, size_t offset, size_t length, bool checks)
{
	for (size_t i = 0; i < length; i++) {
		r->zeros += bytes[i] == 0 && !checks;
		if (bytes[i] == pattern_at(offset + i) || !(r->storm->fills && checks && r->exact))
			MUST(bytes[i] == pattern_at(offset + i) || bytes[i] == 0);
		else
			return missed("every checked byte was in the file", __FILE__, __LINE__, 0);
	}
	r->checked += checks ? length : 0;
	r->bytes += length;
	return 0;
}

static int count_result(struct reader *r, int result, const struct filemap_fault *fault, size_t offset,
			size_t length)
{
	r->calls++;
	if (result == FILEMAP_EFAULT)
		return count_fault(r, fault, offset, length);
	if (result == -EAGAIN) {
		r->retries++;
		return 0;
	}
	MUST(result == 0);
	r->successes++;
	return 0;
}

static int read_some(struct reader *r, size_t offset, size_t length)
{
	const unsigned flags = next_random(&r->random) & 64 ? FILEMAP_GUARD_CHECK_END : 0;
	unsigned char to[MOST];
	struct filemap_fault fault;
	int result;

	result = filemap_guarded_read(r->map, offset, to, length, flags, &fault);
	MUST(count_result(r, result, &fault, offset, length) == 0);
	if (result == FILEMAP_EFAULT)
		return look_at(r, to, offset, fault.offset - offset, false);
	return result == 0 ? look_at(r, to, offset, length, flags) : 0;
}

/* Bytes of the pattern, where they belong: so nobody finds others. */
static int write_some(struct reader *r, size_t offset, size_t length)
{
	const unsigned flags = next_random(&r->random) & 64 ? FILEMAP_GUARD_CHECK_END : 0;
	unsigned char from[MOST];
	struct filemap_fault fault;
	int result;

	make_pattern(from, offset, length);
	result = filemap_guarded_write(r->writable, offset, from, length, flags, &fault);
	MUST(result != -EAGAIN);
	return count_result(r, result, &fault, offset, length);
}

struct range {
	const unsigned char *at;
	size_t offset, length;
};

static int add_up(void *context)
{
	const struct range *range = context;
	int wrong = 0;

	for (size_t i = 0; i < range->length; i++) {
		const unsigned char byte = ((const volatile unsigned char *)range->at)[i];
		wrong += byte != 0 && byte != pattern_at(range->offset + i);
	}
	return wrong;
}

/* `offset` of the fault is a page, which may begin before the range. */
static int call_some(struct reader *r, size_t offset, size_t length)
{
	struct range range = {(const unsigned char *)filemap_data(r->map) + offset, offset, length};
	const struct filemap *const maps[] = {NULL, r->map};
	const size_t page = offset / page_size() * page_size();
	struct filemap_fault fault;
	int wrong = 0, result;

	if (r->storm->stand == NONE) {
		MUST(filemap_guarded_call(maps, 2, add_up, &range, &wrong, &fault) == FILEMAP_EMODE);
		return 0;
	}
	result = filemap_guarded_call(maps, 2, add_up, &range, &wrong, &fault);
	MUST(result != -EAGAIN && wrong == 0);
	MUST(result != FILEMAP_EFAULT || fault.index == 1);
	return count_result(r, result, &fault, page, offset + length - page);
}

static int access_some(struct reader *r)
{
	const size_t lengths[] = {1, 8, 100, 4096, MOST};
	size_t length = 1 + below_number(&r->random, lengths[below_number(&r->random, 5)]);
	size_t offset = below_number(&r->random, SIZE - length);

	switch (below_number(&r->random, 8)) {
	case 0:
		return write_some(r, offset, length);
	case 1:
	case 2:
		return call_some(r, offset, length);
	default:
		return read_some(r, offset, length);
	}
}

static void *run_reader(void *context)
{
	struct reader *reader = context;

	while (!reader->failed && !__atomic_load_n(reader->stop, __ATOMIC_ACQUIRE))
		reader->failed = access_some(reader) != 0;
	return NULL;
}

/* ---- the program's own faults ---- */

static _Thread_local sigjmp_buf own_jump;
static _Thread_local volatile sig_atomic_t own_faults;
static _Thread_local unsigned char *own_page;
static struct sigaction below;
static unsigned strays; /* atomic: faults that came to the program and are not its own */

static void on_own_fault(int signo, siginfo_t *info, void *ucontext)
{
	(void)signo;
	(void)ucontext;
	if (own_page == NULL || info->si_addr != own_page) {
		__atomic_fetch_add(&strays, 1, __ATOMIC_RELAXED);
		_exit(98);
	}
	own_faults++;
	siglongjmp(own_jump, 1);
}

static void ask_first(int signo, siginfo_t *info, void *ucontext)
{
	if (!filemap_fault_dispatch(signo, info, ucontext))
		on_own_fault(signo, info, ucontext);
}

/* As virtual machines do: what is not theirs goes to whom they found. */
static void hand_down(int signo, siginfo_t *info, void *ucontext)
{
	below.sa_sigaction(signo, info, ucontext);
}

static int take_stand(enum stand stand)
{
	if (stand == NONE)
		return set_plain(SIG_DFL, 0);
	if (stand == ADOPTED)
		return set_action(ask_first, 0, NULL) < 0 ? -1 : filemap_guard_adopt();
	if (set_action(on_own_fault, 0, NULL) < 0 || filemap_guard_install(NULL) < 0)
		return -1;
	if (stand == OWN)
		return 0;
	return sigaction(SIGBUS, NULL, &below) < 0 ? -1 : set_action(hand_down, SA_ONSTACK, NULL);
}

static int leave_stand(enum stand stand)
{
	if (stand == NONE)
		return 0;
	if (stand == ADOPTED)
		return filemap_guard_disown();
	if (stand == BELOW && sigaction(SIGBUS, &below, NULL) < 0)
		return -1;
	return filemap_guard_uninstall();
}

struct owner {
	unsigned char *page;
	const unsigned *stop;
	uint64_t tries, faults;
	bool silent;
};

static void *run_owner(void *context)
{
	struct owner *owner = context;

	own_page = owner->page;
	while (!owner->silent && !__atomic_load_n(owner->stop, __ATOMIC_ACQUIRE)) {
		owner->tries++;
		if (sigsetjmp(own_jump, 1) == 0)
			(void)load(own_page);
		usleep(100);
	}
	owner->faults = (uint64_t)own_faults;
	return NULL;
}

/* ---- one storm ---- */

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Whether the file system tells each change by the file's time, however soon it comes: else CHECK_END may miss one. */
static bool has_fine_times(int fd)
{
	struct stat before, after;

	for (int i = 0; i < 200; i++) {
		const unsigned char byte = pattern_at(0);
		if (fstat(fd, &before) < 0 || pwrite(fd, &byte, 1, 0) != 1 || fstat(fd, &after) < 0)
			return false;
		if (before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
		    before.st_mtim.tv_nsec == after.st_mtim.tv_nsec)
			return false;
	}
	return true;
}

static uint64_t sum_faults(const struct reader *r)
{
	uint64_t sum = 0;

	for (int i = 0; i < 5; i++)
		sum += r->causes[i];
	return sum;
}

static int tally(const struct storm *storm, const struct reader *readers, unsigned cuts)
{
	struct reader sum = {.calls = 0};

	for (int i = 0; i < THREADS; i++) {
		const struct reader *r = &readers[i];
		MUST(!r->failed && r->calls == r->successes + r->retries + sum_faults(r));
		sum.calls += r->calls;
		sum.successes += r->successes;
		sum.retries += r->retries;
		sum.bytes += r->bytes;
		sum.checked += r->checked;
		sum.zeros += r->zeros;
		for (int j = 0; j < 5; j++)
			sum.causes[j] += r->causes[j];
	}
	printf("%s: %u cuts, %" PRIu64 " calls: %" PRIu64 " done, %" PRIu64 " faults past the end, %" PRIu64
	       " unknown, %" PRIu64 " tried too often; %" PRIu64 " bytes read, %" PRIu64 " checked, %" PRIu64
	       " zeros accepted without a check\n",
	       storm->name, cuts, sum.calls, sum.successes, sum.causes[FILEMAP_FAULT_PAST_END],
	       sum.causes[FILEMAP_FAULT_UNKNOWN], sum.retries, sum.bytes, sum.checked, sum.zeros);
	MUST(cuts > 0 && sum.successes > 0 && sum_faults(&sum) > 0 && sum.checked > 0);
	MUST(sum.calls == sum.successes + sum.retries + sum_faults(&sum));
	return 0;
}

/* Until the time is up, and on a machine that is busy, until there was anything. */
static void wait_for(const struct shared *shared, uint64_t ms)
{
	const uint64_t start = now_ms();

	while (now_ms() - start < ms ||
	       (__atomic_load_n(&shared->cuts, __ATOMIC_RELAXED) < CUTS && now_ms() - start < ms + 20000))
		usleep(5000);
}

/* While the file has its whole length. */
static int open_readers(struct reader *readers, const char *path, const struct reader *like)
{
	const struct filemap_options *options = FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_NONE);

	for (int i = 0; i < THREADS; i++) {
		readers[i] = *like;
		readers[i].random += (uint64_t)i * 7919 + 1;
		MUST(filemap_open(path, i % 2 ? FILEMAP_READ : FILEMAP_COW, options, &readers[i].map, NULL) ==
		     0);
		MUST(filemap_open(path, FILEMAP_WRITE, options, &readers[i].writable, NULL) == 0);
	}
	return 0;
}

static int run_storm(const struct storm *storm, const struct t_dir *dir, uint64_t seed, uint64_t ms)
{
	const char *path = t_path(dir, "file");
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct shared *shared =
		mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const pid_t parent = getpid();
	struct reader readers[THREADS];
	pthread_t threads[THREADS], owner_thread;
	unsigned stop = 0;
	struct owner owner = {.stop = &stop, .silent = storm->stand == NONE};
	int status = -1;

	MUST(fd >= 0 && shared != MAP_FAILED && extend(fd, 0, SIZE, true) == 0);
	MUST((owner.page = foreign_bytes(dir, page_size())) != NULL);
	const struct reader like = {
		.storm = storm, .shared = shared, .stop = &stop, .random = seed, .exact = has_fine_times(fd)};
	if (!like.exact)
		printf("no fine times in this file system: what CHECK_END accepts is not held against it\n");
	MUST(take_stand(storm->stand) == 0 && open_readers(readers, path, &like) == 0);
	fflush(NULL);
	const pid_t cutter = fork();
	MUST(cutter >= 0);
	if (cutter == 0)
		_exit(cut_and_extend(path, storm->fills, shared, seed * 31 + 7, parent));
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, run_reader, &readers[i]) == 0);
	MUST(pthread_create(&owner_thread, NULL, run_owner, &owner) == 0);
	wait_for(shared, ms);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	MUST(pthread_join(owner_thread, NULL) == 0);
	__atomic_store_n(&shared->stop, 1, __ATOMIC_RELEASE);
	MUST(waitpid(cutter, &status, 0) == cutter && status == 0);
	MUST(tally(storm, readers, shared->cuts) == 0);
	MUST(owner.faults == owner.tries && (owner.tries > 0 || owner.silent));
	MUST(leave_stand(storm->stand) == 0 && filemap_guard_state() == 0);
	for (int i = 0; i < THREADS; i++) {
		filemap_close(readers[i].map);
		filemap_close(readers[i].writable);
	}
	close(fd);
	return 0;
}

static int run_storms(void *context)
{
	const uint64_t seconds = from_environment("FILEMAP_STORM_SECONDS", SECONDS);
	const uint64_t seed = from_environment("FILEMAP_STORM_SEED", now_ms() * 2654435761u + 1);

	printf("seed %" PRIu64 ", %" PRIu64 " seconds\n", seed, seconds);
	for (size_t i = 0; i < sizeof storms / sizeof *storms; i++)
		MUST(run_storm(&storms[i], context, seed + i, seconds * 10 * storms[i].percent) == 0);
	return 0;
}
CHILD_CASE(file_that_is_cut_all_the_time_kills_nobody_and_no_byte_is_made_up, run_storms)

/* What the flag is for, without chance: zeros that were in no file, and are in the mapping. */
static int read_tail(void *context)
{
	const int fd = open(t_path(context, "file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct filemap_fault fault;
	struct filemap *map;
	unsigned char to[64];

	MUST(fd >= 0 && extend(fd, 0, SIZE, true) == 0);
	MUST(filemap_open(t_path(context, "file"), FILEMAP_READ, NULL, &map, NULL) == 0);
	MUST(ftruncate(fd, 5001) == 0);
	MUST(filemap_guarded_read(map, 4990, to, sizeof to, 0, NULL) == 0 && to[10] != 0 && to[11] == 0);
	MUST(filemap_guarded_read(map, 4990, to, sizeof to, FILEMAP_GUARD_CHECK_END, &fault) ==
	     FILEMAP_EFAULT);
	MUST(fault.offset == 5001 && fault.cause == FILEMAP_FAULT_PAST_END);
	filemap_close(map);
	close(fd);
	return 0;
}
CHILD_CASE(zeros_behind_the_end_are_accepted_without_the_flag_and_not_with_it, read_tail)

T_MAIN(T_TEST(file_that_is_cut_all_the_time_kills_nobody_and_no_byte_is_made_up),
       T_TEST(zeros_behind_the_end_are_accepted_without_the_flag_and_not_with_it))
