/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* New content under a name that something has: what is replaced, what is kept, and what is left alone. */
#include "new_file.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static struct filemap_error error;
static char path[512]; /* the name that is replaced */

static void make_old(void **state)
{
	snprintf(path, sizeof path, "%s", t_path(*state, "file"));
	t_write_file(path, OLD, OLD_LENGTH);
	assert_ok(chmod(path, 0600));
}

static int replace(const struct filemap_new_options *options)
{
	filled = 0;
	memset(&error, 0, sizeof error);
	return filemap_replace_file(AT_FDCWD, path, fill_text, NULL, options, &error);
}

static struct filemap_identity identity_of(const char *of)
{
	struct filemap_identity identity;
	assert_ok(filemap_file_identity(AT_FDCWD, of, &identity, NULL));
	return identity;
}

static int replace_expected(const struct filemap_identity *expect)
{
	return replace(FILEMAP_NEW_OPTIONS(.expect = expect));
}

static struct stat status_of(const char *of)
{
	struct stat status;
	assert_ok(lstat(of, &status));
	return status;
}

static void replaced_name_has_the_new_content_and_nothing_is_left(void **state)
{
	make_old(state);
	const ino_t before = status_of(path).st_ino;
	assert_ok(replace(NULL));
	assert_int_equal(filled, 1);
	assert_int_equal(error.code, 0);
	assert_true(is_text(path));
	assert_true(status_of(path).st_ino != before);
	assert_int_equal(status_of(path).st_nlink, 1);
	assert_int_equal(entries(*state), 1);
}

static void expected_file_is_replaced_and_nothing_is_left(void **state)
{
	make_old(state);
	const struct filemap_identity identity = identity_of(path);
	assert_ok(replace_expected(&identity));
	assert_true(is_text(path));
	assert_int_equal(entries(*state), 1);
}

static void name_that_does_not_exist_is_made(void **state)
{
	const struct filemap_new_options *keep =
		FILEMAP_NEW_OPTIONS(.flags = FILEMAP_KEEP_MODE | FILEMAP_KEEP_OWNER, .permissions = 0640);
	const mode_t mask = umask(0);
	snprintf(path, sizeof path, "%s", t_path(*state, "file"));
	assert_ok(replace(NULL));
	assert_int_equal(error.code, 0);
	assert_null(error.step);
	assert_true(is_text(path));
	assert_ok(unlink(path));
	assert_ok(replace(keep));
	umask(mask);
	assert_int_equal(status_of(path).st_mode & 07777, 0640);
	assert_int_equal(status_of(path).st_uid, geteuid());
	assert_int_equal(entries(*state), 1);
}

static void mapping_and_link_of_the_old_file_keep_the_old(void **state)
{
	struct filemap *map;
	char bytes[OLD_LENGTH];
	make_old(state);
	assert_ok(link(path, t_path(*state, "link")));
	assert_ok(filemap_open(path, FILEMAP_READ, NULL, &map, NULL));
	assert_ok(replace(NULL));
	assert_ok(filemap_read_exact(map, 0, bytes, sizeof bytes));
	assert_memory_equal(bytes, OLD, OLD_LENGTH);
	filemap_close(map);
	assert_true(is_old(t_path(*state, "link")));
	assert_int_equal(status_of(t_path(*state, "link")).st_nlink, 1);
}

static void permissions_are_kept_on_request_only(void **state)
{
	const unsigned modes[] = {0, 0640, 0777, 04711, 02755, 01600};
	make_old(state);
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		assert_ok(chmod(path, modes[i]));
		const mode_t mask = umask(0777);
		const int r = replace(FILEMAP_NEW_OPTIONS(.flags = FILEMAP_KEEP_MODE, .permissions = 0111));
		umask(mask);
		assert_ok(r);
		assert_int_equal(status_of(path).st_mode & 07777, modes[i]);
	}
	const mode_t mask = umask(022);
	assert_ok(replace(NULL));
	assert_int_equal(status_of(path).st_mode & 07777, 0644);
	assert_ok(replace(FILEMAP_NEW_OPTIONS(.permissions = 0755)));
	umask(mask);
	assert_int_equal(status_of(path).st_mode & 07777, 0755);
}

