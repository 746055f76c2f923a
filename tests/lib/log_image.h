/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Logs built byte by byte with the encoders of the format, without a writer: segments of 1 MiB, unit 32, frames
 * without slack (every byte of the data area below `tail` is covered by a checksum).
 */
#ifndef T_LOG_IMAGE_H
#define T_LOG_IMAGE_H

#include "base/util.h"
#include "log/dir.h"
#include "log/format.h"
#include "log/meta.h"
#include "sys/sys.h"
#include "t.h"

#define IMAGE_SEGMENT (UINT64_C(1) << 20)
#define IMAGE_RECORDS 8192

struct image_record {
	uint64_t lsn, size;
	uint32_t length, type;
};

struct image {
	struct fm__log_dir dir;
	struct fm__log_meta meta; /* as on disk after image_meta() */
	uint64_t tail;
	uint32_t epoch;
	uint32_t count;
	struct image_record records[IMAGE_RECORDS];
};

static inline const struct fm__log_geometry *image_geometry(const struct image *image)
{
	return &image->meta.geometry;
}

/* Payload bytes are never zero and differ from record to record. */
static inline void image_payload(uint64_t lsn, uint8_t *to, size_t length)
{
	uint32_t x = (uint32_t)(lsn / 32) * 2654435761u + 1;

	for (size_t i = 0; i < length; i++) {
		x = x * 1664525u + 1013904223u;
		to[i] = (uint8_t)(x >> 24) | 1;
	}
}

static inline int image_fd(const struct image *image, uint64_t n)
{
	struct fm__log_header header;
	int fd;

	assert_ok(fm__log_segment_open(&image->dir, image_geometry(image), n, FM_LOG_RW, &fd, &header, NULL));
	return fd;
}

static inline void image_write(const struct image *image, uint64_t lsn, const void *bytes, size_t length)
{
	int fd = image_fd(image, lsn / IMAGE_SEGMENT);

	assert_ok(fm__sys_pwrite(fd, bytes, length, lsn % IMAGE_SEGMENT));
	fm__sys_close(fd);
}

static inline void image_read(const struct image *image, uint64_t lsn, void *bytes, size_t length)
{
	char name[FM_LOG_NAME_SIZE];
	int fd;

	fm__log_segment_name(lsn / IMAGE_SEGMENT, "seg", name);
	fd = fm__sys_openat(image->dir.fd, name, O_RDONLY, 0);
	assert_true(fd >= 0);
	assert_int_equal(fm__sys_pread(fd, bytes, length, lsn % IMAGE_SEGMENT), length);
	fm__sys_close(fd);
}

/* Write image->meta to both slots. */
static inline void image_meta(struct image *image)
{
	assert_ok(fm__log_meta_structural(image->dir.meta_fd, &image->meta));
}

static inline struct image *image_new(const struct t_dir *dir)
{
	static struct image image;
	struct fm__log_geometry g = {.segment_size = IMAGE_SEGMENT, .unit = 32};

	memset(&image, 0, sizeof image);
	memcpy(g.uuid, "0123456789abcdef", 16);
	assert_ok(fm__log_dir_create(t_path(dir, "log"), &g, 0600, &image.dir, NULL));
	assert_ok(fm__log_meta_read(image.dir.meta_fd, &image.meta));
	image.tail = FM_LOG_FIRST;
	image.epoch = image.meta.epoch + 1;
	image.meta.epoch = image.epoch;
	image.meta.state = FM_LOG_META_OPEN;
	image.meta.end = 0;
	image_meta(&image);
	return &image;
}

static inline void image_close(struct image *image)
{
	fm__log_dir_close(&image->dir);
}

static inline void image_add_segment(struct image *image)
{
	int fd;

	assert_ok(fm__log_segment_prepare(&image->dir, image_geometry(image), image->meta.last + 1,
					  image->epoch, &fd, NULL));
	fm__sys_close(fd);
	image->meta.last++;
	image_meta(image);
}

