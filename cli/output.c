/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Messages, usage, and the parsing of small arguments. */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_SIZE 8192 /* more than a path and its error need */

void cli_error(const char *format, ...)
{
	char line[MESSAGE_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	fputs("filemap: ", stderr);
	cli_put_text(stderr, line);
	fputc('\n', stderr);
}

/* The record keeps what fits of a path. */
static bool is_same_name(const char *detail, const char *name)
{
	const size_t length = strlen(detail);

	return strncmp(detail, name, length) == 0 &&
	       (name[length] == '\0' || length + 4 >= sizeof((struct filemap_error){0}).detail);
}

static bool has_word(const char *text, const char *word)
{
	const char *found = strstr(text, word);

	return found && (found == text || found[-1] == ' ') && strchr(" ", found[strlen(word)]);
}

/* "open file file 'x'" of x is "open file": what the step or the beginning of the line says is left out. */
static void shorten(struct filemap_error *error, const char *name)
{
	const bool is_phrase = error->step && strchr(error->step, ' ');

	if (error->subject && error->step && has_word(error->step, error->subject))
		error->subject = NULL;
	else if (error->subject && is_phrase && strcmp(error->subject, "file") == 0)
		error->subject = NULL;
	if (is_same_name(error->detail, name) || strncmp(error->detail, "fd:", 3) == 0)
		error->detail[0] = '\0';
}

int cli_fail(const char *name, int code, const struct filemap_error *error)
{
	struct filemap_error shortened;
	char text[512];

	name = name[0] == '\0' ? "''" : name;
	if (!error || error->code == 0) {
		cli_error("%s: %s", name, filemap_strerror(code));
		return CLI_FAILED;
	}
	if (error->code == FILEMAP_EOPTION && error->subject && error->hint) {
		cli_error("%s: %s: %s", name, error->subject, error->hint);
		return CLI_FAILED;
	}
	shortened = *error;
	shorten(&shortened, name);
	filemap_error_format(&shortened, text, sizeof text);
	cli_error("%s: %s", name, text);
	return CLI_FAILED;
}

int cli_usage(const struct cli_command *self, const char *problem, const char *what)
{
	cli_error("%s: %s%s%s", self->name, problem, what ? " " : "", what ? what : "");
	fprintf(stderr, "usage: filemap %s %s\n", self->name, self->arguments);
	return CLI_USAGE;
}

int cli_help(const struct cli_command *self)
{
	printf("usage: filemap %s %s\n\n%s\n", self->name, self->arguments, self->summary);
	if (self->help[0] != '\0')
		printf("\n%s", self->help);
	return cli_finish_output();
}

int cli_finish_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return CLI_OK;
	cli_error("standard output: %s", strerror(errno));
	return CLI_FAILED;
}

static bool size_unit(const char *suffix, unsigned *ret_shift)
{
	static const char letters[] = "KMGT";
	const char *found;

	*ret_shift = 0;
	if (suffix[0] == '\0')
		return true;
	found = strchr(letters, suffix[0]);
	if (!found || suffix[1] != '\0')
		return false;
	*ret_shift = 10 * (unsigned)(found - letters + 1);
	return true;
}

bool cli_parse_size(const char *text, uint64_t *ret)
{
	unsigned shift;
	char *end;
	unsigned long long value;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || !size_unit(end, &shift) || value > UINT64_MAX >> shift)
		return false;
	*ret = (uint64_t)value << shift;
	return true;
}

bool cli_parse_number(const char *text, uint64_t *ret)
{
	return strspn(text, "0123456789") == strlen(text) && cli_parse_size(text, ret);
}

bool cli_parse_backend(const char *text, uint32_t *ret)
{
	if (strcmp(text, "io_uring") == 0)
		*ret = FILEMAP_QUEUE_URING;
	else if (strcmp(text, "threads") == 0)
		*ret = FILEMAP_QUEUE_THREADS;
	else
		return false;
	return true;
}
