/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Opening a file for the commands that only read. A refused lock is told with the name of its holder. */
#include "open.h"
#include "holders.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define READ_ANYWAY "; --no-lock reads anyway"

static int locked(const char *path, uint32_t lock_family, bool wanted_exclusive, const char *advice)
{
	struct cli_holders holders;
	char text[256];

	cli_holders_of_path(path, &holders);
	cli_holders_against(&holders, lock_family, wanted_exclusive);
	cli_holders_text(&holders, text, sizeof text);
	cli_error("%s: locked by %s%s", path, text, advice ? advice : "");
	return CLI_FAILED;
}

int cli_open_failed(const char *path, uint32_t lock_family, bool wanted_exclusive, int code,
		    const struct filemap_error *error, const char *advice)
{
	if (code == FILEMAP_ELOCKED)
		return locked(path, lock_family, wanted_exclusive, advice);
	return cli_fail(path, code, error);
}

int cli_open(const char *path, uint32_t lock_family, struct filemap **ret_map)
{
	struct filemap_error error = {0};
	int r = filemap_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.lock_family = lock_family), ret_map,
			     &error);

	return r < 0 ? cli_open_failed(path, lock_family, false, r, &error, READ_ANYWAY) : CLI_OK;
}

/* The length of a stream is not known, so the limit is told. */
static int read_failed(const char *name, size_t max_bytes, int code, const struct filemap_error *error)
{
	if (code != -EFBIG || max_bytes == FILEMAP_TO_END)
		return cli_fail(name, code, error);
	cli_error("%s: more than %zu bytes: %s", name, max_bytes, filemap_strerror(code));
	return CLI_FAILED;
}

static int read_standard_input(size_t max_bytes, struct filemap **ret_map)
{
	struct filemap_error error = {0};
	int r = filemap_read_fd(STDIN_FILENO, max_bytes, ret_map, &error);

	return r < 0 ? read_failed("standard input", max_bytes, r, &error) : CLI_OK;
}

int cli_open_stream(const char *path, size_t max_bytes, uint32_t lock_family, struct filemap **ret_map)
{
	struct filemap_error error = {0};
	int r;

	if (strcmp(path, "-") == 0)
		return read_standard_input(max_bytes, ret_map);
	r = filemap_open_or_read(path, max_bytes, FILEMAP_OPTIONS(.lock_family = lock_family), ret_map,
				 &error);
	if (r < 0 && r != FILEMAP_ELOCKED)
		return read_failed(path, max_bytes, r, &error);
	return r < 0 ? cli_open_failed(path, lock_family, false, r, &error, READ_ANYWAY) : CLI_OK;
}
