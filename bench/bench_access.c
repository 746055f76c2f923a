/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Typed reads and writes, one after another and at random unaligned offsets, against loops that check the
 * bounds and copy with memcpy, and against a bare pointer. All walk the same pages.
 *
 * Another thread may resize a mapping: ours loads size and address for each number, and so does the first of
 * the hand-written loops. The second keeps them in registers and trusts them for its whole run.
 *
 * usage: bench_access [DIRECTORY [ROUNDS [TIMES]]]
 */
#include <filemap/filemap.h>

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define WINDOW (1u << 20)
#define TIMES_MAX (WINDOW / 8)
#define TARGET 1.10

struct bounds {
	unsigned char *data;
	size_t size;
};

struct walk {
	struct filemap *map;
	struct bounds bounds;
	const size_t *offsets; /* of TIMES_MAX numbers */
};

static volatile uint64_t sink; /* what was read is used */

static __attribute__((noreturn, cold, noinline)) void refused(void)
{
	fprintf(stderr, "bench: an access within the window was refused\n");
	exit(1);
}

/* What a loop has to do whose mapping another thread may resize: the size first, then the address. */
static inline struct bounds ask(const struct bounds *live)
{
	const size_t size = __atomic_load_n(&live->size, __ATOMIC_ACQUIRE);
	return (struct bounds){__atomic_load_n(&live->data, __ATOMIC_RELAXED), size};
}

/* For one type, by hand: checked, and not. */
#define BY_HAND(suffix, type, from_order, to_order)                                   \
	static inline int load_##suffix(struct bounds bounds, size_t at, type *ret)   \
	{                                                                             \
		type stored;                                                          \
		if (at > bounds.size || bounds.size - at < sizeof stored)             \
			return -1;                                                    \
		memcpy(&stored, bounds.data + at, sizeof stored);                     \
		*ret = from_order(stored);                                            \
		return 0;                                                             \
	}                                                                             \
	static inline int store_##suffix(struct bounds bounds, size_t at, type value) \
	{                                                                             \
		const type stored = to_order(value);                                  \
		if (at > bounds.size || bounds.size - at < sizeof stored)             \
			return -1;                                                    \
		memcpy(bounds.data + at, &stored, sizeof stored);                     \
		return 0;                                                             \
	}                                                                             \
	static inline int peek_##suffix(struct bounds bounds, size_t at, type *ret)   \
	{                                                                             \
		type stored;                                                          \
		memcpy(&stored, bounds.data + at, sizeof stored);                     \
		*ret = from_order(stored);                                            \
		return 0;                                                             \
	}                                                                             \
	static inline int poke_##suffix(struct bounds bounds, size_t at, type value)  \
	{                                                                             \
		const type stored = to_order(value);                                  \
		memcpy(bounds.data + at, &stored, sizeof stored);                     \
		return 0;                                                             \
	}

/*
 * Two loops. READ and WRITE are called with FROM: `map`, `ask(live)` or `kept`; AT may use `i` and `offsets`.
 * What does not change is in variables, for all alike: after each acquiring load it would be loaded anew.
 */
#define LOOPS(name, type, READ, WRITE, FROM, AT)                \
	static void read_##name(void *context, size_t times)    \
	{                                                       \
		USE(context)                                    \
		uint64_t sum = 0;                               \
		for (size_t i = 0; i < times; i++) {            \
			type value = 0;                         \
			if (READ(FROM, AT(type), &value) < 0)   \
				refused();                      \
			sum += value;                           \
		}                                               \
		sink = sum;                                     \
	}                                                       \
	static void write_##name(void *context, size_t times)   \
	{                                                       \
		USE(context)                                    \
		for (size_t i = 0; i < times; i++)              \
			if (WRITE(FROM, AT(type), (type)i) < 0) \
				refused();                      \
	}
#define USE(context)                                     \
	const struct walk *const walk = context;         \
	struct filemap *const map = walk->map;           \
	const struct bounds *const live = &walk->bounds; \
	const struct bounds kept = *live;                \
	const size_t *const offsets = walk->offsets;     \
	(void)map, (void)live, (void)kept, (void)offsets;