static void give_away(mode_t mode)
{
	if (chown(path, 1234, 5678) < 0)
		t_skip("only root can give files away");
	assert_ok(chmod(path, mode));
}

static void check_owner(unsigned owner, unsigned group, unsigned mode)
{
	const struct stat status = status_of(path);
	assert_true(is_text(path));
	assert_int_equal(status.st_uid, owner);
	assert_int_equal(status.st_gid, group);
	assert_int_equal(status.st_mode & 07777, mode);
}

static void owner_is_kept_on_request_only(void **state)
{
	make_old(state);
	give_away(04640);
	const mode_t mask = umask(027);
	assert_ok(replace(FILEMAP_NEW_OPTIONS(.flags = FILEMAP_KEEP_OWNER, .permissions = 04777)));
	check_owner(1234, 5678, 04750);
	give_away(06751);
	assert_ok(replace(FILEMAP_NEW_OPTIONS(.flags = FILEMAP_KEEP_OWNER | FILEMAP_KEEP_MODE)));
	check_owner(1234, 5678, 06751);
	assert_ok(replace(NULL));
	check_owner(geteuid(), getegid(), 0640);
	umask(mask);
}

static void set_id_bits_are_not_kept_for_another_owner(void **state)
{
	make_old(state);
	give_away(06755);
	assert_ok(replace(FILEMAP_NEW_OPTIONS(.flags = FILEMAP_KEEP_MODE)));
	check_owner(geteuid(), getegid(), 0755);
	assert_ok(chown(path, geteuid(), 5678)); /* each bit goes with its own */
	assert_ok(chmod(path, 06755));
	assert_ok(replace(FILEMAP_NEW_OPTIONS(.flags = FILEMAP_KEEP_MODE)));
	check_owner(geteuid(), getegid(), 04755);
	assert_ok(chown(path, 1234, getegid()));
	assert_ok(chmod(path, 06755));
	assert_ok(replace(FILEMAP_NEW_OPTIONS(.flags = FILEMAP_KEEP_MODE)));
	check_owner(geteuid(), getegid(), 02755);
}

static int replace_foreign_as_nobody(void *context)
{
	(void)context;
	if (t_become_nobody() < 0)
		return SKIPPED;
	if (replace(FILEMAP_NEW_OPTIONS(.flags = FILEMAP_KEEP_OWNER)) != -EPERM || filled != 0)
		return 1;
	if (strcmp(error.step, "set owner") != 0 || strcmp(error.detail, path) != 0)
		return 2;
	return 0;
}

static int replace_foreign_mode_as_nobody(void *context)
{
	if (t_become_nobody() < 0)
		return SKIPPED;
	if (replace(FILEMAP_NEW_OPTIONS(.flags = FILEMAP_KEEP_MODE)) != 0 || !is_text(path))
		return 1;
	return entries(context) == 1 ? 0 : 2;
}

static int replace_in_sticky_as_nobody(void *context)
{
	const struct filemap_identity identity = identity_of(path);
	if (t_become_nobody() < 0)
		return SKIPPED;
	if (replace(NULL) != -EPERM || entries(context) != 1)
		return 1;
	if (replace_expected(&identity) != -EPERM || entries(context) != 1)
		return 2;
	return 0;
}

