/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Guarded copies with a handler: real faults of files that are cut and of disks that are full, at every odd
 * place; what is reported, and what is as it was before.
 */
#include "guarding.h"

#include <sched.h>
#include <sys/mount.h>

#include "map/private.h"

#define NO_MOUNTS "mounting in a private namespace is not permitted"
#define NO_EXT4 "no mkfs.ext4, or no loop mounts here"

/* ---- cut files ---- */

static int read_all_modes(void *context)
{
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW, FILEMAP_WRITE};

	MUST(filemap_guard_install(NULL) == 0);
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		MUST(try_reads(context, modes[i], BUS_ADRERR) == 0);
	return 0;
}
CHILD_CASE(read_of_a_cut_file_tells_the_first_byte_that_is_missing_in_every_mode, read_all_modes)

static int write_ranges(void *context)
{
	MUST(filemap_guard_install(NULL) == 0);
	return try_writes(context, BUS_ADRERR);
}
CHILD_CASE(write_into_a_cut_file_stores_what_comes_before_the_fault_and_does_not_grow_it, write_ranges)

static int use_private_pages(void *context)
{
	MUST(filemap_guard_install(NULL) == 0);
	return try_private_pages(context, BUS_ADRERR);
}
CHILD_CASE(private_pages_are_read_and_are_gone_behind_a_cut, use_private_pages)

static int read_frozen(void *context)
{
	struct stage stage = {.code = BUS_ADRERR};
	struct filemap_fault fault;

	MUST(filemap_guard_install(NULL) == 0);
	MUST(stage_open(&stage, t_path(context, "file"), FILEMAP_WRITE, 1) == 0);
	MUST(filemap_freeze(stage.map, NULL) == 0);
	MUST(try_cuts(&stage, read_step, false) == 0);
	MUST(filemap_guarded_write(stage.map, 0, "x", 1, 0, &fault) == FILEMAP_EMODE);
	MUST(filemap_guarded_write(stage.map, 0, "x", 0, 0, &fault) == FILEMAP_EMODE);
	MUST(filemap_thaw(stage.map, NULL) == 0);
	MUST(filemap_guarded_write(stage.map, 0, "x", 1, 0, NULL) == 0);
	stage_close(&stage);
	return 0;
}
CHILD_CASE(frozen_mapping_can_be_read_and_not_written, read_frozen)

static int read_memory_file(void *context)
{
	struct stage stage = {.code = BUS_ADRERR, .length = PAGES * page_size()};

	(void)context;
	MUST(filemap_guard_install(NULL) == 0);
	MUST(filemap_anonymous(stage.length, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &stage.map, NULL) ==
	     0);
	stage.fd = filemap_fd(stage.map);
	MUST(stage_fill(&stage) == 0);
	MUST(try_cuts(&stage, read_step, false) == 0);
	MUST(try_cuts(&stage, write_one, true) == 0);
	filemap_close(stage.map);
	return 0;
}
CHILD_CASE(shared_memory_that_is_cut_is_as_a_file, read_memory_file)

static int read_private_memory(void *context)
{
	unsigned char bytes[256], back[256];
	struct filemap *map;

	(void)context;
	fill_bytes(bytes, sizeof bytes);
	MUST(filemap_guard_install(NULL) == 0);
	MUST(filemap_anonymous(3 * page_size(), NULL, &map, NULL) == 0);
	MUST(filemap_guarded_write(map, page_size() - 9, bytes, 256, FILEMAP_GUARD_CHECK_END, NULL) == 0);
	MUST(filemap_guarded_read(map, page_size() - 9, back, 256, FILEMAP_GUARD_CHECK_END, NULL) == 0);
	MUST(memcmp(bytes, back, 256) == 0);
	filemap_close(map);
	MUST(filemap_from_bytes("label", FILEMAP_READ, bytes, 256, &map, NULL) == 0);
	memset(back, 0, 256);
	MUST(filemap_guarded_read(map, 0, back, 256, FILEMAP_GUARD_CHECK_END, NULL) == 0);
	MUST(memcmp(bytes, back, 256) == 0);
	filemap_close(map);
	return 0;
}
CHILD_CASE(private_memory_is_read_and_written, read_private_memory)

