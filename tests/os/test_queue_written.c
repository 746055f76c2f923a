/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a queue writes: of the dirty pages exactly those whose folios the range touches, on each backend, counted
 * by the page cache, by a block device and by a file system that writes down what it is asked for.
 */
#include "written.h"

#include <filemap/queue.h>

#include "sys/ring.h"

#define ATTEMPTS 5
#define RANGES 3
#define METADATA_SECTORS 128

struct shape {
	uint32_t backend, flags;
};

static const struct shape threads = {FILEMAP_QUEUE_THREADS, 0};
static const struct shape threads_one = {FILEMAP_QUEUE_THREADS, FILEMAP_QUEUE_ONE_THREAD};
static const struct shape uring_one = {FILEMAP_QUEUE_URING, FILEMAP_QUEUE_ONE_THREAD};
static const struct shape uring_shared = {FILEMAP_QUEUE_URING, 0};

struct range {
	uint64_t offset, length;
};

struct scene {
	const struct t_dir *dir;
	const struct shape *shape;
	enum written_place place;
	struct filemap_queue *queue;
	struct filemap *map;
	struct written_file file;
};

/* What is asked of the queue, and which ranges of the mapping are to be written by it. */
struct request {
	int (*ask)(struct scene *scene, const struct request *request);
	struct range ranges[RANGES];
	bool no_promise, in_parts; /* more than one flush of the device */
};

static void need(const struct shape *shape)
{
	static char reason[128];
	struct fm__ring *ring;
	int r;

	if (shape->backend != FILEMAP_QUEUE_URING)
		return;
	r = fm__ring_open(4, &ring);
	if (r == 0) {
		fm__ring_close(ring);
		return;
	}
	snprintf(reason, sizeof reason, "io_uring is not usable here: %s", filemap_strerror(r));
	t_skip(reason);
}

static void open_scene(struct scene *scene, uint64_t size)
{
	need(scene->shape);
	scene->file.maps = scene->place == WRITTEN_FUSE && scene->shape->backend == FILEMAP_QUEUE_THREADS;
	written_make(&scene->file, written_need(scene->place, scene->dir), size);
	assert_ok(filemap_open(scene->file.path, FILEMAP_WRITE, NULL, &scene->map, NULL));
	assert_ok(filemap_queue_open(
		FILEMAP_QUEUE_OPTIONS(.backend = scene->shape->backend, .flags = scene->shape->flags),
		&scene->queue, NULL));
}

static void close_scene(struct scene *scene)
{
	filemap_queue_close(scene->queue);
	filemap_close(scene->map);
	written_remove(&scene->file);
}

static void use_pages_in_a_row(struct scene *scene)
{
	scene->file.count = WRITTEN_PAGES;
	for (unsigned i = 0; i < WRITTEN_PAGES; i++)
		scene->file.pages[i] = i;
}

/* ---- asking ---- */

static int collect(struct scene *scene)
{
	struct filemap_completion done;
	int result = 0;

	assert_ok(filemap_queue_drain(scene->queue));
	while (filemap_queue_wait(scene->queue, FILEMAP_ANY, 0, &done) == 1)
		result = result == 0 ? done.result : result;
	return result;
}

static int by_flushes(struct scene *scene, const struct request *request)
{
	for (unsigned i = 0; i < RANGES; i++)
		if (request->ranges[i].length > 0)
			assert_ok(filemap_queue_flush(scene->queue, scene->map,
						      (size_t)request->ranges[i].offset,
						      (size_t)request->ranges[i].length, NULL, NULL, NULL));
	return collect(scene);
}

static int by_flush_one_after_the_other(struct scene *scene, const struct request *request)
{
	uint64_t first;

	assert_ok(filemap_queue_flush(scene->queue, scene->map, (size_t)request->ranges[0].offset,
				      (size_t)request->ranges[0].length, NULL, NULL, &first));
	assert_ok(filemap_queue_flush_after(scene->queue, scene->map, (size_t)request->ranges[1].offset,
					    (size_t)request->ranges[1].length, first, NULL, NULL, NULL));
	return collect(scene);
}

static int by_commit(struct scene *scene, const struct request *request)
{
	unsigned char header[64];

	memset(header, 0x5A, sizeof header);
	assert_ok(filemap_queue_commit(scene->queue, scene->map, (size_t)request->ranges[0].offset,
				       (size_t)request->ranges[0].length, (size_t)request->ranges[1].offset,
				       header, (size_t)request->ranges[1].length, NULL, NULL, NULL));
	return collect(scene);
}

static int by_sync(struct scene *scene, const struct request *request)
{
	(void)request;
	assert_ok(filemap_queue_sync(scene->queue, scene->map, NULL, NULL, NULL));
	return collect(scene);
}

