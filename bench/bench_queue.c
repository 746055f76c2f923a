/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Asynchronous flushing, in one run on one device: latency of a flush, the caller's own cost, how long a storing thread
 * is kept from storing, throughput, and what coalescing gains. Says which target was met and never fails on speed.
 *
 * usage: bench_queue [DIRECTORY [PLOTS [PARTS]]]
 *        a directory on the device to be measured; one for the SVG files, by default the same; letters of "abcde"
 * FILEMAP_BENCH_LONG=1 takes about ten times as long.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bench_queue.h"

#define TMPFS 0x01021994
#define LONG_SCALE 10.0

static void warn_of_memory(const char *below)
{
	struct statfs fs;

	if (statfs(below, &fs) == 0 && fs.f_type == TMPFS)
		printf("%s is in memory, not on a device: the ratios below say nothing\n", below);
}

/* What else runs here is in every number below. */
static void print_load(void)
{
	double load[1];

	if (getloadavg(load, 1) == 1)
		printf("%ld processors, load average %.2f\n", sysconf(_SC_NPROCESSORS_ONLN), load[0]);
}

static void set_up(struct bq *bq, const char *below, const char *plots)
{
	const char *lengthy = getenv("FILEMAP_BENCH_LONG");

	bq->scale = lengthy && *lengthy && strcmp(lengthy, "0") != 0 ? LONG_SCALE : 1;
	bq->plots = plots;
	snprintf(bq->dir, sizeof bq->dir, "%s/filemap-bench-queue.XXXXXX", below);
	if (!mkdtemp(bq->dir))
		bench_require(-errno, below);
}

int main(int argc, char **argv)
{
	static void (*const parts[])(const struct bq *) = {bq_latency, bq_caller, bq_blocked,
							   bq_stalls,  bq_load,   bq_commit};
	static const char letters[] = "abccde";
	const char *below = argc > 1 ? argv[1] : ".", *plots = argc > 2 ? argv[2] : below;
	const char *wanted = argc > 3 ? argv[3] : letters;
	const uint64_t start = bench_now_ns();
	struct bq bq;

	if (argc > 4 || below[0] == '-' || strspn(wanted, letters) != strlen(wanted)) {
		fprintf(stderr,
			"usage: bench_queue [DIRECTORY [PLOTS [PARTS]]], PARTS: letters of \"abcde\"\n");
		return 2;
	}
	warn_of_memory(below);
	print_load();
	set_up(&bq, below, plots);
	for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
		if (strchr(wanted, letters[p]))
			parts[p](&bq);
	if (rmdir(bq.dir) < 0)
		fprintf(stderr, "bench: %s was left behind\n", bq.dir);
	printf("%.1f s\n", (double)(bench_now_ns() - start) / 1e9);
	return 0;
}
