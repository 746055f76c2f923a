/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The complete sweep of guarded access and of what looks for faults, without a handler (the kernel copies), with one,
 * and where process_vm_readv(2) or MADV_POPULATE_READ is forbidden; and of snapshots.
 */
#include "sys/sys.h"
#include "table.h"

#include <sys/mman.h>

static unsigned char bytes[2 * TABLE_PAGE];

static struct filemap_fault *fault_of(struct table *t)
{
	return (struct filemap_fault *)(void *)t->ret;
}

static void say_fault(struct table *t)
{
	static const char *const causes[] = {"unknown", "past end", "no space", "io", "hwpoison"};
	const struct filemap_fault *fault = fault_of(t);

	if (t->result == FILEMAP_EFAULT)
		table_say(t, "fault=%llup,%s", (unsigned long long)(fault->offset / TABLE_PAGE),
			  causes[fault->cause]);
}

static void cut(struct table *t)
{
	table_read(t);
	assert_ok(truncate(t->file, (off_t)TABLE_PAGE));
}

static void cut_for_writing(struct table *t)
{
	table_write(t);
	assert_ok(truncate(t->file, (off_t)TABLE_PAGE));
}

static void with_handler(struct table *t)
{
	table_write(t);
	assert_ok(filemap_guard_install(NULL));
}

static void with_handler_and_cut(struct table *t)
{
	cut(t);
	assert_ok(filemap_guard_install(NULL));
}

static void take_handler(struct table *t)
{
	(void)t;
	if ((filemap_guard_state() & FILEMAP_GUARD_INSTALLED) != 0)
		assert_ok(filemap_guard_uninstall());
}

static void take_owner(struct table *t)
{
	(void)t;
	if ((filemap_guard_state() & FILEMAP_GUARD_ADOPTED) != 0)
		assert_ok(filemap_guard_disown());
}

/* The kernel forbids what is done first, so that the next way is taken. */
static void no_own_memory(void)
{
	fault_arm_also("read_own", 1, EPERM);
	fault_arm_also("write_own", 1, EPERM);
	fault_arm_also("peek_own", 1, EPERM);
}

static void no_populate(void)
{
	fault_arm_also("madvise", 1, EINVAL);
}

static void read_guarded(struct table *t)
{
	t->result = filemap_guarded_read(t->map, 0, bytes, sizeof bytes, 0, fault_of(t));
}

static void read_checked(struct table *t)
{
	t->result =
		filemap_guarded_read(t->map, 0, bytes, sizeof bytes, FILEMAP_GUARD_CHECK_END, fault_of(t));
}

static void write_guarded(struct table *t)
{
	t->result = filemap_guarded_write(t->map, 0, "stored", 6, 0, fault_of(t));
}

static void write_checked(struct table *t)
{
	t->result = filemap_guarded_write(t->map, 0, "stored", 6, FILEMAP_GUARD_CHECK_END, fault_of(t));
}

/* The only store that meets the cut. */
static void write_behind(struct table *t)
{
	t->result = filemap_guarded_write(t->map, TABLE_PAGE, "stored", 6, 0, fault_of(t));
}

static int touch_all(void *context)
{
	const unsigned char *data = context;
	int sum = 0;
	for (size_t i = 0; i < 2 * TABLE_PAGE; i += 4096)
		sum += ((const volatile unsigned char *)data)[i] != 0;
	return sum;
}

static void call_guarded(struct table *t)
{
	const struct filemap *const maps[] = {t->map};
	int called = 0;
	t->result = filemap_guarded_call(maps, 1, touch_all, (void *)(uintptr_t)filemap_data(t->map), &called,
					 fault_of(t));
	assert_true(t->result != 0 || called == (int)(2 * TABLE_PAGE / 4096));
}

static void probe(struct table *t)
{
	t->result = filemap_probe(t->map, 0, 2 * TABLE_PAGE);
}

static void find_fault(struct table *t)
{
	t->result = filemap_find_fault(t->map, 0, 2 * TABLE_PAGE, fault_of(t));
}

static void install(struct table *t)
{
	t->result = filemap_guard_install(&t->error);
}

static void uninstall(struct table *t)
{
	t->result = filemap_guard_uninstall();
}

