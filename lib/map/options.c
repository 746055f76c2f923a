/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * options: turns a sized struct of any version into a plan, or refuses it by the field's name.
 *
 * Invariant: nothing here asks the kernel anything, so a refused request has changed nothing.
 */
#include "map/options.h"

#include <fcntl.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/options.h"
#include "map/flags.h"
#include "map/parent.h"
#include "map/private.h"

#define FLAGS_CREATE (FILEMAP_CREATE | FILEMAP_CREATE_NEW)

static const char *const step = "check options";

void filemap_options_init(struct filemap_options *options, size_t size)
{
	if (!options || size < sizeof options->struct_size)
		return;
	memset(options, 0, size);
	options->struct_size = (uint32_t)size;
}

static int check_lock(const struct filemap_options *o, struct filemap_error *reterr)
{
	if (o->lock_family > FILEMAP_LOCK_NONE)
		return fm__options_refuse(reterr, "lock_family", NULL);
	if (o->lock_family != FILEMAP_LOCK_NONE)
		return 0;
	if (o->lock_wait_ms != 0)
		return fm__options_refuse(reterr, "lock_wait_ms", "LOCK_NONE has nothing to wait for");
	if (o->flags & FILEMAP_LOCK_IF_SUPPORTED)
		return fm__options_refuse(reterr, "flags", "LOCK_IF_SUPPORTED contradicts LOCK_NONE");
	return 0;
}

static int check_sharing(const struct filemap_options *o, struct filemap_error *reterr)
{
	if (o->sharing > FILEMAP_SHARING_COOPERATE)
		return fm__options_refuse(reterr, "sharing", NULL);
	if (o->sharing == FILEMAP_SHARING_COOPERATE && o->lock_family == FILEMAP_LOCK_NONE)
		return fm__options_refuse(reterr, "sharing", "LOCK_NONE has nothing to share");
	return 0;
}

static int check_creation(unsigned mode, const struct filemap_options *o, struct filemap_error *reterr)
{
	if (mode != FILEMAP_WRITE && o->size != 0)
		return fm__options_refuse(reterr, "size", "only FILEMAP_WRITE gives a file a size");
	if (o->permissions & ~07777u)
		return fm__options_refuse(reterr, "permissions", "only the bits 07777 may be set");
	if (o->permissions != 0 && !(o->flags & FLAGS_CREATE))
		return fm__options_refuse(reterr, "permissions", "only CREATE and CREATE_NEW use them");
	return 0;
}

static int check_removal(const struct filemap_options *o, unsigned where, struct filemap_error *reterr)
{
	if (o->reserved != 0)
		return fm__options_refuse(reterr, "reserved", "this field must be zero");
	if (o->on_remove_context && !o->on_remove)
		return fm__options_refuse(reterr, "on_remove_context", "there is no on_remove to get it");
	if (o->on_remove && !(where & NAMED))
		return fm__options_refuse(reterr, "on_remove", "there is no name to be removed");
	if ((o->flags & FILEMAP_REMOVE_ON_CLOSE) && o->lock_family == FILEMAP_LOCK_OFD &&
	    !(where & NAMED_WRITE))
		return fm__options_refuse(
			reterr, "lock_family",
			"to remove needs the exclusive lock, which LOCK_OFD has for WRITE only");
	return 0;
}

static int refuse_range(struct filemap_error *reterr, const char *field, const struct filemap_options *o)
{
	int r = fm__fail(reterr, FILEMAP_ERANGE, step, field);
	fm__fail_range(reterr, o->offset, o->length);
	return r;
}

