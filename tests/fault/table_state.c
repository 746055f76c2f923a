/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What operations of the complete sweep start from, and the words in which an outcome is told.
 *
 * Invariant: nothing of a machine or a moment gets into the words: sizes are counted in TABLE_PAGE, random
 * parts of names are masked, names are sorted.
 */
#include "table.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define MOST_NAMES 16

unsigned char table_byte(size_t place)
{
	return (unsigned char)(place % 251 + 1);
}

static const unsigned char *content(void)
{
	static unsigned char bytes[TABLE_SIZE];
	if (bytes[0] == 0)
		for (size_t i = 0; i < TABLE_SIZE; i++)
			bytes[i] = table_byte(i);
	return bytes;
}

void table_file(struct table *t)
{
	t_write_file(t->file, content(), TABLE_SIZE);
}

void table_open(struct table *t, unsigned mode, const struct filemap_options *options)
{
	table_file(t);
	assert_ok(filemap_open(t->file, mode, options, &t->map, NULL));
}

void table_read(struct table *t)
{
	table_open(t, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_PIN_PARENT));
}

void table_write(struct table *t)
{
	table_open(t, FILEMAP_WRITE, NULL);
}

void table_say(struct table *t, const char *format, ...)
{
	va_list arguments;
	const size_t room = sizeof t->state - t->state_length;
	if (t->state_length > 0)
		t->state_length += (size_t)snprintf(t->state + t->state_length, room, " ");
	va_start(arguments, format);
	t->state_length += (size_t)vsnprintf(t->state + t->state_length, sizeof t->state - t->state_length,
					     format, arguments);
	va_end(arguments);
	assert_true(t->state_length < sizeof t->state);
}

const char *table_code(int64_t result, int injected)
{
	static char ring[8][40];
	static int next;
	char *text = ring[next++ % 8];

	if (result >= 0)
		snprintf(text, sizeof ring[0], "%lld", (long long)result);
	else if (injected > 0 && result == -injected)
		snprintf(text, sizeof ring[0], "-errno");
	else if (result <= FILEMAP_ELOCKED)
		snprintf(text, sizeof ring[0], "%s", filemap_error_name((int)result) + strlen("FILEMAP_"));
	else
		snprintf(text, sizeof ring[0], "-%s", filemap_error_name((int)result));
	return text;
}

void table_say_code(struct table *t, const char *word, int64_t result)
{
	table_say(t, "%s=%s", word, table_code(result, 0));
}

/* "2p+100": pages and bytes. */
static const char *size_text(uint64_t size)
{
	static char ring[4][48];
	static int next;
	char *text = ring[next++ % 4];
	const unsigned long long pages = size / TABLE_PAGE, rest = size % TABLE_PAGE;

	if (pages == 0)
		snprintf(text, sizeof ring[0], "%llu", rest);
	else if (rest == 0)
		snprintf(text, sizeof ring[0], "%llup", pages);
	else
		snprintf(text, sizeof ring[0], "%llup+%llu", pages, rest);
	return text;
}

