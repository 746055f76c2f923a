/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Syncs, write-back, prefault, directories and commits through a queue, on each of its shapes: that they do what
 * the synchronous calls do and answer what those answer; and that any kind of request outlives its mapping.
 */
#include "queue_shapes.h"

#include <fcntl.h>
#include <unistd.h>

#include "map/map.h"

static void finish(struct filemap_queue *queue, struct filemap *map)
{
	filemap_queue_close(queue);
	filemap_close(map);
}

static void taint(struct filemap *map)
{
	struct fm__flush flush;

	assert_ok(fm__map_flush_begin(map, 0, 1, &flush));
	assert_int_equal(fm__map_flush_end(&flush, -ENOSPC), -ENOSPC);
}

/* FILEMAP_UNKNOWN where it cannot be seen: an old kernel, or tmpfs, where pages are never clean. */
static uint64_t dirty_pages(const struct filemap *map)
{
	struct filemap_residency now;

	assert_ok(filemap_residency(map, 0, FILEMAP_TO_END, &now));
	return now.dirty;
}

static void need_visible_dirt(struct filemap *map)
{
	const bool seen = dirty_pages(map) != FILEMAP_UNKNOWN;
	uint64_t left;

	assert_ok(filemap_flush(map));
	left = dirty_pages(map);
	if (seen && left == 0)
		memset(filemap_data_mut(map), 'y', SIZE);
	if (seen && left == 0)
		return;
	filemap_close(map);
	t_skip("dirty pages are not visible here: tmpfs, or no cachestat(2)");
}

/* Memory, private copies, borrowed bytes: without a device. */
#define DEVICELESS 4
static void open_deviceless(const struct t_dir *dir, struct filemap *ret[DEVICELESS])
{
	static char bytes[SIZE];

	filemap_close(open_map(dir, "private"));
	assert_ok(filemap_open(t_path(dir, "private"), FILEMAP_COW, NULL, &ret[0], NULL));
	assert_ok(filemap_anonymous(SIZE, NULL, &ret[1], NULL));
	assert_ok(filemap_anonymous(SIZE, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &ret[2], NULL));
	assert_ok(filemap_wrap_bytes(NULL, bytes, SIZE, &ret[3], NULL));
}

static void close_deviceless(struct filemap *maps[DEVICELESS])
{
	for (int i = 0; i < DEVICELESS; i++)
		filemap_close(maps[i]);
}

/* ---- sync ---- */

static uint64_t queue_sync(struct filemap_queue *queue, struct filemap *map)
{
	uint64_t ticket = 0;

	assert_ok(filemap_queue_sync(queue, map, NULL, NULL, &ticket));
	return ticket;
}

static void a_sync_cleans_every_page(struct t_dir *dir, const struct shape *shape)
{
	need_device(dir);
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map;

	filemap_queue_close(queue);
	map = open_map(dir, "a");
	need_visible_dirt(map);
	queue = open_queue(shape, 0);
	assert_true(dirty_pages(map) > 0);
	assert_int_equal(result_of(queue, queue_sync(queue, map)), 0);
	assert_int_equal(dirty_pages(map), 0);
	assert_int_equal(stats_of(queue).flushes, 1);
	finish(queue, map);
}

static void a_sync_without_a_device_is_0(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *maps[DEVICELESS];

	open_deviceless(dir, maps);
	for (int i = 0; i < DEVICELESS; i++)
		assert_int_equal(result_of(queue, queue_sync(queue, maps[i])), filemap_sync(maps[i]));
	assert_int_equal(stats_of(queue).device_flushes, 0);
	filemap_queue_close(queue);
	close_deviceless(maps);
}

