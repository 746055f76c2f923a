/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The parts of bench_queue: each measures its ways in turns, prints its table, draws its plot, and says which target
 * was met. What they share: files of pages that are written already, queues that may not be there, distributions.
 */
#ifndef BENCH_QUEUE_H
#define BENCH_QUEUE_H

#include <filemap/filemap.h>

#include "bench.h"
#include "plot.h"

#define BQ_PAGE ((size_t)4096)

struct bq {
	char dir[256];     /* of the files, on the device that is measured */
	const char *plots; /* where the SVG files go */
	double scale;      /* how much longer than usual */
};

void bq_latency(const struct bq *bq);
void bq_caller(const struct bq *bq);
void bq_blocked(const struct bq *bq);
void bq_stalls(const struct bq *bq);
void bq_load(const struct bq *bq);
void bq_commit(const struct bq *bq);

/* A file whose blocks are allocated and written, mapped and opened beside. */
struct bq_file {
	struct filemap *map;
	unsigned char *data;
	size_t size, at;
	int fd;
};

void bq_file_open(const struct bq *bq, struct bq_file *file, unsigned number, size_t size);
void bq_file_close(struct bq_file *file);
size_t bq_dirty(struct bq_file *file); /* stores into the page after the next one; where that begins */

/* A queue to be measured. Opening says in one line why one is not there; then `queue` is NULL. */
struct bq_kind {
	const char *name;
	uint32_t backend, flags;
};

struct filemap_queue *bq_queue_open(const struct bq_kind *kind, uint32_t depth, uint32_t workers);

/*
 * One thing to flush with. `open` may be NULL; a negative answer leaves the way out, having said why. `flush` returns
 * when the page is durable; `begin` and `end` are the halves of that.
 */
struct bq_way {
	const char *name;
	int (*open)(struct bq_way *way);
	void (*flush)(struct bq_way *way, struct bq_file *file, size_t offset);
	void (*begin)(struct bq_way *way, struct bq_file *file, size_t offset);
	void (*end)(struct bq_way *way);
	void (*close)(struct bq_way *way);
	struct bq_kind kind;
	double target; /* of its median to that of the first way; 0 = none */
	void *state;
	int absent;
	struct bench_series series;
};

/* Ways with a ring of the program's own; absent if this was built without liburing. */
extern const struct bq_way bq_ring_prep, bq_ring_bare, bq_ring_owner;

/* A thread of the program's own that calls fdatasync. */
extern const struct bq_way bq_helper;

/* Where the time of bq_ring_owner goes: caller to owner awake, there to the completion, from that to the caller awake. */
#define BQ_HOPS 3
extern struct bench_series bq_hops[BQ_HOPS];

/* The median ratio of two series that were measured in turns, and its quartiles: of the medians of blocks of them. */
struct bq_ratio {
	double low, median, high;
};

struct bq_ratio bq_ratio(const struct bench_series *ours, const struct bench_series *other, size_t block);
void bq_target(const char *what, double measured, double target, const char *unit);
void bq_print(const struct bench_series *series); /* its quantiles in microseconds, without a line end */
double bq_us(const struct bench_series *series, unsigned ppm);
double bq_median(double *values, size_t count); /* sorts them */

/* The numbers below `count` in another order each time: no way always comes after the same one, which leaves the
 * processors asleep or awake for it. */
void bq_shuffle(size_t *order, size_t count);

void bq_spin_until(uint64_t ns);
uint64_t bq_deadline(const struct bq *bq, double seconds);

/* A plot of distributions. */
struct bq_chart {
	struct plot_line lines[PLOT_LINES_MAX];
	size_t count;
	double low, high;
};

void bq_chart_add(struct bq_chart *chart, const struct bench_series *series);
void bq_chart_write(const struct bq *bq, const char *name, const char *title, struct bq_chart *chart);
void bq_plot(const struct bq *bq, const char *name, const char *title, const struct plot *panels,
	     size_t count);

#endif
