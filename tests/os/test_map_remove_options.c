/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Which options of a removal at close go together with what is opened, and which are refused by name. */
#include "remove.h"

/* The field or flag that is refused. */
static const char *refused_open(void **state, unsigned mode, const struct filemap_options *options)
{
	struct filemap_error error = {0};
	struct filemap *map;
	assert_int_equal(filemap_open(PATH_OF(state), mode, options, &map, &error), FILEMAP_EOPTION);
	return error.subject;
}

static const char *refused_anonymous(const struct filemap_options *options)
{
	struct filemap_error error = {0};
	struct filemap *map;
	assert_int_equal(filemap_anonymous(10, options, &map, &error), FILEMAP_EOPTION);
	return error.subject;
}

static const char *refused_fd(int fd, unsigned mode, const struct filemap_options *options)
{
	struct filemap_error error = {0};
	struct filemap *map;
	assert_int_equal(filemap_open_fd(fd, mode, options, &map, &error), FILEMAP_EOPTION);
	return error.subject;
}

static void options_for_a_name_need_a_name(void **state)
{
	int context = 0;
	const struct filemap_options *all[] = {
		FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE),
		FILEMAP_OPTIONS(.on_remove = note),
		FILEMAP_OPTIONS(.on_remove = note, .on_remove_context = &context),
		FILEMAP_OPTIONS(.on_remove_context = &context),
		FILEMAP_OPTIONS(.flags = FILEMAP_SHARED, .on_remove = note),
	};
	const char *const fields[] = {"flags", "on_remove", "on_remove", "on_remove_context", "on_remove"};
	t_write_file(PATH_OF(state), "hello", 5);
	const int fd = open(PATH_OF(state), O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 5; i++)
		assert_string_equal(refused_anonymous(all[i]), fields[i]);
	for (int i = 0; i < 4; i++) {
		assert_string_equal(refused_fd(fd, FILEMAP_READ, all[i]), fields[i]);
		assert_string_equal(refused_fd(fd, FILEMAP_WRITE, all[i]), fields[i]);
	}
	close(fd);
	assert_untouched(state);
}

static void context_without_a_callback_is_refused(void **state)
{
	int context = 0;
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW, FILEMAP_WRITE};
	t_write_file(PATH_OF(state), "hello", 5);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(
			refused_open(state, modes[i], FILEMAP_OPTIONS(.on_remove_context = &context)),
			"on_remove_context");
		assert_string_equal(refused_open(state, modes[i],
						 FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE,
								 .on_remove_context = &context)),
				    "on_remove_context");
	}
	assert_untouched(state);
}

/* Who never can have the lock that it needs learns so at once. */
static void reader_with_ofd_locks_cannot_remove(void **state)
{
	t_write_file(PATH_OF(state), "hello", 5);
	assert_string_equal(refused_open(state, FILEMAP_READ,
					 FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE,
							 .lock_family = FILEMAP_LOCK_OFD)),
			    "lock_family");
	struct filemap *map =
		open_ok(PATH_OF(state), FILEMAP_READ,
			FILEMAP_OPTIONS(.flags = FILEMAP_PIN_PARENT, .lock_family = FILEMAP_LOCK_OFD));
	assert_int_equal(filemap_set_remove_on_close(map, 1), FILEMAP_EMODE);
	assert_ok(filemap_set_remove_on_close(map, 0));
	filemap_close(map);
	assert_untouched(state);
	filemap_close(
		open_ok(PATH_OF(state), FILEMAP_WRITE,
			FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE, .lock_family = FILEMAP_LOCK_OFD)));
	assert_nothing_left(state);
}

static void content_that_may_be_memory_cannot_remove(void **state)
{
	struct filemap_error error = {0};
	struct filemap *map;
	t_write_file(PATH_OF(state), "hello", 5);
	assert_int_equal(filemap_open_or_read(PATH_OF(state), FILEMAP_TO_END,
					      FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE), &map,
					      &error),
			 FILEMAP_EOPTION);
	assert_string_equal(error.subject, "flags");
	assert_int_equal(filemap_open_or_read(PATH_OF(state), FILEMAP_TO_END,
					      FILEMAP_OPTIONS(.on_remove = note), &map, &error),
			 FILEMAP_EOPTION);
	assert_string_equal(error.subject, "on_remove");
	assert_untouched(state);
}

static void callback_alone_removes_nothing(void **state)
{
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_COW, FILEMAP_WRITE};
	struct told told = {0};
	t_write_file(PATH_OF(state), "hello", 5);
	for (size_t i = 0; i < 3; i++)
		filemap_close(open_telling(state, modes[i], 0, &told));
	assert_int_equal(told.calls, 0);
	assert_untouched(state);
}

T_MAIN(T_TEST(options_for_a_name_need_a_name), T_TEST(context_without_a_callback_is_refused),
       T_TEST(reader_with_ofd_locks_cannot_remove), T_TEST(content_that_may_be_memory_cannot_remove),
       T_TEST(callback_alone_removes_nothing))
