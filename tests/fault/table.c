/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The engine of the complete sweep: runs an operation once without a fault, to learn its calls, and then once for
 * each of them and each errno that is plausible for it.
 *
 * Invariant: every run begins with an empty directory and ends with one, and with as many descriptors and
 * mappings as before.
 */
#include "table.h"

#include <sys/file.h>

#define UNTOUCHED 0xA5
#define MOST_CALLS 800

struct call {
	char name[32];
	int nth;
};

/* One line before it is printed: the errnos that came to the same. */
struct outcome {
	char errnos[200];
	char rest[900]; /* result, error and state */
};

/* snprintf(3) behind what is there already; what does not fit is a mistake of this file. */
__attribute__((format(printf, 3, 4))) static void add(char *text, size_t size, const char *format, ...)
{
	const size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	assert_true((size_t)vsnprintf(text + length, size - length, format, arguments) < size - length);
	va_end(arguments);
}

const struct t_dir *table_dir;
static struct filemap *const no_map = (struct filemap *)(uintptr_t)UNTOUCHED;

/* ---- one run ---- */

static void begin(struct table *t, const struct t_dir *dir)
{
	memset(t, 0, sizeof *t);
	t->dir = dir;
	t->fd = -1;
	snprintf(t->file, sizeof t->file, "%s/file", dir->path);
	snprintf(t->other, sizeof t->other, "%s/other", dir->path);
}

static void perform(struct table *t, const struct table_operation *operation)
{
	memset(t->ret, UNTOUCHED, sizeof t->ret);
	memset(&t->error, UNTOUCHED, sizeof t->error);
	t->made = no_map;
	operation->run(t);
}

static bool is_untouched(const void *memory, size_t length)
{
	const unsigned char *bytes = memory;
	return bytes[0] == UNTOUCHED && memcmp(bytes, bytes + 1, length - 1) == 0;
}

/* The outputs: of a failure the record only, of a success all but the record. */
static void check_outputs(struct table *t, const struct table_operation *operation)
{
	const bool has_record = (operation->flags & TABLE_NO_ERROR) == 0;

	if (t->result >= 0) {
		assert_true(is_untouched(&t->error, sizeof t->error));
	} else {
		assert_ptr_equal(t->made, no_map);
		if ((operation->flags & TABLE_RET_CHANGES) == 0)
			assert_true(is_untouched(t->ret, sizeof t->ret));
	}
	if (t->result < 0 && has_record) {
		assert_int_equal(t->error.code, t->result);
		assert_non_null(t->error.step);
		if (t->result > FILEMAP_ELOCKED)
			assert_int_equal(t->error.sys_errno, -t->result);
	}
	if (t->made == no_map)
		t->made = NULL;
}

/* Nobody holds a lock of either family on the file any more. */
static void check_unlocked(const struct table *t)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	const int fd = open(t->file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	assert_ok(flock(fd, LOCK_EX | LOCK_NB));
	assert_ok(fcntl(fd, F_OFD_GETLK, &whole));
	assert_int_equal(whole.l_type, F_UNLCK);
	close(fd);
}

static void end(struct table *t, const struct table_operation *operation)
{
	if (operation->cleanup != NULL)
		operation->cleanup(t);
	filemap_close(t->made);
	filemap_close(t->map);
	if (t->fd >= 0)
		close(t->fd);
	check_unlocked(t);
	table_empty_dir(t->dir);
}

static void describe(struct table *t, const struct table_operation *operation)
{
	if ((operation->flags & TABLE_OWN_STATE) == 0) {
		table_say_map(t, "map", t->map);
		table_say_map(t, "made", t->made);
		table_say_file(t, "file");
		table_say_beside(t);
	}
	if (operation->describe != NULL)
		operation->describe(t);
}

/* After a failure: what the same call comes to without one. */
static void try_again(struct table *t, const struct table_operation *operation)
{
	if (t->result >= 0 || (operation->flags & TABLE_ONCE) != 0)
		return;
	perform(t, operation);
	check_outputs(t, operation);
	table_say_code(t, "again", t->result);
}

