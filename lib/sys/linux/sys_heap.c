/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The heap: the only callers of malloc and free. All memory starts as zeros. */
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

#define SMALL 1024u /* what glibc keeps ready for a thread, which calloc(3) does not look at */

static void *zero(void *memory, size_t size)
{
	__asm__("" : "+r"(memory)); /* or the compiler makes calloc of it again */
	return memset(memory, 0, size);
}

void *fm__zalloc(size_t size)
{
	if (size == 0 || size > SMALL)
		return calloc(1, size ? size : 1);
	void *memory = malloc(size);
	return memory ? zero(memory, size) : NULL;
}

char *fm__strdup(const char *text)
{
	return strdup(text);
}

void fm__free(void *memory)
{
	free(memory);
}