static void adopt(struct table *t)
{
	(void)t;
	t->result = filemap_guard_adopt();
}

static void disown(struct table *t)
{
	t->result = filemap_guard_disown();
}

static void be_installed(struct table *t)
{
	(void)t;
	assert_ok(filemap_guard_install(NULL));
}

static void be_adopted(struct table *t)
{
	(void)t;
	assert_ok(filemap_guard_adopt());
}

static void state(struct table *t)
{
	t->result = filemap_guard_state();
}

static void say_guard(struct table *t)
{
	table_say(t, "guard=%u", filemap_guard_state() & (FILEMAP_GUARD_INSTALLED | FILEMAP_GUARD_ADOPTED));
}

static const char *lacks_populate(void)
{
	return fm__sys_madvise(NULL, 0, MADV_POPULATE_READ) == -EINVAL ? "there is no MADV_POPULATE_READ"
								       : NULL;
}

static const char *lacks_own_memory(void)
{
	unsigned char to = 0, from = 1;
	return fm__sys_read_own(&to, &from, 1) == 1 ? NULL : "process_vm_readv(2) is forbidden";
}

static const char *lacks_either(void)
{
	const char *reason = lacks_populate();
	return reason != NULL ? reason : lacks_own_memory();
}

#define SIMPLE (TABLE_NO_ERROR | TABLE_RET_CHANGES | TABLE_REAL_PAGES)
/* Excused: that ours is on top is only a hint; a piece that a pipe refuses is tried up to the end of its page. */
static const struct table_operation guards[] = {
	{.name = "guard_install", .run = install, .describe = say_guard, .cleanup = take_handler},
	{.name = "guard_uninstall",
	 .prepare = be_installed,
	 .run = uninstall,
	 .describe = say_guard,
	 .cleanup = take_handler,
	 .flags = TABLE_NO_ERROR},
	{.name = "guard_adopt",
	 .run = adopt,
	 .describe = say_guard,
	 .cleanup = take_owner,
	 .flags = TABLE_NO_ERROR},
	{.name = "guard_disown",
	 .prepare = be_adopted,
	 .run = disown,
	 .describe = say_guard,
	 .cleanup = take_owner,
	 .flags = TABLE_NO_ERROR},
	{.name = "guard_state",
	 .prepare = be_installed,
	 .run = state,
	 .cleanup = take_handler,
	 .flags = TABLE_NO_ERROR,
	 .excuses = "get_action"},
	{.name = "guarded_read",
	 .prepare = table_read,
	 .run = read_guarded,
	 .describe = say_fault,
	 .lacks = lacks_own_memory,
	 .flags = SIMPLE},
	{.name = "guarded_read CHECK_END",
	 .prepare = table_read,
	 .run = read_checked,
	 .describe = say_fault,
	 .lacks = lacks_own_memory,
	 .flags = SIMPLE},
	{.name = "guarded_read by a pipe",
	 .prepare = table_read,
	 .arm = no_own_memory,
	 .run = read_guarded,
	 .describe = say_fault,
	 .flags = SIMPLE,
	 .excuses = "write:EFAULT"},
	{.name = "guarded_read of a file that was cut",
	 .prepare = cut,
	 .run = read_guarded,
	 .describe = say_fault,
	 .lacks = lacks_own_memory,
	 .flags = SIMPLE},
	{.name = "guarded_read with a handler",
	 .prepare = with_handler,
	 .run = read_checked,
	 .describe = say_fault,
	 .cleanup = take_handler,
	 .flags = SIMPLE},
	{.name = "guarded_read with a handler, cut",
	 .prepare = with_handler_and_cut,
	 .run = read_guarded,
	 .describe = say_fault,
	 .cleanup = take_handler,
	 .lacks = lacks_own_memory,
	 .flags = SIMPLE},
	{.name = "guarded_write",
	 .prepare = table_write,
	 .run = write_guarded,
	 .describe = say_fault,
	 .lacks = lacks_own_memory,
	 .flags = SIMPLE},
	{.name = "guarded_write CHECK_END",
	 .prepare = table_write,
	 .run = write_checked,
	 .describe = say_fault,
	 .lacks = lacks_own_memory,
	 .flags = SIMPLE},
	{.name = "guarded_write by a pipe",
	 .prepare = table_write,
	 .arm = no_own_memory,
	 .run = write_guarded,
	 .describe = say_fault,
	 .flags = SIMPLE},
	{.name = "guarded_write behind the cut",
	 .prepare = cut_for_writing,
	 .run = write_behind,
	 .describe = say_fault,
	 .lacks = lacks_own_memory,
	 .flags = SIMPLE},
	{.name = "guarded_call",
	 .prepare = with_handler,
	 .run = call_guarded,
	 .describe = say_fault,
	 .cleanup = take_handler,
	 .flags = SIMPLE},
	{.name = "guarded_call, cut",
	 .prepare = with_handler_and_cut,
	 .run = call_guarded,
	 .describe = say_fault,
	 .cleanup = take_handler,
	 .lacks = lacks_own_memory,
	 .flags = SIMPLE},
	{.name = "probe",
	 .prepare = table_read,
	 .run = probe,
	 .lacks = lacks_either,
	 .flags = TABLE_NO_ERROR | TABLE_REAL_PAGES,
	 .excuses = "madvise:EINVAL"},
	{.name = "probe, no populating",
	 .prepare = table_read,
	 .arm = no_populate,
	 .run = probe,
	 .lacks = lacks_either,
	 .flags = TABLE_NO_ERROR | TABLE_REAL_PAGES,
	 .excuses = "madvise:EINVAL"},
	{.name = "find_fault",
	 .prepare = cut,
	 .run = find_fault,
	 .describe = say_fault,
	 .lacks = lacks_either,
	 .flags = SIMPLE},
	{.name = "find_fault, no populating",
	 .prepare = cut,
	 .arm = no_populate,
	 .run = find_fault,
	 .describe = say_fault,
	 .lacks = lacks_either,
	 .flags = SIMPLE},
};

