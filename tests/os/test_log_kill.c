/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A writer is killed by SIGKILL after it has acknowledged a number of records through a pipe. Whatever it had
 * acknowledged is there, byte for byte, and the next writer goes on behind it.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log_app.h"

struct round {
	const char *dir;
	uint64_t first;        /* the next id */
	uint64_t acknowledged; /* records to be acknowledged before the kill */
	unsigned level;
	uint32_t backend; /* of a queue; 0 = none */
};

static int acknowledge(int fd, uint64_t id)
{
	return write(fd, &id, sizeof id) == sizeof id ? 0 : 1;
}

/* Never ends by itself. Every seventh record is waited for when the level is DURABLE. */
static void write_for_ever(const struct round *round, int fd)
{
	struct filemap_queue *queue = NULL;
	struct filemap_log_position position;
	struct filemap_log *log;

	if (round->backend != 0)
		assert_ok(filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = round->backend), &queue, NULL));
	log = app_open(round->dir, queue, NULL);
	for (uint64_t id = round->first;; id++) {
		assert_ok(app_append(log, id, &position));
		if (round->level == FILEMAP_DURABLE && id % 7 != 0)
			continue;
		assert_int_equal(filemap_log_wait(log, position.lsn, round->level, -1), 1);
		if (acknowledge(fd, id) != 0)
			_exit(1);
	}
}

/* The id that was acknowledged last. */
static uint64_t kill_writer(const struct round *round)
{
	uint64_t id = 0;
	int fds[2], status;
	pid_t child;

	assert_ok(pipe(fds));
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(fds[0]);
		write_for_ever(round, fds[1]);
		_exit(1);
	}
	close(fds[1]);
	for (uint64_t i = 0; i < round->acknowledged; i++)
		assert_int_equal(read(fds[0], &id, sizeof id), sizeof id);
	assert_ok(kill(child, SIGKILL));
	while (read(fds[0], &id, sizeof id) == sizeof id)
		; /* acknowledged before the signal came */
	close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	return id;
}

static void kill_some_writers(const char *dir, unsigned level, uint32_t backend)
{
	struct round round = {.dir = dir, .level = level, .backend = backend};

	for (unsigned i = 0; i < 6; i++) {
		struct filemap_log_report report;
		uint64_t last, found;

		round.acknowledged = level == FILEMAP_DURABLE ? 1 + i * i * 4 : 1 + i * i * 60;
		last = kill_writer(&round);
		found = app_count(dir, FILEMAP_PUBLISHED); /* ids without a gap, every byte compared */
		assert_true(found > last);
		assert_ok(filemap_log_verify(dir, FILEMAP_LOG_DEEP, &report, NULL));
		assert_int_not_equal(report.state, FILEMAP_LOG_CORRUPT);
		assert_int_equal(report.records, found);
		round.first = found;
	}
}

static void writer_killed_keeps_durable_records(void **state)
{
	kill_some_writers(t_path(*state, "log"), FILEMAP_DURABLE, 0);
}

static void writer_killed_keeps_published_records(void **state)
{
	kill_some_writers(t_path(*state, "log"), FILEMAP_PUBLISHED, 0);
}

static void writer_with_queue_killed_keeps_durable_records(void **state)
{
	kill_some_writers(t_path(*state, "log"), FILEMAP_DURABLE, FILEMAP_QUEUE_THREADS);
}

T_MAIN(T_TEST(writer_killed_keeps_durable_records), T_TEST(writer_killed_keeps_published_records),
       T_TEST(writer_with_queue_killed_keeps_durable_records))
