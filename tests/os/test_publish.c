/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* New files under names that were free: what is in them, whose they are, and that nothing else is touched. */
#include "new_file.h"

#include <grp.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct filemap_error error;

static int publish(const char *path)
{
	filled = 0;
	memset(&error, 0, sizeof error);
	return filemap_publish(AT_FDCWD, path, fill_text, NULL, NULL, &error);
}

static void published_file_is_complete_and_alone(void **state)
{
	const char *path = t_path(*state, "file");
	struct stat status;
	assert_ok(publish(path));
	assert_int_equal(filled, 1);
	assert_int_equal(error.code, 0);
	assert_true(is_text(path));
	assert_ok(stat(path, &status));
	assert_int_equal(status.st_nlink, 1);
	assert_int_equal(entries(*state), 1);
}

static void no_fill_is_an_empty_file(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap_bytes nothing = {NULL, 0};
	assert_ok(filemap_publish(AT_FDCWD, path, NULL, NULL, NULL, NULL));
	assert_int_equal(t_file_size(path), 0);
	assert_ok(unlink(path));
	assert_ok(filemap_publish(AT_FDCWD, path, filemap_fill_bytes, &nothing, NULL, NULL));
	assert_int_equal(t_file_size(path), 0);
}

static void permissions_are_what_the_umask_leaves(void **state)
{
	const unsigned asked[] = {0, 0640, 0777, 04755, 0400};
	const mode_t masks[] = {0, 027, 0777};
	for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
		for (size_t j = 0; j < sizeof masks / sizeof *masks; j++) {
			const char *path = t_path(*state, "file");
			const mode_t old = umask(masks[j]);
			struct stat status;
			const int r = filemap_publish(AT_FDCWD, path, fill_text, NULL,
						      FILEMAP_NEW_OPTIONS(.permissions = asked[i]), NULL);
			umask(old);
			assert_ok(r);
			assert_ok(stat(path, &status));
			assert_int_equal(status.st_mode & 0777,
					 (asked[i] ? asked[i] : 0666) & 0777 & ~masks[j]);
			assert_ok(unlink(path));
		}
	}
}

static void failing_fill_is_told_and_leaves_nothing(void **state)
{
	const char *path = t_path(*state, "file");
	filled = 0;
	assert_int_equal(filemap_publish(AT_FDCWD, path, fill_and_fail, NULL, NULL, &error), OWN_CODE);
	assert_int_equal(filled, 1);
	assert_int_equal(error.code, OWN_CODE);
	assert_int_equal(error.sys_errno, 0);
	assert_string_equal(error.step, "write content");
	assert_string_equal(error.detail, path);
	assert_int_equal(entries(*state), 0);
}

static void refuse_taken(void **state, const char *path)
{
	struct stat before, after;
	assert_ok(lstat(path, &before));
	const int count = entries(*state);
	assert_int_equal(publish(path), -EEXIST);
	assert_int_equal(filled, 0);
	assert_string_equal(error.detail, path);
	assert_ok(lstat(path, &after));
	assert_true(before.st_ino == after.st_ino && before.st_mode == after.st_mode);
	assert_int_equal(entries(*state), count);
}

static void taken_name_is_eexist_whatever_by(void **state)
{
	t_write_file(t_path(*state, "file"), OLD, OLD_LENGTH);
	refuse_taken(state, t_path(*state, "file"));
	assert_true(is_old(t_path(*state, "file")));
	assert_ok(mkdir(t_path(*state, "directory"), 0700));
	refuse_taken(state, t_path(*state, "directory"));
	assert_ok(mkfifo(t_path(*state, "fifo"), 0600));
	refuse_taken(state, t_path(*state, "fifo"));
	assert_ok(symlink("file", t_path(*state, "link")));
	refuse_taken(state, t_path(*state, "link"));
	assert_ok(symlink("nothing", t_path(*state, "dangling")));
	refuse_taken(state, t_path(*state, "dangling"));
	refuse_taken(state, t_path(*state, "."));
	refuse_taken(state, t_path(*state, ".."));
}

