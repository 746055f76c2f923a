/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Error codes as text, and filling in the caller's error record.
 *
 * Every string here is static and never translated: a record may be kept for ever, and all
 * functions are safe from any thread because there is no state.
 */
#include "base/error.h"

#include <stdio.h>
#include <string.h>

#include "base/errno_map.h"
#include "base/limits.h"

/* Codes from here up to 0 are negative errnos; everything below is ours. */
#define LOWEST_ERRNO (-4095)

#define NAME_CASE(name, value, text) \
	case value:                  \
		return "FILEMAP_" #name;
#define TEXT_CASE(name, value, text) \
	case value:                  \
		return text;
#define ERRNO_NAME_CASE(name, text) \
	case name:                  \
		return #name;
#define ERRNO_TEXT_CASE(name, text) \
	case name:                  \
		return text;

static const char *errno_name(int number)
{
	switch (number) {
		FM_ERRNO_MAP(ERRNO_NAME_CASE)
	default:
		return "UNKNOWN";
	}
}

static const char *errno_text(int number)
{
	switch (number) {
		FM_ERRNO_MAP(ERRNO_TEXT_CASE)
	default:
		return "unknown error";
	}
}

static int is_errno(int code)
{
	return code < 0 && code >= LOWEST_ERRNO;
}

FILEMAP_API const char *filemap_error_name(int code)
{
	if (is_errno(code))
		return errno_name(-code);
	switch (code) {
		FILEMAP_ERROR_MAP(NAME_CASE)
	case 0:
		return "OK";
	default:
		return "UNKNOWN";
	}
}

FILEMAP_API const char *filemap_strerror(int code)
{
	if (is_errno(code))
		return errno_text(-code);
	switch (code) {
		FILEMAP_ERROR_MAP(TEXT_CASE)
	case 0:
		return "no error";
	default:
		return "unknown error";
	}
}

#define VERSION_TEXT_(a, b, c) #a "." #b "." #c
#define VERSION_TEXT(a, b, c) VERSION_TEXT_(a, b, c)

FILEMAP_API const char *filemap_version(void)
{
	return VERSION_TEXT(FILEMAP_VERSION_MAJOR, FILEMAP_VERSION_MINOR, FILEMAP_VERSION_PATCH);
}

/* ", offset 4096, 100 bytes" or nothing: a range that was never set is 0 and 0. */
static void format_range(const struct filemap_error *error, char *to, size_t size)
{
	unsigned long long offset = error->offset, length = error->length;

	to[0] = '\0';
	if (offset == 0 && length == 0)
		return;
	if (length == UINT64_MAX || length == SIZE_MAX)
		(void)snprintf(to, size, ", offset %llu to the end", offset);
	else
		(void)snprintf(to, size, ", offset %llu, %llu bytes", offset, length);
}

/* "open file" of a "file": the phrase says it. */
static int says(const char *step, const char *subject)
{
	const size_t length = strlen(subject);

	for (const char *p = strstr(step, subject); p; p = strstr(p + 1, subject))
		if ((p == step || p[-1] == ' ') && (p[length] == '\0' || p[length] == ' '))
			return 1;
	return 0;
}

/* A piece is printed between its delimiters, or not at all. */
#define PIECE(before, text, after) (text) ? (before) : "", (text) ? (text) : "", (text) ? (after) : ""

FILEMAP_API int filemap_error_format(const struct filemap_error *error, char *buf, size_t size)
{
	if (!error || error->code == 0)
		return snprintf(buf, size, "%s", filemap_strerror(0));

	char range[80];
	format_range(error, range, sizeof range);

	const char *step = error->step ? error->step : "unknown step";
	const char *subject = error->subject && !says(step, error->subject) ? error->subject : NULL;
	const char *detail = error->detail[0] ? error->detail : NULL;
	const char *cause = NULL;
	if (error->sys_errno > 0 && error->code != -error->sys_errno)
		cause = errno_text(error->sys_errno);

	return snprintf(buf, size, "%s%s%s%s%s%s%s%s: %s%s%s%s%s%s%s", step, PIECE(" ", subject, ""),
			PIECE(" '", detail, "'"), range, filemap_strerror(error->code),
			PIECE(" (", cause, ")"), PIECE("; ", error->hint, ""));
}

int fm__fail_errno(struct filemap_error *reterr, int code, int sys_errno, const char *step,
		   const char *subject)
{
	if (!reterr)
		return code;
	memset(reterr, 0, sizeof *reterr);
	reterr->code = code;
	reterr->sys_errno = sys_errno;
	reterr->step = step;
	reterr->subject = subject;
	reterr->hint = fm__limit_hint(sys_errno, step, subject);
	return code;
}

int fm__fail(struct filemap_error *reterr, int code, const char *step, const char *subject)
{
	return fm__fail_errno(reterr, code, is_errno(code) ? -code : 0, step, subject);
}

void fm__fail_hint(struct filemap_error *reterr, const char *hint)
{
	if (reterr)
		reterr->hint = hint;
}

void fm__fail_hint_if_none(struct filemap_error *reterr, const char *hint)
{
	if (reterr && !reterr->hint)
		reterr->hint = hint;
}

/* Cuts before a character of UTF-8, never inside it. */
void fm__fail_detail(struct filemap_error *reterr, const char *detail)
{
	if (!reterr || !detail)
		return;
	size_t length = strnlen(detail, sizeof reterr->detail);
	if (length == sizeof reterr->detail) {
		length--;
		while (length > 0 && ((unsigned char)detail[length] & 0xC0) == 0x80)
			length--;
	}
	memmove(reterr->detail, detail, length);
	reterr->detail[length] = '\0';
}

void fm__fail_detail_if_none(struct filemap_error *reterr, const char *detail)
{
	if (reterr && reterr->detail[0] == '\0')
		fm__fail_detail(reterr, detail);
}

void fm__fail_range(struct filemap_error *reterr, uint64_t offset, uint64_t length)
{
	if (!reterr)
		return;
	reterr->offset = offset;
	reterr->length = length;
}