static int check_numbers(const struct filemap_options *o, struct filemap_error *reterr)
{
	uint64_t sum;
	if (o->offset > FM_FILE_MAX)
		return refuse_range(reterr, "offset", o);
	if (o->size > FM_FILE_MAX)
		return refuse_range(reterr, "size", o);
	if (!fm__add_u64(o->offset, o->reserve, &sum) || sum > FM_FILE_MAX)
		return refuse_range(reterr, "reserve", o);
	if (fm__window_is_to_end(o->length))
		return 0;
	if (!fm__add_u64(o->offset, o->length, &sum) || sum > FM_FILE_MAX)
		return refuse_range(reterr, "length", o);
	return 0;
}

static int check_empty(const struct filemap_options *o, struct filemap_error *reterr)
{
	if (!(o->flags & FILEMAP_EMPTY))
		return 0;
	if (o->length != 0)
		return fm__options_refuse(reterr, "length", "the flag EMPTY says it is zero");
	if (o->reserve != 0)
		return fm__options_refuse(reterr, "reserve", "an EMPTY window never grows");
	return 0;
}

int fm__mode_check(unsigned mode, struct filemap_error *reterr)
{
	switch (mode) {
	case FILEMAP_READ:
	case FILEMAP_EXEC:
	case FILEMAP_COW:
	case FILEMAP_WRITE:
		return 0;
	default:
		return fm__options_refuse(reterr, "mode", "a mode is one of READ, EXEC, COW and WRITE");
	}
}

static int check_file(unsigned mode, const struct filemap_options *o, struct filemap_error *reterr)
{
	int r;

	if (o->label)
		return fm__options_refuse(reterr, "label", "a file has a name");
	r = check_creation(mode, o, reterr);
	if (r < 0)
		return r;
	r = check_lock(o, reterr);
	if (r < 0)
		return r;
	r = check_sharing(o, reterr);
	if (r < 0)
		return r;
	r = check_empty(o, reterr);
	if (r < 0)
		return r;
	return check_numbers(o, reterr);
}

/* Fields that mean files and locks. */
static int check_no_file(const struct filemap_options *o, struct filemap_error *reterr)
{
	const char *field = NULL;
	if (o->offset != 0)
		field = "offset";
	else if (o->length != 0)
		field = "length";
	else if (o->size != 0)
		field = "size";
	else if (o->permissions != 0)
		field = "permissions";
	else if (o->lock_family != 0)
		field = "lock_family";
	else if (o->lock_wait_ms != 0)
		field = "lock_wait_ms";
	else if (o->sharing != 0)
		field = "sharing";
	return field ? fm__options_refuse(reterr, field, "it has no effect on memory") : 0;
}

static struct fm__window window_of(const struct filemap_options *o)
{
	struct fm__window window = {o->offset, o->length};
	if (o->flags & FILEMAP_EMPTY)
		window.length = 0;
	else if (fm__window_is_to_end(o->length))
		window.length = FM_WINDOW_FOLLOWS;
	return window;
}

/* WRITE excludes all others, unless they cooperate; TRUNCATE excludes even those. */
static unsigned lock_kind_of(unsigned mode, const struct filemap_options *o)
{
	if (o->flags & FILEMAP_TRUNCATE)
		return FILEMAP_EXCLUSIVE_LOCK;
	if (mode == FILEMAP_WRITE && o->sharing != FILEMAP_SHARING_COOPERATE)
		return FILEMAP_EXCLUSIVE_LOCK;
	return FILEMAP_SHARED_LOCK;
}

/* What cannot be removed in the end is refused in the beginning. */
static uint32_t implied(uint32_t flags)
{
	return flags & FILEMAP_REMOVE_ON_CLOSE ? FILEMAP_PIN_PARENT | FILEMAP_NOFOLLOW : 0;
}

static struct fm__plan plan_of(unsigned mode, const struct filemap_options *o)
{
	return (struct fm__plan){
		.kind = FM_KIND_FILE,
		.mode = mode,
		.flags = o->flags | implied(o->flags),
		.window = window_of(o),
		.size = o->size,
		.reserve = o->reserve,
		.permissions = o->permissions ? o->permissions : 0666,
		.lock_kind = lock_kind_of(mode, o),
		.lock_family = o->lock_family ? o->lock_family : FILEMAP_LOCK_FLOCK,
		.lock_wait_ms = o->lock_wait_ms,
		.sharing = o->sharing,
		.advice = o->advice,
		.label = o->label,
		.on_remove = o->on_remove,
		.on_remove_context = o->on_remove_context,
		.dirfd = AT_FDCWD,
	};
}