static void a_tainted_mapping_is_refused_as_by_the_synchronous_calls(struct t_dir *dir,
								     const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	uint64_t ticket = 99;

	taint(map);
	assert_int_equal(filemap_queue_flush(queue, map, 0, 1, NULL, NULL, &ticket), filemap_flush(map));
	assert_int_equal(filemap_queue_sync(queue, map, NULL, NULL, &ticket), filemap_sync(map));
	assert_int_equal(filemap_queue_sync(queue, map, NULL, NULL, &ticket), FILEMAP_EPOISONED);
	assert_int_equal(filemap_queue_commit(queue, map, 0, 1, 8, "h", 1, NULL, NULL, &ticket),
			 FILEMAP_EPOISONED);
	assert_int_equal(ticket, 99);
	assert_int_equal(stats_of(queue).queued, 0);
	/* Only what promises something is refused. */
	assert_ok(filemap_writeback(map, 0, FILEMAP_TO_END));
	assert_ok(filemap_queue_writeback(queue, map, 0, FILEMAP_TO_END, NULL, NULL, &ticket));
	assert_int_equal(result_of(queue, ticket), 0);
	assert_int_equal(((const char *)filemap_data(map))[8], 'x');
	finish(queue, map);
}

static void a_flush_that_a_failure_overtakes_is_epoisoned(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	uint64_t flushed = flush(queue, map, NULL, NULL), synced = queue_sync(queue, map);
	struct filemap_error error;

	taint(map);
	assert_int_equal(result_of(queue, flushed), FILEMAP_EPOISONED);
	assert_int_equal(result_with(queue, synced, &error), FILEMAP_EPOISONED);
	assert_int_equal(error.sys_errno, 0);
	assert_int_equal(filemap_poison_cause(map), -ENOSPC);
	finish(queue, map);
}

/* ---- write-back ---- */

static void writeback_begins_to_write_the_range(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap_completion done;
	struct filemap *map;
	uint64_t ticket;

	filemap_queue_close(queue);
	map = open_map(dir, "a");
	need_visible_dirt(map);
	queue = open_queue(shape, 0);
	assert_ok(filemap_queue_writeback(queue, map, 0, FILEMAP_TO_END, NULL, NULL, &ticket));
	assert_int_equal(filemap_queue_wait(queue, ticket, -1, &done), 1);
	assert_int_equal(done.result, 0);
	assert_int_equal(dirty_pages(map), 0); /* written, or being written */
	assert_int_equal(stats_of(queue).flushes, 0);
	finish(queue, map);
}

static void writeback_answers_as_the_synchronous_call(struct t_dir *dir, const struct shape *shape)
{
	static const size_t ranges[][2] = {{0, 0},    {SIZE, 0}, {SIZE, 1},          {SIZE + 1, 0},
					   {1, SIZE}, {5, 100},  {7, FILEMAP_TO_END}};
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a"), *maps[DEVICELESS];

	open_deviceless(dir, maps);
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		for (int m = 0; m <= DEVICELESS; m++) {
			struct filemap *one = m < DEVICELESS ? maps[m] : map;
			const int expected = filemap_writeback(one, ranges[i][0], ranges[i][1]);
			uint64_t ticket = 0;
			int r = filemap_queue_writeback(queue, one, ranges[i][0], ranges[i][1], NULL, NULL,
							&ticket);
			assert_int_equal(r < 0 ? r : result_of(queue, ticket), expected);
			assert_int_equal(ticket == 0, r < 0);
		}
	}
	close_deviceless(maps);
	finish(queue, map);
}

/* ---- prefault ---- */

static uint64_t prefault(struct filemap_queue *queue, struct filemap *map, unsigned how)
{
	uint64_t ticket = 0;

	assert_ok(filemap_queue_prefault(queue, map, how, 0, FILEMAP_TO_END, NULL, NULL, &ticket));
	return ticket;
}

static struct filemap *open_sparse(const struct t_dir *dir, const char *name)
{
	struct filemap *map;

	assert_ok(filemap_open(t_path(dir, name), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = SIZE), &map,
			       NULL));
	return map;
}

static uint64_t resident(const struct filemap *map)
{
	struct filemap_residency now;

	assert_ok(filemap_residency(map, 0, FILEMAP_TO_END, &now));
	return now.resident * now.page_size;
}

static void prefault_brings_the_pages_in(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_sparse(dir, "a");
	struct filemap_stat status;

	assert_true(resident(map) < SIZE);
	assert_int_equal(result_of(queue, prefault(queue, map, FILEMAP_PREFAULT_READ)), 0);
	assert_int_equal(resident(map), SIZE);
	assert_int_equal(result_of(queue, prefault(queue, map, FILEMAP_PREFAULT_WRITE)), 0);
	assert_ok(filemap_flush(map)); /* delayed allocation has chosen the blocks by now */
	assert_ok(filemap_stat(map, &status));
	assert_true(status.blocks * 512 >= SIZE);
	assert_true(all_are(map, 0, SIZE, 0));
	finish(queue, map);
}

