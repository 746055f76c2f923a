/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the commands that change names have in common. */
#include "name.h"

#include <string.h>

static int directory_length(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (int)(slash - path) + 1 : 0;
}

/* A record holds a path, the last component of it, or a hidden name. */
const char *cli_kept(const char *path, const struct filemap_error *error)
{
	const char *detail = error->detail;
	const size_t length = strlen(detail);
	const char *last = path + directory_length(path);

	if (length == 0 || detail[0] != '.' || strchr(detail, '.') == strrchr(detail, '.'))
		return NULL;
	return strncmp(path, detail, length) == 0 || strncmp(last, detail, length) == 0 ? NULL : detail;
}

/* The record keeps what fits. */
static const char *ellipsis(const char *detail)
{
	return strlen(detail) + 4 >= sizeof((struct filemap_error){0}).detail ? "..." : "";
}

int cli_name_failed(const char *path, int code, const struct filemap_error *error)
{
	const char *kept = cli_kept(path, error);
	struct filemap_error without = *error;

	if (!kept)
		return cli_fail(path, code, error);
	without.detail[0] = '\0';
	cli_fail(path, code, &without);
	cli_error("%s: a file had to be left as %.*s%s%s", path, directory_length(path), path, kept,
		  ellipsis(kept));
	return CLI_FAILED;
}

int cli_parse_identity(const struct cli_command *self, const char *text, struct filemap_identity *ret)
{
	if (filemap_identity_parse(text, ret) == 0)
		return CLI_OK;
	return cli_usage(self, "not an identity, as `filemap info` prints it:", text);
}
