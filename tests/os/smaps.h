/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the kernel shows in /proc of this process's memory: flags of a mapping, locked memory. */
#ifndef OS_SMAPS_H
#define OS_SMAPS_H

#include "t.h"

/* The line of /proc/self/smaps that begins with `field`, for the mapping that holds the address; its first line
 * for NULL. False: there is none. */
static inline bool smaps_line(const void *address, const char *field, char *line, size_t size)
{
	unsigned long start, end;
	bool inside = false, found = false;
	FILE *stream = fopen("/proc/self/smaps", "r");

	while (stream && !found && fgets(line, (int)size, stream)) {
		const bool first = sscanf(line, "%lx-%lx ", &start, &end) == 2;
		if (first)
			inside = start <= (uintptr_t)address && (uintptr_t)address < end;
		found = inside && (field ? strncmp(line, field, strlen(field)) == 0 : first);
	}
	if (stream)
		(void)fclose(stream);
	return found;
}

/* The bytes behind a field such as "Rss:". */
static inline size_t smaps_bytes(const void *address, const char *field)
{
	char line[1024];

	assert_true(smaps_line(address, field, line, sizeof line));
	return strtoul(line + strlen(field), NULL, 10) * 1024;
}

/* Whether the mapping has a flag of two letters, as in "rd wr sh dd". */
static inline bool smaps_has_flag(const void *address, const char *flag)
{
	char flags[1024];

	assert_true(smaps_line(address, "VmFlags:", flags, sizeof flags));
	for (const char *at = strchr(flags, ' '); at; at = strchr(at + 1, ' '))
		if (strncmp(at + 1, flag, 2) == 0)
			return true;
	return false;
}

/* Locked memory of the process. */
static inline size_t locked_bytes(void)
{
	unsigned long kib = 0;
	char line[256];
	FILE *stream = fopen("/proc/self/status", "r");

	assert_non_null(stream);
	while (fgets(line, sizeof line, stream) && sscanf(line, "VmLck: %lu", &kib) != 1)
		;
	(void)fclose(stream);
	return kib * 1024;
}

#endif