/* Bytes of the caller that lie in a file that was cut: nobody knows which. */
static int read_wrapped(void *context)
{
	const size_t p = page_size();
	unsigned char *at = foreign_bytes(context, 3 * p), to[64];
	struct filemap_fault fault;
	struct filemap *map;

	MUST(at && truncate(t_path(context, "foreign"), (off_t)p) == 0);
	MUST(filemap_guard_install(NULL) == 0);
	MUST(filemap_wrap_bytes("mine", at + 5, 2 * p, &map, NULL) == 0);
	MUST(filemap_guarded_read(map, p - 30, to, 10, 0, &fault) == 0);
	MUST(filemap_guarded_read(map, p - 30, to, 60, FILEMAP_GUARD_CHECK_END, &fault) == FILEMAP_EFAULT);
	MUST(fault.offset == p - 5 && fault.cause == FILEMAP_FAULT_UNKNOWN);
	MUST(fault.signal_code == BUS_ADRERR);
	filemap_close(map);
	return 0;
}
CHILD_CASE(wrapped_bytes_that_were_cut_are_a_fault_of_unknown_cause, read_wrapped)

/* ---- full disks ---- */

static int private_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		return -1;
	return mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL);
}

static int mount_small(const struct t_dir *dir, const char *type)
{
	const char *at = t_path(dir, "disk");
	char command[700];

	if (private_mounts() < 0 || mkdir(at, 0700) < 0)
		return -1;
	if (strcmp(type, "tmpfs") == 0)
		return mount("tmpfs", at, "tmpfs", 0, "size=512k");
	snprintf(command, sizeof command,
		 "{ cd %s && truncate -s 8M image && mkfs.ext4 -q -m 0 image && mount -o loop image disk; } "
		 ">/dev/null 2>&1",
		 dir->path);
	return system(command) == 0 ? 0 : -1;
}

