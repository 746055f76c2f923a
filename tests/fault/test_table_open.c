/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The complete sweep of everything that makes a mapping: of a file in each mode and with each option that adds a
 * call, of a descriptor, of a stream, of memory, of another mapping.
 */
#include "split.h"
#include "table.h"

#include <sys/file.h>
#include <sys/stat.h>

static const char *no_mlock(void)
{
	return memory_can_be_locked() ? NULL : MLOCK_REASON;
}

#define OPEN(name, mode, options)                                                      \
	static void name(struct table *t)                                              \
	{                                                                              \
		t->result = filemap_open(t->file, mode, options, &t->made, &t->error); \
	}

OPEN(open_read, FILEMAP_READ, NULL)
OPEN(open_pinned, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_PIN_PARENT))
OPEN(open_remove_on_close, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE))
OPEN(open_empty, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_EMPTY | FILEMAP_NOFOLLOW))
OPEN(open_exec, FILEMAP_EXEC, NULL)
OPEN(open_cow, FILEMAP_COW, FILEMAP_OPTIONS(.flags = FILEMAP_NORESERVE, .offset = TABLE_PAGE + 1))
OPEN(open_write, FILEMAP_WRITE, NULL)
OPEN(open_create, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = TABLE_PAGE))
OPEN(open_create_new, FILEMAP_WRITE,
     FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = TABLE_PAGE + 1, .permissions = 0600))
OPEN(open_create_sparse, FILEMAP_WRITE,
     FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW | FILEMAP_SPARSE | FILEMAP_NO_DURABLE_NAME,
		     .size = TABLE_PAGE + 1))
OPEN(open_truncate, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = TABLE_SIZE))
OPEN(open_cooperate, FILEMAP_WRITE, FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE))
OPEN(open_truncate_cooperate, FILEMAP_WRITE,
     FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = TABLE_SIZE, .sharing = FILEMAP_SHARING_COOPERATE))
OPEN(open_reserve, FILEMAP_WRITE, FILEMAP_OPTIONS(.reserve = 8 * TABLE_PAGE))
OPEN(open_mlock, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_MLOCK, .length = 2 * TABLE_PAGE))
OPEN(open_dressed, FILEMAP_WRITE,
     FILEMAP_OPTIONS(.flags = FILEMAP_DONTDUMP | FILEMAP_DONTFORK,
		     .advice = FILEMAP_ADVICE_RANDOM | FILEMAP_ADVICE_WILLNEED))
OPEN(open_populate, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_POPULATE, .length = 2 * TABLE_PAGE))
OPEN(open_ofd, FILEMAP_WRITE, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_OFD))
OPEN(open_no_lock, FILEMAP_WRITE, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_NONE))
OPEN(open_lock_if, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_LOCK_IF_SUPPORTED))
OPEN(open_waiting, FILEMAP_WRITE, FILEMAP_OPTIONS(.lock_wait_ms = 20))

/* The lock is somebody else's, until the wait for it has begun. */
static void locked_file(struct table *t)
{
	table_file(t);
	t->fd = open(t->file, O_RDONLY | O_CLOEXEC);
	assert_ok(flock(t->fd, LOCK_EX | LOCK_NB));
}

static void release_it(void *context)
{
	const struct table *t = context;
	(void)flock(t->fd, LOCK_UN);
}

static void open_after_waiting(struct table *t)
{
	fault_hook("sleep_ms", 1, release_it, t);
	t->result = filemap_open(t->file, FILEMAP_WRITE, FILEMAP_OPTIONS(.lock_wait_ms = FILEMAP_FOREVER),
				 &t->made, &t->error);
}

static void open_from_directory(struct table *t)
{
	t->result = filemap_open_at(t->dir->fd, "file", FILEMAP_WRITE, NULL, &t->made, &t->error);
}

/*
 * Excused: mlock#2 brings in what mlock#1 has counted already; flock#2 gives the lock back, or makes it shared (and
 * is tried once more); EEXIST of CREATE means that somebody else made it.
 */