static void path_that_ends_in_a_slash_is_eisdir(void **state)
{
	assert_int_equal(publish(t_path(*state, "new/")), -EISDIR);
	assert_int_equal(publish(t_path(*state, "")), -EISDIR);
	assert_int_equal(publish("/"), -EISDIR);
	assert_int_equal(filled, 0);
	assert_int_equal(entries(*state), 0);
}

static void missing_directory_names_the_parent(void **state)
{
	t_write_file(t_path(*state, "file"), OLD, OLD_LENGTH);
	assert_int_equal(publish(t_path(*state, "none/new")), -ENOENT);
	assert_string_equal(error.subject, "parent directory");
	assert_int_equal(publish(t_path(*state, "file/new")), -ENOTDIR);
	assert_int_equal(filled, 0);
}

static char refused[512]; /* a path that is never made */

static void refuse(const struct filemap_new_options *options, int expected, const char *subject)
{
	memset(&error, 0, sizeof error);
	assert_int_equal(filemap_publish(AT_FDCWD, refused, fill_text, NULL, options, &error), expected);
	assert_string_equal(error.subject, subject);
	assert_int_equal(filemap_publish(AT_FDCWD, refused, fill_text, NULL, options, NULL), expected);
}

static void wrong_options_are_named_and_nothing_is_made(void **state)
{
	static const struct filemap_identity identity;
	struct {
		struct filemap_new_options known;
		uint64_t later;
	} newer = {.known = {.struct_size = sizeof newer}, .later = 1};
	snprintf(refused, sizeof refused, "%s", t_path(*state, "file"));
	filled = 0;
	refuse(FILEMAP_NEW_OPTIONS(.flags = FILEMAP_KEEP_MODE), FILEMAP_EOPTION, "flags");
	refuse(FILEMAP_NEW_OPTIONS(.flags = FILEMAP_KEEP_OWNER), FILEMAP_EOPTION, "flags");
	refuse(FILEMAP_NEW_OPTIONS(.flags = 1u << 31), FILEMAP_EOPTION, "flags");
	refuse(FILEMAP_NEW_OPTIONS(.permissions = 010000), FILEMAP_EOPTION, "permissions");
	refuse(FILEMAP_NEW_OPTIONS(.reserved = 1), FILEMAP_EOPTION, "reserved");
	refuse(FILEMAP_NEW_OPTIONS(.expect = &identity), FILEMAP_EOPTION, "expect");
	refuse(&(struct filemap_new_options){.struct_size = 0}, FILEMAP_EOPTION, "struct_size");
	refuse(&newer.known, FILEMAP_EVERSION, "struct_size");
	assert_int_equal(filemap_publish(-5, refused, fill_text, NULL, NULL, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "dirfd");
	assert_int_equal(filemap_publish(AT_FDCWD, NULL, fill_text, NULL, NULL, &error), FILEMAP_EOPTION);
	assert_int_equal(filemap_publish(AT_FDCWD, "", fill_text, NULL, NULL, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "path");
	assert_int_equal(filled, 0);
	assert_int_equal(entries(*state), 0);
}

static void options_with_zeros_behind_are_read(void **state)
{
	struct {
		struct filemap_new_options known;
		uint64_t later;
	} newer = {.known = {.struct_size = sizeof newer, .permissions = 0600}};
	const char *path = t_path(*state, "file");
	struct stat status;
	assert_ok(filemap_publish(AT_FDCWD, path, fill_text, NULL, &newer.known, NULL));
	assert_ok(stat(path, &status));
	assert_int_equal(status.st_mode & 07777, 0600);
}

static void relative_path_starts_at_the_directory(void **state)
{
	const struct t_dir *dir = *state;
	assert_ok(mkdir(t_path(dir, "sub"), 0700));
	assert_ok(filemap_publish(dir->fd, "one", fill_text, NULL, NULL, NULL));
	assert_ok(filemap_publish(dir->fd, "sub/two", fill_text, NULL, NULL, NULL));
	assert_ok(filemap_publish(dir->fd, t_path(dir, "three"), fill_text, NULL, NULL, NULL));
	assert_true(is_text(t_path(dir, "one")));
	assert_true(is_text(t_path(dir, "sub/two")));
	assert_true(is_text(t_path(dir, "three")));
}

static int fill_while_the_directory_moves(int fd, void *context)
{
	if (rename(t_path(context, "sub"), t_path(context, "moved")) < 0 ||
	    mkdir(t_path(context, "sub"), 0700) < 0)
		return -errno;
	return fill_text(fd, NULL);
}

static void directory_that_moves_takes_the_file_along(void **state)
{
	assert_ok(mkdir(t_path(*state, "sub"), 0700));
	assert_ok(filemap_publish(AT_FDCWD, t_path(*state, "sub/file"), fill_while_the_directory_moves,
				  *state, NULL, NULL));
	assert_true(is_text(t_path(*state, "moved/file")));
	assert_int_equal(count_entries(t_path(*state, "sub")), 0);
}

static int fill_while_the_name_is_taken(int fd, void *context)
{
	t_write_file(context, OLD, OLD_LENGTH);
	return fill_text(fd, NULL);
}

static void name_that_is_taken_meanwhile_is_eexist_and_untouched(void **state)
{
	char path[512];
	snprintf(path, sizeof path, "%s", t_path(*state, "file"));
	assert_int_equal(filemap_publish(AT_FDCWD, path, fill_while_the_name_is_taken, path, NULL, &error),
			 -EEXIST);
	assert_true(is_old(path));
	assert_int_equal(entries(*state), 1);
}

/* The file can be mapped while it is filled, and nobody else can find it. */
static int fill_through_a_mapping(int fd, void *context)
{
	struct stat status;
	if (fstat(fd, &status) < 0 || status.st_nlink != 0 || status.st_size != 0)
		return -EINVAL;
	if (entries(context) != 0 || ftruncate(fd, TEXT_LENGTH) < 0)
		return -EINVAL;
	void *at = mmap(NULL, TEXT_LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	memcpy(at, TEXT, TEXT_LENGTH);
	munmap(at, TEXT_LENGTH);
	return 0;
}

static void fill_gets_an_empty_file_without_a_name_to_map(void **state)
{
	const int fd = open(((struct t_dir *)*state)->path, O_RDWR | O_TMPFILE, 0600);
	if (fd < 0)
		t_skip("this file system has no files without names");
	close(fd);
	assert_ok(filemap_publish(AT_FDCWD, t_path(*state, "file"), fill_through_a_mapping, *state, NULL,
				  NULL));
	assert_true(is_text(t_path(*state, "file")));
}

static void longest_name_is_published(void **state)
{
	assert_ok(publish(t_path(*state, longest_name())));
	assert_true(is_text(t_path(*state, longest_name())));
	assert_int_equal(entries(*state), 1);
}

static void name_that_is_too_long_is_refused_before_filling(void **state)
{
	char name[257];
	memset(name, 'n', 256);
	name[256] = '\0';
	assert_int_equal(publish(t_path(*state, name)), -ENAMETOOLONG);
	assert_int_equal(filled, 0);
}

static int publish_in_the_working_directory(void *context)
{
	if (chdir(((struct t_dir *)context)->path) < 0 || publish("plain") != 0)
		return 1;
	return is_text("plain") ? 0 : 2;
}

static void path_without_a_directory_is_in_the_working_directory(void **state)
{
	assert_int_equal(t_in_child(publish_in_the_working_directory, *state), 0);
}

static int publish_without_a_way(const struct t_dir *dir)
{
	const char *path = t_path(dir, "file"), *longest = t_path(dir, longest_name());
	struct stat status;
	umask(027);
	if (publish(path) != 0 || filled != 1 || !is_text(path))
		return 1;
	if (stat(path, &status) < 0 || (status.st_mode & 07777) != 0640 || status.st_nlink != 1)
		return 2;
	if (publish(path) != -EEXIST || filled != 0 || !is_text(path))
		return 3;
	if (publish(longest) != 0 || !is_text(longest))
		return 4;
	if (filemap_publish(AT_FDCWD, t_path(dir, "third"), fill_and_fail, NULL, NULL, NULL) != OWN_CODE)
		return 5;
	return entries(dir) == 2 ? 0 : 6;
}

static int publish_without_unnamed(void *context)
{
	return deny_unnamed() < 0 ? SKIPPED : publish_without_a_way(context);
}

static int publish_without_links(void *context)
{
	return deny_links() < 0 ? SKIPPED : publish_without_a_way(context);
}

static void system_without_unnamed_files_publishes_all_the_same(void **state)
{
	in_child(state, publish_without_unnamed, NO_FILTERS);
}

static void system_that_cannot_name_files_publishes_all_the_same(void **state)
{
	in_child(state, publish_without_links, NO_FILTERS);
}

#define SPARSE ((off_t)64 << 20)

static int fill_sparse(int fd, void *context)
{
	(void)context;
	filled++;
	if (pwrite(fd, "a", 1, 5) != 1 || pwrite(fd, "z", 1, SPARSE / 2) != 1)
		return -EIO;
	return ftruncate(fd, SPARSE) < 0 || fchmod(fd, 0604) < 0 ? -EIO : 0;
}

static int is_sparse(const char *path)
{
	struct stat status;
	char bytes[2] = {0};
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const bool same = fd >= 0 && pread(fd, bytes, 1, 5) == 1 &&
			  pread(fd, bytes + 1, 1, SPARSE / 2) == 1 && fstat(fd, &status) == 0 &&
			  status.st_size == SPARSE && bytes[0] == 'a' && bytes[1] == 'z' &&
			  status.st_blocks * 512 < 8 << 20;
	close(fd);
	return same;
}

static int publish_sparse_without_links(void *context)
{
	const char *path = t_path(context, "file");
	struct stat status;
	if (deny_links() < 0)
		return SKIPPED;
	filled = 0;
	if (filemap_publish(AT_FDCWD, path, fill_sparse, NULL, NULL, NULL) != 0 || filled != 1)
		return 1;
	if (!is_sparse(path))
		return 2;
	return stat(path, &status) == 0 && (status.st_mode & 07777) == 0604 ? 0 : 3;
}

static void file_that_is_copied_for_its_name_keeps_holes_and_permissions(void **state)
{
	in_child(state, publish_sparse_without_links, NO_FILTERS);
}

static int publish_on_full(void *context)
{
	static char many[200000];
	const struct filemap_bytes bytes = {many, sizeof many};
	const char *path = t_path(context, "full/file");
	if (mount_tmpfs(t_path(context, "full"), "size=64k") < 0)
		return SKIPPED;
	if (filemap_publish(AT_FDCWD, path, filemap_fill_bytes, (void *)&bytes, NULL, &error) != -ENOSPC)
		return 1;
	if (count_entries(t_path(context, "full")) != 0)
		return 2;
	return publish(path) == 0 && is_text(path) ? 0 : 3;
}

static void full_disk_is_enospc_and_leaves_nothing(void **state)
{
	in_child(state, publish_on_full, NO_MOUNTS);
}

static int publish_as_nobody(void *context)
{
	const struct t_dir *dir = context;
	if (t_become_nobody() < 0)
		return SKIPPED;
	if (publish(t_path(dir, "own/file")) != 0 || !is_text(t_path(dir, "own/file")))
		return 1;
	if (publish(t_path(dir, "foreign/file")) != -EACCES || filled != 0)
		return 2;
	if (publish(t_path(dir, "unreadable/file")) != -EACCES || filled != 0)
		return 3;
	return strcmp(error.subject, "parent directory") == 0 ? 0 : 4;
}

static void user_without_privilege_publishes_where_it_may(void **state)
{
	assert_ok(chmod(((struct t_dir *)*state)->path, 0755));
	assert_ok(mkdir(t_path(*state, "own"), 0700));
	assert_ok(mkdir(t_path(*state, "foreign"), 0700));
	assert_ok(chmod(t_path(*state, "foreign"), 0755));
	assert_ok(mkdir(t_path(*state, "unreadable"), 0700));
	assert_ok(chmod(t_path(*state, "unreadable"), 0733));
	if (chown(t_path(*state, "own"), 65534, 65534) < 0)
		t_skip("only root can become nobody");
	in_child(state, publish_as_nobody, "no user without privilege here");
}

static int publish_set_id_as_nobody(void *context)
{
	const char *path = t_path(context, "own/file");
	struct stat status;
	if (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
		return SKIPPED;
	umask(022);
	if (filemap_publish(AT_FDCWD, path, fill_text, NULL, FILEMAP_NEW_OPTIONS(.permissions = 06755),
			    NULL) < 0)
		return 1;
	return stat(path, &status) == 0 && (status.st_mode & 07777) == 06755 ? 0 : 2;
}

static void writing_does_not_take_the_permissions_that_were_asked_for(void **state)
{
	assert_ok(chmod(((struct t_dir *)*state)->path, 0755));
	assert_ok(mkdir(t_path(*state, "own"), 0700));
	if (chown(t_path(*state, "own"), 65534, 65534) < 0)
		t_skip("only root can become nobody");
	in_child(state, publish_set_id_as_nobody, "no user without privilege here");
}

/* ---- contents ---- */

static int fill_from(const char *path, int fd)
{
	return filemap_publish(AT_FDCWD, path, filemap_fill_fd, &fd, NULL, &error);
}

static void content_of_a_pipe_is_read_to_its_end(void **state)
{
	int ends[2];
	assert_ok(pipe(ends));
	assert_int_equal(write(ends[1], TEXT, TEXT_LENGTH), TEXT_LENGTH);
	close(ends[1]);
	assert_ok(fill_from(t_path(*state, "file"), ends[0]));
	close(ends[0]);
	assert_true(is_text(t_path(*state, "file")));
}

static int write_much(void *context)
{
	const int *ends = context;
	static unsigned char bytes[700001];
	close(ends[0]);
	fill_bytes(bytes, sizeof bytes);
	for (size_t done = 0; done < sizeof bytes;) {
		const ssize_t n = write(ends[1], bytes + done, sizeof bytes - done);
		if (n < 0)
			return 1;
		done += (size_t)n;
	}
	return 0;
}

static void content_larger_than_the_pipe_arrives_whole(void **state)
{
	static unsigned char bytes[700001];
	int ends[2], status;
	assert_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	const pid_t child = fork();
	if (child == 0)
		_exit(write_much(ends));
	close(ends[1]);
	fill_bytes(bytes, sizeof bytes);
	assert_ok(fill_from(t_path(*state, "file"), ends[0]));
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(file_is(t_path(*state, "file"), bytes, sizeof bytes));
}

static void content_of_a_file_is_what_comes_behind_its_position(void **state)
{
	t_write_file(t_path(*state, "source"), "skip" TEXT, 4 + TEXT_LENGTH);
	const int fd = open(t_path(*state, "source"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(lseek(fd, 4, SEEK_SET), 4);
	assert_ok(fill_from(t_path(*state, "file"), fd));
	assert_true(is_text(t_path(*state, "file")));
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 4 + TEXT_LENGTH);
	assert_ok(fill_from(t_path(*state, "empty"), fd));
	assert_int_equal(t_file_size(t_path(*state, "empty")), 0);
	lseek(fd, 1000, SEEK_SET);
	assert_ok(fill_from(t_path(*state, "behind"), fd));
	assert_int_equal(t_file_size(t_path(*state, "behind")), 0);
	close(fd);
}

static void holes_of_a_file_stay_holes(void **state)
{
	const int fd = open(t_path(*state, "source"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_ok(fill_sparse(fd, NULL));
	assert_ok(fill_from(t_path(*state, "file"), fd));
	assert_true(is_sparse(t_path(*state, "file")));
	assert_int_equal(lseek(fd, 0, SEEK_CUR), SPARSE);
	close(fd);
}

static void file_that_claims_to_be_empty_is_read(void **state)
{
	const int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	char start[6] = "";
	assert_true(fd >= 0);
	assert_ok(fill_from(t_path(*state, "file"), fd));
	close(fd);
	assert_true(t_read_file(t_path(*state, "file"), start, 5) == 5 || strlen(start) > 0);
	assert_memory_equal(start, "Name:", 5);
}

static void content_that_cannot_be_read_leaves_nothing(void **state)
{
	const struct t_dir *dir = *state;
	const int fd = open(t_path(dir, "source"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fill_from(t_path(dir, "file"), fd), -EBADF);
	close(fd);
	assert_int_equal(fill_from(t_path(dir, "file"), dir->fd), -EISDIR);
	assert_int_equal(fill_from(t_path(dir, "file"), -1), -EBADF);
	assert_int_equal(entries(dir), 1);
}

static void pipe_that_has_nothing_now_is_eagain(void **state)
{
	int ends[2];
	assert_ok(pipe2(ends, O_NONBLOCK));
	assert_int_equal(fill_from(t_path(*state, "file"), ends[0]), -EAGAIN);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(entries(*state), 0);
}

T_MAIN(T_TEST(published_file_is_complete_and_alone), T_TEST(no_fill_is_an_empty_file),
       T_TEST(permissions_are_what_the_umask_leaves), T_TEST(failing_fill_is_told_and_leaves_nothing),
       T_TEST(taken_name_is_eexist_whatever_by), T_TEST(path_that_ends_in_a_slash_is_eisdir),
       T_TEST(missing_directory_names_the_parent), T_TEST(wrong_options_are_named_and_nothing_is_made),
       T_TEST(options_with_zeros_behind_are_read), T_TEST(relative_path_starts_at_the_directory),
       T_TEST(directory_that_moves_takes_the_file_along),
       T_TEST(name_that_is_taken_meanwhile_is_eexist_and_untouched),
       T_TEST(fill_gets_an_empty_file_without_a_name_to_map), T_TEST(longest_name_is_published),
       T_TEST(name_that_is_too_long_is_refused_before_filling),
       T_TEST(path_without_a_directory_is_in_the_working_directory),
       T_TEST(system_without_unnamed_files_publishes_all_the_same),
       T_TEST(system_that_cannot_name_files_publishes_all_the_same),
       T_TEST(file_that_is_copied_for_its_name_keeps_holes_and_permissions),
       T_TEST(full_disk_is_enospc_and_leaves_nothing), T_TEST(user_without_privilege_publishes_where_it_may),
       T_TEST(writing_does_not_take_the_permissions_that_were_asked_for),
       T_TEST(content_of_a_pipe_is_read_to_its_end), T_TEST(content_larger_than_the_pipe_arrives_whole),
       T_TEST(content_of_a_file_is_what_comes_behind_its_position), T_TEST(holes_of_a_file_stay_holes),
       T_TEST(file_that_claims_to_be_empty_is_read), T_TEST(content_that_cannot_be_read_leaves_nothing),
       T_TEST(pipe_that_has_nothing_now_is_eagain))
