/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The control page: 4096 bytes of live state that the writer shares with readers in other processes.
 * Invariant: every field is one naturally aligned little-endian atomic; `state` is stored after the
 * fields that it vouches for. The page is never flushed and never evidence: it counts only together
 * with the writer's lock, the boot and the very inode that it names.
 */
#include "log/ctl.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "sys/sys.h"

#define CTL_NAME "ctl"
#define CTL_SIZE 4096u
#define CTL_MAGIC "FMLGCTL1"

enum ctl_field {
	CTL_FORMAT = 8,
	CTL_STATE = 12,
	CTL_UUID = 16,
	CTL_BOOT = 32,
	CTL_DEVICE = 48,
	CTL_INODE = 56,
	CTL_EPOCH = 64,
	CTL_DISCARD_SEQ = 68,
	CTL_DISCARD_FROM = 72,
	CTL_DISCARD_TO = 80,
	CTL_FIRST = 88,
	CTL_LAST = 96,
	CTL_PUBLISHED = 128,
	CTL_PUBLISHED_WAKE = 136,
	CTL_DURABLE = 192,
	CTL_DURABLE_WAKE = 200,
};

struct fm__log_ctl {
	uint8_t *page;
	uint64_t device, inode; /* of the file that is mapped */
	uint8_t boot[16];       /* of this boot; zeros = the kernel did not tell */
};

static uint64_t load64(const struct fm__log_ctl *ctl, enum ctl_field field)
{
	uint64_t v = __atomic_load_n((const uint64_t *)(const void *)(ctl->page + field), __ATOMIC_ACQUIRE);
	return FM_LE64(v);
}

static uint32_t load32(const struct fm__log_ctl *ctl, enum ctl_field field)
{
	uint32_t v = __atomic_load_n((const uint32_t *)(const void *)(ctl->page + field), __ATOMIC_ACQUIRE);
	return FM_LE32(v);
}

static void store64(const struct fm__log_ctl *ctl, enum ctl_field field, uint64_t value)
{
	__atomic_store_n((uint64_t *)(void *)(ctl->page + field), FM_LE64(value), __ATOMIC_RELEASE);
}

static void store32(const struct fm__log_ctl *ctl, enum ctl_field field, uint32_t value)
{
	__atomic_store_n((uint32_t *)(void *)(ctl->page + field), FM_LE32(value), __ATOMIC_RELEASE);
}

static void store_bytes(const struct fm__log_ctl *ctl, enum ctl_field field, const uint8_t bytes[16])
{
	uint64_t half[2];

	memcpy(half, bytes, sizeof half);
	store64(ctl, field, FM_LE64(half[0]));
	store64(ctl, field + 8, FM_LE64(half[1]));
}

static bool same_bytes(const struct fm__log_ctl *ctl, enum ctl_field field, const uint8_t bytes[16])
{
	uint64_t half[2];

	memcpy(half, bytes, sizeof half);
	return load64(ctl, field) == FM_LE64(half[0]) && load64(ctl, field + 8) == FM_LE64(half[1]);
}

static bool is_zero(const uint8_t bytes[16])
{
	static const uint8_t zeros[16];
	return memcmp(bytes, zeros, sizeof zeros) == 0;
}

/* ---- opening ---- */

static int map_page(int fd, int prot, const struct stat *st, struct fm__log_ctl **ret)
{
	struct fm__log_ctl *ctl = fm__zalloc(sizeof *ctl);
	void *page;
	int r;

	if (!ctl)
		return -ENOMEM;
	r = fm__sys_map(NULL, CTL_SIZE, prot, MAP_SHARED, fd, 0, &page);
	if (r < 0) {
		fm__free(ctl);
		return r;
	}
	ctl->page = page;
	ctl->device = (uint64_t)st->st_dev;
	ctl->inode = (uint64_t)st->st_ino;
	if (fm__sys_boot_id(ctl->boot) < 0)
		memset(ctl->boot, 0, sizeof ctl->boot);
	*ret = ctl;
	return 0;
}

/* -EINVAL: what bears the name is no control page. */
static int open_existing(const struct fm__log_dir *dir, int flags, int prot, struct fm__log_ctl **ret)
{
	struct stat st;
	int fd, r;

	fd = fm__sys_openat(dir->fd, CTL_NAME, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd < 0)
		return fd == -ELOOP ? -EINVAL : fd;
	r = fm__sys_fstat(fd, &st);
	if (r == 0 && (!S_ISREG(st.st_mode) || st.st_size != CTL_SIZE))
		r = -EINVAL;
	if (r == 0)
		r = map_page(fd, prot, &st, ret);
	fm__sys_close(fd);
	return r;
}

