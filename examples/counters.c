/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A counter in a file that several processes count up at once. FILEMAP_SHARING_COOPERATE lets them all write: they
 * hold the shared lock, so that writers which do not cooperate stay out. What keeps the numbers right is not the
 * lock but the atomic addition, on an aligned address.
 *
 * usage: counters FILE [PROCESSES [TIMES]]   prints the sum that the file has in the end
 */
#include <filemap/filemap.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const struct filemap_error *error)
{
	char text[512];

	filemap_error_format(error, text, sizeof text);
	fprintf(stderr, "counters: %s\n", text);
	return 1;
}

/* Whoever comes first makes the file; the others find it with its size. */
static int open_counter(const char *path, struct filemap **ret, struct filemap_error *error)
{
	return filemap_open(path, FILEMAP_WRITE,
			    FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = sizeof(uint64_t),
					    .sharing = FILEMAP_SHARING_COOPERATE, .lock_wait_ms = 10000),
			    ret, error);
}

/* A handle belongs to the process that opened it, so each child opens its own. */
static int count(const char *path, unsigned long times)
{
	struct filemap_error error = {0};
	struct filemap *map;
	void *counter;

	if (open_counter(path, &map, &error) < 0)
		return fail(&error);
	if (filemap_slice_mut(map, 0, sizeof(uint64_t), &counter) < 0) {
		fprintf(stderr, "counters: %s is too short\n", path);
		filemap_close(map);
		return 1;
	}
	for (unsigned long i = 0; i < times; i++)
		__atomic_fetch_add((uint64_t *)counter, 1, __ATOMIC_RELAXED);
	filemap_close(map);
	return 0;
}

static int wait_for_all(void)
{
	int status, result = 0;

	while (wait(&status) > 0)
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			result = 1;
	return result;
}

/* The children are through, so nobody counts any more: a plain read is enough. */
static int print(const char *path)
{
	struct filemap_error error = {0};
	struct filemap *map;
	uint64_t sum;
	int r;

	if (open_counter(path, &map, &error) < 0)
		return fail(&error);
	r = filemap_read_u64ne(map, 0, &sum);
	filemap_close(map);
	if (r == 0)
		printf("%llu\n", (unsigned long long)sum);
	return r < 0;
}

int main(int argc, char **argv)
{
	const unsigned long processes = argc > 2 ? strtoul(argv[2], NULL, 10) : 4;
	const unsigned long times = argc > 3 ? strtoul(argv[3], NULL, 10) : 100000;

	if (argc < 2) {
		fputs("usage: counters FILE [PROCESSES [TIMES]]\n", stderr);
		return 2;
	}
	for (unsigned long i = 0; i < processes; i++) {
		const pid_t pid = fork();

		if (pid == 0)
			_exit(count(argv[1], times));
		if (pid < 0)
			perror("counters: fork");
	}
	return wait_for_all() != 0 ? 1 : print(argv[1]);
}