#define IN_SEQUENCE(type) (i * sizeof(type))
#define AT_RANDOM(type) (offsets[i])
#define AS_IS(value) (value)

#define WAYS_AT(name, suffix, type, AT)                                                  \
	LOOPS(name##_ours, type, filemap_read_##suffix, filemap_write_##suffix, map, AT) \
	LOOPS(name##_asked, type, load_##suffix, store_##suffix, ask(live), AT)          \
	LOOPS(name##_kept, type, load_##suffix, store_##suffix, kept, AT)                \
	LOOPS(name##_bare, type, peek_##suffix, poke_##suffix, kept, AT)
#define WAYS(suffix, type, from_order, to_order)                 \
	BY_HAND(suffix, type, from_order, to_order)              \
	WAYS_AT(suffix##_in_sequence, suffix, type, IN_SEQUENCE) \
	WAYS_AT(suffix##_at_random, suffix, type, AT_RANDOM)

WAYS(u8, uint8_t, AS_IS, AS_IS)
WAYS(u32le, uint32_t, le32toh, htole32)
WAYS(u64le, uint64_t, le64toh, htole64)
WAYS(u64be, uint64_t, be64toh, htobe64)

#define CASE(name)                                                          \
	{                                                                   \
#name,                                                      \
		{                                                           \
			name##_ours, name##_asked, name##_kept, name##_bare \
		}                                                           \
	}
#define CASES(suffix)                                                       \
	CASE(read_##suffix##_in_sequence), CASE(read_##suffix##_at_random), \
		CASE(write_##suffix##_in_sequence), CASE(write_##suffix##_at_random)

static const struct {
	const char *title;
	void (*run[4])(void *context, size_t times);
} cases[] = {CASES(u8), CASES(u32le), CASES(u64le), CASES(u64be)};

/* The same ones each time: a linear congruence. */
static size_t *make_offsets(void)
{
	size_t *offsets = calloc(TIMES_MAX, sizeof *offsets);
	uint64_t state = 1;

	if (!offsets)
		abort();
	for (size_t i = 0; i < TIMES_MAX; i++) {
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		offsets[i] = (size_t)(state >> 33) % (WINDOW - 8);
	}
	return offsets;
}

static void compare_case(size_t c, struct walk *walk, size_t rounds, size_t times)
{
	const struct bench_plan plan = {cases[c].title, rounds, times, CLOCK_THREAD_CPUTIME_ID};
	const struct bench_way ways[] = {
		{"ours", cases[c].run[0], NULL, walk, 0},
		{"check and memcpy, size asked for each time", cases[c].run[1], NULL, walk, TARGET},
		{"check and memcpy, size in a register", cases[c].run[2], NULL, walk, 0},
		{"bare pointer", cases[c].run[3], NULL, walk, 0},
	};

	bench_compare(&plan, ways, sizeof ways / sizeof *ways);
}

int main(int argc, char **argv)
{
	const size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 301;
	const size_t times = argc > 3 ? strtoul(argv[3], NULL, 10) : TIMES_MAX;
	struct walk walk = {0};
	char path[320];

	if (times > TIMES_MAX)
		return fprintf(stderr, "bench: TIMES is at most %u\n", TIMES_MAX), 1;
	snprintf(path, sizeof path, "%s/filemap-bench-access.%ld", argc > 1 ? argv[1] : ".", (long)getpid());
	bench_require(filemap_open(path, FILEMAP_WRITE,
				   FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = WINDOW), &walk.map,
				   NULL),
		      "filemap_open");
	walk.bounds.data = filemap_data_mut(walk.map);
	walk.bounds.size = filemap_size(walk.map);
	walk.offsets = make_offsets();
	memset(walk.bounds.data, 1, walk.bounds.size);
	bench_stay_on_cpu();
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
		compare_case(c, &walk, rounds, times);
	filemap_close(walk.map);
	free((void *)walk.offsets);
	return unlink(path) == 0 ? 0 : 1;
}