/* Zeros by a write, not by a length: a full disk is then an error here and not a signal later. */
static int create_page(const struct fm__log_dir *dir)
{
	static const uint8_t zeros[CTL_SIZE];
	int fd, r;

	r = fm__sys_unlinkat(dir->fd, CTL_NAME, 0);
	if (r < 0 && r != -ENOENT)
		return r;
	fd = fm__sys_openat(dir->fd, CTL_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, dir->permissions);
	if (fd < 0)
		return fd;
	r = fm__sys_pwrite(fd, zeros, sizeof zeros, 0);
	fm__sys_close(fd);
	if (r < 0) {
		(void)fm__sys_unlinkat(dir->fd, CTL_NAME, 0);
		return r;
	}
	return 0;
}

int fm__log_ctl_take_over(const struct fm__log_dir *dir, struct fm__log_ctl **ret)
{
	int r = open_existing(dir, O_RDWR, PROT_READ | PROT_WRITE, ret);

	if (r < 0)
		return r;
	/* A forked child is no writer: it gets no page to write to. Best effort. */
	(void)fm__sys_madvise((*ret)->page, CTL_SIZE, MADV_DONTFORK);
	return 0;
}

int fm__log_ctl_open_writer(const struct fm__log_dir *dir, struct fm__log_ctl **ret,
			    struct filemap_error *reterr)
{
	int r = fm__log_ctl_take_over(dir, ret);

	if (r == -ENOENT || r == -EINVAL) {
		r = create_page(dir);
		if (r < 0)
			return fm__fail(reterr, r, "create file", "ctl");
		r = fm__log_ctl_take_over(dir, ret);
	}
	if (r < 0)
		return fm__fail(reterr, r, "map file", "ctl");
	return 0;
}

int fm__log_ctl_open_reader(const struct fm__log_dir *dir, struct fm__log_ctl **ret)
{
	int r = open_existing(dir, O_RDONLY, PROT_READ, ret);
	return r == -EINVAL ? -ENOENT : r;
}

void fm__log_ctl_close(struct fm__log_ctl *ctl)
{
	if (!ctl)
		return;
	(void)fm__sys_unmap(ctl->page, CTL_SIZE);
	fm__free(ctl);
}

void fm__log_ctl_forget(struct fm__log_ctl *ctl)
{
	fm__free(ctl);
}

/* ---- under a guard ---- */

struct access {
	const struct fm__log_ctl *ctl;
	const struct fm__log_geometry *g;
	const struct fm__log_ctl_view *view;
	struct fm__log_ctl_view *ret;
	enum ctl_field field, wake;
	uint64_t value;
};

void fm__log_ctl_place(const struct fm__log_ctl *ctl, struct fm__log_place *ret)
{
	ret->at = ctl->page;
	ret->length = CTL_SIZE;
}

static int guarded(int (*body)(void *context), const struct access *access)
{
	struct fm__log_places places = {{NULL, 0}, {NULL, 0}};
	struct access copy = *access;

	fm__log_ctl_place(access->ctl, &places.other);
	return fm__log_guarded(&places, body, &copy);
}

/* ---- reading ---- */

static int trusted(void *context)
{
	const struct access *access = context;
	const struct fm__log_ctl *ctl = access->ctl;
	uint64_t magic;

	memcpy(&magic, CTL_MAGIC, sizeof magic);
	return load64(ctl, 0) == FM_LE64(magic) && load32(ctl, CTL_FORMAT) == FM_LOG_FORMAT &&
	       same_bytes(ctl, CTL_UUID, access->g->uuid) && !is_zero(ctl->boot) &&
	       same_bytes(ctl, CTL_BOOT, ctl->boot) && load64(ctl, CTL_DEVICE) == ctl->device &&
	       load64(ctl, CTL_INODE) == ctl->inode;
}

bool fm__log_ctl_trusted(const struct fm__log_ctl *ctl, const struct fm__log_geometry *g)
{
	return guarded(trusted, &(struct access){.ctl = ctl, .g = g}) > 0;
}