static void prefault_behind_the_end_of_a_cut_file_is_efault(struct t_dir *dir, const struct shape *shape)
{
	static const unsigned hows[] = {FILEMAP_PREFAULT_READ, FILEMAP_PREFAULT_WRITE};
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	struct filemap_error error;
	uint64_t ticket;

	assert_ok(truncate(filemap_path(map), PAGE));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(filemap_prefault(map, hows[i], 0, FILEMAP_TO_END), FILEMAP_EFAULT);
		assert_int_equal(result_with(queue, prefault(queue, map, hows[i]), &error), FILEMAP_EFAULT);
		assert_ok(filemap_queue_prefault(queue, map, hows[i], 7, 2 * PAGE, NULL, NULL, &ticket));
		assert_int_equal(result_with(queue, ticket, &error), FILEMAP_EFAULT);
		assert_int_equal(error.offset, 7);
		assert_int_equal(error.length, 2 * PAGE);
		assert_ok(filemap_queue_prefault(queue, map, hows[i], 0, PAGE, NULL, NULL, &ticket));
		assert_int_equal(result_of(queue, ticket), 0);
	}
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	finish(queue, map);
}

static void prefault_answers_as_the_synchronous_call(struct t_dir *dir, const struct shape *shape)
{
	static const size_t ranges[][2] = {{0, 0}, {SIZE, 0}, {SIZE, 1}, {5, 100}, {7, FILEMAP_TO_END}};
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *maps[DEVICELESS + 2];

	open_deviceless(dir, maps);
	maps[DEVICELESS] = open_map(dir, "a");
	assert_ok(filemap_open(t_path(dir, "private"), FILEMAP_READ, NULL, &maps[DEVICELESS + 1], NULL));
	for (unsigned how = 0; how <= 3; how++) {
		for (int m = 0; m < DEVICELESS + 2; m++) {
			for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
				const int expected =
					filemap_prefault(maps[m], how, ranges[i][0], ranges[i][1]);
				uint64_t ticket = 0;
				int r = filemap_queue_prefault(queue, maps[m], how, ranges[i][0],
							       ranges[i][1], NULL, NULL, &ticket);
				assert_int_equal(r < 0 ? r : result_of(queue, ticket), expected);
				assert_int_equal(ticket == 0, r < 0);
			}
		}
	}
	filemap_queue_close(queue);
	for (int m = 0; m < DEVICELESS + 2; m++)
		assert_ok(filemap_try_close(maps[m])); /* no pin was left */
}

