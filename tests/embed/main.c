/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A program of somebody else's: make a file, write through the mapping, flush, say what is in it. */
#include <filemap/filemap.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "made-by-main";
	struct filemap_error error;
	struct filemap *map;
	int r = filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 64), &map,
			     &error);
	if (r < 0)
		return fprintf(stderr, "%s: %s\n", path, error.step), 1;
	r = filemap_write_all(map, 0, "filemap", 7);
	if (r == 0)
		r = filemap_flush(map);
	printf("%s %s %zu\n", filemap_version(), (const char *)filemap_data(map), filemap_size(map));
	filemap_close(map);
	return r < 0;
}