/* Begun, not over, when the request is: what it has begun is waited for. */
static int by_writeback(struct scene *scene, const struct request *request)
{
	struct fm__cache_pages pages = {.writeback = 1};
	int r;

	assert_ok(filemap_queue_writeback(scene->queue, scene->map, (size_t)request->ranges[0].offset,
					  (size_t)request->ranges[0].length, NULL, NULL, NULL));
	r = collect(scene);
	for (int i = 0; i < 2000 && pages.writeback > 0; i++) {
		assert_ok(fm__sys_cachestat(scene->file.fd, 0, filemap_size(scene->map), &pages));
		(void)fm__sys_sleep_ms(pages.writeback > 0);
	}
	return r;
}

/* A flush that is called off, one behind it, and one of nothing. */
static int by_nothing(struct scene *scene, const struct request *request)
{
	uint64_t ticket;
	int r;
	(void)request;

	assert_ok(filemap_queue_flush(scene->queue, scene->map, 0, FILEMAP_TO_END, NULL, NULL, &ticket));
	assert_ok(filemap_queue_flush_after(scene->queue, scene->map, 0, 5, ticket, NULL, NULL, NULL));
	assert_ok(filemap_queue_flush(scene->queue, scene->map, 7, 0, NULL, NULL, NULL));
	assert_ok(filemap_queue_cancel(scene->queue, ticket));
	r = collect(scene);
	return r == -ECANCELED ? 0 : r;
}

/* ---- expecting ---- */

static bool touches(const struct range *range, uint64_t page)
{
	const uint64_t size = fm__sys_page_size(), start = page * size;
	const uint64_t end =
		range->length > UINT64_MAX - range->offset ? UINT64_MAX : range->offset + range->length;

	return range->length > 0 && range->offset < start + size && end > start;
}

static void expect_pages(const struct scene *scene, const struct request *request, char to[WRITTEN_PAGES + 1])
{
	for (unsigned i = 0; i < scene->file.count; i++) {
		to[i] = 'D';
		for (unsigned r = 0; r < RANGES; r++)
			if (touches(&request->ranges[r], scene->file.pages[i]))
				to[i] = '.';
	}
	to[scene->file.count] = '\0';
}

static void store_to_pages(struct scene *scene)
{
	volatile unsigned char *bytes = filemap_data_mut(scene->map);

	for (unsigned i = 0; i < scene->file.count; i++)
		bytes[scene->file.pages[i] * fm__sys_page_size()]++;
}

/* Somebody else's sync(2) may write pages in between: what is not as it should be is tried again. */
static void check_as(struct scene *scene, const struct request *request, const char *expected)
{
	char why[256] = "";

	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		store_to_pages(scene);
		written_begin(&scene->file);
		assert_ok(request->ask(scene, request));
		if (written_as_expected(&scene->file, expected, !request->no_promise, why))
			return;
	}
	fail_msg("[%llu, +%llu), [%llu, +%llu): %s", (unsigned long long)request->ranges[0].offset,
		 (unsigned long long)request->ranges[0].length, (unsigned long long)request->ranges[1].offset,
		 (unsigned long long)request->ranges[1].length, why);
}

static void check(struct scene *scene, const struct request *request)
{
	char expected[WRITTEN_PAGES + 1];

	if (scene->file.maps && request->in_parts)
		return;
	scene->file.metadata = request->ask == by_sync ? METADATA_SECTORS : 0;
	expect_pages(scene, request, expected);
	check_as(scene, request, expected);
}

/* ---- the cases ---- */

static void a_flush_at_page_borders_writes_the_pages_it_touches(struct scene *scene)
{
	const uint64_t page = fm__sys_page_size();
	const uint64_t offsets[] = {0, 5 * page - 1, 5 * page, 5 * page + 1};
	const uint64_t lengths[] = {1, 2, page - 1, page, page + 1};

	use_pages_in_a_row(scene);
	open_scene(scene, WRITTEN_PAGES * page);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned j = 0; j < 5; j++)
			check(scene, &(struct request){by_flushes, {{offsets[i], lengths[j]}}, false, false});
	close_scene(scene);
}

static void a_flush_to_the_end_writes_the_rest(struct scene *scene)
{
	const uint64_t page = fm__sys_page_size(), size = WRITTEN_PAGES * page;

	use_pages_in_a_row(scene);
	open_scene(scene, size);
	check(scene, &(struct request){by_flushes, {{0, FILEMAP_TO_END}}, false, false});
	check(scene, &(struct request){by_flushes, {{0, size}}, false, false});
	check(scene, &(struct request){by_flushes, {{3 * page + 5, FILEMAP_TO_END}}, false, false});
	check(scene, &(struct request){by_flushes, {{size - 1, 1}}, false, false});
	check(scene, &(struct request){by_flushes, {{size - 1, FILEMAP_TO_END}}, false, false});
	check(scene, &(struct request){by_sync, {{0, FILEMAP_TO_END}}, false, false});
	close_scene(scene);
}