static int fill_disk(const struct t_dir *dir)
{
	static char block[4096];
	const int fd = open(t_path(dir, "disk/filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	memset(block, 'f', sizeof block);
	if (fd < 0)
		return -1;
	while (write(fd, block, sizeof block) > 0)
		;
	(void)fsync(fd);
	while (write(fd, block, sizeof block) > 0)
		;
	close(fd);
	return errno == ENOSPC ? 0 : -1;
}

#define SPARSE ((size_t)1 << 20)

/* The first page has its blocks, the rest has none, or what little was left over. */
static int write_until_full(struct filemap *map)
{
	static unsigned char from[SPARSE], to[SPARSE];
	struct filemap_fault fault;
	struct stat info;

	fill_bytes(from, SPARSE);
	MUST(filemap_guarded_write(map, 100, from, SPARSE - 100, 0, &fault) == FILEMAP_EFAULT);
	MUST(fault.cause == FILEMAP_FAULT_NO_SPACE && fault.signal_code == BUS_ADRERR);
	MUST(fault.offset > 100 && fault.offset < SPARSE && fault.offset % page_size() == 0);
	MUST(filemap_guarded_read(map, 100, to, fault.offset - 100, 0, NULL) == 0);
	MUST(memcmp(from, to, fault.offset - 100) == 0);
	MUST(filemap_guarded_write(map, fault.offset, from, 1, FILEMAP_GUARD_CHECK_END, &fault) ==
	     FILEMAP_EFAULT);
	MUST(fault.cause == FILEMAP_FAULT_NO_SPACE);
	MUST(fstat(filemap_fd(map), &info) == 0 && info.st_size == (off_t)SPARSE);
	return 0;
}

static int write_on_full_disk(const struct t_dir *dir)
{
	const char *path = t_path(dir, "disk/sparse");
	static unsigned char begin[65536];
	struct filemap *map;
	unsigned char byte;

	t_write_file(path, begin, page_size());
	MUST(truncate(path, (off_t)SPARSE) == 0);
	MUST(filemap_open(path, FILEMAP_WRITE, NULL, &map, NULL) == 0);
	MUST(fill_disk(dir) == 0);
	MUST(filemap_guard_install(NULL) == 0);
	MUST(write_until_full(map) == 0);
	MUST(truncate(t_path(dir, "disk/filler"), 0) == 0);
	MUST(filemap_guarded_write(map, SPARSE - 1, "z", 1, FILEMAP_GUARD_CHECK_END, NULL) == 0);
	MUST(filemap_guarded_read(map, SPARSE - 1, &byte, 1, FILEMAP_GUARD_CHECK_END, NULL) == 0 &&
	     byte == 'z');
	MUST(filemap_flush(map) == 0);
	filemap_close(map);
	return 0;
}

static int fill_tmpfs(void *context)
{
	return mount_small(context, "tmpfs") < 0 ? SKIPPED : write_on_full_disk(context);
}

static void full_tmpfs_is_no_space_and_goes_on_when_there_is_some(void **state)
{
	must_in_child(state, fill_tmpfs, NO_MOUNTS);
}

static int fill_ext4(void *context)
{
	return mount_small(context, "ext4") < 0 ? SKIPPED : write_on_full_disk(context);
}

static void full_ext4_is_no_space_and_goes_on_when_there_is_some(void **state)
{
	must_in_child(state, fill_ext4, NO_EXT4);
}

/* tmpfs wants a page for a hole that is only read, too. */
static int read_full_hole(void *context)
{
	const char *path = t_path(context, "disk/sparse");
	struct filemap_fault fault;
	struct filemap *map;
	unsigned char bytes[8];

	if (mount_small(context, "tmpfs") < 0)
		return SKIPPED;
	t_write_file(path, "begin", 5);
	MUST(truncate(path, (off_t)SPARSE) == 0 && fill_disk(context) == 0);
	MUST(filemap_open(path, FILEMAP_READ, NULL, &map, NULL) == 0);
	MUST(filemap_guard_install(NULL) == 0);
	MUST(filemap_guarded_read(map, page_size() - 4, bytes, 8, 0, &fault) == FILEMAP_EFAULT);
	MUST(fault.offset == page_size() && fault.cause == FILEMAP_FAULT_NO_SPACE);
	MUST(filemap_guarded_read(map, 0, bytes, 5, 0, &fault) == 0 && memcmp(bytes, "begin", 5) == 0);
	filemap_close(map);
	return 0;
}

static void hole_of_a_full_tmpfs_is_no_space_when_read(void **state)
{
	must_in_child(state, read_full_hole, NO_MOUNTS);
}

/* ---- wrong arguments ---- */

static int read_in_child_without_pages(void *context)
{
	struct stage *stage = context;
	unsigned char byte;

	MUST(filemap_guarded_read(stage->map, 0, &byte, 1, 0, NULL) == FILEMAP_EFORKED);
	MUST(filemap_guarded_write(stage->map, 0, "x", 1, 0, NULL) == FILEMAP_EFORKED);
	return 0;
}

static int ask_wrongly(void *context)
{
	struct stage stage;
	struct filemap_fault fault, before;
	struct filemap *absent;
	unsigned char to[8] = "kept";

	memset(&fault, 0x77, sizeof fault);
	before = fault;
	MUST(filemap_guard_install(NULL) == 0);
	MUST(stage_open(&stage, t_path(context, "file"), FILEMAP_WRITE, 7) == 0);
	const size_t size = filemap_size(stage.map);
	MUST(filemap_guarded_read(stage.map, 0, to, 1, 2, &fault) == FILEMAP_EOPTION);
	MUST(filemap_guarded_write(stage.map, 0, to, 1, ~0u, &fault) == FILEMAP_EOPTION);
	MUST(filemap_guarded_read(stage.map, size, to, 1, 0, &fault) == FILEMAP_ERANGE);
	MUST(filemap_guarded_read(stage.map, size - 1, to, 2, 0, &fault) == FILEMAP_ERANGE);
	MUST(filemap_guarded_read(stage.map, SIZE_MAX, to, 2, 0, &fault) == FILEMAP_ERANGE);
	MUST(filemap_guarded_read(stage.map, 0, to, FILEMAP_TO_END, 0, &fault) == FILEMAP_ERANGE);
	MUST(filemap_guarded_read(stage.map, 1, to, SIZE_MAX - 1, 0, &fault) == FILEMAP_ERANGE);
	MUST(filemap_guarded_write(stage.map, size + 1, to, 0, 0, &fault) == FILEMAP_ERANGE);
	MUST(filemap_guarded_write(stage.map, 0, to, FILEMAP_TO_END, 0, &fault) == FILEMAP_ERANGE);
	MUST(filemap_guarded_read(stage.map, size, NULL, 0, FILEMAP_GUARD_CHECK_END, &fault) == 0);
	MUST(filemap_guarded_write(stage.map, size, NULL, 0, FILEMAP_GUARD_CHECK_END, &fault) == 0);
	MUST(memcmp(&fault, &before, sizeof fault) == 0 && memcmp(to, "kept", 4) == 0);
	fm__filemap_poison(stage.map, -ENOMEM);
	MUST(filemap_guarded_read(stage.map, 0, to, 1, 0, &fault) == FILEMAP_EPOISONED);
	MUST(filemap_guarded_write(stage.map, 0, to, 1, 0, &fault) == FILEMAP_EPOISONED);
	stage_close(&stage);
	MUST(filemap_anonymous(100, FILEMAP_OPTIONS(.flags = FILEMAP_DONTFORK), &absent, NULL) == 0);
	stage.map = absent;
	MUST(t_in_child(read_in_child_without_pages, &stage) == 0);
	filemap_close(absent);
	return 0;
}
CHILD_CASE(wrong_arguments_are_refused_and_nothing_is_written, ask_wrongly)

static int write_to_readers(void *context)
{
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC};

	MUST(filemap_guard_install(NULL) == 0);
	for (int i = 0; i < 2; i++) {
		struct stage stage;
		const int r = stage_open(&stage, t_path(context, "file"), modes[i], 0);
		if (r == -EPERM)
			continue;
		MUST(r == 0);
		MUST(filemap_guarded_write(stage.map, 0, "x", 1, 0, NULL) == FILEMAP_EMODE);
		stage_close(&stage);
	}
	return 0;
}
CHILD_CASE(mapping_that_is_not_writable_is_emode, write_to_readers)

static int fault_without_telling(void *context)
{
	struct stage stage;
	unsigned char byte;

	MUST(filemap_guard_install(NULL) == 0);
	MUST(stage_open(&stage, t_path(context, "file"), FILEMAP_WRITE, 0) == 0);
	MUST(stage_cut(&stage, 10) == 0);
	MUST(filemap_guarded_read(stage.map, page_size(), &byte, 1, 0, NULL) == FILEMAP_EFAULT);
	MUST(filemap_guarded_write(stage.map, page_size(), "x", 1, 0, NULL) == FILEMAP_EFAULT);
	MUST(filemap_guarded_read(stage.map, 10, &byte, 1, FILEMAP_GUARD_CHECK_END, NULL) == FILEMAP_EFAULT);
	MUST(filemap_guarded_write(stage.map, 10, "x", 1, FILEMAP_GUARD_CHECK_END, NULL) == FILEMAP_EFAULT);
	stage_close(&stage);
	return 0;
}
CHILD_CASE(nobody_needs_to_be_told_of_the_fault, fault_without_telling)

/* ---- threads and children ---- */

#define THREADS 16
#define ROUNDS 60

struct worker {
	struct stage *stage;
	int number, failed;
	bool has_stack; /* an alternate one */
};

static int read_often(struct worker *worker)
{
	const size_t p = page_size();
	unsigned char to[64];

	for (int i = 0; i < ROUNDS; i++) {
		struct filemap_fault fault;
		const size_t before = (size_t)(worker->number + i) % 40 + 1;
		MUST(filemap_guarded_read(worker->stage->map, p - before, to, 60, 0, &fault) ==
		     FILEMAP_EFAULT);
		MUST(fault.offset == p && fault.cause == FILEMAP_FAULT_PAST_END);
		MUST(expect_bytes(worker->stage, p, p - before, to, before) == 0);
		const size_t own = 2 * p + 16 * (size_t)worker->number;
		MUST(filemap_guarded_write(worker->stage->map, own, to, 8, 0, &fault) == FILEMAP_EFAULT);
		MUST(fault.offset == own);
		MUST(filemap_guarded_read(worker->stage->map, 3, to, 60, 0, &fault) == 0);
	}
	return 0;
}

static void *work(void *context)
{
	struct worker *worker = context;
	stack_t stack = {.ss_size = 64 * 1024}, after;

	if (worker->has_stack) {
		stack.ss_sp = malloc(stack.ss_size);
		worker->failed |= sigaltstack(&stack, NULL) != 0;
	}
	worker->failed |= read_often(worker);
	worker->failed |= sigaltstack(NULL, &after) != 0;
	if (worker->has_stack) {
		worker->failed |= after.ss_sp != stack.ss_sp || after.ss_flags != 0;
		after.ss_flags = SS_DISABLE;
		sigaltstack(&after, NULL);
		free(stack.ss_sp);
	}
	return NULL;
}

static int work_on_threads(void *context)
{
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	struct stage stage;

	MUST(filemap_guard_install(NULL) == 0);
	MUST(stage_open(&stage, t_path(context, "file"), FILEMAP_WRITE, 0) == 0);
	MUST(stage_cut(&stage, page_size()) == 0);
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.stage = &stage, .number = i, .has_stack = i % 2 == 0};
		MUST(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
	}
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i], NULL) == 0 && workers[i].failed == 0);
	stage_close(&stage);
	return 0;
}
CHILD_CASE(many_threads_fault_at_once_with_and_without_alternate_stacks, work_on_threads)