static void print_result(const struct table *t, const struct table_operation *operation, int injected,
			 char *ret_text, size_t size)
{
	const bool has_record = t->result < 0 && (operation->flags & TABLE_NO_ERROR) == 0;
	ret_text[0] = '\0';
	add(ret_text, size, "%s\t%s%s%s\t", table_code(t->result, injected), has_record ? t->error.step : "-",
	    has_record && t->error.subject != NULL ? "/" : "",
	    has_record && t->error.subject != NULL ? t->error.subject : "");
}

/* Up to the call itself; what is armed then is the operation's own. */
static void launch(struct table *t, const struct t_dir *dir, const struct table_operation *operation)
{
	begin(t, dir);
	fault_reset();
	if (operation->prepare != NULL)
		operation->prepare(t);
	fault_reset();
	if (operation->arm != NULL)
		operation->arm();
}

/* Result, error and state: what a line has behind the errno. Ends the run. */
static void conclude(struct table *t, const struct table_operation *operation, int injected, char *ret_text,
		     size_t size)
{
	check_outputs(t, operation);
	print_result(t, operation, injected, ret_text, size);
	describe(t, operation);
	if (injected > 0)
		try_again(t, operation);
	add(ret_text, size, "%s", t->state_length > 0 ? t->state : "-");
	end(t, operation);
}

static void add_call(struct call *calls, size_t *count, const char *name, int nth)
{
	assert_true(*count < MOST_CALLS);
	snprintf(calls[*count].name, sizeof calls[0].name, "%s", name);
	calls[(*count)++].nth = nth;
}

/* The calls of the trace, in its order, each with the how many-eth of its name it is; then the heap's. */
static size_t find_calls(struct call *ret_calls)
{
	static const char *const heap[] = {"zalloc", "strdup"};
	size_t count = 0;
	const char *at = fault_trace();
	char name[32];
	int length;

	while (sscanf(at, "%31s %n", name, &length) == 1) {
		int nth = 1;
		for (size_t i = 0; i < count; i++)
			nth += strcmp(ret_calls[i].name, name) == 0;
		add_call(ret_calls, &count, name, nth);
		at += length;
	}
	for (size_t i = 0; i < 2; i++)
		for (int nth = 1; nth <= fault_count(heap[i]); nth++)
			add_call(ret_calls, &count, heap[i], nth);
	return count;
}

/* The run without a fault: its line, and its calls. */
static size_t run_whole(const struct t_dir *dir, const struct table_operation *operation,
			struct call *ret_calls, char *ret_text, size_t size)
{
	static struct table t;

	launch(&t, dir, operation);
	fault_trace_start();
	perform(&t, operation);
	const size_t count = find_calls(ret_calls);
	fault_reset();
	conclude(&t, operation, 0, ret_text, size);
	return count;
}

/* Returns whether it was a success without an excuse. */
static bool run_fault(const struct t_dir *dir, const struct table_operation *operation,
		      const struct call *call, int error, char *ret_text, size_t size)
{
	static struct table t;

	launch(&t, dir, operation);
	fault_arm_also(call->name, call->nth, error);
	t.injected = error;
	perform(&t, operation);
	const bool fired = fault_fired(), succeeded = t.result >= 0;
	fault_reset();
	if (!fired)
		fail_msg("%s: %s#%d was not called", operation->name, call->name, call->nth);
	conclude(&t, operation, error, ret_text, size);
	return succeeded && !table_is_excused(call->name, call->nth, error, operation->excuses);
}

/* ---- lines ---- */

static const char *errno_name(int error)
{
	return error == EAGAIN ? "EAGAIN" : filemap_error_name(-error);
}

static void add_outcome(struct outcome *outcomes, size_t *count, int error, const char *rest)
{
	size_t i = 0;

	while (i < *count && strcmp(outcomes[i].rest, rest) != 0)
		i++;
	if (i == *count) {
		snprintf(outcomes[i].rest, sizeof outcomes[0].rest, "%s", rest);
		outcomes[i].errnos[0] = '\0';
		(*count)++;
	}
	const size_t length = strlen(outcomes[i].errnos);
	snprintf(outcomes[i].errnos + length, sizeof outcomes[0].errnos - length, "%s%s",
		 length > 0 ? "," : "", errno_name(error));
}

static void add_line(struct table_text *text, const char *operation, const char *call, const char *errnos,
		     const char *rest)
{
	char line[1400] = "";
	add(line, sizeof line, "%s\t%s\t%s\t%s\n", operation, call, errnos, rest);
	table_append(text, line);
}