static void merged_flushes_write_their_union(struct scene *scene)
{
	const uint64_t page = fm__sys_page_size();

	use_pages_in_a_row(scene);
	open_scene(scene, WRITTEN_PAGES * page);
	check(scene, &(struct request){by_flushes, {{page, page}, {4 * page, 2 * page}}, false, true});
	check(scene, &(struct request){by_flushes, {{page, page}, {2 * page, page}}, false, false});
	check(scene, &(struct request){by_flushes, {{3 * page - 1, page}, {page, 3 * page}}, false, false});
	check(scene,
	      &(struct request){by_flushes, {{4 * page, 1}, {page, 1}, {2 * page, 2 * page}}, false, false});
	check(scene,
	      &(struct request){by_flushes, {{9 * page, 1}, {page, 1}, {9 * page + 8, 1}}, false, true});
	check(scene,
	      &(struct request){by_flush_one_after_the_other, {{page, 9}, {4 * page - 1, 2}}, false, true});
	close_scene(scene);
}

/* Of the file system's own log: the end is a sync, the header, a sync. */
static void assert_header_came_last(const struct written_file *file, uint64_t header_at)
{
	const struct fuse_fault_request *end;

	if (!file->spot->fuse)
		return;
	assert_in_range(file->spot->fuse->logged, 4, FUSE_FAULT_LOG);
	end = &file->spot->fuse->log[file->spot->fuse->logged];
	while (file->maps && end[-1].length > 0)
		end--; /* see written_by_fuse() */
	assert_int_equal(end[-1].length, 0);
	assert_int_equal(end[-2].offset, header_at);
	assert_int_equal(end[-2].length, fm__sys_page_size());
}

static void check_commit(struct scene *scene, struct range data, struct range header)
{
	const struct request request = {by_commit, {data, header}, false, false};
	struct request first = request;
	char expected[WRITTEN_PAGES + 1];

	if (scene->file.maps)
		first.ranges[1].length = 0;
	expect_pages(scene, &first, expected);
	check_as(scene, &request, expected);
	assert_header_came_last(&scene->file, header.offset / fm__sys_page_size() * fm__sys_page_size());
}

static void a_commit_writes_data_and_then_its_header(struct scene *scene)
{
	const uint64_t page = fm__sys_page_size();

	use_pages_in_a_row(scene);
	open_scene(scene, WRITTEN_PAGES * page);
	check_commit(scene, (struct range){6 * page + 100, 2 * page}, (struct range){2 * page + 8, 64});
	assert_int_equal(((const char *)filemap_data(scene->map))[2 * page + 8], 0x5A);
	check_commit(scene, (struct range){6 * page, page}, (struct range){7 * page, 64});
	close_scene(scene);
}

static void a_writeback_writes_its_pages_and_flushes_no_device(struct scene *scene)
{
	const uint64_t page = fm__sys_page_size();

	use_pages_in_a_row(scene);
	open_scene(scene, WRITTEN_PAGES * page);
	check(scene, &(struct request){by_writeback, {{3 * page - 1, 2}}, true, false});
	check(scene, &(struct request){by_writeback, {{0, FILEMAP_TO_END}}, true, false});
	close_scene(scene);
}

static void what_is_called_off_or_empty_writes_nothing(struct scene *scene)
{
	use_pages_in_a_row(scene);
	open_scene(scene, WRITTEN_PAGES * fm__sys_page_size());
	check(scene, &(struct request){by_nothing, {{0}}, true, false});
	close_scene(scene);
}

static void a_flush_beyond_4_gib_writes_the_pages_it_touches(struct scene *scene)
{
	const uint64_t page = fm__sys_page_size(), gib = UINT64_C(1) << 30, at = 4 * gib / page;
	const uint64_t pages[] = {0, 1, at - 2, at - 1, at, at + 1, at + at / 4};

	if (sizeof(size_t) < 8)
		t_skip("there is no room for 4 GiB in the address space");
	scene->file.count = sizeof pages / sizeof *pages;
	memcpy(scene->file.pages, pages, sizeof pages);
	open_scene(scene, 5 * gib + page);
	check(scene, &(struct request){by_flushes, {{4 * gib - 1, 1}}, false, false});
	check(scene, &(struct request){by_flushes, {{4 * gib, 1}}, false, false});
	check(scene, &(struct request){by_flushes, {{4 * gib - 1, 2}}, false, false});
	check(scene, &(struct request){by_flushes, {{4 * gib + page - 1, gib + 1}}, false, false});
	check(scene, &(struct request){by_flushes, {{0, 4 * gib}}, false, false});
	check(scene, &(struct request){by_flushes, {{0, 4 * gib + 1}}, false, false});
	check(scene, &(struct request){by_flushes, {{page, 4 * gib}}, false, false});
	check(scene, &(struct request){by_flushes, {{1, FILEMAP_TO_END}}, false, false});
	check(scene, &(struct request){by_flushes, {{0, 1}, {4 * gib, 1}}, false, false});
	check(scene, &(struct request){by_commit, {{4 * gib - 1, 2}, {5 * gib, 64}}, false, false});
	close_scene(scene);
}

