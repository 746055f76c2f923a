/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * options: turns a sized struct of any version into a plan, or refuses it by the field's name.
 *
 * Invariant: nothing here asks the kernel anything, so a refused request has changed nothing.
 */
#include "map/options.h"

#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/options.h"

#define FLAGS_CREATE (FILEMAP_CREATE | FILEMAP_CREATE_NEW)
#define FLAGS_WRITE_ONLY (FLAGS_CREATE | FILEMAP_TRUNCATE | FILEMAP_SPARSE | FILEMAP_NO_DURABLE_NAME)
#define FLAGS_KNOWN \
	(FLAGS_WRITE_ONLY | FILEMAP_EMPTY | FILEMAP_NOFOLLOW | FILEMAP_LOCK_IF_SUPPORTED | FILEMAP_DONTFORK)

static const char *const step = "check options";

void filemap_options_init(struct filemap_options *options, size_t size)
{
	if (!options || size < sizeof options->struct_size)
		return;
	memset(options, 0, size);
	options->struct_size = (uint32_t)size;
}

static int check_flags(unsigned mode, uint32_t flags, struct filemap_error *reterr)
{
	if (flags & ~FLAGS_KNOWN)
		return fm__options_refuse(reterr, "flags", "a bit that this version does not know is set");
	if (mode == FILEMAP_READ && (flags & FLAGS_WRITE_ONLY))
		return fm__options_refuse(
			reterr, "flags",
			"CREATE, CREATE_NEW, TRUNCATE, SPARSE and NO_DURABLE_NAME need FILEMAP_WRITE");
	if ((flags & FLAGS_CREATE) == FLAGS_CREATE)
		return fm__options_refuse(reterr, "flags", "choose one of CREATE and CREATE_NEW");
	if ((flags & FILEMAP_CREATE_NEW) && (flags & FILEMAP_TRUNCATE))
		return fm__options_refuse(reterr, "flags", "a file made by CREATE_NEW is empty already");
	if ((flags & FILEMAP_NO_DURABLE_NAME) && !(flags & FLAGS_CREATE))
		return fm__options_refuse(reterr, "flags", "NO_DURABLE_NAME needs CREATE or CREATE_NEW");
	return 0;
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

static int check_creation(unsigned mode, const struct filemap_options *o, struct filemap_error *reterr)
{
	if (mode == FILEMAP_READ && o->size != 0)
		return fm__options_refuse(reterr, "size", "only FILEMAP_WRITE gives a file a size");
	if (o->permissions & ~07777u)
		return fm__options_refuse(reterr, "permissions", "only the bits 07777 may be set");
	if (o->permissions != 0 && !(o->flags & FLAGS_CREATE))
		return fm__options_refuse(reterr, "permissions", "only CREATE and CREATE_NEW use them");
	return 0;
}

/* Fields of which this version knows the place but no value. */
static int check_unused(const struct filemap_options *o, struct filemap_error *reterr)
{
	const char *field = NULL;
	if (o->sharing != 0)
		field = "sharing";
	else if (o->advice != 0)
		field = "advice";
	else if (o->reserved != 0)
		field = "reserved";
	else if (o->label)
		field = "label";
	else if (o->on_remove)
		field = "on_remove";
	else if (o->on_remove_context)
		field = "on_remove_context";
	return field ? fm__options_refuse(reterr, field, "this field must be zero") : 0;
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

static int check_arguments(const char *path, unsigned mode, struct filemap_error *reterr)
{
	if (!path || !*path)
		return fm__options_refuse(reterr, "path", "a name is needed");
	if (mode != FILEMAP_READ && mode != FILEMAP_WRITE)
		return fm__options_refuse(reterr, "mode", "a mode is one of FILEMAP_READ and FILEMAP_WRITE");
	return 0;
}

static int check_all(unsigned mode, const struct filemap_options *o, struct filemap_error *reterr)
{
	int r = check_flags(mode, o->flags, reterr);
	if (r < 0)
		return r;
	r = check_creation(mode, o, reterr);
	if (r < 0)
		return r;
	r = check_lock(o, reterr);
	if (r < 0)
		return r;
	r = check_unused(o, reterr);
	if (r < 0)
		return r;
	r = check_empty(o, reterr);
	if (r < 0)
		return r;
	return check_numbers(o, reterr);
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

int fm__plan_make(const char *path, unsigned mode, const struct filemap_options *options,
		  struct fm__plan *ret, struct filemap_error *reterr)
{
	struct filemap_options o;
	int r;

	r = check_arguments(path, mode, reterr);
	if (r < 0)
		return r;
	r = fm__options_read(&o, sizeof o, options, sizeof o, reterr);
	if (r < 0)
		return r;
	r = check_all(mode, &o, reterr);
	if (r < 0)
		return r;
	*ret = (struct fm__plan){
		.mode = mode,
		.flags = o.flags,
		.window = window_of(&o),
		.size = o.size,
		.reserve = o.reserve,
		.permissions = o.permissions ? o.permissions : 0666,
		.lock_family = o.lock_family ? o.lock_family : FILEMAP_LOCK_FLOCK,
		.lock_wait_ms = o.lock_wait_ms,
	};
	return 0;
}
