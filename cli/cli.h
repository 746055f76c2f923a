/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the subcommands of `filemap` share. Only the public headers of the library are used here. */
#ifndef CLI_H
#define CLI_H

#include <filemap/filemap.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CLI_OK 0
#define CLI_FAILED 1
#define CLI_USAGE 2
#define CLI_TORN 3
#define CLI_CORRUPT 4
#define CLI_IO_ERROR 5

struct cli_command {
	const char *name;      /* all words of it */
	const char *arguments; /* the usage line behind the name */
	const char *summary;
	const char *help; /* the options, a line each */
	int (*run)(const struct cli_command *self, int argc, char **argv);
};

extern const struct cli_command cli_cat, cli_copy, cli_info, cli_lock, cli_publish, cli_replace,
	cli_residency, cli_resize, cli_rm, cli_snapshot;
extern const struct cli_command cli_log_append, cli_log_cat, cli_log_info, cli_log_verify;

/* Every message goes to standard error and begins with "filemap: ". */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Tell what failed with a file or stream of that name, which the record need not say again. CLI_FAILED. */
int cli_fail(const char *name, int code, const struct filemap_error *error);
int cli_usage(const struct cli_command *self, const char *problem, const char *what); /* CLI_USAGE */
int cli_help(const struct cli_command *self);                                         /* CLI_OK */

/* Flush standard output: CLI_OK, or CLI_FAILED after saying so (a full disk must not pass unnoticed). */
int cli_finish_output(void);

/* Mapped bytes to standard output. -EFAULT: a page could not be had, behind those that were written; -errno. */
int cli_write_all(const unsigned char *data, size_t length, size_t *ret_written);

/* "64K", "1M", "2G" or plain bytes. */
bool cli_parse_size(const char *text, uint64_t *ret);

/* Digits and nothing else. */
bool cli_parse_number(const char *text, uint64_t *ret);

/* Print a string as JSON, quotes included. Bytes that are no UTF-8 become U+DC80 to U+DCFF. */
void cli_json_string(const char *text);
/* For people: controls, and bytes that are no UTF-8, become \n, \t or \xNN; --json is what tells names exactly. */
void cli_put_text(FILE *to, const char *text);
void cli_json_residency(const struct filemap_residency *residency); /* as an object; unknown is null */

/* FILEMAP_QUEUE_* from "io_uring" or "threads"; false if it is neither. */
bool cli_parse_backend(const char *text, uint32_t *ret);

const char *cli_log_state(uint32_t state); /* "clean", "torn", "corrupt" */
void cli_log_report(const char *dir, const struct filemap_log_report *report);
void cli_log_report_json(const char *dir, const struct filemap_log_report *report);

#endif