static const struct table_operation opens[] = {
	{.name = "open READ", .prepare = table_file, .run = open_read},
	{.name = "open READ PIN_PARENT", .prepare = table_file, .run = open_pinned},
	{.name = "open READ REMOVE_ON_CLOSE", .prepare = table_file, .run = open_remove_on_close},
	{.name = "open READ EMPTY NOFOLLOW", .prepare = table_file, .run = open_empty},
	{.name = "open READ POPULATE",
	 .prepare = table_file,
	 .run = open_populate,
	 .excuses = "madvise",
	 .flags = TABLE_REAL_PAGES},
	{.name = "open READ MLOCK",
	 .prepare = table_file,
	 .run = open_mlock,
	 .lacks = no_mlock,
	 .excuses = "mlock#2",
	 .flags = TABLE_REAL_PAGES},
	{.name = "open READ LOCK_IF_SUPPORTED",
	 .prepare = table_file,
	 .run = open_lock_if,
	 .excuses = "flock:ENOLCK flock:EOPNOTSUPP"},
	{.name = "open EXEC", .prepare = table_file, .run = open_exec, .lacks = table_no_exec},
	{.name = "open COW NORESERVE offset", .prepare = table_file, .run = open_cow},
	{.name = "open WRITE", .prepare = table_file, .run = open_write},
	{.name = "open WRITE OFD", .prepare = table_file, .run = open_ofd},
	{.name = "open WRITE LOCK_NONE", .prepare = table_file, .run = open_no_lock},
	{.name = "open WRITE wait 20 ms",
	 .prepare = table_file,
	 .run = open_waiting,
	 .excuses = "flock:EAGAIN"},
	{.name = "open WRITE wait for another",
	 .prepare = locked_file,
	 .run = open_after_waiting,
	 .excuses = "flock:EAGAIN"},
	{.name = "open WRITE reserve", .prepare = table_file, .run = open_reserve},
	{.name = "open WRITE DONTFORK DONTDUMP advice", .prepare = table_file, .run = open_dressed},
	{.name = "open WRITE COOPERATE", .prepare = table_file, .run = open_cooperate},
	{.name = "open_at WRITE", .prepare = table_file, .run = open_from_directory},
};

static void every_way_to_open(void **state)
{
	table_run(*state, "open", opens, sizeof opens / sizeof *opens);
}

static const struct table_operation creations[] = {
	{.name = "open CREATE, there is one", .prepare = table_file, .run = open_create},
	{.name = "open CREATE size", .run = open_create, .excuses = "openat:EEXIST"},
	{.name = "open CREATE_NEW size", .run = open_create_new},
	{.name = "open CREATE_NEW SPARSE NO_DURABLE_NAME size", .run = open_create_sparse},
	{.name = "open TRUNCATE size", .prepare = table_file, .run = open_truncate},
	{.name = "open TRUNCATE COOPERATE size",
	 .prepare = table_file,
	 .run = open_truncate_cooperate,
	 .excuses = "flock#2"},
};

static void every_way_to_create(void **state)
{
	table_run(*state, "open_create", creations, sizeof creations / sizeof *creations);
}

/* ---- of descriptors and streams ---- */

static void descriptor(struct table *t)
{
	table_file(t);
	t->fd = open(t->file, O_RDONLY | O_CLOEXEC);
	assert_true(t->fd >= 0);
}

static void small_file(struct table *t)
{
	t_write_file(t->file, "small", 5);
}

static void filled_pipe(struct table *t)
{
	int ends[2];
	assert_ok(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
	assert_int_equal(write(ends[1], "small", 5), 5);
	close(ends[1]);
	t->fd = ends[0];
}

static void open_fd_read(struct table *t)
{
	t->result = filemap_open_fd(t->fd, FILEMAP_READ, NULL, &t->made, &t->error);
}

static void open_fd_write(struct table *t)
{
	t->result = filemap_open_fd(t->fd, FILEMAP_WRITE, NULL, &t->made, &t->error);
}

static void open_fd_truncate(struct table *t)
{
	t->result = filemap_open_fd(t->fd, FILEMAP_WRITE,
				    FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = TABLE_PAGE), &t->made,
				    &t->error);
}

static void open_or_read(struct table *t)
{
	t->result = filemap_open_or_read(t->file, FILEMAP_TO_END, NULL, &t->made, &t->error);
}

static void open_or_read_generated(struct table *t)
{
	t->result =
		filemap_open_or_read("/proc/sys/kernel/ostype", FILEMAP_TO_END, NULL, &t->made, &t->error);
}

/* What comes through a name that is no regular file: the pipe's, in /proc. */
static void open_or_read_stream(struct table *t)
{
	char name[40];
	snprintf(name, sizeof name, "/proc/self/fd/%d", t->fd);
	t->result = filemap_open_or_read(name, FILEMAP_TO_END, NULL, &t->made, &t->error);
}

static void read_fd(struct table *t)
{
	t->result = filemap_read_fd(t->fd, FILEMAP_TO_END, &t->made, &t->error);
}

static int use_bytes(const void *data, size_t size, void *context)
{
	(void)context;
	return size > 0 && ((const unsigned char *)data)[0] == table_byte(0) ? 7 : 8;
}

static void with(struct table *t)
{
	int used;
	t->result = filemap_with(t->file, NULL, use_bytes, NULL, &used, &t->error);
	if (t->result == 0)
		assert_int_equal(used, 7);
}

static const struct table_operation others[] = {
	{.name = "open_fd READ", .prepare = descriptor, .run = open_fd_read},
	{.name = "open_fd WRITE", .prepare = descriptor, .run = open_fd_write},
	{.name = "open_fd TRUNCATE size", .prepare = descriptor, .run = open_fd_truncate},
	{.name = "open_or_read, mapped", .prepare = table_file, .run = open_or_read},
	{.name = "open_or_read, small", .prepare = small_file, .run = open_or_read, .excuses = "flock#2"},
	{.name = "open_or_read, generated",
	 .run = open_or_read_generated,
	 .excuses = "flock#2",
	 .flags = TABLE_OWN_STATE},
	{.name = "open_or_read, stream", .prepare = filled_pipe, .run = open_or_read_stream},
	{
		.name = "read_fd, file",
		.prepare = descriptor,
		.run = read_fd,
	},
	{.name = "read_fd, pipe", .prepare = filled_pipe, .run = read_fd},
	{.name = "with", .prepare = table_file, .run = with, .excuses = "flock#2"},
};