static void user_without_privilege_replaces_what_it_may(void **state)
{
	make_old(state);
	assert_ok(chmod(((struct t_dir *)*state)->path, 0777));
	in_child(state, replace_foreign_as_nobody, "only root can become nobody");
	assert_true(is_old(path));
	assert_int_equal(entries(*state), 1);
	assert_ok(chmod(((struct t_dir *)*state)->path, 01777));
	in_child(state, replace_in_sticky_as_nobody, "only root can become nobody");
	assert_true(is_old(path));
	assert_ok(chmod(((struct t_dir *)*state)->path, 0777));
	in_child(state, replace_foreign_mode_as_nobody, "only root can become nobody");
}

static void another_file_than_expected_is_left_alone(void **state)
{
	struct filemap_identity other, forged;
	make_old(state);
	t_write_file(t_path(*state, "other"), "another", 7);
	other = identity_of(t_path(*state, "other"));
	forged = identity_of(path);
	assert_int_equal(replace_expected(&other), FILEMAP_EREPLACED);
	assert_string_equal(error.detail, path);
	assert_int_equal(filled, 0);
	forged.created.seconds ^= 1;
	if (forged.handle_length > 0) {
		forged = identity_of(path);
		forged.handle[forged.handle_length - 1] ^= 1;
	}
	assert_int_equal(replace_expected(&forged), FILEMAP_EREPLACED);
	assert_int_equal(filled, 0);
	assert_true(is_old(path));
	assert_int_equal(entries(*state), 2);
}

static void expected_file_that_is_gone_is_egone_and_nothing_is_made(void **state)
{
	make_old(state);
	const struct filemap_identity identity = identity_of(path);
	assert_ok(unlink(path));
	assert_int_equal(replace_expected(&identity), FILEMAP_EGONE);
	assert_int_equal(filled, 0);
	assert_int_equal(entries(*state), 0);
}

static int fill_while_another_comes(int fd, void *context)
{
	const char *other = context;
	t_write_file(other, "another", 7);
	return rename(other, path) < 0 ? -errno : fill_text(fd, NULL);
}

static void file_that_comes_while_filling_is_left_alone(void **state)
{
	char other[512];
	snprintf(other, sizeof other, "%s", t_path(*state, "other"));
	make_old(state);
	const struct filemap_identity identity = identity_of(path);
	assert_int_equal(filemap_replace_file(AT_FDCWD, path, fill_while_another_comes, other,
					      FILEMAP_NEW_OPTIONS(.expect = &identity), &error),
			 FILEMAP_EREPLACED);
	assert_true(file_is(path, "another", 7));
	assert_int_equal(entries(*state), 1);
}

static int fill_while_it_goes(int fd, void *context)
{
	(void)context;
	return unlink(path) < 0 ? -errno : fill_text(fd, NULL);
}

static void file_that_goes_while_filling_is_egone_or_made(void **state)
{
	make_old(state);
	const struct filemap_identity identity = identity_of(path);
	assert_int_equal(filemap_replace_file(AT_FDCWD, path, fill_while_it_goes, NULL,
					      FILEMAP_NEW_OPTIONS(.expect = &identity), &error),
			 FILEMAP_EGONE);
	assert_int_equal(entries(*state), 0);
	make_old(state);
	assert_ok(filemap_replace_file(AT_FDCWD, path, fill_while_it_goes, NULL, NULL, NULL));
	assert_true(is_text(path));
	assert_int_equal(entries(*state), 1);
}

static void failing_fill_is_told_and_changes_nothing(void **state)
{
	make_old(state);
	filled = 0;
	assert_int_equal(filemap_replace_file(AT_FDCWD, path, fill_and_fail, NULL, NULL, &error), OWN_CODE);
	assert_int_equal(filled, 1);
	assert_int_equal(error.code, OWN_CODE);
	assert_string_equal(error.detail, path);
	assert_true(is_old(path));
	assert_int_equal(entries(*state), 1);
}

static void refuse_type(void **state, const char *name, int expected)
{
	snprintf(path, sizeof path, "%s", t_path(*state, name));
	const struct stat before = status_of(path);
	const int count = entries(*state);
	assert_int_equal(replace(NULL), expected);
	assert_int_equal(filled, 0);
	assert_string_equal(error.detail, path);
	assert_true(status_of(path).st_ino == before.st_ino);
	assert_int_equal(entries(*state), count);
}

