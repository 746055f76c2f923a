/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * identity: which file it is, in memory and as text. Owns nothing.
 *
 * The text is "id1:DEVICE:INODE:CREATED:TYPE:HANDLE": numbers and bytes in lower-case hexadecimal, the moment
 * as decimal seconds with nine digits behind the point; "-" for what is not known.
 * Invariant: each identity has one text, and only that text is read: reading ends with writing it again.
 */
#include "map/identity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <filemap/file.h>

#include "base/error.h"
#include "base/options.h"
#include "base/util.h"
#include "map/locate.h"
#include "map/parent.h"
#include "map/private.h"
#include "map/stat.h"
#include "sys/sys.h"

#define PREFIX "id1:"
#define NANOSECONDS_PER_SECOND 1000000000u

/* A file system without handles is no failure, nor is one whose handles are too long for anybody. */
static int read_handle(int fd, struct filemap_identity *identity)
{
	uint32_t type, length = sizeof identity->handle;

	int r = fm__sys_file_handle(fd, &type, identity->handle, &length);
	if (r == -EOPNOTSUPP || r == -EOVERFLOW)
		return 0;
	if (r < 0)
		return r;
	identity->handle_type = type;
	identity->handle_length = length;
	return 0;
}

int fm__identity_of_fd(int fd, struct filemap_identity *ret)
{
	struct filemap_stat file;

	int r = fm__stat_fd(fd, &file);
	if (r < 0)
		return r;
	struct filemap_identity identity = {
		.device = file.device, .inode = file.inode, .created = file.created};
	r = read_handle(fd, &identity);
	if (r < 0)
		return r;
	*ret = identity;
	return 0;
}

int filemap_identity(const struct filemap *map, struct filemap_identity *ret)
{
	return map->kind == FM_KIND_FILE ? fm__identity_of_fd(fm__filemap_fd(map), ret) : FILEMAP_EMODE;
}

static int check_type(int fd, struct filemap_error *reterr)
{
	struct stat status;
	int r = fm__sys_fstat(fd, &status);
	if (r < 0)
		return fm__fail(reterr, r, "identify file", "file");
	r = fm__locate_check_type(&status, reterr);
	if (r < 0)
		fm__fail_hint(reterr, r == -ELOOP ? "symbolic links are not followed"
						  : "only regular files are meant");
	return r;
}

/* The type is asked for once, afterwards: O_PATH opens nothing. */
int fm__identity_pin(int dirfd, const char *path, struct filemap_error *reterr)
{
	int r, fd = fm__sys_openat(dirfd, path, O_PATH | O_NOFOLLOW, 0);
	if (fd < 0)
		return fm__fail(reterr, fd, "look up file", "file");
	r = check_type(fd, reterr);
	if (r >= 0)
		return fd;
	fm__sys_close(fd);
	return r;
}

int filemap_file_identity(int dirfd, const char *path, struct filemap_identity *ret,
			  struct filemap_error *reterr)
{
	int fd, r = fm__parent_check(dirfd, path, reterr);
	if (r < 0)
		return r;
	if (!ret)
		return fm__options_refuse(reterr, "ret", NULL);
	r = fd = fm__identity_pin(dirfd, path, reterr);
	if (fd >= 0) {
		r = fm__identity_of_fd(fd, ret);
		fm__sys_close(fd);
		if (r < 0)
			fm__fail(reterr, r, "identify file", "file");
	}
	if (r < 0)
		fm__fail_detail(reterr, path);
	return r;
}

static bool is_known(const struct filemap_time *time)
{
	return time->seconds != 0 || time->nanoseconds != 0;
}

static bool is_same_time(const struct filemap_time *a, const struct filemap_time *b)
{
	return a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
}

static uint32_t handle_length(const struct filemap_identity *identity)
{
	return FM_MIN(identity->handle_length, (uint32_t)sizeof identity->handle);
}

static bool is_same_handle(const struct filemap_identity *a, const struct filemap_identity *b)
{
	return a->handle_type == b->handle_type && handle_length(a) == handle_length(b) &&
	       memcmp(a->handle, b->handle, handle_length(a)) == 0;
}

