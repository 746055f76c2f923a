/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The options of a queue: what is filled in, what is refused and by which name. */
#include "t.h"

#include "queue/queue.h"

static void no_options_give_the_defaults(void **state)
{
	struct filemap_queue_options o;

	(void)state;
	assert_ok(fm__queue_options_check(NULL, &o, NULL));
	assert_int_equal(o.backend, FILEMAP_QUEUE_AUTO);
	assert_int_equal(o.flags, 0);
	assert_int_equal(o.depth, 64);
	assert_int_equal(o.workers, 4);
}

static void limits_are_accepted(void **state)
{
	struct filemap_queue_options o;

	(void)state;
	assert_ok(fm__queue_options_check(FILEMAP_QUEUE_OPTIONS(.backend = FILEMAP_QUEUE_THREADS,
								.depth = 4096, .workers = 64,
								.flags = FILEMAP_QUEUE_ONE_THREAD),
					  &o, NULL));
	assert_int_equal(o.depth, 4096);
	assert_int_equal(o.workers, 64);
	assert_int_equal(o.flags, FILEMAP_QUEUE_ONE_THREAD);
}

static void is_refused(const struct filemap_queue_options *options, const char *field)
{
	struct filemap_error error = {0};
	struct filemap_queue *queue = NULL;

	assert_int_equal(filemap_queue_open(options, &queue, &error), FILEMAP_EOPTION);
	assert_null(queue);
	assert_string_equal(error.step, "check options");
	assert_string_equal(error.subject, field);
}

static void each_bad_field_is_refused_by_name(void **state)
{
	(void)state;
	is_refused(FILEMAP_QUEUE_OPTIONS(.flags = 2), "flags");
	is_refused(FILEMAP_QUEUE_OPTIONS(.backend = 3), "backend");
	is_refused(FILEMAP_QUEUE_OPTIONS(.depth = 4097), "depth");
	is_refused(FILEMAP_QUEUE_OPTIONS(.workers = 65), "workers");
	is_refused(FILEMAP_QUEUE_OPTIONS(.reserved = 1), "reserved");
}

static void every_backend_takes_workers(void **state)
{
	struct filemap_queue_options o;

	(void)state;
	assert_ok(fm__queue_options_check(
		FILEMAP_QUEUE_OPTIONS(.backend = FILEMAP_QUEUE_URING, .workers = 64), &o, NULL));
	assert_int_equal(o.workers, 64);
}

static void a_short_struct_is_refused(void **state)
{
	struct filemap_queue_options options = {.struct_size = sizeof options - 4};

	(void)state;
	is_refused(&options, "struct_size");
}

static void a_longer_struct_is_accepted_only_with_a_zero_tail(void **state)
{
	struct {
		struct filemap_queue_options known;
		uint64_t future;
	} longer = {.known = {.struct_size = sizeof longer}};
	struct filemap_queue_options o;

	(void)state;
	assert_ok(fm__queue_options_check(&longer.known, &o, NULL));
	assert_int_equal(o.struct_size, sizeof o);
	longer.future = 1;
	assert_int_equal(fm__queue_options_check(&longer.known, &o, NULL), FILEMAP_EVERSION);
}

T_MAIN(T_PLAIN(no_options_give_the_defaults), T_PLAIN(limits_are_accepted),
       T_PLAIN(each_bad_field_is_refused_by_name), T_PLAIN(every_backend_takes_workers),
       T_PLAIN(a_short_struct_is_refused), T_PLAIN(a_longer_struct_is_accepted_only_with_a_zero_tail))