static void bind_socket(const char *to)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", to);
	assert_ok(bind(fd, (struct sockaddr *)&address, sizeof address));
	close(fd);
}

static void what_is_no_file_is_not_replaced(void **state)
{
	make_old(state);
	assert_ok(symlink("file", t_path(*state, "link")));
	assert_ok(symlink("nothing", t_path(*state, "dangling")));
	assert_ok(mkdir(t_path(*state, "directory"), 0700));
	assert_ok(mkfifo(t_path(*state, "fifo"), 0600));
	bind_socket(t_path(*state, "socket"));
	refuse_type(state, "link", FILEMAP_EMODE);
	refuse_type(state, "dangling", FILEMAP_EMODE);
	assert_int_equal(error.sys_errno, ELOOP);
	refuse_type(state, "directory", -EISDIR);
	refuse_type(state, ".", -EISDIR);
	refuse_type(state, "fifo", -ENODEV);
	refuse_type(state, "socket", -ENODEV);
	snprintf(path, sizeof path, "%s", t_path(*state, "file/"));
	assert_int_equal(replace(NULL), -EISDIR);
	assert_true(is_old(t_path(*state, "file")));
}

static void refuse(const struct filemap_new_options *options, int expected, const char *subject)
{
	assert_int_equal(replace(options), expected);
	assert_string_equal(error.subject, subject);
	assert_int_equal(filled, 0);
}

