/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The model's own part: the slots, and the bytes as they must be.
 *
 * Invariant: `file` is zero from `size` on; a COW window's private page holds a whole page as it was when
 * it was first stored to, with the stores since then.
 */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* ---- slots ---- */

/* Growth in a reserve is one call for whoever is alone with the file: it does not look what others did. */
bool model_size_is_taken(const struct model *m, const struct model_origin *origin)
{
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		const struct model_slot *s = &m->slots[i];
		if (s->use != MODEL_FREE && s->mode == FILEMAP_WRITE && s->reserve && s->origin != origin &&
		    s->origin->lock == FILEMAP_EXCLUSIVE_LOCK)
			return true;
	}
	return false;
}

struct model_slot *model_any(struct model *m)
{
	const unsigned first = (unsigned)model_random(m, MODEL_SLOTS);

	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		struct model_slot *s = &m->slots[(first + i) % MODEL_SLOTS];
		if (s->use == MODEL_OPEN)
			return s;
	}
	return NULL;
}

struct model_slot *model_spare(struct model *m)
{
	for (unsigned i = 0; i < MODEL_SLOTS; i++)
		if (m->slots[i].use == MODEL_FREE)
			return &m->slots[i];
	return NULL;
}

bool model_can_store(const struct model_slot *s)
{
	return (s->mode == FILEMAP_WRITE || s->mode == FILEMAP_COW) && !s->frozen;
}

uint64_t model_clamp(const struct model_slot *s, uint64_t file_size)
{
	const uint64_t there = s->offset < file_size ? file_size - s->offset : 0;
	return s->length < there ? s->length : there;
}

/* Somebody else may have cut the file: what is left of the window can be touched, and nothing else. */
size_t model_visible(const struct model *m, const struct model_slot *s)
{
	const uint64_t there = s->offset < m->size ? m->size - s->offset : 0;
	return s->size < there ? s->size : (size_t)there;
}

/* ---- bytes ---- */

/* The bytes of the window from `offset` on that lie in one page. */
static const unsigned char *page_piece(const struct model *m, const struct model_slot *s, size_t offset,
				       size_t length, size_t *ret_length)
{
	const uint64_t at = s->offset + offset, page = at / m->page;
	const size_t within = (size_t)(at % m->page);

	*ret_length = m->page - within < length ? m->page - within : length;
	return s->private_pages[page] ? s->private_pages[page] + within : m->file + at;
}

void model_expected(const struct model *m, const struct model_slot *s, size_t offset, size_t length,
		    unsigned char *to)
{
	for (size_t n; length > 0; offset += n, to += n, length -= n) {
		const unsigned char *piece = page_piece(m, s, offset, length, &n);
		memcpy(to, piece, n);
	}
}

void model_make_private(struct model *m, struct model_slot *s, size_t offset, size_t length)
{
	if (length == 0)
		return;
	for (uint64_t page = (s->offset + offset) / m->page;
	     page <= (s->offset + offset + length - 1) / m->page; page++) {
		if (s->private_pages[page])
			continue;
		s->private_pages[page] = malloc(m->page);
		assert_non_null(s->private_pages[page]);
		memcpy(s->private_pages[page], m->file + page * m->page, m->page);
	}
}

void model_drop_private(struct model *m, struct model_slot *s, uint64_t from_page, uint64_t to_page)
{
	(void)m;
	for (uint64_t page = from_page; page < to_page; page++) {
		free(s->private_pages[page]);
		s->private_pages[page] = NULL;
	}
}

void model_store(struct model *m, struct model_slot *s, size_t offset, const unsigned char *from,
		 size_t length)
{
	if (s->mode != FILEMAP_COW) {
		memcpy(m->file + s->offset + offset, from, length);
		return;
	}
	model_make_private(m, s, offset, length);
	for (size_t n; length > 0; offset += n, from += n, length -= n) {
		(void)page_piece(m, s, offset, length, &n);
		memcpy(s->private_pages[(s->offset + offset) / m->page] + (s->offset + offset) % m->page,
		       from, n);
	}
}

/* The kernel drops private pages, too, when they lie behind a new end; of the last page it clears the rest. */
void model_set_size(struct model *m, uint64_t size)
{
	const uint64_t pages = (size + m->page - 1) / m->page;

	if (size < m->size) {
		memset(m->file + size, 0, (size_t)(m->size - size));
		for (unsigned i = 0; i < MODEL_SLOTS; i++)
			model_drop_private(m, &m->slots[i], pages, MODEL_PAGES);
		m->tail_is_dirty = false;
	}
	if (pages != (m->size + m->page - 1) / m->page || size % m->page == 0)
		m->tail_is_dirty = false;
	m->size = size;
}

/* ---- comparing ---- */

static void compare_bytes(struct model *m, const struct model_slot *s, size_t offset, const unsigned char *is,
			  const unsigned char *must, size_t length)
{
	if (memcmp(is, must, length) == 0)
		return;
	while (*is == *must)
		is++, must++, offset++;
	model_fail(m, "slot %d: byte %zu (%" PRIu64 " of the file) is %02x, must be %02x",
		   s ? (int)(s - m->slots) : -1, offset, (s ? s->offset : 0) + offset, *is, *must);
}

