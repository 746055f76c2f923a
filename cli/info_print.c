/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The output of `filemap info`, as text and as JSON. What is not known is "unknown" there and null here. */
#include "info.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* ISO 8601, UTC. False if the moment is not known, or no calendar has it. */
static bool time_text(const struct filemap_time *when, char text[48])
{
	const time_t seconds = (time_t)when->seconds;
	char second[32];
	struct tm tm;

	if (when->seconds == 0 && when->nanoseconds == 0)
		return false;
	if (!gmtime_r(&seconds, &tm) || strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return false;
	snprintf(text, 48, "%s.%09" PRIu32 "Z", second, when->nanoseconds);
	return true;
}

static void print_time(const char *name, const struct filemap_time *when)
{
	char text[48];
	printf("  %-11s %s\n", name, time_text(when, text) ? text : "unknown");
}

static void print_pages(const char *name, uint64_t pages)
{
	if (pages == FILEMAP_UNKNOWN)
		printf(", %s unknown", name);
	else
		printf(", %" PRIu64 " %s", pages, name);
}

static void print_residency(const struct cli_info *info)
{
	const struct filemap_residency *r = &info->residency;

	if (info->residency_result < 0) {
		printf("  %-11s unknown: %s\n", "residency", filemap_strerror(info->residency_result));
		return;
	}
	printf("  %-11s %" PRIu64 " of %" PRIu64 " pages in memory", "residency", r->resident, r->pages);
	print_pages("dirty", r->dirty);
	print_pages("being written", r->writeback);
	putchar('\n');
}

static void print_holders(const struct cli_holders *holders)
{
	for (size_t i = 0; i < holders->count; i++) {
		const struct cli_holder *holder = &holders->holder[i];
		char text[80];

		cli_holders_text(&(struct cli_holders){1, {*holder}}, text, sizeof text);
		printf("  %-11s %s: %s, %s\n", "held by", text, holder->kind,
		       holder->exclusive ? "exclusive" : "shared");
	}
}

void cli_info_text(const struct cli_info *info)
{
	const struct filemap_stat *st = &info->stat;

	cli_put_text(stdout, info->path);
	putchar('\n');
	printf("  size        %" PRIu64 " bytes\n", st->size);
	printf("  allocated   %" PRIu64 " bytes\n", st->blocks * 512);
	printf("  mapping     %s, lock: %s\n", info->mode, info->lock);
	printf("  identity    %s\n", info->identity);
	printf("  device      %" PRIu64 ", inode %" PRIu64 "\n", st->device, st->inode);
	printf("  links       %" PRIu64 "\n", st->links);
	printf("  permissions %04o, owner %" PRIu32 ", group %" PRIu32 "\n", st->mode & 07777u, st->owner,
	       st->group);
	print_time("accessed", &st->accessed);
	print_time("modified", &st->modified);
	print_time("changed", &st->changed);
	print_time("created", &st->created);
	printf("  reservable  %s\n", info->reservable ? "yes" : "no");
	print_residency(info);
	print_holders(&info->holders);
}

static void json_time(const char *name, const struct filemap_time *when)
{
	char text[48];

	if (time_text(when, text))
		printf(",\"%s\":\"%s\"", name, text);
	else
		printf(",\"%s\":null", name);
}

static void json_residency(const struct cli_info *info)
{
	fputs(",\"residency\":", stdout);
	if (info->residency_result < 0)
		fputs("null", stdout);
	else
		cli_json_residency(&info->residency);
}

static void json_holder(const struct cli_holder *holder)
{
	if (holder->pid < 0)
		fputs("{\"pid\":null", stdout);
	else
		printf("{\"pid\":%d", (int)holder->pid);
	fputs(",\"command\":", stdout);
	if (holder->command[0] == '\0')
		fputs("null", stdout);
	else
		cli_json_string(holder->command);
	printf(",\"kind\":\"%s\",\"exclusive\":%s}", holder->kind, holder->exclusive ? "true" : "false");
}

static void json_holders(const struct cli_holders *holders)
{
	fputs(",\"holders\":[", stdout);
	for (size_t i = 0; i < holders->count; i++) {
		if (i != 0)
			putchar(',');
		json_holder(&holders->holder[i]);
	}
	putchar(']');
}

void cli_info_json(const struct cli_info *info)
{
	const struct filemap_stat *st = &info->stat;

	fputs("{\"path\":", stdout);
	cli_json_string(info->path);
	printf(",\"size\":%" PRIu64 ",\"allocated\":%" PRIu64
	       ",\"mode\":\"%s\",\"lock\":\"%s\",\"identity\":\"%s\"",
	       st->size, st->blocks * 512, info->mode, info->lock, info->identity);
	printf(",\"device\":%" PRIu64 ",\"inode\":%" PRIu64 ",\"links\":%" PRIu64 ",\"permissions\":\"%04o\"",
	       st->device, st->inode, st->links, st->mode & 07777u);
	printf(",\"owner\":%" PRIu32 ",\"group\":%" PRIu32, st->owner, st->group);
	json_time("accessed", &st->accessed);
	json_time("modified", &st->modified);
	json_time("changed", &st->changed);
	json_time("created", &st->created);
	printf(",\"reservable\":%s", info->reservable ? "true" : "false");
	json_residency(info);
	json_holders(&info->holders);
	puts("}");
}