static void every_way_from_descriptors_and_streams(void **state)
{
	table_run(*state, "open_other", others, sizeof others / sizeof *others);
}

/* ---- memory ---- */

static void anonymous(struct table *t)
{
	t->result = filemap_anonymous(TABLE_PAGE + 1, NULL, &t->made, &t->error);
}

static void anonymous_dressed(struct table *t)
{
	t->result = filemap_anonymous(TABLE_PAGE + 1,
				      FILEMAP_OPTIONS(.label = "dressed", .reserve = 8 * TABLE_PAGE,
						      .flags = FILEMAP_DONTFORK | FILEMAP_DONTDUMP |
							       FILEMAP_NORESERVE | FILEMAP_POPULATE),
				      &t->made, &t->error);
}

static void anonymous_mlock(struct table *t)
{
	t->result = filemap_anonymous(TABLE_PAGE + 1, FILEMAP_OPTIONS(.flags = FILEMAP_MLOCK), &t->made,
				      &t->error);
}

static void anonymous_stack(struct table *t)
{
	t->result = filemap_anonymous(TABLE_PAGE + 1, FILEMAP_OPTIONS(.flags = FILEMAP_STACK), &t->made,
				      &t->error);
}

static void anonymous_shared(struct table *t)
{
	t->result =
		filemap_anonymous(TABLE_PAGE + 1, FILEMAP_OPTIONS(.label = "shared", .flags = FILEMAP_SHARED),
				  &t->made, &t->error);
}

static void from_bytes_read(struct table *t)
{
	t->result = filemap_from_bytes("bytes", FILEMAP_READ, "bytes", 5, &t->made, &t->error);
}

static void from_bytes_exec(struct table *t)
{
	t->result = filemap_from_bytes("bytes", FILEMAP_EXEC, "bytes", 5, &t->made, &t->error);
}

static void from_bytes_write(struct table *t)
{
	t->result = filemap_from_bytes(NULL, FILEMAP_WRITE, "bytes", 5, &t->made, &t->error);
}

static void wrap_bytes(struct table *t)
{
	t->result = filemap_wrap_bytes("bytes", "bytes", 5, &t->made, &t->error);
}

static void shared_memory(struct table *t)
{
	assert_ok(filemap_anonymous(TABLE_SIZE, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &t->map, NULL));
}

#define WINDOW(name, mode, offset, length)                                                     \
	static void name(struct table *t)                                                      \
	{                                                                                      \
		t->result = filemap_window(t->map, mode, offset, length, &t->made, &t->error); \
	}

WINDOW(window_read, FILEMAP_READ, 0, FILEMAP_TO_END)
WINDOW(window_cow, FILEMAP_COW, 100, 1000)
WINDOW(window_write, FILEMAP_WRITE, TABLE_PAGE, TABLE_PAGE)
WINDOW(window_exec, FILEMAP_EXEC, 0, 1000)

static const struct table_operation memories[] = {
	{.name = "anonymous", .run = anonymous},
	{.name = "anonymous reserve DONTFORK DONTDUMP NORESERVE POPULATE",
	 .run = anonymous_dressed,
	 .excuses = "madvise",
	 .flags = TABLE_REAL_PAGES},
	{.name = "anonymous MLOCK",
	 .run = anonymous_mlock,
	 .lacks = no_mlock,
	 .excuses = "mlock#2",
	 .flags = TABLE_REAL_PAGES},
	{.name = "anonymous STACK", .run = anonymous_stack},
	{.name = "anonymous SHARED", .run = anonymous_shared},
	{.name = "from_bytes READ", .run = from_bytes_read},
	{.name = "from_bytes EXEC", .run = from_bytes_exec},
	{.name = "from_bytes WRITE", .run = from_bytes_write},
	{.name = "wrap_bytes", .run = wrap_bytes},
	{.name = "window READ", .prepare = table_write, .run = window_read},
	{.name = "window COW", .prepare = table_read, .run = window_cow},
	{.name = "window WRITE", .prepare = table_write, .run = window_write},
	{.name = "window EXEC", .prepare = table_read, .run = window_exec, .lacks = table_no_exec},
	{.name = "window WRITE of memory", .prepare = shared_memory, .run = window_write},
};

static void every_way_to_make_memory_and_windows(void **state)
{
	table_run(*state, "memory", memories, sizeof memories / sizeof *memories);
}

TABLE_MAIN(T_TEST(every_way_to_open), T_TEST(every_way_to_create),
	   T_TEST(every_way_from_descriptors_and_streams), T_TEST(every_way_to_make_memory_and_windows))
