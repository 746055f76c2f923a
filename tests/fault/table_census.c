/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What must not leak: descriptors, and memory that is mapped. Of the heap the sanitizers tell.
 *
 * Without a sanitizer or valgrind, which map for themselves, all anonymous memory is counted; with one, only what
 * names a file in the case's directory.
 */
#include "table.h"

#define MOST_FD 256

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MAPS_ARE_OURS 0 /* the sanitizer maps for itself */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MAPS_ARE_OURS 0
#endif
#endif
#ifndef MAPS_ARE_OURS
#define MAPS_ARE_OURS 1
#endif

/* Everything but the heap, the stack and what the program was loaded from. */
static size_t mapped_bytes(const char *dir_path)
{
	const char *preload = getenv("LD_PRELOAD");
	const bool all = MAPS_ARE_OURS && (preload == NULL || strstr(preload, "vgpreload") == NULL);
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[600];
	size_t sum = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof line, maps) != NULL) {
		char *end;
		const uintptr_t from = strtoul(line, &end, 16), to = strtoul(end + 1, &end, 16);
		const char *name = strpbrk(line, "/[");
		const bool is_memory = name == NULL || strncmp(name, "[anon", 5) == 0 ||
				       strncmp(name, "/memfd:", 7) == 0 || strncmp(name, "/dev/zero", 9) == 0;
		if ((all && is_memory) || (name != NULL && strstr(name, dir_path) != NULL))
			sum += to - from;
	}
	fclose(maps);
	return sum;
}

struct table_census table_take_census(const struct t_dir *dir)
{
	struct table_census now = {0, mapped_bytes(dir->path)};
	for (int fd = 0; fd < MOST_FD; fd++)
		now.descriptors += fcntl(fd, F_GETFD) >= 0;
	return now;
}
