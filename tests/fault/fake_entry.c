/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Owns the life of an entry: how it comes into the log, what it may be beside, and what it really does.
 *
 * Invariant: an entry is pushed, taken, begun and ended, in this order, each at most once, and its descriptor or
 * address names the same file throughout. What changes sizes or touches pages is really done when it is answered
 * with success; what would only wait for a device is not.
 */
#include "fake_private.h"

#include <errno.h>
#include <stdlib.h>

#include "sys/sys.h"

static uint64_t bits_of(const struct fm__call *call, int file)
{
	if (call->kind == FM_CALL_SYNC)
		return UINT64_MAX;
	if (call->kind == FM_CALL_ADVISE && file != FAKE_NO_FILE)
		return fake_page_bits((uint64_t)((const char *)call->at - fake.files[file].base),
				      call->length);
	return fake_page_bits(call->offset, call->length);
}

struct fake_entry *fake__add(const struct fm__call *call)
{
	struct fake_entry *entry = &fake.log[fake.count];
	int file;

	if (fake.count == FAKE_ENTRIES)
		abort();
	fake.count++;
	file = call->kind == FM_CALL_ADVISE ? fake__file_of_address(call->at) : fake__file_of_fd(call->fd);
	*entry = (struct fake_entry){.kind = call->kind,
				     .file = file,
				     .pages = bits_of(call, file),
				     .fd = call->fd,
				     .offset = call->offset,
				     .length = call->length,
				     .at = call->at,
				     .advice = call->advice,
				     .pushed = ++fake.moment};
	if (file == FAKE_NO_FILE)
		fake__violated("entry %u (kind %d) names no file of the test", fake.count - 1,
			       (int)call->kind);
	return entry;
}

static bool touch(const struct fake_entry *a, const struct fake_entry *b)
{
	return ((a->pages | a->pages << 1 | a->pages >> 1) & b->pages) != 0;
}

static void check_apart(const struct fake_entry *entry, const unsigned *others, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct fake_entry *other = &fake.log[others[i]];

		if (entry != other && entry->kind == FM_CALL_FLUSH && other->kind == FM_CALL_FLUSH &&
		    entry->file == other->file && touch(entry, other))
			fake__violated("entries %u and %u flush pages that touch, both at once", others[i],
				       (unsigned)(entry - fake.log));
	}
}

/* Changes of a file have more calls than the one of their group; syncs may be those of a close. */
static bool is_work(const struct fake_entry *entry)
{
	return entry->kind == FM_CALL_FLUSH || entry->kind == FM_CALL_WRITEBACK ||
	       entry->kind == FM_CALL_ADVISE;
}

static unsigned at_work_on_threads(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < fake.called_count; i++)
		count += is_work(&fake.log[fake.called[i]]);
	return count;
}

/* What queue.h says of what is at work at once; the entry itself is not counted yet. */
void fake__check_company(const struct fake_entry *entry)
{
	const unsigned count = entry->by_thread ? at_work_on_threads() : fake.with_ring;

	if (!fake.refused && count >= fake.plan.workers && (!entry->by_thread || is_work(entry)))
		fake__violated("entry %u begins beside %u, but there are %u workers",
			       (unsigned)(entry - fake.log), count, fake.plan.workers);
	check_apart(entry, fake.live, fake.live_count);
	check_apart(entry, fake.called, fake.called_count);
}

/* The kernel looks a descriptor up when it begins. */
static void check_place(const struct fake_entry *entry, const char *when)
{
	int file = entry->kind == FM_CALL_ADVISE ? fake__file_of_address(entry->at)
						 : fake__file_of_fd(entry->fd);

	if (file != entry->file)
		fake__violated("entry %u (kind %d): its file has changed when it %s",
			       (unsigned)(entry - fake.log), (int)entry->kind, when);
}

int __real_fm__sys_fallocate(int fd, int mode, uint64_t offset, uint64_t length);
int __real_fm__sys_ftruncate(int fd, uint64_t size);
int __real_fm__sys_madvise(void *at, size_t length, int advice);

int fake__carry_out(const struct fake_entry *entry)
{
	int r;

	switch (entry->kind) {
	case FM_CALL_ALLOCATE:
		return __real_fm__sys_fallocate(entry->fd, 0, entry->offset, entry->length);
	case FM_CALL_TRUNCATE:
		return __real_fm__sys_ftruncate(entry->fd, entry->length);
	case FM_CALL_ADVISE:
		r = __real_fm__sys_madvise(entry->at, entry->length, entry->advice);
		if (r == -ENOMEM)
			fake__violated("entry %u touches pages that are not mapped",
				       (unsigned)(entry - fake.log));
		return r;
	default:
		return 0;
	}
}

static int failure_of(const struct fake_entry *entry)
{
	static const int device[] = {-EIO, -ENOSPC, -EDQUOT}, room[] = {-ENOSPC, -EFBIG, -EIO};

	if (entry->kind == FM_CALL_ADVISE)
		return -EFAULT;
	if (entry->kind == FM_CALL_ALLOCATE || entry->kind == FM_CALL_TRUNCATE)
		return room[fake__below(3)];
	return device[fake__below(3)];
}

void fake__begin(struct fake_entry *entry)
{
	check_place(entry, "begins");
	entry->begun = ++fake.moment;
}

void fake__end(struct fake_entry *entry, int result)
{
	entry->result = result;
	entry->ended = ++fake.moment;
	fake.order[fake.ended++] = (unsigned)(entry - fake.log);
}

void fake__finish(struct fake_entry *entry)
{
	check_place(entry, "ends");
	fake__end(entry, fake__chance(fake.plan.failing) ? failure_of(entry) : fake__carry_out(entry));
}
