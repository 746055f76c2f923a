/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A directory of jobs. `put` publishes one: it is there complete and durable, or not at all. `take` does those that
 * nobody else is doing: each is mapped for writing, which takes the exclusive lock, printed, and removed by closing
 * it, durably. A job whose consumer died is still there, and is done by the next one: at least once, that is.
 *
 * usage: spool DIRECTORY put NAME TEXT
 *        spool DIRECTORY take
 */
#include <filemap/filemap.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *name, const struct filemap_error *error)
{
	char text[512];

	filemap_error_format(error, text, sizeof text);
	fprintf(stderr, "spool: %s: %s\n", name, text);
	return 1;
}

static int put(int dirfd, const char *name, const char *text)
{
	struct filemap_bytes job = {.data = text, .length = strlen(text)};
	struct filemap_error error;
	const int r = filemap_publish(dirfd, name, filemap_fill_bytes, &job, NULL, &error);

	return r < 0 ? fail(name, &error) : 0;
}

struct job {
	const char *name;
	int status;
};

/* A job that is still there after it was done will be done twice: that must not pass in silence. */
static void removed(void *context, int result, const struct filemap_error *error)
{
	struct job *job = context;

	job->status = result < 0 ? fail(job->name, error) : 0;
}

/* Somebody else is doing it, or has done it since its name was read. */
static int is_taken(int r)
{
	return r == FILEMAP_ELOCKED || r == FILEMAP_EREPLACED || r == FILEMAP_EGONE || r == -ENOENT;
}

static int take(const char *directory, const char *name)
{
	struct job job = {name, 0};
	struct filemap_error error;
	struct filemap *map;
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	const int r = filemap_open(path, FILEMAP_WRITE,
				   FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE, .on_remove = removed,
						   .on_remove_context = &job),
				   &map, &error);
	if (r < 0)
		return is_taken(r) ? 0 : fail(name, &error);
	printf("%s: %.*s\n", name, (int)filemap_size(map), (const char *)filemap_data(map));
	fflush(stdout);
	filemap_close(map);
	return job.status;
}

/* Hidden names are files on their way in or out. */
static int take_all(const char *directory, DIR *jobs)
{
	int status = 0;

	for (const struct dirent *entry; (entry = readdir(jobs));)
		if (entry->d_name[0] != '.')
			status |= take(directory, entry->d_name);
	return status;
}

int main(int argc, char **argv)
{
	const int is_put = argc == 5 && strcmp(argv[2], "put") == 0;
	DIR *jobs;
	int status;

	if (!is_put && (argc != 3 || strcmp(argv[2], "take") != 0)) {
		fputs("usage: spool DIRECTORY put NAME TEXT | spool DIRECTORY take\n", stderr);
		return 2;
	}
	jobs = opendir(argv[1]);
	if (!jobs) {
		perror(argv[1]);
		return 1;
	}
	status = is_put ? put(dirfd(jobs), argv[3], argv[4]) : take_all(argv[1], jobs);
	closedir(jobs);
	return status;
}
