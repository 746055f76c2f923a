/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The order of a writer's kernel calls as written sequences (order rules O1, O4-O6, O8). A call that repeats is
 * written once, with its number. Waking others and locking signals out are left out: they order nothing.
 */
#include <errno.h>
#include <sched.h>

#include "fault.h"
#include "log_app.h"

static bool is_left_out(const char *call)
{
	return strcmp(call, "futex_wake") == 0 || strcmp(call, "block_signals") == 0 ||
	       strcmp(call, "restore_signals") == 0 || strcmp(call, "page_size") == 0;
}

static void put(char *to, size_t size, const char *call, unsigned count)
{
	size_t length = strlen(to);

	if (count > 1)
		snprintf(to + length, size - length, "%s*%u ", call, count);
	else if (count == 1)
		snprintf(to + length, size - length, "%s ", call);
}

/* The trace since fault_trace_start(), repeats folded. */
static const char *folded(void)
{
	static char result[4096];
	char *copy = strdup(fault_trace()), *save = NULL, last[32] = "";
	unsigned count = 0;

	result[0] = '\0';
	for (char *call = strtok_r(copy, " ", &save); call; call = strtok_r(NULL, " ", &save)) {
		if (is_left_out(call))
			continue;
		if (strcmp(call, last) == 0) {
			count++;
			continue;
		}
		put(result, sizeof result, last, count);
		snprintf(last, sizeof last, "%s", call);
		count = 1;
	}
	put(result, sizeof result, last, count);
	free(copy);
	fault_trace_start();
	return result;
}

static void append_bytes(struct filemap_log *log, size_t length)
{
	uint8_t *bytes = calloc(1, length);

	assert_ok(filemap_log_append(log, bytes, length, NULL));
	free(bytes);
}

static void await_seals(const struct filemap_log *log, uint64_t sealed)
{
	struct filemap_log_stats stats;

	do {
		sched_yield();
		assert_ok(filemap_log_stats(log, &stats));
	} while (stats.segments_sealed < sealed);
}

static void append_calls_nothing_and_sync_flushes_before_it_says_so(void **state)
{
	struct filemap_log *log = app_open(t_path(*state, "log"), NULL, NULL);

	fault_trace_start();
	append_bytes(log, 100);
	assert_string_equal(folded(), "");
	assert_int_equal(filemap_log_wait(log, 4096, FILEMAP_DURABLE, -1), 1);
	assert_string_equal(folded(), "msync fstat "); /* O4: exactly one, and nothing was cut off */
	append_bytes(log, 100);
	assert_ok(filemap_log_sync(log, NULL));
	assert_string_equal(folded(), "msync fstat pwrite fdatasync "); /* and the watermark of meta */
	assert_ok(filemap_log_sync(log, NULL));
	assert_string_equal(folded(), "");
	append_bytes(log, 100);
	assert_ok(filemap_log_finish(log, NULL));
	/* O8: frames, then meta twice */
	assert_string_equal(folded(), "msync fstat pwrite fdatasync pwrite fdatasync ");
	filemap_log_close(log);
	fault_reset();
}

static void rotation_prepares_names_and_announces_before_it_claims(void **state)
{
	const size_t half = (size_t)(APP_SEGMENT - 8192) / 2 - 32;
	struct filemap_log *log = app_open(t_path(*state, "log"), NULL, NULL);

	fault_trace_start();
	append_bytes(log, half);
	append_bytes(log, half);
	append_bytes(log, 100); /* waits for the next segment */
	/* O1: name .prep, zeros and header, data, name, directory; then it is mapped; then meta.last, twice */
	assert_string_equal(folded(), "unlinkat openat pwrite*256 fdatasync rename fsync fstat map madvise "
				      "pwrite fdatasync pwrite fdatasync ");
	assert_int_equal(filemap_log_wait(log, APP_SEGMENT + 4096, FILEMAP_DURABLE, -1), 1);
	await_seals(log, 1);
	/* O4: both segments. O5: the trailer; then meta.sealed, twice; only then the segment goes */
	assert_string_equal(folded(), "msync*2 fstat*2 msync pwrite fdatasync pwrite fdatasync unmap close ");
	filemap_log_close(log);
	fault_reset();
}

T_MAIN(T_TEST(append_calls_nothing_and_sync_flushes_before_it_says_so),
       T_TEST(rotation_prepares_names_and_announces_before_it_claims))
