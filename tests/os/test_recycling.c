/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Numbers that are given again: ext4 gives the inode number of a file that is gone to the next one. Each case runs
 * in a child with a file system of its own, and finds out first that a comparison of numbers would be fooled.
 */
#include "remove.h"

#include <sched.h>
#include <sys/mount.h>

#define SKIPPED 77
#define TRIES 1000

static const struct t_dir *dir;
static char path[300];

static int mount_ext4(void)
{
	char command[1024];

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	if (mkdir(t_path(dir, "mounted"), 0700) < 0)
		return -1;
	snprintf(command, sizeof command,
		 "exec >/dev/null 2>&1; PATH=$PATH:/sbin:/usr/sbin; cd '%s' && truncate -s 8M image && "
		 "mkfs.ext4 -q image && mount -o loop image mounted",
		 dir->path);
	snprintf(path, sizeof path, "%s/mounted/file", dir->path);
	return system(command) == 0 ? 0 : -1;
}

static int make_file_of(const char *text)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -1;
	return close(fd);
}

static bool has_text(const char *text)
{
	char bytes[16] = "";
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	const ssize_t length = read(fd, bytes, sizeof bytes);
	close(fd);
	return length == (ssize_t)strlen(text) && memcmp(bytes, text, strlen(text)) == 0;
}

/* A file is known, goes, and another one comes that has its number. 0, or what went wrong. */
static int recycle(struct stat *old, struct filemap_identity *identity)
{
	struct stat new;

	if (make_file_of("old") < 0 || stat(path, old) < 0)
		return 1;
	if (filemap_file_identity(AT_FDCWD, path, identity, NULL) != 0)
		return 2;
	for (int i = 0; i < TRIES; i++) {
		if (unlink(path) < 0 || make_file_of("new") < 0 || stat(path, &new) < 0)
			return 3;
		if (new.st_dev == old->st_dev &&new.st_ino == old->st_ino)
			return 0;
	}
	return 4;
}

static int compare_identities(void *context)
{
	struct filemap_identity before, after, kept;
	char text[FILEMAP_IDENTITY_TEXT];
	struct stat old;

	(void)context;
	if (mount_ext4() < 0)
		return SKIPPED;
	const int r = recycle(&old, &before);
	if (r != 0)
		return r;
	if (filemap_file_identity(AT_FDCWD, path, &after, NULL) != 0)
		return 10;
	if (before.device != after.device || before.inode != after.inode || before.handle_length == 0)
		return 11;
	filemap_identity_format(&before, text, sizeof text);
	if (filemap_identity_parse(text, &kept) != 0)
		return 12;
	return filemap_identity_equal(&kept, &after) || filemap_identity_equal(&before, &after) ? 13 : 0;
}

static int remove_expected(void *context)
{
	struct filemap_identity identity;
	struct stat old;

	(void)context;
	if (mount_ext4() < 0)
		return SKIPPED;
	const int r = recycle(&old, &identity);
	if (r != 0)
		return r;
	if (filemap_remove_file(AT_FDCWD, path, &identity, NULL) != FILEMAP_EREPLACED)
		return 20;
	if (!has_text("new"))
		return 21;
	identity.handle_length = 0; /* the moment of creation is enough */
	if (filemap_remove_file(AT_FDCWD, path, &identity, NULL) != FILEMAP_EREPLACED)
		return 22;
	memset(&identity.created, 0, sizeof identity.created); /* and the numbers are not */
	if (filemap_remove_file(AT_FDCWD, path, &identity, NULL) != 0)
		return 23;
	return access(path, F_OK) == 0 ? 24 : 0;
}

static int replace_expected(void *context)
{
	struct filemap_bytes bytes = {"replaced", 8};
	struct filemap_identity identity;
	struct stat old;

	(void)context;
	if (mount_ext4() < 0)
		return SKIPPED;
	const int r = recycle(&old, &identity);
	if (r != 0)
		return r;
	const struct filemap_new_options *options = FILEMAP_NEW_OPTIONS(.expect = &identity);
	if (filemap_replace_file(AT_FDCWD, path, filemap_fill_bytes, &bytes, options, NULL) !=
	    FILEMAP_EREPLACED)
		return 30;
	if (!has_text("new"))
		return 31;
	identity.handle_length = 0;
	memset(&identity.created, 0, sizeof identity.created);
	if (filemap_replace_file(AT_FDCWD, path, filemap_fill_bytes, &bytes, options, NULL) != 0)
		return 32;
	return has_text("replaced") ? 0 : 33;
}

/* With the file open its number comes again never; once it is closed, at once. */
static int pin_number(void *context)
{
	struct filemap_identity identity;
	struct filemap *map;
	struct stat old, new;

	(void)context;
	if (mount_ext4() < 0)
		return SKIPPED;
	if (recycle(&old, &identity) != 0 || stat(path, &old) < 0)
		return 40;
	if (filemap_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_PIN_PARENT), &map, NULL) != 0)
		return 41;
	for (int i = 0; i < TRIES; i++) {
		if (unlink(path) < 0 || make_file_of("new") < 0 || stat(path, &new) < 0)
			return 42;
		if (new.st_ino == old.st_ino)
			return 43;
	}
	if (filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL) != 0)
		return 44;
	if (filemap_remove(map, NULL) != FILEMAP_EREPLACED || !has_text("new"))
		return 45;
	if (filemap_set_remove_on_close(map, 0) != 0)
		return 46;
	filemap_close(map);
	if (unlink(path) < 0)
		return 47;
	for (int i = 0; i < TRIES; i++) {
		if (make_file_of("new") < 0 || stat(path, &new) < 0 || unlink(path) < 0)
			return 48;
		if (new.st_ino == old.st_ino)
			return 0;
	}
	return 49;
}

static void in_child(void **state, int (*body)(void *))
{
	dir = *state;
	if (geteuid() != 0)
		t_skip("only root can mount a file system");
	const int r = t_in_child(body, NULL);
	if (r == SKIPPED)
		t_skip("no mkfs.ext4, or no loop mounts here");
	assert_int_equal(r, 0);
}

static void identity_tells_files_of_one_number_apart(void **state)
{
	in_child(state, compare_identities);
}

static void remove_refuses_another_file_of_the_same_number(void **state)
{
	in_child(state, remove_expected);
}

static void replace_refuses_another_file_of_the_same_number(void **state)
{
	in_child(state, replace_expected);
}

static void number_of_an_open_mapping_is_never_given_again(void **state)
{
	in_child(state, pin_number);
}

T_MAIN(T_TEST(identity_tells_files_of_one_number_apart),
       T_TEST(remove_refuses_another_file_of_the_same_number),
       T_TEST(replace_refuses_another_file_of_the_same_number),
       T_TEST(number_of_an_open_mapping_is_never_given_again))
