/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The only two ways in which the log stores into a mapped segment. Out of line, so that the crash
 * simulator sees each store: it steps in with -Wl,--wrap=fm__log_store and --wrap=fm__log_store_commit.
 */
#ifndef FM_LOG_STORE_H
#define FM_LOG_STORE_H

#include <stddef.h>
#include <stdint.h>

void fm__log_store(void *to, const void *from, size_t length);
void fm__log_store_commit(void *to, uint64_t word); /* little endian, one aligned 8-byte release store */
uint64_t fm__log_load_commit(const void *from);     /* acquire */

#endif
