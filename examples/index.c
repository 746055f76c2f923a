/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A table of numbers in a file, which a crash can neither tear nor shorten: entries are appended, and the header
 * counts only what is on the device already. Of two entries with one key the later counts.
 *
 * usage: index FILE KEY VALUE   sets a key
 *        index FILE KEY         prints its value; exit status 1 if it has none
 *
 * The file: "IDX1", four zeros, the number of entries, then the entries (key, value): 64 bits, little-endian.
 */
#define _DEFAULT_SOURCE /* htole64() */
#include <filemap/filemap.h>

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#define MAGIC ((uint64_t)0x31584449)
#define COUNT_AT ((size_t)8)
#define ENTRIES_AT ((size_t)16)
#define ENTRY ((size_t)16)
#define FIRST_SIZE ((size_t)4096)
#define RESERVE ((uint64_t)1 << 30) /* address space: no pointer into the window is ever invalid */

/* Functions with several steps fill the record; the others return a code, which says all. */
static int fail(const char *path, int r, const struct filemap_error *error)
{
	char text[512];

	if (error->code == 0)
		snprintf(text, sizeof text, "%s", filemap_strerror(r));
	else
		filemap_error_format(error, text, sizeof text);
	fprintf(stderr, "index: %s: %s\n", path, text);
	return 2;
}

/* What the header says, if the file can hold it: bytes in files are to be distrusted. */
static int count_entries(const struct filemap *map, uint64_t *ret)
{
	uint64_t magic, count;
	int r = filemap_read_u64le(map, 0, &magic);

	if (r == 0)
		r = filemap_read_u64le(map, COUNT_AT, &count);
	if (r < 0)
		return r;
	if (magic != MAGIC && (magic != 0 || count != 0))
		return FILEMAP_ECORRUPT;
	if (count > (filemap_size(map) - ENTRIES_AT) / ENTRY)
		return FILEMAP_ECORRUPT;
	*ret = count;
	return 0;
}

static int make_room(struct filemap *map, size_t end, struct filemap_error *error)
{
	return end <= filemap_size(map) ? 0 : filemap_resize(map, 2 * filemap_size(map), error);
}

/* The entry is on the device before the header that counts it is stored. */
static int append(struct filemap *map, const uint64_t entry[2], struct filemap_error *error)
{
	uint64_t count, header[2];
	size_t at;
	int r = count_entries(map, &count);

	if (r < 0)
		return r;
	at = ENTRIES_AT + (size_t)count * ENTRY;
	r = make_room(map, at + ENTRY, error);
	if (r == 0)
		r = filemap_write_u64le(map, at, entry[0]);
	if (r == 0)
		r = filemap_write_u64le(map, at + 8, entry[1]);
	if (r < 0)
		return r;
	header[0] = htole64(MAGIC);
	header[1] = htole64(count + 1);
	return filemap_commit(map, at, ENTRY, 0, header, sizeof header, error);
}

static int set(const char *path, const uint64_t entry[2])
{
	struct filemap_error error = {0};
	struct filemap *map;
	int r = filemap_open(path, FILEMAP_WRITE,
			     FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = FIRST_SIZE, .reserve = RESERVE,
					     .lock_wait_ms = 10000),
			     &map, &error);

	if (r < 0)
		return fail(path, r, &error);
	r = append(map, entry, &error);
	filemap_close(map);
	return r < 0 ? fail(path, r, &error) : 0;
}

/* 1: found, 0: not. */
static int look_up(const struct filemap *map, uint64_t key, uint64_t *ret_value)
{
	uint64_t count, found;
	int r = count_entries(map, &count);

	for (; r == 0 && count > 0; count--) {
		const size_t at = ENTRIES_AT + (size_t)(count - 1) * ENTRY;

		r = filemap_read_u64le(map, at, &found);
		if (r == 0 && found == key)
			return filemap_read_u64le(map, at + 8, ret_value) < 0 ? FILEMAP_ERANGE : 1;
	}
	return r;
}

static int get(const char *path, uint64_t key)
{
	struct filemap_error error = {0};
	struct filemap *map;
	uint64_t value;
	int r = filemap_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.lock_wait_ms = 10000), &map, &error);

	if (r < 0)
		return fail(path, r, &error);
	r = look_up(map, key, &value);
	filemap_close(map);
	if (r < 0)
		return fail(path, r, &error);
	if (r == 1)
		printf("%llu\n", (unsigned long long)value);
	return r == 1 ? 0 : 1;
}

int main(int argc, char **argv)
{
	uint64_t entry[2];

	if (argc != 3 && argc != 4) {
		fputs("usage: index FILE KEY [VALUE]\n", stderr);
		return 2;
	}
	entry[0] = strtoull(argv[2], NULL, 0);
	if (argc == 3)
		return get(argv[1], entry[0]);
	entry[1] = strtoull(argv[3], NULL, 0);
	return set(argv[1], entry);
}
