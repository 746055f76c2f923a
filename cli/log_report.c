/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A log's report as text and as JSON. */
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>

const char *cli_log_state(uint32_t state)
{
	switch (state) {
	case FILEMAP_LOG_CLEAN:
		return "clean";
	case FILEMAP_LOG_TORN:
		return "torn";
	default:
		return "corrupt";
	}
}

static void uuid_text(const uint8_t uuid[16], char text[37])
{
	char *to = text;
	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		to += snprintf(to, 3, "%02x", uuid[i]);
	}
}

void cli_log_report(const char *dir, const struct filemap_log_report *report)
{
	char uuid[37];

	uuid_text(report->uuid, uuid);
	cli_put_text(stdout, dir);
	printf(": %s\n", cli_log_state(report->state));
	printf("  records    %" PRIu64 " (%" PRIu64 " bytes) from position %" PRIu64 " on\n", report->records,
	       report->bytes, report->scanned_from);
	printf("  positions  %" PRIu64 " to %" PRIu64 ", durable at least to %" PRIu64 "\n", report->first,
	       report->end, report->durable);
	if (report->state == FILEMAP_LOG_CORRUPT)
		printf("  damage     at %" PRIu64 "; %" PRIu64 " proves that it was durable\n",
		       report->damaged_at, report->evidence_at);
	printf("  segments   %" PRIu64 " of %" PRIu64 " bytes, frame unit %" PRIu32 "\n", report->segments,
	       report->segment_size, report->frame_unit);
	printf("  identity   %s, epoch %" PRIu32 "\n", uuid, report->epoch);
}

void cli_log_report_json(const char *dir, const struct filemap_log_report *report)
{
	char uuid[37];

	uuid_text(report->uuid, uuid);
	fputs("{\"dir\":", stdout);
	cli_json_string(dir);
	printf(",\"state\":\"%s\",\"records\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"scanned_from\":%" PRIu64
	       ",\"first\":%" PRIu64 ",\"end\":%" PRIu64 ",\"durable\":%" PRIu64,
	       cli_log_state(report->state), report->records, report->bytes, report->scanned_from,
	       report->first, report->end, report->durable);
	if (report->state == FILEMAP_LOG_CORRUPT)
		printf(",\"damaged_at\":%" PRIu64 ",\"evidence_at\":%" PRIu64, report->damaged_at,
		       report->evidence_at);
	printf(",\"segments\":%" PRIu64 ",\"segment_size\":%" PRIu64 ",\"frame_unit\":%" PRIu32
	       ",\"epoch\":%" PRIu32 ",\"uuid\":\"%s\"}\n",
	       report->segments, report->segment_size, report->frame_unit, report->epoch, uuid);
}
