/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What `filemap log append` tells a person: progress while it works, a summary behind. */
#include "log_append.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define PROGRESS_INTERVAL_NS UINT64_C(100000000)

uint64_t append_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void append_progress(struct appender *a)
{
	uint64_t now;

	if (!a->progress)
		return;
	now = append_now_ns();
	if (now - a->told_ns < PROGRESS_INTERVAL_NS)
		return;
	a->told_ns = now;
	fprintf(stderr, "\r%" PRIu64 " records, %.1f MiB read, %" PRIu64 " records durable ", a->records,
		(double)a->bytes / (1 << 20), a->acks.durable_records);
	fflush(stderr);
}

void append_progress_end(const struct appender *a)
{
	if (a->progress && a->told_ns != a->opened_ns)
		fputs("\r\033[K", stderr);
}

static double per(uint64_t many, uint64_t few)
{
	return few ? (double)many / (double)few : 0.0;
}

static void summary_json(const struct appender *a, const struct filemap_log_stats *stats, double seconds)
{
	printf("{\"records\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"durable_records\":%" PRIu64
	       ",\"durable\":%" PRIu64 ",\"flushes\":%" PRIu64
	       ",\"records_per_flush\":%.1f,\"backend\":\"%s\",\"seconds\":%.3f}\n",
	       a->records, a->bytes, a->acks.durable_records, a->durable, stats->flushes,
	       per(stats->flushed_records, stats->flushes), filemap_queue_backend(a->queue), seconds);
}

void append_summary(const struct appender *a)
{
	const double seconds = (double)(append_now_ns() - a->opened_ns) / 1e9;
	struct filemap_log_stats stats;

	if (filemap_log_stats(a->log, &stats) < 0)
		return;
	if (a->request->json)
		summary_json(a, &stats, seconds);
	else if (!a->request->quiet)
		fprintf(stderr,
			"%" PRIu64 " record%s (%" PRIu64 " bytes) durable up to %" PRIu64 ": %" PRIu64
			" flush%s by %s, %.1f records per flush, %.3f s\n",
			a->acks.durable_records, a->acks.durable_records == 1 ? "" : "s", a->bytes,
			a->durable, stats.flushes, stats.flushes == 1 ? "" : "es",
			filemap_queue_backend(a->queue), per(stats.flushed_records, stats.flushes), seconds);
}