static int load(void *context)
{
	const struct access *access = context;
	const struct fm__log_ctl *ctl = access->ctl;
	uint64_t durable = load64(ctl, CTL_DURABLE);

	/* `durable` before `published`: nobody ever sees more durable than published. */
	*access->ret = (struct fm__log_ctl_view){
		.state = load32(ctl, CTL_STATE),
		.epoch = load32(ctl, CTL_EPOCH),
		.first = load64(ctl, CTL_FIRST),
		.last = load64(ctl, CTL_LAST),
		.published = load64(ctl, CTL_PUBLISHED),
		.durable = durable,
	};
	return 0;
}

void fm__log_ctl_load(const struct fm__log_ctl *ctl, struct fm__log_ctl_view *ret)
{
	if (guarded(load, &(struct access){.ctl = ctl, .ret = ret}) < 0)
		*ret = (struct fm__log_ctl_view){.state = FM_LOG_CTL_RECOVERING};
}

/* ---- writing ---- */

static int start(void *context)
{
	const struct access *access = context;
	const struct fm__log_ctl_view *view = access->view;
	const struct fm__log_ctl *ctl = access->ctl;
	uint64_t magic;

	memcpy(&magic, CTL_MAGIC, sizeof magic);
	store32(ctl, CTL_STATE, FM_LOG_CTL_RECOVERING);
	store32(ctl, CTL_FORMAT, FM_LOG_FORMAT);
	store_bytes(ctl, CTL_UUID, access->g->uuid);
	store_bytes(ctl, CTL_BOOT, ctl->boot);
	store64(ctl, CTL_DEVICE, ctl->device);
	store64(ctl, CTL_INODE, ctl->inode);
	store32(ctl, CTL_EPOCH, view->epoch);
	store32(ctl, CTL_DISCARD_SEQ, 0);
	store64(ctl, CTL_DISCARD_FROM, 0);
	store64(ctl, CTL_DISCARD_TO, 0);
	store64(ctl, CTL_FIRST, view->first);
	store64(ctl, CTL_LAST, view->last);
	store64(ctl, CTL_PUBLISHED, view->published);
	store64(ctl, CTL_DURABLE, view->durable);
	store64(ctl, 0, FM_LE64(magic));
	store32(ctl, CTL_STATE, view->state);
	return 0;
}

int fm__log_ctl_start(struct fm__log_ctl *ctl, const struct fm__log_geometry *g,
		      const struct fm__log_ctl_view *view)
{
	return guarded(start, &(struct access){.ctl = ctl, .g = g, .view = view});
}

static int set_word(void *context)
{
	const struct access *access = context;

	store32(access->ctl, access->field, (uint32_t)access->value);
	return 0;
}

static int set_position(void *context)
{
	const struct access *access = context;

	store64(access->ctl, access->field, access->value);
	return 0;
}

int fm__log_ctl_set_state(struct fm__log_ctl *ctl, uint32_t state)
{
	return guarded(set_word, &(struct access){.ctl = ctl, .field = CTL_STATE, .value = state});
}

int fm__log_ctl_set_last(struct fm__log_ctl *ctl, uint64_t last)
{
	return guarded(set_position, &(struct access){.ctl = ctl, .field = CTL_LAST, .value = last});
}

void fm__log_ctl_store_published(struct fm__log_ctl *ctl, uint64_t published)
{
	store64(ctl, CTL_PUBLISHED, published);
}

/* The wake words count changes in the machine's own byte order: futexes compare, nobody reads them. */
static uint32_t *wake_word(const struct fm__log_ctl *ctl, enum ctl_field field)
{
	return (uint32_t *)(void *)(ctl->page + field);
}

static int count_change(void *context)
{
	const struct access *access = context;

	if (access->field != access->wake)
		store64(access->ctl, access->field, access->value);
	__atomic_add_fetch(wake_word(access->ctl, access->wake), 1, __ATOMIC_RELEASE);
	return 0;
}

static int change_and_wake(const struct access *access)
{
	int r = guarded(count_change, access);

	if (r == 0)
		(void)fm__sys_futex_wake(wake_word(access->ctl, access->wake));
	return r;
}

int fm__log_ctl_wake_published(struct fm__log_ctl *ctl)
{
	return change_and_wake(
		&(struct access){.ctl = ctl, .field = CTL_PUBLISHED_WAKE, .wake = CTL_PUBLISHED_WAKE});
}

int fm__log_ctl_durable(struct fm__log_ctl *ctl, uint64_t durable)
{
	return change_and_wake(&(struct access){
		.ctl = ctl, .field = CTL_DURABLE, .wake = CTL_DURABLE_WAKE, .value = durable});
}
