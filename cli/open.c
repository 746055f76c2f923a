/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Opening a file for the commands that only read. */
#include "open.h"

int cli_open(const char *path, uint32_t lock_family, struct filemap **ret_map)
{
	struct filemap_error error = {0};
	int r = filemap_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.lock_family = lock_family), ret_map,
			     &error);

	if (r >= 0)
		return CLI_OK;
	cli_fail(path, r, &error);
	if (r == FILEMAP_ELOCKED)
		cli_error("%s: the shared lock could not be taken; --no-lock reads anyway", path);
	return CLI_FAILED;
}