static void prefault_in_flight_is_a_pin(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	uint64_t ticket = prefault(queue, map, FILEMAP_PREFAULT_READ);

	assert_int_equal(filemap_try_close(map), FILEMAP_EBUSY);
	assert_int_equal(filemap_freeze(map, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_resize(map, PAGE, NULL), FILEMAP_EBUSY);
	assert_ok(filemap_queue_drain(queue)); /* finished, and still unclaimed */
	assert_int_equal(filemap_resize(map, PAGE, NULL), FILEMAP_EBUSY);
	assert_int_equal(result_of(queue, ticket), 0);
	assert_ok(filemap_resize(map, PAGE, NULL));
	assert_ok(filemap_try_close(map));
	filemap_queue_close(queue);
}

/* ---- directories ---- */

static void a_directory_is_synced_whatever_becomes_of_its_descriptor(struct t_dir *dir,
								     const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	const int kinds[] = {O_RDONLY, O_PATH};
	uint64_t ticket;

	for (int i = 0; i < 2; i++) {
		const int fd = open(dir->path, kinds[i] | O_DIRECTORY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_ok(filemap_queue_sync_dir(queue, fd, NULL, NULL, &ticket));
		close(fd);
		assert_int_equal(result_of(queue, ticket), 0);
	}
	assert_ok(filemap_queue_sync_dir(queue, AT_FDCWD, NULL, NULL, &ticket));
	assert_int_equal(result_of(queue, ticket), 0);
	filemap_queue_close(queue);
}

static void what_is_no_directory_is_not_synced(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 1);
	struct filemap *map = open_map(dir, "a");
	const struct t_census before = t_census_take(dir->path);
	uint64_t ticket = 99;

	assert_int_equal(filemap_queue_sync_dir(queue, filemap_fd(map), NULL, NULL, &ticket), -ENOTDIR);
	assert_int_equal(filemap_queue_sync_dir(queue, -1, NULL, NULL, &ticket), -EBADF);
	assert_int_equal(filemap_queue_sync_dir(queue, 9999, NULL, NULL, &ticket), -EBADF);
	assert_int_equal(ticket, 99);
	assert_int_equal(stats_of(queue).queued, 0);
	assert_int_equal(flush(queue, map, NULL, NULL), 1); /* its place is free again */
	assert_int_equal(filemap_queue_sync_dir(queue, dir->fd, NULL, NULL, &ticket), FILEMAP_EBUSY);
	assert_int_equal(t_census_take(dir->path).descriptors, before.descriptors);
	finish(queue, map);
}

static void a_directory_that_was_not_synced_is_closed(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	uint64_t ticket;

	assert_ok(filemap_queue_sync_dir(queue, dir->fd, NULL, NULL, &ticket));
	assert_ok(filemap_queue_cancel(queue, ticket));
	assert_int_equal(result_of(queue, ticket), -ECANCELED);
	assert_ok(filemap_queue_sync_dir(queue, dir->fd, NULL, NULL, NULL)); /* never submitted */
	filemap_queue_close(queue);
}

/* ---- commit ---- */

static uint64_t commit(struct filemap_queue *queue, struct filemap *map, const char *header)
{
	uint64_t ticket = 0;

	assert_ok(
		filemap_queue_commit(queue, map, PAGE, PAGE, 8, header, strlen(header), NULL, NULL, &ticket));
	return ticket;
}

static void a_commit_stores_the_header_when_it_is_carried_out(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	const char *at = filemap_data(map);
	char header[] = "HEAD", found[16];
	uint64_t ticket = commit(queue, map, header);

	memset(header, '!', 4); /* it was copied */
	assert_memory_equal(at + 8, "xxxx", 4);
	assert_int_equal(result_of(queue, ticket), 0);
	assert_memory_equal(at + 7, "xHEADx", 6);
	assert_int_equal(t_read_file(filemap_path(map), found, sizeof found), sizeof found);
	assert_memory_equal(found + 7, "xHEADx", 6);
	assert_ok(filemap_try_close(map));
	filemap_queue_close(queue);
}

static void a_commit_that_is_cancelled_stores_nothing(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	uint64_t ticket = commit(queue, map, "HEAD");

	assert_ok(filemap_queue_cancel(queue, ticket));
	assert_int_equal(result_of(queue, ticket), -ECANCELED);
	assert_ok(filemap_queue_drain(queue));
	assert_memory_equal((const char *)filemap_data(map) + 8, "xxxx", 4);
	assert_ok(filemap_try_close(map));
	filemap_queue_close(queue);
}

static void a_commit_of_no_data_or_no_header_is_0(struct t_dir *dir, const struct shape *shape)
{
	static const char header[4096] = {'L'};
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	uint64_t ticket;

	assert_ok(filemap_queue_commit(queue, map, 0, 0, 20, "more", 4, NULL, NULL, &ticket));
	assert_int_equal(result_of(queue, ticket), 0);
	assert_ok(filemap_queue_commit(queue, map, 0, FILEMAP_TO_END, 8, header, 0, NULL, NULL, &ticket));
	assert_int_equal(result_of(queue, ticket), 0);
	assert_ok(filemap_queue_commit(queue, map, 0, 0, 0, header, 0, NULL, NULL, &ticket));
	assert_int_equal(result_of(queue, ticket), 0);
	assert_ok(filemap_queue_commit(queue, map, 0, 100, 100, header, 4096, NULL, NULL, &ticket));
	assert_int_equal(result_of(queue, ticket), 0);
	assert_memory_equal((const char *)filemap_data(map) + 100, header, 4096);
	assert_int_equal(((const char *)filemap_data(map))[4196], 'x');
	finish(queue, map);
}

static void a_commit_is_refused_as_by_the_synchronous_call(struct t_dir *dir, const struct shape *shape)
{
	static const char header[5000] = {1};
	static const struct {
		size_t data, data_length, at;
		const char *header;
		size_t length;
	} wrong[] = {
		{0, 100, 200, NULL, 4},
		{0, 100, 200, header, 4097},
		{0, 100, 200, header, FILEMAP_TO_END},
		{0, 100, 99, header, 4},
		{100, FILEMAP_TO_END, 97, header, 4},
		{SIZE - 1, 2, 0, header, 4},
		{0, 100, SIZE - 3, header, 4},
	};
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a"), *reader;
	uint64_t ticket = 99;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const int expected = filemap_commit(map, wrong[i].data, wrong[i].data_length, wrong[i].at,
						    wrong[i].header, wrong[i].length, NULL);
		assert_true(expected < 0);
		assert_int_equal(filemap_queue_commit(queue, map, wrong[i].data, wrong[i].data_length,
						      wrong[i].at, wrong[i].header, wrong[i].length, NULL,
						      NULL, &ticket),
				 expected);
	}
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_queue_commit(queue, map, 0, 4, 8, header, 4, NULL, NULL, &ticket),
			 FILEMAP_EMODE);
	filemap_close(map);
	assert_ok(filemap_open(t_path(dir, "a"), FILEMAP_READ, NULL, &reader, NULL));
	assert_int_equal(filemap_queue_commit(queue, reader, 0, 4, 8, header, 4, NULL, NULL, &ticket),
			 FILEMAP_EMODE);
	assert_true(all_are(reader, 0, SIZE, 'x'));
	assert_int_equal(ticket, 99);
	assert_int_equal(stats_of(queue).queued, 0);
	assert_ok(filemap_try_close(reader));
	filemap_queue_close(queue);
}