/* Encode a frame of `size` bytes at lsn into bytes (size of them). promise 0 = none. */
static inline void image_encode(const struct image *image, uint64_t lsn, uint64_t size, uint32_t type,
				uint64_t promise, uint8_t *bytes)
{
	struct fm__log_frame frame = {
		.lsn = lsn,
		.size = size,
		.length = type == FM_LOG_PAD ? 0 : (uint32_t)(size - FM_LOG_FRAME_HEADER),
		.type = (uint16_t)type,
		.flags = type == FM_LOG_PAD ? FM_LOG_PAD_FILL : 0,
		.epoch = image->epoch,
		.back = promise ? fm__log_back(image_geometry(image), lsn, promise) : FM_LOG_NO_PROMISE,
		.time = 1,
	};
	struct filemap_bytes part = {bytes + FM_LOG_FRAME_HEADER, frame.length};

	image_payload(lsn, bytes + FM_LOG_FRAME_HEADER, frame.length);
	fm__log_frame_encode(image_geometry(image), &frame, &part, 1, bytes);
}

/* Append a frame of `size` bytes (a multiple of 32; a PAD writes its header only); at the end of a segment the
 * next one must be there. Returns its position. */
static inline uint64_t image_append(struct image *image, uint64_t size, uint32_t type, uint64_t promise)
{
	static uint8_t bytes[IMAGE_SEGMENT];
	uint64_t lsn = image->tail;

	assert_true(lsn + size <= fm__log_end(image_geometry(image), lsn / IMAGE_SEGMENT));
	assert_true(image->count < IMAGE_RECORDS);
	image_encode(image, lsn, size, type, promise, bytes);
	image_write(image, lsn, bytes, type == FM_LOG_PAD ? FM_LOG_FRAME_HEADER : (size_t)size);
	image->records[image->count++] = (struct image_record){
		lsn, size, type == FM_LOG_PAD ? 0 : (uint32_t)(size - FM_LOG_FRAME_HEADER), type};
	image->tail = fm__log_canonical(image_geometry(image), lsn + size);
	return lsn;
}

/* Frames of several sizes up to the end of the segment; `promising`: each promises its own position. */
static inline void image_fill_segment(struct image *image, unsigned promising)
{
	uint64_t n = image->tail / IMAGE_SEGMENT, end = fm__log_end(image_geometry(image), n);
	uint64_t i, size;

	for (i = 0; image->tail / IMAGE_SEGMENT == n; i++) {
		size = FM_MIN(end - image->tail, 256 + 32 * (i % 90));
		image_append(image, size, FM_LOG_DATA, promising ? image->tail : 0);
	}
}

static inline void image_seal(struct image *image, uint64_t n)
{
	static uint8_t bytes[IMAGE_SEGMENT];
	struct fm__log_trailer trailer;
	uint8_t block[FM_LOG_BLOCK];

	image_read(image, n * IMAGE_SEGMENT, bytes, sizeof bytes);
	assert_ok(fm__log_trailer_build(image_geometry(image), n, bytes, &trailer));
	trailer.epoch = image->epoch;
	fm__log_trailer_encode(&trailer, block);
	image_write(image, fm__log_end(image_geometry(image), n), block, sizeof block);
}

/* Every DATA record below `end` is where it was put, byte for byte; returns how many lie in [from, end). */
static inline uint64_t image_check_records(const struct image *image, uint64_t from, uint64_t end)
{
	static uint8_t want[IMAGE_SEGMENT], is[IMAGE_SEGMENT];
	uint64_t count = 0;

	for (uint32_t i = 0; i < image->count; i++) {
		const struct image_record *record = &image->records[i];

		if (record->lsn < from || record->lsn >= end || record->type != FM_LOG_DATA)
			continue;
		image_payload(record->lsn, want, record->length);
		image_read(image, record->lsn + FM_LOG_FRAME_HEADER, is, record->length);
		assert_memory_equal(want, is, record->length);
		count++;
	}
	return count;
}

#endif