bool filemap_identity_equal(const struct filemap_identity *a, const struct filemap_identity *b)
{
	if (a->device != b->device || a->inode != b->inode)
		return false;
	if (is_known(&a->created) && is_known(&b->created) && !is_same_time(&a->created, &b->created))
		return false;
	return handle_length(a) == 0 || handle_length(b) == 0 || is_same_handle(a, b);
}

static int write_time(const struct filemap_time *time, char *to, size_t size)
{
	if (!is_known(time))
		return snprintf(to, size, "-:");
	return snprintf(to, size, "%" PRId64 ".%09" PRIu32 ":", time->seconds,
			time->nanoseconds % NANOSECONDS_PER_SECOND);
}

static int write_handle(const struct filemap_identity *identity, char *to, size_t size)
{
	uint32_t length = handle_length(identity);
	int n;

	if (length == 0)
		return snprintf(to, size, "-:-");
	n = snprintf(to, size, "%" PRIx32 ":", identity->handle_type);
	for (uint32_t i = 0; i < length; i++)
		n += snprintf(to + n, size - (size_t)n, "%02x", identity->handle[i]);
	return n;
}

/* Whole, into a buffer that is always large enough. */
static int write_all(const struct filemap_identity *identity, char to[FILEMAP_IDENTITY_TEXT])
{
	size_t size = FILEMAP_IDENTITY_TEXT;
	int n = snprintf(to, size, PREFIX "%" PRIx64 ":%" PRIx64 ":", identity->device, identity->inode);

	n += write_time(&identity->created, to + n, size - (size_t)n);
	return n + write_handle(identity, to + n, size - (size_t)n);
}

int filemap_identity_format(const struct filemap_identity *identity, char *buffer, size_t size)
{
	char text[FILEMAP_IDENTITY_TEXT];
	int length = write_all(identity, text);

	if (size == 0)
		return length;
	size_t copied = FM_MIN((size_t)length, size - 1);
	memcpy(buffer, text, copied);
	buffer[copied] = '\0';
	return length;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The readers take what is well-formed enough to be written again; what that does not restore was no identity.
 * Each moves *at behind what it has read; a number too large wraps, and then differs. */
static uint64_t read_hex(const char **at)
{
	uint64_t value = 0;

	for (int digit; (digit = hex_digit(**at)) >= 0; (*at)++)
		value = value << 4 | (unsigned)digit;
	return value;
}

static uint64_t read_decimal(const char **at)
{
	uint64_t value = 0;

	for (; **at >= '0' && **at <= '9'; (*at)++)
		value = value * 10 + (unsigned)(**at - '0');
	return value;
}

static bool take(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

static bool read_time(const char **at, struct filemap_time *ret)
{
	bool negative = take(at, '-');
	if (negative && **at == ':')
		return true;
	uint64_t seconds = read_decimal(at);
	ret->seconds = (int64_t)(negative ? 0 - seconds : seconds);
	if (!take(at, '.'))
		return false;
	ret->nanoseconds = (uint32_t)read_decimal(at);
	return true;
}

static bool read_bytes(const char **at, struct filemap_identity *ret)
{
	if (take(at, '-'))
		return take(at, ':') && take(at, '-');
	ret->handle_type = (uint32_t)read_hex(at);
	if (!take(at, ':'))
		return false;
	for (; **at != '\0' && ret->handle_length < sizeof ret->handle; *at += 2) {
		int high = hex_digit((*at)[0]), low = high < 0 ? -1 : hex_digit((*at)[1]);
		if (low < 0)
			return false;
		ret->handle[ret->handle_length++] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static bool read_all(const char *text, struct filemap_identity *ret)
{
	const char *at = text + strlen(PREFIX);

	if (strncmp(text, PREFIX, strlen(PREFIX)) != 0)
		return false;
	ret->device = read_hex(&at);
	if (!take(&at, ':'))
		return false;
	ret->inode = read_hex(&at);
	return take(&at, ':') && read_time(&at, &ret->created) && take(&at, ':') && read_bytes(&at, ret);
}

int filemap_identity_parse(const char *text, struct filemap_identity *ret)
{
	struct filemap_identity identity = {.device = 0};
	char again[FILEMAP_IDENTITY_TEXT];

	if (!read_all(text, &identity))
		return FILEMAP_EOPTION;
	(void)write_all(&identity, again);
	if (strcmp(text, again) != 0)
		return FILEMAP_EOPTION;
	*ret = identity;
	return 0;
}