static void every_guarded_access(void **unused)
{
	table_run(*unused, "guard", guards, sizeof guards / sizeof *guards);
}

/* ---- snapshots ---- */

static void snapshot(struct table *t)
{
	t->result = filemap_snapshot(t->file, FILEMAP_TO_END, NULL, &t->made, &t->error);
}

static void snapshot_by_clone(struct table *t)
{
	t->result = filemap_snapshot(t->file, FILEMAP_TO_END, FILEMAP_OPTIONS(.flags = FILEMAP_REFLINK),
				     &t->made, &t->error);
}

static void snapshot_map(struct table *t)
{
	t->result = filemap_snapshot_map(t->map, 0, FILEMAP_TO_END, &t->made, &t->error);
}

static void private_memory(struct table *t)
{
	assert_ok(filemap_anonymous(TABLE_SIZE, NULL, &t->map, NULL));
}

static void say_immutable(struct table *t)
{
	if (t->made != NULL)
		table_say(t, "%s", filemap_is_immutable(t->made) ? "immutable" : "mutable");
}

/* Excused: holes that cannot be found are bytes; where /proc is missing the copy is mapped as it is; the unlocking. */
static const struct table_operation snapshots[] = {
	{.name = "snapshot",
	 .prepare = table_file,
	 .run = snapshot,
	 .describe = say_immutable,
	 .excuses = "seek_data seek_hole reopen:ENOENT flock#2"},
	{.name = "snapshot REFLINK, no clones",
	 .prepare = table_file,
	 .run = snapshot_by_clone,
	 .describe = say_immutable},
	{.name = "snapshot_map",
	 .prepare = table_read,
	 .run = snapshot_map,
	 .describe = say_immutable,
	 .excuses = "seek_data seek_hole write:EINTR reopen:ENOENT"},
	{.name = "snapshot_map of memory",
	 .prepare = private_memory,
	 .run = snapshot_map,
	 .describe = say_immutable,
	 .excuses = "write:EINTR reopen:ENOENT"},
};

static void every_snapshot(void **unused)
{
	table_run(*unused, "snapshot", snapshots, sizeof snapshots / sizeof *snapshots);
}

TABLE_MAIN(T_TEST(every_guarded_access), T_TEST(every_snapshot))
