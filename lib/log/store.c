/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Stores into mapped segments. Owns nothing. Invariant: a commit word becomes visible in one piece and
 * after everything that its writer stored before it (release), so that whoever loads it with
 * fm__log_load_commit() (acquire) sees the whole frame.
 */
#include "log/store.h"

#include <string.h>

#include "base/bytes.h"

void fm__log_store(void *to, const void *from, size_t length)
{
	if (length > 0)
		memcpy(to, from, length);
}

void fm__log_store_commit(void *to, uint64_t word)
{
	__atomic_store_n((uint64_t *)to, FM_LE64(word), __ATOMIC_RELEASE);
}

uint64_t fm__log_load_commit(const void *from)
{
	uint64_t word = __atomic_load_n((const uint64_t *)from, __ATOMIC_ACQUIRE);
	return FM_LE64(word);
}