/* All lines of one call; returns how many successes have no excuse. */
static int sweep_call(const struct t_dir *dir, const struct table_operation *operation,
		      const struct call *call, struct table_text *text)
{
	static struct outcome outcomes[16];
	const int *errors = table_plausible(call->name);
	size_t count = 0;
	int odd = 0;
	char rest[sizeof outcomes[0].rest], place[48] = "";

	if (errors == NULL)
		fail_msg("%s: table_faults.c does not know %s", operation->name, call->name);
	for (; *errors != 0; errors++) {
		if (run_fault(dir, operation, call, *errors, rest, sizeof rest)) {
			printf("no excuse: %s, %s#%d, %s: %s\n", operation->name, call->name, call->nth,
			       errno_name(*errors), rest);
			odd++;
		}
		add_outcome(outcomes, &count, *errors, rest);
	}
	add(place, sizeof place, "%s#%d", call->name, call->nth);
	for (size_t i = 0; i < count; i++)
		add_line(text, operation->name, place, outcomes[i].errnos, outcomes[i].rest);
	return odd;
}

static bool is_among(const char *list, const char *name)
{
	char words[200], word[64];
	snprintf(words, sizeof words, " %s ", list);
	snprintf(word, sizeof word, " %.40s ", name);
	return strstr(words, word) != NULL;
}

static bool is_left_out(const struct table_operation *operation, const struct call *calls, size_t count,
			size_t at)
{
	if (operation->only != NULL && !is_among(operation->only, calls[at].name))
		return true;
	if (operation->most == 0 || calls[at].nth <= operation->most)
		return false;
	for (size_t later = at + 1; later < count; later++)
		if (strcmp(calls[later].name, calls[at].name) == 0)
			return true;
	return false;
}

static int sweep(const struct t_dir *dir, const struct table_operation *operation, struct table_text *text)
{
	static struct call calls[MOST_CALLS];
	char rest[900];
	int odd = 0;

	/* Once before the census: the process's own beginnings (buffers, what libc opens once) are no leaks. */
	(void)run_whole(dir, operation, calls, rest, sizeof rest);
	const struct table_census before = table_take_census(dir);
	const size_t count = run_whole(dir, operation, calls, rest, sizeof rest);
	add_line(text, operation->name, "-", "-", rest);
	for (size_t i = 0; i < count; i++) {
		if (is_left_out(operation, calls, count, i))
			continue;
		odd += sweep_call(dir, operation, &calls[i], text);
		const struct table_census now = table_take_census(dir);
		if (now.descriptors != before.descriptors || now.mapped != before.mapped)
			fail_msg("%s: a failure of %s#%d leaks: %d descriptors, %lld bytes", operation->name,
				 calls[i].name, calls[i].nth, now.descriptors - before.descriptors,
				 (long long)now.mapped - (long long)before.mapped);
	}
	return odd;
}

static const char *use_pages(const struct table_operation *operation)
{
	const bool real = (operation->flags & TABLE_REAL_PAGES) != 0;

	fault_page_size(real ? 0 : TABLE_PAGE);
	return real && sysconf(_SC_PAGESIZE) != 4096 ? "pages have not 4 KiB" : NULL;
}

void table_run(const struct t_dir *dir, const char *area, const struct table_operation *operations,
	       size_t count)
{
	struct table_text text = {0}, skipped = {0};
	int odd = 0;

	if (!table_suits(dir->path))
		t_skip("the table is that of ext4 and tmpfs");
	table_append(&text, "");
	table_append(&skipped, "");
	table_dir = dir;
	for (size_t i = 0; i < count; i++) {
		const char *reason = use_pages(&operations[i]);
		if (reason == NULL && operations[i].lacks != NULL)
			reason = operations[i].lacks();
		if (reason == NULL) {
			odd += sweep(dir, &operations[i], &text);
			continue;
		}
		printf("skip: %s: %s\n", operations[i].name, reason);
		table_append(&skipped, operations[i].name);
		table_append(&skipped, "\n");
	}
	fault_page_size(0);
	fputs(text.bytes, stdout);
	const int differences = table_compare(area, &text, skipped.bytes);
	free(text.bytes);
	free(skipped.bytes);
	assert_int_equal(odd, 0);
	assert_int_equal(differences, 0);
}
