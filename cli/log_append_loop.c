/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The pipelined append: records go into the log as they are read, groups of them are flushed behind, and
 * nothing ever waits for a single record. When the input pauses, the loop sleeps on both the input and the
 * queue's eventfd, so that what was read becomes durable and is acknowledged meanwhile.
 */
#include "log_append.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

/* Looking for completions costs a system call: once per this many records while input is at hand. */
#define RECORDS_PER_POLL 64

static int tell(struct appender *a)
{
	const uint64_t durable = filemap_log_durable(a->log);

	if (durable == a->durable)
		return CLI_OK;
	a->durable = durable;
	cli_acks_advance(&a->acks, durable);
	if (!a->request->acks)
		return CLI_OK;
	printf("durable %" PRIu64 " %" PRIu64 "\n", a->acks.durable_records, durable);
	return cli_finish_output();
}

static int drive(struct appender *a)
{
	const int r = filemap_log_poll(a->log);

	if (r < 0)
		return cli_fail(a->request->dir, r, NULL);
	append_progress(a);
	return tell(a);
}

/* The number is what a user needs: with it the rest of the input can be appended once there is room. */
static int fail_record(const struct appender *a, int r)
{
	cli_error("%s: record %" PRIu64 ": %s%s", a->request->dir, a->records + 1, filemap_strerror(r),
		  r == -ENOSPC || r == -EDQUOT || r == -EFBIG
			  ? "; make room and append from this record on: those before it are in the log"
			  : "");
	return CLI_FAILED;
}

static int append_one(struct appender *a, const unsigned char *data, size_t length)
{
	struct filemap_log_position position;
	int r = filemap_log_append(a->log, data, length, &position);

	if (r == FILEMAP_ERANGE) {
		cli_error("record %" PRIu64 ": %zu bytes are too long for this log's segments",
			  a->records + 1, length);
		return CLI_FAILED;
	}
	if (r >= 0)
		r = cli_acks_push(&a->acks, position.lsn);
	if (r < 0)
		return fail_record(a, r);
	a->records++;
	a->bytes += length;
	return a->records % RECORDS_PER_POLL == 0 ? drive(a) : CLI_OK;
}

static int wait_for_input(struct appender *a)
{
	struct pollfd fds[2] = {
		{.fd = a->input.fd, .events = POLLIN},
		{.fd = filemap_queue_eventfd(a->queue), .events = POLLIN},
	};
	int r = drive(a);

	while (r == CLI_OK) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return cli_fail("poll", -errno, NULL);
		if (fds[1].revents != 0)
			r = drive(a);
		if (fds[0].revents != 0)
			break;
	}
	return r;
}

static int fill(struct appender *a)
{
	int r = wait_for_input(a);

	if (r != CLI_OK)
		return r;
	r = cli_input_fill(&a->input);
	if (r == -EMSGSIZE) {
		cli_error("record %" PRIu64 ": too long for any log", a->records + 1);
		return CLI_FAILED;
	}
	return r < 0 ? cli_fail(a->request->file ? a->request->file : "standard input", r, NULL) : CLI_OK;
}

static int read_all(struct appender *a)
{
	const unsigned char *data;
	size_t length;
	int status = CLI_OK;

	while (status == CLI_OK) {
		switch (cli_input_next(&a->input, &data, &length)) {
		case CLI_INPUT_RECORD:
			status = append_one(a, data, length);
			break;
		case CLI_INPUT_WAIT:
			status = fill(a);
			break;
		case CLI_INPUT_END:
			return CLI_OK;
		default:
			cli_error("record %" PRIu64 ": the input ends inside it", a->records + 1);
			return CLI_FAILED;
		}
	}
	return status;
}

int append_all(struct appender *a)
{
	struct filemap_error error = {0};
	int status = read_all(a);
	/* What came in before a failure is kept, and made durable like the rest. */
	int r = filemap_log_sync(a->log, &error);

	append_progress_end(a);
	if (r < 0)
		return cli_fail(a->request->dir, r, &error);
	r = tell(a);
	return status == CLI_OK ? r : status;
}
