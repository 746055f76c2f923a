/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Owns the calls of sys.h that requests consist of, when threads make them.
 *
 * Invariant: a call that is not quiet is an entry of the log, begun and ended within the call; between the two
 * others may overtake it.
 */
#include "fake_private.h"

#include "sys/sys.h"

#define TMPFS 0x01021994
#define EXT4 0xEF53

static _Thread_local bool quiet;

void fake_quiet(bool on)
{
	quiet = on;
}

/* Others overtake it, if there are any. */
static void linger(void)
{
	for (unsigned turns = fake__below(6); turns > 0; turns--)
		fake__let_others();
}

static void drop_called(const struct fake_entry *entry)
{
	unsigned i = 0;

	while (&fake.log[fake.called[i]] != entry)
		i++;
	fake.called[i] = fake.called[--fake.called_count];
}

static int on_this_thread(const struct fm__call *call)
{
	struct fake_entry *entry;

	pthread_mutex_lock(&fake.lock);
	entry = fake__add(call);
	entry->by_thread = true;
	entry->taken = entry->pushed;
	fake__check_company(entry);
	fake.called[fake.called_count++] = (unsigned)(entry - fake.log);
	linger();
	fake__begin(entry);
	linger();
	fake__finish(entry);
	drop_called(entry);
	return fake__leave(entry->result);
}

#define CALL(name, is_ours, description, parameters, arguments)                                       \
	int __real_fm__sys_##name parameters;                                                         \
	int __wrap_fm__sys_##name parameters;                                                         \
	int __wrap_fm__sys_##name parameters                                                          \
	{                                                                                             \
		const struct fm__call call = description;                                             \
		return quiet || !(is_ours) ? __real_fm__sys_##name arguments : on_this_thread(&call); \
	}
#define DESCRIBED(...)      \
	{                   \
		__VA_ARGS__ \
	}

CALL(flush_range, true, DESCRIBED(.kind = FM_CALL_FLUSH, .fd = fd, .offset = offset, .length = length),
     (int fd, uint64_t offset, uint64_t length, struct fm__flush_windows *windows),
     (fd, offset, length, windows))
CALL(fsync, true, DESCRIBED(.kind = FM_CALL_SYNC, .fd = fd), (int fd), (fd))
CALL(writeback_range, true,
     DESCRIBED(.kind = FM_CALL_WRITEBACK, .fd = fd, .offset = offset, .length = length),
     (int fd, uint64_t offset, uint64_t length), (fd, offset, length))
CALL(madvise, advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE,
     DESCRIBED(.kind = FM_CALL_ADVISE, .fd = -1, .at = at, .length = length, .advice = advice),
     (void *at, size_t length, int advice), (at, length, advice))
CALL(fallocate, mode == 0, DESCRIBED(.kind = FM_CALL_ALLOCATE, .fd = fd, .offset = offset, .length = length),
     (int fd, int mode, uint64_t offset, uint64_t length), (fd, mode, offset, length))
CALL(ftruncate, true, DESCRIBED(.kind = FM_CALL_TRUNCATE, .fd = fd, .length = size), (int fd, uint64_t size),
     (fd, size))

/* Where the test's directory lies does not matter: a flush is a call, unless the file is to have no device. */
IN_FRONT_OF(int, fm__sys_fs_type, int fd, uint64_t *ret)
{
	bool is_memory;
	int r, file;

	r = __real_fm__sys_fs_type(fd, ret);
	if (r < 0)
		return r;
	pthread_mutex_lock(&fake.lock);
	file = fake__file_of_fd(fd);
	is_memory = file == FAKE_NO_FILE ? fake.next_is_memory : fake.files[file].is_memory;
	pthread_mutex_unlock(&fake.lock);
	if (is_memory)
		*ret = TMPFS;
	else if (*ret == TMPFS)
		*ret = EXT4;
	return 0;
}