static void compare_state(struct model *m, struct model_slot *s)
{
	const bool stores = model_can_store(s);
	const int number = (int)(s - m->slots);

	if (filemap_size(s->map) != s->size)
		model_fail(m, "slot %d: the size is %zu, must be %zu", number, filemap_size(s->map), s->size);
	if (!filemap_data(s->map) || (s->data && filemap_data(s->map) != s->data))
		model_fail(m, "slot %d: the window has moved", number);
	if ((filemap_data_mut(s->map) != NULL) != stores)
		model_fail(m, "slot %d: that it can store is %d, must be %d", number, !stores, stores);
	if (filemap_mode(s->map) != s->mode || filemap_offset(s->map) != s->offset)
		model_fail(m, "slot %d: the mode or the offset is another one", number);
	if (filemap_state(s->map) != (FILEMAP_STATE_LIVE |
				      (s->frozen && s->mode != FILEMAP_READ ? FILEMAP_STATE_FROZEN : 0)) &&
	    s->mode != FILEMAP_READ)
		model_fail(m, "slot %d: the state is %x", number, filemap_state(s->map));
	if (filemap_is_exec(s->map) != (s->exec || s->mode == FILEMAP_EXEC))
		model_fail(m, "slot %d: that it can be executed is %d", number, filemap_is_exec(s->map));
	if (filemap_lock_state(s->map) != s->origin->lock)
		model_fail(m, "slot %d: the lock is %u, must be %u", number, filemap_lock_state(s->map),
			   s->origin->lock);
}

void model_compare_slot(struct model *m, struct model_slot *s)
{
	const unsigned char *data = filemap_data(s->map);
	const size_t length = model_visible(m, s);

	compare_state(m, s);
	for (size_t n, at = 0; at < length; at += n) {
		const unsigned char *must = page_piece(m, s, at, length - at, &n);
		compare_bytes(m, s, at, data + at, must, n);
	}
}

void model_compare(struct model *m)
{
	struct stat status;
	ssize_t n;

	assert_int_equal(fstat(m->fd, &status), 0);
	if ((uint64_t)status.st_size != m->size)
		model_fail(m, "the file has %" PRId64 " bytes, must have %" PRIu64, (int64_t)status.st_size,
			   m->size);
	n = pread(m->fd, m->scratch, (size_t)m->limit, 0);
	if (n < 0 || (uint64_t)n != m->size)
		model_fail(m, "reading the file gives %zd", n);
	compare_bytes(m, NULL, 0, m->scratch, m->file, (size_t)m->size);
	for (unsigned i = 0; i < MODEL_SLOTS; i++)
		if (m->slots[i].use != MODEL_FREE)
			model_compare_slot(m, &m->slots[i]);
}

/* ---- from the start to the end ---- */

static void make_file(struct model *m)
{
	m->fd = open(m->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (m->fd < 0)
		model_fail(m, "cannot make %s: %s", m->path, strerror(errno));
	m->size = m->limit / 2 + 1;
	model_bytes(m, m->file, (size_t)m->size);
	assert_int_equal(pwrite(m->fd, m->file, (size_t)m->size, 0), (ssize_t)m->size);
}

/* Not beyond a limit, and not where a tool in between does not know the call. */
static bool may_mlock(struct model *m)
{
	struct rlimit memory;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &memory), 0);
	if (memory.rlim_cur < 4 * MODEL_SLOTS * m->limit || mlock2(m->scratch, m->page, MLOCK_ONFAULT) < 0)
		return false;
	munlock(m->scratch, m->page);
	return true;
}

void model_start(struct model *m, const char *dir, uint64_t seed)
{
	struct statvfs system;

	memset(m, 0, sizeof *m);
	m->seed = m->random = seed;
	m->page = (size_t)sysconf(_SC_PAGESIZE);
	m->limit = MODEL_PAGES * m->page;
	m->file = calloc(MODEL_PAGES, m->page);
	m->scratch = malloc((size_t)m->limit);
	m->scratch_too = malloc((size_t)m->limit);
	assert_true(m->file && m->scratch && m->scratch_too);
	assert_true(snprintf(m->dir, sizeof m->dir, "%s", dir) < (int)sizeof m->dir);
	snprintf(m->path, sizeof m->path, "%s/file", dir);
	snprintf(m->copy_path, sizeof m->copy_path, "%s/copy", dir);
	assert_int_equal(statvfs(dir, &system), 0);
	m->noexec = (system.f_flag & ST_NOEXEC) != 0;
	m->may_mlock = may_mlock(m);
	make_file(m);
}

void model_stop(struct model *m)
{
	model_close_all(m);
	model_compare(m);
	close(m->fd);
	free(m->file);
	free(m->scratch);
	free(m->scratch_too);
}