/* What all kinds have in common; `where` says which one it is. */
static int read_options(const struct filemap_options *options, unsigned where, struct filemap_options *o,
			struct filemap_error *reterr)
{
	int r;

	r = fm__options_read(o, sizeof *o, options, sizeof *o, reterr);
	if (r < 0)
		return r;
	if (where == MEMORY && (o->flags & FILEMAP_SHARED))
		where = MEMORY_FILE;
	r = fm__flags_check(o->flags, where, reterr);
	if (r < 0)
		return r;
	r = fm__advice_check(o->advice, reterr);
	if (r < 0)
		return r;
	return check_removal(o, where, reterr);
}

static int plan_file(unsigned mode, unsigned read, const struct filemap_options *options,
		     struct fm__plan *ret, struct filemap_error *reterr)
{
	unsigned where = mode == FILEMAP_WRITE ? read << 2 : mode == FILEMAP_COW ? read << 1 : read;
	struct filemap_options o;
	int r;

	r = fm__mode_check(mode, reterr);
	if (r < 0)
		return r;
	r = read_options(options, where, &o, reterr);
	if (r < 0)
		return r;
	r = check_file(mode, &o, reterr);
	if (r < 0)
		return r;
	*ret = plan_of(mode, &o);
	return 0;
}

int fm__plan_named(int dirfd, const char *path, unsigned mode, const struct filemap_options *options,
		   struct fm__plan *ret, struct filemap_error *reterr)
{
	int r;

	r = fm__parent_check(dirfd, path, reterr);
	if (r < 0)
		return r;
	r = plan_file(mode, NAMED_READ, options, ret, reterr);
	if (r < 0)
		return r;
	ret->dirfd = dirfd;
	return 0;
}

int fm__plan_fd(int fd, unsigned mode, const struct filemap_options *options, struct fm__plan *ret,
		struct filemap_error *reterr)
{
	if (fd < 0)
		return fm__options_refuse(reterr, "fd", "a descriptor cannot be negative");
	return plan_file(mode, FD_READ, options, ret, reterr);
}

int fm__plan_snapshot(const char *path, const struct filemap_options *options, struct fm__plan *ret,
		      struct filemap_error *reterr)
{
	int r;

	r = fm__parent_check(AT_FDCWD, path, reterr);
	if (r < 0)
		return r;
	r = plan_file(FILEMAP_READ, SNAPSHOT, options, ret, reterr);
	if (r < 0)
		return r;
	if (ret->reserve != 0)
		return fm__options_refuse(reterr, "reserve", "a snapshot never grows");
	return 0;
}

int fm__plan_anonymous(size_t length, const struct filemap_options *options, struct fm__plan *ret,
		       struct filemap_error *reterr)
{
	struct filemap_options o;
	int r;

	r = read_options(options, MEMORY, &o, reterr);
	if (r < 0)
		return r;
	r = check_no_file(&o, reterr);
	if (r < 0)
		return r;
	if (length > PTRDIFF_MAX || o.reserve > PTRDIFF_MAX)
		return fm__fail(reterr, FILEMAP_ERANGE, step, length > PTRDIFF_MAX ? "length" : "reserve");
	*ret = plan_of(FILEMAP_WRITE, &o);
	ret->kind = o.flags & FILEMAP_SHARED ? FM_KIND_FILE : FM_KIND_MEMORY;
	ret->flags |= FILEMAP_SPARSE; /* a memory file gets its pages when they are touched */
	ret->size = length;
	return 0;
}