/* The folio of a page is what becomes dirty with it. */
static void draw_folio(struct scene *scene, unsigned page, char to[WRITTEN_PAGES + 1])
{
	volatile unsigned char *bytes = filemap_data_mut(scene->map);

	assert_ok(fsync(scene->file.fd));
	bytes[scene->file.pages[page] * fm__sys_page_size()]++;
	written_draw(&scene->file, to);
}

static void a_flush_in_a_large_folio_writes_all_of_it(struct scene *scene)
{
	const uint64_t page = fm__sys_page_size();
	char folio[WRITTEN_PAGES + 1];

	use_pages_in_a_row(scene);
	scene->file.fill = WRITTEN_PAGES * page;
	open_scene(scene, WRITTEN_PAGES * page);
	draw_folio(scene, 9, folio);
	for (char *at = folio; *at; at++)
		*at = *at == 'D' ? '.' : 'D';
	if (written_dots(folio) < 2) {
		close_scene(scene);
		t_skip("the file system has no large folios");
	}
	check_as(scene, &(struct request){by_flushes, {{9 * page + 17, 1}}, false, false}, folio);
	close_scene(scene);
}

/* ---- the table ---- */

#define AT(test, on, at)                                                                   \
	static void test##_on_##on##_at_##at(void **state)                                 \
	{                                                                                  \
		test(&(struct scene){.dir = *state, .shape = &on, .place = WRITTEN_##at}); \
	}
#define AT_TWO(test, on) AT(test, on, HERE) AT(test, on, LOOP)
#define AT_ALL(test, on) AT_TWO(test, on) AT(test, on, FUSE)
#define ON_ALL(test) \
	AT_ALL(test, threads) AT_ALL(test, threads_one) AT_ALL(test, uring_one) AT_ALL(test, uring_shared)
#define ON_TWO(test) AT_TWO(test, threads) AT_TWO(test, uring_one) AT_TWO(test, uring_shared)

#define ENTRIES_TWO(test, on) T_TEST(test##_on_##on##_at_HERE), T_TEST(test##_on_##on##_at_LOOP)
#define ENTRIES_ALL(test, on) ENTRIES_TWO(test, on), T_TEST(test##_on_##on##_at_FUSE)
#define ENTRIES(test)                                                                             \
	ENTRIES_ALL(test, threads), ENTRIES_ALL(test, threads_one), ENTRIES_ALL(test, uring_one), \
		ENTRIES_ALL(test, uring_shared)

ON_ALL(a_flush_at_page_borders_writes_the_pages_it_touches)
ON_ALL(a_flush_to_the_end_writes_the_rest)
ON_ALL(merged_flushes_write_their_union)
ON_ALL(a_commit_writes_data_and_then_its_header)
ON_ALL(a_writeback_writes_its_pages_and_flushes_no_device)
ON_ALL(what_is_called_off_or_empty_writes_nothing)
ON_TWO(a_flush_in_a_large_folio_writes_all_of_it)
ON_TWO(a_flush_beyond_4_gib_writes_the_pages_it_touches)

static const struct CMUnitTest tests[] = {
	ENTRIES(a_flush_at_page_borders_writes_the_pages_it_touches),
	ENTRIES(a_flush_to_the_end_writes_the_rest),
	ENTRIES(merged_flushes_write_their_union),
	ENTRIES(a_commit_writes_data_and_then_its_header),
	ENTRIES(a_writeback_writes_its_pages_and_flushes_no_device),
	ENTRIES(what_is_called_off_or_empty_writes_nothing),
	ENTRIES_TWO(a_flush_in_a_large_folio_writes_all_of_it, threads),
	ENTRIES_TWO(a_flush_in_a_large_folio_writes_all_of_it, uring_one),
	ENTRIES_TWO(a_flush_in_a_large_folio_writes_all_of_it, uring_shared),
	ENTRIES_TWO(a_flush_beyond_4_gib_writes_the_pages_it_touches, threads),
	ENTRIES_TWO(a_flush_beyond_4_gib_writes_the_pages_it_touches, uring_one),
	ENTRIES_TWO(a_flush_beyond_4_gib_writes_the_pages_it_touches, uring_shared),
};

int main(void)
{
	int result;

	written_open_spots();
	result = t_run(__FILE__, tests, sizeof tests / sizeof *tests);
	written_close_spots();
	return result;
}