static void a_commit_in_memory_stores_the_header(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *maps[DEVICELESS];
	char byte;

	open_deviceless(dir, maps);
	for (int i = 0; i < DEVICELESS - 1; i++) {
		uint64_t ticket = commit(queue, maps[i], "HEAD");
		assert_int_equal(result_of(queue, ticket), 0);
		assert_memory_equal((const char *)filemap_data(maps[i]) + 8, "HEAD", 4);
	}
	assert_int_equal(filemap_queue_commit(queue, maps[DEVICELESS - 1], 0, 4, 8, "h", 1, NULL, NULL, NULL),
			 FILEMAP_EMODE);
	assert_int_equal(stats_of(queue).device_flushes, 0);
	filemap_queue_close(queue);
	close_deviceless(maps);
	assert_int_equal(t_read_file(t_path(dir, "private"), &byte, 1), 1);
}

/* No handler of the library is installed: a store by the program itself would end it. */
static void a_header_behind_a_cut_is_efault_and_no_signal(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	struct filemap_error error;
	uint64_t ticket;

	assert_ok(filemap_queue_commit(queue, map, 0, 100, 3 * PAGE, "HEAD", 4, NULL, NULL, &ticket));
	assert_ok(truncate(filemap_path(map), PAGE));
	assert_int_equal(result_with(queue, ticket, &error), FILEMAP_EFAULT);
	assert_string_equal(error.step, "store header");
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_int_equal(t_file_size(filemap_path(map)), PAGE);
	assert_ok(filemap_try_close(map));
	filemap_queue_close(queue);
}

static void the_failed_half_of_a_commit_is_named(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	uint64_t ticket = commit(queue, map, "HEAD");
	struct filemap_error error;

	taint(map); /* before its data is flushed */
	assert_int_equal(result_with(queue, ticket, &error), FILEMAP_EPOISONED);
	assert_string_equal(error.step, "flush data");
	assert_memory_equal((const char *)filemap_data(map) + 8, "xxxx", 4);
	finish(queue, map);
}

/* ---- what is closed while any kind of request is on its way ---- */

enum { FLUSH, SYNC, WRITEBACK, PREFAULT, COMMIT, GROW, CUT, REMOVE, SYNC_DIR, BARRIER, AFTER, KINDS };