static void wrong_options_are_named_and_nothing_is_changed(void **state)
{
	make_old(state);
	refuse(FILEMAP_NEW_OPTIONS(.flags = 1u << 2), FILEMAP_EOPTION, "flags");
	refuse(FILEMAP_NEW_OPTIONS(.permissions = 010000), FILEMAP_EOPTION, "permissions");
	refuse(FILEMAP_NEW_OPTIONS(.reserved = 1), FILEMAP_EOPTION, "reserved");
	refuse(&(struct filemap_new_options){.struct_size = 4}, FILEMAP_EOPTION, "struct_size");
	assert_int_equal(filemap_replace_file(-5, path, NULL, NULL, NULL, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "dirfd");
	assert_int_equal(filemap_replace_file(AT_FDCWD, NULL, NULL, NULL, NULL, &error), FILEMAP_EOPTION);
	assert_int_equal(filemap_replace_file(AT_FDCWD, "", NULL, NULL, NULL, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "path");
	assert_true(is_old(path));
	assert_int_equal(entries(*state), 1);
}

static void relative_path_starts_at_the_directory(void **state)
{
	make_old(state);
	assert_ok(filemap_replace_file(((struct t_dir *)*state)->fd, "file", fill_text, NULL, NULL, NULL));
	assert_true(is_text(path));
}

/* ---- systems that lack a way ---- */

/* Each length of name, with and without `expect`, and what is kept. */
static int replace_in_all_ways(void *context)
{
	static const unsigned keeps[] = {0, FILEMAP_KEEP_MODE, FILEMAP_KEEP_OWNER,
					 FILEMAP_KEEP_MODE | FILEMAP_KEEP_OWNER};
	const size_t lengths[] = {1, 230, 231, 232, 233, 234, 235, 236, 255};
	const struct t_dir *dir = context;

	umask(027);
	for (unsigned i = 0; i < 4 * 2 * 9; i++) {
		const unsigned keep = keeps[i % 4], expecting = i / 4 % 2;
		snprintf(path, sizeof path, "%s/%.*s", dir->path, (int)lengths[i / 8], longest_name());
		t_write_file(path, OLD, OLD_LENGTH);
		if ((geteuid() == 0 && chown(path, 1234, 5678) < 0) || chmod(path, 0604) < 0)
			return 1;
		const uid_t owner = keep & FILEMAP_KEEP_OWNER ? status_of(path).st_uid : geteuid();
		const struct filemap_identity identity = identity_of(path);
		const int r =
			replace(FILEMAP_NEW_OPTIONS(.flags = keep, .expect = expecting ? &identity : NULL));
		if (r != 0 && !(r == FILEMAP_WEAKLY_CHECKED && expecting))
			return 2;
		if (filled != 1 || !is_text(path))
			return 3;
		if ((status_of(path).st_mode & 07777) != (keep & FILEMAP_KEEP_MODE ? 0604 : 0640))
			return 4;
		if (status_of(path).st_uid != owner)
			return 5;
		if (entries(dir) != 1 || unlink(path) < 0)
			return 6;
	}
	return 0;
}

static int replace_without_unnamed(void *context)
{
	return deny_unnamed() < 0 ? SKIPPED : replace_in_all_ways(context);
}

static int replace_without_links(void *context)
{
	return deny_links() < 0 ? SKIPPED : replace_in_all_ways(context);
}

static int replace_without_exchange(void *context)
{
	if (deny_exchange() < 0)
		return SKIPPED;
	t_write_file(path, OLD, OLD_LENGTH);
	const struct filemap_identity identity = identity_of(path);
	if (replace_expected(&identity) != FILEMAP_WEAKLY_CHECKED || !is_text(path))
		return 50;
	if (replace(NULL) != 0 || unlink(path) < 0)
		return 51;
	return replace_in_all_ways(context);
}

static int replace_where_only_renaming_works(void *context)
{
	return deny_unnamed() < 0 || deny_links() < 0 || deny_exchange() < 0 ? SKIPPED
									     : replace_in_all_ways(context);
}

static void all_ways_lead_to_the_same(void **state)
{
	int (*const ways[])(void *) = {replace_in_all_ways, replace_without_unnamed, replace_without_links,
				       replace_without_exchange, replace_where_only_renaming_works};
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		snprintf(path, sizeof path, "%s", t_path(*state, "file"));
		in_child(state, ways[i], NO_FILTERS);
	}
}

static int replace_on_full(void *context)
{
	static char many[200000];
	const struct filemap_bytes bytes = {many, sizeof many};
	if (mount_tmpfs(t_path(context, "full"), "size=64k") < 0)
		return SKIPPED;
	snprintf(path, sizeof path, "%s", t_path(context, "full/file"));
	t_write_file(path, OLD, OLD_LENGTH);
	if (filemap_replace_file(AT_FDCWD, path, filemap_fill_bytes, (void *)&bytes, NULL, NULL) != -ENOSPC)
		return 1;
	if (!is_old(path) || count_entries(t_path(context, "full")) != 1)
		return 2;
	return replace(NULL) == 0 && is_text(path) ? 0 : 3;
}

static void full_disk_is_enospc_and_the_old_file_stays(void **state)
{
	in_child(state, replace_on_full, NO_MOUNTS);
}

/* ---- readers ---- */

#define ROUNDS 1000
#define READ_SIZE 40000

/* A length and a byte of its own for each round: anything else is not one complete content. */
static int fill_round(int fd, void *context)
{
	static unsigned char bytes[READ_SIZE];
	const unsigned round = *(const unsigned *)context;
	struct filemap_bytes content = {bytes, round * 37 % READ_SIZE + 1};
	memset(bytes, (int)(round & 0xff), content.length);
	return filemap_fill_bytes(fd, &content);
}

static bool is_complete(const unsigned char *bytes, size_t length)
{
	for (unsigned round = bytes[0]; round <= ROUNDS; round += 256)
		if (length == round * 37 % READ_SIZE + 1)
			return memcmp(bytes, bytes + 1, length - 1) == 0;
	return false;
}

/* Until it is told to end: 0 = always one complete content. */
static int read_again_and_again(int ready, int end)
{
	static unsigned char bytes[READ_SIZE + 1];
	char byte = 0;

	for (bool first = true; read(end, &byte, 1) < 0; first = false) {
		const int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return 1;
		const ssize_t n = read(fd, bytes, sizeof bytes);
		close(fd);
		if (n <= 0 || !is_complete(bytes, (size_t)n))
			return 2;
		if (first && write(ready, "r", 1) != 1)
			return 3;
	}
	return 0;
}

static int replace_again_and_again(void)
{
	for (unsigned round = 1; round <= ROUNDS; round++) {
		struct filemap_identity identity;
		if (filemap_file_identity(AT_FDCWD, path, &identity, NULL) != 0)
			return 10;
		if (filemap_replace_file(AT_FDCWD, path, fill_round, &round,
					 FILEMAP_NEW_OPTIONS(.expect = round % 2 ? &identity : NULL),
					 NULL) != 0)
			return 11;
	}
	return 0;
}

static int replace_before_a_reader(const struct t_dir *dir, const char *name)
{
	unsigned zero = 0;
	int ready[2], end[2], status;
	char byte;

	snprintf(path, sizeof path, "%s", t_path(dir, name));
	if (pipe(ready) < 0 || pipe2(end, O_NONBLOCK) < 0)
		return 20;
	if (filemap_publish(AT_FDCWD, path, fill_round, &zero, NULL, NULL) != 0)
		return 21;
	const pid_t reader = fork();
	if (reader == 0) {
		close(end[1]);
		_exit(read_again_and_again(ready[1], end[0]));
	}
	close(ready[1]);
	int r = read(ready[0], &byte, 1) == 1 ? replace_again_and_again() : 22;
	if (write(end[1], "e", 1) != 1)
		r = 23;
	if (waitpid(reader, &status, 0) != reader || (r == 0 && status != 0))
		r = 24 + WEXITSTATUS(status);
	close(ready[0]);
	close(end[0]);
	close(end[1]);
	return r;
}

/* In memory, where a thousand rounds take no time. */
static int replace_before_a_reader_in_memory(void *context)
{
	if (mount_tmpfs(t_path(context, "memory"), "size=4m") < 0)
		return SKIPPED;
	const int r = replace_before_a_reader(context, "memory/file");
	return r == 0 && count_entries(t_path(context, "memory")) != 1 ? 30 : r;
}

static void reader_always_finds_one_complete_content(void **state)
{
	const int r = t_in_child(replace_before_a_reader_in_memory, *state);
	if (r != SKIPPED)
		assert_int_equal(r, 0);
	else
		assert_ok(replace_before_a_reader(*state, "file"));
}

T_MAIN(T_TEST(replaced_name_has_the_new_content_and_nothing_is_left),
       T_TEST(expected_file_is_replaced_and_nothing_is_left), T_TEST(name_that_does_not_exist_is_made),
       T_TEST(mapping_and_link_of_the_old_file_keep_the_old), T_TEST(permissions_are_kept_on_request_only),
       T_TEST(owner_is_kept_on_request_only), T_TEST(set_id_bits_are_not_kept_for_another_owner),
       T_TEST(user_without_privilege_replaces_what_it_may), T_TEST(another_file_than_expected_is_left_alone),
       T_TEST(expected_file_that_is_gone_is_egone_and_nothing_is_made),
       T_TEST(file_that_comes_while_filling_is_left_alone),
       T_TEST(file_that_goes_while_filling_is_egone_or_made),
       T_TEST(failing_fill_is_told_and_changes_nothing), T_TEST(what_is_no_file_is_not_replaced),
       T_TEST(wrong_options_are_named_and_nothing_is_changed), T_TEST(relative_path_starts_at_the_directory),
       T_TEST(all_ways_lead_to_the_same), T_TEST(full_disk_is_enospc_and_the_old_file_stays),
       T_TEST(reader_always_finds_one_complete_content))
