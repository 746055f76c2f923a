/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The heap: the only callers of malloc and free. All memory starts as zeros. */
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

void *fm__zalloc(size_t size)
{
	return calloc(1, size ? size : 1);
}

char *fm__strdup(const char *text)
{
	return strdup(text);
}

void fm__free(void *memory)
{
	free(memory);
}
