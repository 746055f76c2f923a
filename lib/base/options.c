/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Options structs of any version: the caller's may be older (shorter) or newer (longer) than ours.
 *
 * Invariant: nothing of the caller's struct beyond its own struct_size is read, and nothing that it
 * sets is silently ignored.
 */
#include "base/options.h"

#include <string.h>

#include "base/error.h"
#include "base/util.h"

/* No options struct ever gets near this: a size beyond it was never initialised. */
#define SIZE_LIMIT 4096u

static int is_zero(const unsigned char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (bytes[i] != 0)
			return 0;
	return 1;
}

int fm__options_refuse(struct filemap_error *reterr, const char *field, const char *hint)
{
	int r = fm__fail(reterr, FILEMAP_EOPTION, "check options", field);
	fm__fail_hint(reterr, hint);
	return r;
}

static int refuse_newer(struct filemap_error *reterr)
{
	int r = fm__fail(reterr, FILEMAP_EVERSION, "check options", "struct_size");
	fm__fail_hint(reterr, "a field that this version does not know is set");
	return r;
}

int fm__options_read(void *to, size_t known_size, const void *from, size_t first_size,
		     struct filemap_error *reterr)
{
	uint32_t size = 0, known = (uint32_t)known_size;

	if (from) {
		memcpy(&size, from, sizeof size);
		if (size < first_size || size > SIZE_LIMIT)
			return fm__options_refuse(reterr, "struct_size",
						  "set struct_size to the size of the struct");
		if (size > known && !is_zero((const unsigned char *)from + known, size - known))
			return refuse_newer(reterr);
	}
	memset(to, 0, known_size);
	if (from)
		memcpy(to, from, FM_MIN(size, known));
	memcpy(to, &known, sizeof known);
	return 0;
}