static int read_as_child(void *context)
{
	struct worker worker = {.stage = context};

	MUST(filemap_guard_state() == (FILEMAP_GUARD_INSTALLED | FILEMAP_GUARD_ON_TOP));
	MUST(read_often(&worker) == 0);
	MUST(filemap_guard_uninstall() == 0 && filemap_guard_state() == 0);
	worker.stage->code = 0;
	MUST(read_often(&worker) == 0);
	MUST(filemap_guard_uninstall() == FILEMAP_EMODE);
	return 0;
}

static int install_as_child(void *context)
{
	struct worker worker = {.stage = context};

	MUST(filemap_guard_state() == 0);
	MUST(filemap_guard_install(NULL) == 0);
	return read_often(&worker);
}

static int fork_with_guard(void *context)
{
	struct stage stage;
	struct worker worker = {.stage = &stage};

	MUST(stage_open(&stage, t_path(context, "file"), FILEMAP_WRITE, 0) == 0);
	MUST(stage_cut(&stage, page_size()) == 0);
	MUST(t_in_child(install_as_child, &stage) == 0);
	MUST(filemap_guard_state() == 0);
	MUST(filemap_guard_install(NULL) == 0);
	MUST(t_in_child(read_as_child, &stage) == 0);
	MUST(read_often(&worker) == 0);
	stage_close(&stage);
	return 0;
}
CHILD_CASE(forked_child_has_what_its_parent_had_and_changes_its_own, fork_with_guard)

T_MAIN(T_TEST(read_of_a_cut_file_tells_the_first_byte_that_is_missing_in_every_mode),
       T_TEST(write_into_a_cut_file_stores_what_comes_before_the_fault_and_does_not_grow_it),
       T_TEST(private_pages_are_read_and_are_gone_behind_a_cut),
       T_TEST(frozen_mapping_can_be_read_and_not_written), T_TEST(shared_memory_that_is_cut_is_as_a_file),
       T_TEST(private_memory_is_read_and_written),
       T_TEST(wrapped_bytes_that_were_cut_are_a_fault_of_unknown_cause),
       T_TEST(full_tmpfs_is_no_space_and_goes_on_when_there_is_some),
       T_TEST(full_ext4_is_no_space_and_goes_on_when_there_is_some),
       T_TEST(hole_of_a_full_tmpfs_is_no_space_when_read),
       T_TEST(wrong_arguments_are_refused_and_nothing_is_written),
       T_TEST(mapping_that_is_not_writable_is_emode), T_TEST(nobody_needs_to_be_told_of_the_fault),
       T_TEST(many_threads_fault_at_once_with_and_without_alternate_stacks),
       T_TEST(forked_child_has_what_its_parent_had_and_changes_its_own))
