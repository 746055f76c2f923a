/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The state of one `filemap log append`. */
#ifndef CLI_LOG_APPEND_H
#define CLI_LOG_APPEND_H

#include "acks.h"
#include "cli.h"
#include "input.h"

struct append_request {
	const char *dir, *file; /* file NULL = standard input */
	uint32_t backend;
	uint64_t segment_size;
	cli_input_split *split;
	bool acks, json, quiet;
};

struct appender {
	const struct append_request *request;
	struct filemap_queue *queue;
	struct filemap_log *log;
	struct cli_input input;
	struct cli_acks acks;
	uint64_t records, bytes, durable; /* durable: the position that was told last */
	uint64_t opened_ns, told_ns;
	bool progress; /* standard error is a terminal */
};

/* Read to the end of the input, append, tell what became durable; everything appended is durable on CLI_OK. */
int append_all(struct appender *appender);

void append_progress(struct appender *appender); /* at most ten times a second */
void append_progress_end(const struct appender *appender);
void append_summary(const struct appender *appender);
uint64_t append_now_ns(void);

#endif
