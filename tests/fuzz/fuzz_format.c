/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The decoders of everything that is read from a device, fed with arbitrary bytes: they may refuse, never
 * read out of bounds, and what a decoder accepts must encode to the same bytes again.
 */
#include <stdlib.h>
#include <string.h>

#include "log/format.h"
#include "log/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_equal(const uint8_t *a, const uint8_t *b, size_t length)
{
	if (memcmp(a, b, length) != 0)
		abort();
}

static void try_header(const uint8_t *block)
{
	struct fm__log_header header;
	uint8_t again[FM_LOG_BLOCK];

	if (fm__log_header_decode(block, &header) < 0)
		return;
	fm__log_header_encode(&header, again);
	require_equal(block, again, 72);
}

static void try_meta(const uint8_t *block)
{
	struct fm__log_meta meta;
	uint8_t again[FM_LOG_BLOCK];

	if (fm__log_meta_decode(block, &meta) < 0)
		return;
	fm__log_meta_encode(&meta, again);
	require_equal(block, again, 120);
}

static void try_frame(const uint8_t *data, size_t size)
{
	struct fm__log_geometry g = {.segment_size = FM_LOG_SEGMENT_MIN, .unit = 32};
	struct fm__log_frame frame;

	if (size < FM_LOG_FRAME_HEADER)
		return;
	if (!fm__log_frame_decode(&g, FM_LOG_FIRST, data, size, &frame))
		return;
	if (frame.size > size || frame.length > frame.size - FM_LOG_FRAME_HEADER)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t block[FM_LOG_BLOCK] = {0};
	struct fm__log_trailer trailer;

	try_frame(data, size);
	memcpy(block, data, size < sizeof block - 4 ? size : sizeof block - 4);
	/* A checksum that fits lets the fuzzer see what lies behind it. */
	fm__log_block_seal(block);
	try_header(block);
	try_meta(block);
	fm__log_trailer_decode(block, &trailer);
	return 0;
}