static uint64_t start(struct filemap_queue *queue, struct filemap *map, int kind, int dirfd,
		      filemap_completed *completed, void *context)
{
	uint64_t ticket = 0, before = 0;
	int r = 0;

	if (kind == FLUSH)
		r = filemap_queue_flush(queue, map, 1, PAGE, completed, context, &ticket);
	else if (kind == SYNC)
		r = filemap_queue_sync(queue, map, completed, context, &ticket);
	else if (kind == WRITEBACK)
		r = filemap_queue_writeback(queue, map, 1, PAGE, completed, context, &ticket);
	else if (kind == PREFAULT)
		r = filemap_queue_prefault(queue, map, FILEMAP_PREFAULT_READ, 0, PAGE, completed, context,
					   &ticket);
	else if (kind == COMMIT)
		r = filemap_queue_commit(queue, map, PAGE, PAGE, 0, "h", 1, completed, context, &ticket);
	else if (kind == GROW)
		r = filemap_queue_resize(queue, map, 2 * SIZE, completed, context, &ticket);
	else if (kind == CUT)
		r = filemap_queue_resize(queue, map, PAGE, completed, context, &ticket);
	else if (kind == REMOVE)
		r = filemap_queue_remove(queue, map, completed, context, &ticket);
	else if (kind == SYNC_DIR)
		r = filemap_queue_sync_dir(queue, dirfd, completed, context, &ticket);
	else if (kind == BARRIER)
		r = filemap_queue_barrier(queue, completed, context, &ticket);
	if (kind == AFTER) {
		assert_ok(filemap_queue_flush(queue, map, 0, 1, completed, context, &before));
		r = filemap_queue_flush_after(queue, map, 0, 1, before, completed, context, &ticket);
	}
	assert_ok(r);
	return ticket;
}

static const char *name_of(int kind)
{
	static char name[8];

	snprintf(name, sizeof name, "k%d", kind);
	return name;
}

static void a_map_closed_with_any_request_in_flight_goes_when_that_ends(struct t_dir *dir,
									const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	uint64_t tickets[KINDS];

	for (int kind = 0; kind < KINDS; kind++) {
		struct filemap *map = open_map(dir, name_of(kind));
		tickets[kind] = start(queue, map, kind, dir->fd, NULL, NULL);
		if (kind % 2 == 0)
			assert_ok(filemap_queue_submit(queue));
		filemap_close(map); /* the next map would be given its descriptor and its addresses */
	}
	for (int kind = KINDS - 1; kind >= 0; kind--)
		assert_int_equal(result_of(queue, tickets[kind]), 0);
	assert_int_equal(t_file_size(t_path(dir, name_of(GROW))), 2 * SIZE);
	assert_int_equal(t_file_size(t_path(dir, name_of(CUT))), PAGE);
	assert_int_equal(t_file_size(t_path(dir, name_of(REMOVE))), -1);
	assert_int_equal(t_census_take(dir->path).mappings, 0); /* before the queue is closed */
	filemap_queue_close(queue);
}

static void a_queue_closed_with_any_request_in_flight_gives_its_map_back(struct t_dir *dir,
									 const struct shape *shape)
{
	for (int kind = 0; kind < 2 * KINDS; kind++) {
		struct filemap_queue *queue = open_queue(shape, 0);
		struct filemap *map = open_map(dir, name_of(kind));
		struct seen seen = {0};

		(void)start(queue, map, kind / 2, dir->fd, note, &seen);
		if (kind % 2 == 0)
			assert_ok(filemap_queue_submit(queue));
		filemap_queue_close(queue);
		assert_int_equal(seen.calls, 0);
		assert_true(t_file_size(filemap_path(map)) < 0 ||
			    filemap_size(map) == (size_t)t_file_size(filemap_path(map)));
		assert_ok(filemap_try_close(map));
	}
	assert_int_equal(t_file_size(t_path(dir, name_of(2 * GROW))), 2 * SIZE);
	assert_int_equal(t_file_size(t_path(dir, name_of(2 * CUT + 1))), PAGE);
	assert_int_equal(t_file_size(t_path(dir, name_of(2 * REMOVE))), -1);
	assert_int_equal(t_file_size(t_path(dir, name_of(2 * REMOVE + 1))), -1);
}