static bool all_zero(const unsigned char *bytes, size_t length)
{
	return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/* Compared with what table_file() wrote, from `offset` on. */
static const char *content_word(const unsigned char *bytes, size_t length, size_t offset)
{
	const size_t known = offset < TABLE_SIZE ? TABLE_SIZE - offset : 0;
	const size_t common = length < known ? length : known;

	if (length == 0)
		return "empty";
	if (common > 0 && memcmp(bytes, content() + offset, common) == 0) {
		if (length == common)
			return "kept";
		return all_zero(bytes + common, length - common) ? "kept+zeros" : "kept+other";
	}
	return all_zero(bytes, length) ? "zeros" : "other";
}

static void say_state(struct table *t, unsigned state)
{
	static const char *const names[] = {"live",         "tainted",           "poisoned", "frozen",
					    "needs-unlink", "needs-parent-sync", "removed"};
	char text[120] = "";
	size_t length = 0;

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if ((state & 1u << i) != 0)
			length += (size_t)snprintf(text + length, sizeof text - length, "%s%s",
						   length > 0 ? "," : "", names[i]);
	table_say(t, "%s", text);
}

/* Whether the window reaches behind the end of the file, where it must not be touched. */
static bool is_cut(const struct filemap *map)
{
	struct stat stat;
	const int fd = filemap_fd(map);

	return fd >= 0 && fstat(fd, &stat) == 0 &&
	       (uint64_t)stat.st_size < filemap_offset(map) + filemap_size(map);
}

void table_say_map(struct table *t, const char *name, const struct filemap *map)
{
	static const char *const locks[] = {"unlocked", "shared", "exclusive"};

	if (map == NULL)
		return;
	table_say(t, "%s:", name);
	say_state(t, filemap_state(map));
	table_say(t, "%s", locks[filemap_lock_state(map)]);
	const void *data = filemap_data(map);
	if (data != NULL)
		table_say(t, "window=%s,%s", size_text(filemap_size(map)),
			  is_cut(map) ? "past the end"
				      : content_word(data, filemap_size(map), (size_t)filemap_offset(map)));
	if (filemap_is_exec(map))
		table_say(t, "exec");
}

void table_say_file(struct table *t, const char *name)
{
	static unsigned char bytes[16 * TABLE_PAGE];
	const char *path = t_path(t->dir, name);
	struct stat stat;

	if (lstat(path, &stat) < 0 || !S_ISREG(stat.st_mode)) {
		table_say(t, "%s=absent", name);
		return;
	}
	const size_t length = t_read_file(path, bytes, sizeof bytes);
	if (stat.st_size > (off_t)sizeof bytes)
		table_say(t, "%s=%s", name, size_text((uint64_t)stat.st_size));
	else
		table_say(t, "%s=%s,%s", name, size_text((uint64_t)stat.st_size),
			  content_word(bytes, length, 0));
}

/* ".file.0123abcd.del" -> ".file.*.del" */
static void mask(char *name)
{
	char *last = strrchr(name, '.'), *first;

	if (name[0] != '.' || last == NULL || last == name)
		return;
	for (first = last - 1; first > name && *first != '.'; first--)
		;
	if (first > name && last - first > 2)
		memmove(first + 1, "*", 1), memmove(first + 2, last, strlen(last) + 1);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

void table_say_beside(struct table *t)
{
	char names[MOST_NAMES][NAME_MAX + 1];
	const struct dirent *entry;
	size_t count = 0;
	DIR *stream = opendir(t->dir->path);

	assert_non_null(stream);
	while ((entry = readdir(stream)) != NULL) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    !strcmp(entry->d_name, "file"))
			continue;
		assert_true(count < MOST_NAMES);
		snprintf(names[count], sizeof names[0], "%s", entry->d_name);
		mask(names[count++]);
	}
	closedir(stream);
	qsort(names, count, sizeof names[0], by_text);
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], "other") == 0)
			table_say_file(t, names[i]);
		else
			table_say(t, "beside=%s", names[i]);
}

static void empty(int dirfd)
{
	DIR *stream = fdopendir(dirfd);
	const struct dirent *entry;

	assert_non_null(stream);
	while ((entry = readdir(stream)) != NULL) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(dirfd, entry->d_name, 0) == 0)
			continue;
		empty(openat(dirfd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		assert_ok(unlinkat(dirfd, entry->d_name, AT_REMOVEDIR));
	}
	closedir(stream);
}

void table_empty_dir(const struct t_dir *dir)
{
	empty(open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

const char *table_no_exec(void)
{
	struct statvfs system;

	assert_ok(statvfs(table_dir->path, &system));
	return (system.f_flag & ST_NOEXEC) != 0 ? "the file system is mounted noexec" : NULL;
}
