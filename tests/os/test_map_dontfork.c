/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a child can do with a mapping whose pages FILEMAP_DONTFORK kept from it: nothing happens to what the
 * child has put in their place, and what needs no pages works.
 */
#include "t.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filemap/filemap.h>

struct scene {
	struct filemap *map;
	const char *path, *copy;
};

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* A page of the child's own, where the parent has the window. */
static unsigned char *own_page(const struct scene *scene)
{
	unsigned char *page = mmap((void *)(uintptr_t)filemap_data(scene->map), page_size(),
				   PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (page == MAP_FAILED)
		return NULL;
	memset(page, 'C', page_size());
	return page;
}

static int change_in_child(void *context)
{
	const struct scene *scene = context;
	unsigned char *page = own_page(scene);

	if (!page || truncate(scene->path, (off_t)(64 * page_size())) < 0)
		return 1;
	if (filemap_refresh(scene->map, NULL, NULL) != FILEMAP_EFORKED)
		return 2;
	if (filemap_freeze(scene->map, NULL) != FILEMAP_EFORKED ||
	    filemap_freeze_exec(scene->map, NULL) != FILEMAP_EFORKED ||
	    filemap_thaw(scene->map, NULL) != FILEMAP_EFORKED)
		return 3;
	page[0] = 'D'; /* neither gone nor protected */
	filemap_close(scene->map);
	return page[0] == 'D' && page[1] == 'C' ? 0 : 4;
}

static struct scene open_scene(void **state)
{
	struct scene scene = {NULL, t_path(*state, "file"), t_path(*state, "copy")};
	assert_ok(
		filemap_open(scene.path, FILEMAP_WRITE,
			     FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_DONTFORK, .size = page_size()),
			     &scene.map, NULL));
	return scene;
}

static void pages_that_a_child_lacks_are_neither_moved_nor_protected_there(void **state)
{
	struct scene scene = open_scene(state);
	assert_ok(t_in_child(change_in_child, &scene));
	assert_ok(filemap_refresh(scene.map, NULL, NULL));
	filemap_close(scene.map);
}

static int flush_in_child(void *context)
{
	const struct scene *scene = context;
	if (filemap_flush(scene->map) != 0 || filemap_sync(scene->map) != 0)
		return 1;
	return filemap_state(scene->map) == FILEMAP_STATE_LIVE ? 0 : 2;
}

static void flush_in_a_child_without_the_pages_goes_through_the_file(void **state)
{
	struct scene scene = open_scene(state);
	assert_ok(filemap_write_all(scene.map, 0, "stored", 6));
	assert_ok(t_in_child(flush_in_child, &scene));
	filemap_close(scene.map);
}

static int copy_in_child(void *context)
{
	const struct scene *scene = context;
	if (!own_page(scene))
		return 1;
	return filemap_copy_to(scene->map, 0, FILEMAP_TO_END, scene->copy, NULL) == FILEMAP_EFAULT ? 0 : 2;
}

static void copy_in_a_child_never_takes_what_lies_there_instead(void **state)
{
	struct scene scene = {.copy = t_path(*state, "copy")};
	assert_ok(
		filemap_anonymous(page_size(), FILEMAP_OPTIONS(.flags = FILEMAP_DONTFORK), &scene.map, NULL));
	assert_ok(t_in_child(copy_in_child, &scene));
	assert_int_equal(t_file_size(scene.copy), -1);
	filemap_close(scene.map);
}

T_MAIN(T_TEST(pages_that_a_child_lacks_are_neither_moved_nor_protected_there),
       T_TEST(flush_in_a_child_without_the_pages_goes_through_the_file),
       T_TEST(copy_in_a_child_never_takes_what_lies_there_instead))