static void any_request_beyond_the_depth_is_ebusy_and_changes_nothing(struct t_dir *dir,
								      const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 1);
	struct filemap *map = open_map(dir, "a");
	uint64_t ticket = barrier(queue), other = 99;
	const struct t_census before = t_census_take(dir->path);

	for (int i = 0; i < 2; i++) {
		assert_int_equal(filemap_queue_flush(queue, map, 0, 1, NULL, NULL, &other), FILEMAP_EBUSY);
		assert_int_equal(filemap_queue_flush_after(queue, map, 0, 1, ticket, NULL, NULL, &other),
				 FILEMAP_EBUSY);
		assert_int_equal(filemap_queue_sync(queue, map, NULL, NULL, &other), FILEMAP_EBUSY);
		assert_int_equal(filemap_queue_writeback(queue, map, 0, 1, NULL, NULL, &other),
				 FILEMAP_EBUSY);
		assert_int_equal(
			filemap_queue_prefault(queue, map, FILEMAP_PREFAULT_READ, 0, 1, NULL, NULL, &other),
			FILEMAP_EBUSY);
		assert_int_equal(filemap_queue_commit(queue, map, 0, 1, 8, "h", 1, NULL, NULL, &other),
				 FILEMAP_EBUSY);
		assert_int_equal(filemap_queue_resize(queue, map, PAGE, NULL, NULL, &other), FILEMAP_EBUSY);
		assert_int_equal(filemap_queue_remove(queue, map, NULL, NULL, &other), FILEMAP_EBUSY);
		assert_int_equal(filemap_queue_sync_dir(queue, dir->fd, NULL, NULL, &other), FILEMAP_EBUSY);
		assert_int_equal(filemap_queue_barrier(queue, NULL, NULL, &other), FILEMAP_EBUSY);
		assert_ok(filemap_queue_drain(queue)); /* once more with an unclaimed one */
	}
	assert_int_equal(other, 99);
	assert_int_equal(filemap_size(map), SIZE);
	assert_int_equal(stats_of(queue).queued, 1);
	assert_int_equal(t_census_take(dir->path).descriptors, before.descriptors);
	assert_ok(filemap_resize(map, 2 * SIZE, NULL)); /* no change of the file was begun */
	assert_ok(filemap_try_close(map));
	filemap_queue_close(queue);
}

/* ---- the cases ---- */

#define CASES(X)                                                        \
	X(a_sync_cleans_every_page)                                     \
	X(a_sync_without_a_device_is_0)                                 \
	X(a_tainted_mapping_is_refused_as_by_the_synchronous_calls)     \
	X(a_flush_that_a_failure_overtakes_is_epoisoned)                \
	X(writeback_begins_to_write_the_range)                          \
	X(writeback_answers_as_the_synchronous_call)                    \
	X(prefault_brings_the_pages_in)                                 \
	X(prefault_behind_the_end_of_a_cut_file_is_efault)              \
	X(prefault_answers_as_the_synchronous_call)                     \
	X(prefault_in_flight_is_a_pin)                                  \
	X(a_directory_is_synced_whatever_becomes_of_its_descriptor)     \
	X(what_is_no_directory_is_not_synced)                           \
	X(a_directory_that_was_not_synced_is_closed)                    \
	X(a_commit_stores_the_header_when_it_is_carried_out)            \
	X(a_commit_that_is_cancelled_stores_nothing)                    \
	X(a_commit_of_no_data_or_no_header_is_0)                        \
	X(a_commit_is_refused_as_by_the_synchronous_call)               \
	X(a_commit_in_memory_stores_the_header)                         \
	X(a_header_behind_a_cut_is_efault_and_no_signal)                \
	X(the_failed_half_of_a_commit_is_named)                         \
	X(a_map_closed_with_any_request_in_flight_goes_when_that_ends)  \
	X(a_queue_closed_with_any_request_in_flight_gives_its_map_back) \
	X(any_request_beyond_the_depth_is_ebusy_and_changes_nothing)

CASES(ON_ALL)
#define ENTRY(test) ENTRIES_ALL(test),

T_MAIN(CASES(ENTRY))
