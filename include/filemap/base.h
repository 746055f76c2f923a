/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap/base.h - version, error codes and the error record.
 *
 * Every function of the library that can fail returns an int: 0, or a count
 * where stated, on success; a negative code on failure. A code is either
 * -errno, where the kernel spoke, or one of the FILEMAP_E* constants below,
 * where a program has to branch. FILEMAP_E* are negative themselves: compare
 * `r == FILEMAP_ELOCKED`, never with a minus.
 *
 * Words used in all headers: *borrowed* - the callee keeps nothing; *taken* -
 * ownership moves on success only; *given* - the caller must release it;
 * *viewed* - the pointer dies with the named object or call.
 */
#ifndef FILEMAP_BASE_H
#define FILEMAP_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FILEMAP_VERSION_MAJOR 0
#define FILEMAP_VERSION_MINOR 1
#define FILEMAP_VERSION_PATCH 0

#if defined(__GNUC__)
#define FILEMAP_API __attribute__((visibility("default")))
#define FILEMAP_NODISCARD __attribute__((warn_unused_result))
#else
#define FILEMAP_API
#define FILEMAP_NODISCARD
#endif

/* All private codes: XX(name, value, one line that says it). */
#define FILEMAP_ERROR_MAP(XX)                                                                      \
	XX(ELOCKED, -20001, "another mapping holds a conflicting lock")                            \
	XX(EOPTION, -20002, "an option or argument is invalid here")                               \
	XX(ERANGE, -20003, "outside the mapping or the file, or not representable")                \
	XX(EPOISONED, -20004, "the window is gone, or an earlier flush failed")                    \
	XX(EREPLACED, -20005, "the name means another file by now")                                \
	XX(EGONE, -20006, "the name does not exist any more")                                      \
	XX(EFAULT, -20007, "a page cannot be accessed")                                            \
	XX(EMODE, -20008, "not allowed for this kind or state of mapping")                         \
	XX(ECORRUPT, -20009, "a stored structure is damaged")                                      \
	XX(EVERSION, -20010, "made by a newer version of filemap")                                 \
	XX(EBUSY, -20011, "still in use by asynchronous work, a pin, a reader or another window")  \
	XX(EFORKED, -20012, "only the process that opened the handle may do this")                 \
	XX(EUNSYNCED, -20013, "done, but not made durable")

#define FILEMAP_ERROR_DEFINE_(name, value, text) FILEMAP_##name = (value),
enum filemap_error_code { FILEMAP_ERROR_MAP(FILEMAP_ERROR_DEFINE_) };
#undef FILEMAP_ERROR_DEFINE_

#define FILEMAP_TO_END SIZE_MAX          /* as a length: everything from the offset on */
#define FILEMAP_FOREVER UINT32_C(0xFFFFFFFF) /* as a wait in milliseconds: without a deadline */

/** Bytes that somebody else keeps: a piece of a record, the content of a file. */
struct filemap_bytes {
	const void *data; /* borrowed; may be NULL if length is 0 */
	size_t length;
};

/**
 * What failed, and at which step.
 *
 * Passed as the last argument by callers who want more than a code; NULL is
 * always allowed. Written on failure only, so it need not be initialised before
 * and is not to be looked at after a success. The strings are static: the record
 * may be copied, kept and dropped freely, and nothing in it is to be freed.
 * Functions that take none fail for one reason, which filemap_strerror() tells.
 */
struct filemap_error {
	int32_t code;        /* what the function returned */
	int32_t sys_errno;   /* the errno behind it (positive), 0 if the kernel was not asked */
	const char *step;    /* what was being done, e.g. "lock"; never NULL after a failure */
	const char *subject; /* to what, e.g. "parent directory" or an option's name; or NULL */
	const char *hint;    /* what to do about it, or NULL */
#if UINTPTR_MAX == 0xFFFFFFFFu
	uint32_t pointer_padding[3];
#endif
	uint64_t offset; /* the range concerned, where there is one */
	uint64_t length;
	char detail[192]; /* a bounded name (a path, an option), "" if there is none */
	uint64_t reserved[2];
};

/**
 * Describe any code that a filemap function returned.
 *
 * @param code  Negative errno, FILEMAP_E*, or 0.
 * @return A static string, never NULL. Safe from any thread.
 * @since 0.1
 */
FILEMAP_API const char *filemap_strerror(int code);

/**
 * Name a code, for logs: "FILEMAP_ELOCKED", "ENOSPC"; "UNKNOWN" if it has none.
 *
 * @return A static string, never NULL. Safe from any thread.
 * @since 0.1
 */
FILEMAP_API const char *filemap_error_name(int code);

/**
 * Write an error record as one line of text, without a newline.
 *
 * Works as snprintf does: at most @p size bytes are written, always ended by a
 * NUL if size > 0, and the length that the whole line needs is returned.
 *
 * @since 0.1
 */
FILEMAP_API int filemap_error_format(const struct filemap_error *error, char *buf, size_t size);

/**
 * The version of the library at run time, as "MAJOR.MINOR.PATCH".
 *
 * @since 0.1
 */
FILEMAP_API const char *filemap_version(void);

#ifdef __cplusplus
}
#endif

#endif
