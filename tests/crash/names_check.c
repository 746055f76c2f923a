/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The rules. Each is about one directory after one crash, before anybody recovered or afterwards. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "names_check.h"

#define HEX "0123456789abcdef"

unsigned names_violations;
char names_first_violation[4000];
const char *names_title = "";

/* ---- telling ---- */

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	const size_t at = strlen(names_first_violation);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(names_first_violation + at, sizeof names_first_violation - at, format, arguments);
	va_end(arguments);
}

static void say_view(const char *what, const struct names_view *view)
{
	say("\n  %s:", what);
	for (unsigned i = 0; view != NULL && i < view->count; i++)
		say(" %.100s=%c", view->list[i].path,
		    view->list[i].is_dir ? '/' : names_letter(&view->list[i].is));
}

static void say_events(const struct names_run *run, const struct names_moment *moment)
{
	char text[300];

	for (unsigned i = 0; i < moment->events; i++) {
		names_describe_event(&run->events[i], text, sizeof text);
		say("\n  %s %s", (moment->lost >> i & 1) != 0 ? "LOST" : "    ", text);
	}
}

static void violate(const struct names_sighting *s, const char *what, char letter)
{
	if (names_violations++ > 0)
		return;
	names_first_violation[0] = '\0';
	say("%s: %s (%c), %s, %s", names_title, what, letter,
	    s->moment->in_order ? "lost in order" : "lost in any order",
	    s->before == NULL ? "found so" : "after recovery");
	say_events(s->run, s->moment);
	if (s->recovery != NULL) {
		say("\n  recovery, %s:",
		    s->recovery_moment->in_order ? "lost in order" : "lost in any order");
		say_events(s->recovery, s->recovery_moment);
	}
	if (s->before != NULL)
		say_view("before recovery", s->before);
	say_view("found", s->view);
}

/* ---- looking ---- */

char names_letter(const struct names_version *version)
{
	for (size_t i = 1; i < version->length; i++)
		if (version->bytes[i] != version->bytes[0])
			return NAMES_NOBODY;
	return version->length == NAMES_LENGTH && strchr("ONFT", version->bytes[0]) != NULL
		       ? (char)version->bytes[0]
		       : NAMES_NOBODY;
}

static bool has_number(const char *at, const char *suffix)
{
	return at[0] == '.' && strspn(at + 1, HEX) == 16 && strcmp(at + 17, suffix) == 0;
}

/* Written anew from the header's text, not shared with the library. */
bool names_is_recoverable(const char *path, const char *name)
{
	const char *slash = strchr(path, '/');
	const size_t length = strlen(name);
	char directory[NAMES_NAME];

	if (slash == NULL)
		return path[0] == '.' && strncmp(path + 1, name, length) == 0 &&
		       has_number(path + 1 + length, ".del");
	snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path);
	const size_t end = strlen(directory);
	return strcmp(slash + 1, name) == 0 && directory[0] == '.' && end > 22 &&
	       has_number(directory + end - 22, ".deld");
}

static bool is_tmp(const char *path)
{
	const size_t length = strlen(path);
	return path[0] == '.' && length > 21 && has_number(path + length - 21, ".tmp");
}

struct places {
	unsigned named, hidden, origin, kept, tmp;
};

/* What the last error said. "" unless it is a hidden name: other details are the caller's path. */
static const char *kept_name(const struct names_sighting *s)
{
	const struct names_event *returns = s->moment->returns;
	if (returns == NULL || !names_is_recoverable(returns->name, s->terms->name))
		return "";
	return returns->name;
}

static struct places find_in(const struct names_sighting *s, const struct names_view *view, char letter)
{
	struct places places = {0};

	for (unsigned i = 0; i < view->count; i++) {
		const struct names_seen *seen = &view->list[i];
		if (seen->is_dir || names_letter(&seen->is) != letter)
			continue;
		places.named += strcmp(seen->path, s->terms->name) == 0;
		places.hidden += names_is_recoverable(seen->path, s->terms->name);
		places.origin += strcmp(seen->path, "foreign") == 0 || strcmp(seen->path, "third") == 0;
		places.kept += strcmp(seen->path, kept_name(s)) == 0;
		places.tmp += is_tmp(seen->path);
	}
	return places;
}

static struct places find(const struct names_sighting *s, char letter)
{
	return find_in(s, s->view, letter);
}

static char named(const struct names_sighting *s)
{
	for (unsigned i = 0; i < s->view->count; i++)
		if (strcmp(s->view->list[i].path, s->terms->name) == 0)
			return names_letter(&s->view->list[i].is);
	return '\0';
}

static bool has_ended(const struct names_sighting *s, char letter)
{
	return memchr(s->ended, letter, sizeof s->ended) != NULL;
}

static bool succeeded(const struct names_sighting *s)
{
	return s->moment->returns != NULL && s->moment->returns->result >= 0;
}

static bool returned(const struct names_sighting *s, int result)
{
	return s->moment->returns != NULL && s->moment->returns->result == result;
}

/* Not because of the last step, and nothing was tried since. */
static bool just_failed(const struct names_sighting *s)
{
	return s->moment->just_returned && s->moment->returns->result < 0 && !s->moment->returns->sync_failed;
}

/* ---- rules for all ---- */

static bool is_expected_path(const struct names_sighting *s, const struct names_seen *seen)
{
	char within[NAMES_NAME + 2 * NAMES_NAME];

	if (seen->is_dir) {
		snprintf(within, sizeof within, "%s/%s", seen->path, s->terms->name);
		return names_is_recoverable(within, s->terms->name);
	}
	if (strcmp(seen->path, s->terms->name) == 0 || names_is_recoverable(seen->path, s->terms->name))
		return true;
	if (is_tmp(seen->path))
		return s->terms->has_tmp;
	return strcmp(seen->path, "foreign") == 0 || strcmp(seen->path, "third") == 0 ||
	       strcmp(seen->path, "second") == 0;
}

static void check_paths(const struct names_sighting *s)
{
	for (unsigned i = 0; i < s->view->count; i++) {
		const struct names_seen *seen = &s->view->list[i];
		if (!is_expected_path(s, seen))
			violate(s, "a name that nobody has promised", names_letter(&seen->is));
		if (!seen->is_dir && names_letter(&seen->is) == NAMES_NOBODY && !is_tmp(seen->path))
			violate(s, "a file that is not complete", NAMES_NOBODY);
	}
}

static void check_kept(const struct names_sighting *s, char letter)
{
	const struct places places = find(s, letter);

	if (has_ended(s, letter))
		return;
	if (places.named + places.hidden + places.origin == 0)
		violate(s, "a file of somebody else's is lost", letter);
}

/* Nothing came or went, and what was hidden and could have its name has it. */
static void check_recovery(const struct names_sighting *s)
{
	unsigned hidden = 0;

	for (const char *letter = "ONFT"; *letter != '\0'; letter++) {
		struct places before = find_in(s, s->before, *letter), after = find(s, *letter);
		hidden += after.hidden;
		if ((before.named + before.hidden > 0) != (after.named + after.hidden > 0))
			violate(s, "recovery lost a file, or made one", *letter);
		if (before.named > after.named)
			violate(s, "recovery took a name away", *letter);
		if (after.hidden > 0 && named(s) == '\0')
			violate(s, "recovery left a file hidden whose name is free", *letter);
	}
	for (unsigned i = 0; i < s->view->count; i++)
		if (s->view->list[i].is_dir && hidden == 0)
			violate(s, "recovery left a directory", '/');
	if (s->recovered != -EEXIST && s->recovered < 0)
		violate(s, "recovery failed", '-');
	if ((s->recovered == -EEXIST) != (hidden > 0))
		violate(s, "recovery does not say what it left hidden", '-');
}

/* ---- rules of removing ---- */

static void check_replaced(const struct names_sighting *s)
{
	const struct places foreign = find(s, NAMES_FOREIGN), third = find(s, NAMES_THIRD);

	if (has_ended(s, NAMES_FOREIGN) || s->moment->returns->sync_failed)
		return;
	if (foreign.named + foreign.kept == 0)
		violate(s, "the foreign file is neither under the name nor where the error says",
			NAMES_FOREIGN);
	if (s->terms->has_third && third.named + third.kept == 0)
		violate(s, "the third file is neither under the name nor where the error says", NAMES_THIRD);
}

static void check_removal(const struct names_sighting *s)
{
	const struct places old = find(s, NAMES_OLD);

	if (succeeded(s) && old.named + old.hidden > 0)
		violate(s, "the file is back after success", NAMES_OLD);
	if (just_failed(s) && !s->terms->was_missing && !has_ended(s, NAMES_OLD) &&
	    old.named + old.hidden == 0)
		violate(s, "the file is gone after a failure", NAMES_OLD);
	if (returned(s, FILEMAP_EREPLACED))
		check_replaced(s);
}

/* ---- rules of publishing and replacing ---- */

static void check_publishing(const struct names_sighting *s)
{
	const char found = named(s);

	if (s->terms->is_taken && found != NAMES_OLD)
		violate(s, "the old file's name was taken from it", NAMES_OLD);
	if (s->terms->is_taken || s->terms->has_third)
		return;
	if (found != '\0' && found != NAMES_NEW)
		violate(s, "what is under the name is not the new file", found);
	if (succeeded(s) && found != NAMES_NEW)
		violate(s, "the new file is not there after success", NAMES_NEW);
	if (just_failed(s) && found != '\0')
		violate(s, "there is a new file after a failure", NAMES_NEW);
}

static void check_owner(const struct names_sighting *s)
{
	for (unsigned i = 0; i < s->view->count; i++) {
		const struct names_seen *seen = &s->view->list[i];
		if (strcmp(seen->path, s->terms->name) != 0 || names_letter(&seen->is) != NAMES_NEW)
			continue;
		if (seen->is.mode != s->terms->mode || seen->is.owner != s->terms->owner)
			violate(s, "mode or owner was not kept", NAMES_NEW);
	}
}

static bool may_be_named(const struct names_sighting *s, char found)
{
	switch (found) {
	case NAMES_OLD:
	case NAMES_NEW:
		return true;
	case NAMES_FOREIGN:
	case NAMES_THIRD:
		return s->terms->has_foreign;
	default:
		return s->terms->was_missing && found == '\0';
	}
}

static void check_replacing(const struct names_sighting *s)
{
	const struct places old = find(s, NAMES_OLD);
	const char found = named(s);

	if (!may_be_named(s, found))
		violate(s, "neither the old nor the new file is under the name", found == '\0' ? '-' : found);
	if (succeeded(s) && found != NAMES_NEW)
		violate(s, "the new file is not there after success", NAMES_NEW);
	if (succeeded(s) && old.named + old.hidden > 0)
		violate(s, "the old file is there after success", NAMES_OLD);
	if (just_failed(s) && found == NAMES_NEW && old.kept == 0)
		violate(s, "the new file is there after a failure", NAMES_NEW);
	if (s->terms->mode != 0)
		check_owner(s);
	if (returned(s, FILEMAP_EREPLACED))
		check_replaced(s);
}

static void check_recovering(const struct names_sighting *s)
{
	const struct places old = find(s, NAMES_OLD);

	if (old.named + old.hidden == 0)
		violate(s, "the hidden file is lost", NAMES_OLD);
	if (succeeded(s) && old.named == 0)
		violate(s, "the file has not its name after success", NAMES_OLD);
}

void names_check(const struct names_sighting *s)
{
	static void (*const checks[])(const struct names_sighting *) = {
		[NAMES_REMOVES] = check_removal,
		[NAMES_PUBLISHES] = check_publishing,
		[NAMES_REPLACES] = check_replacing,
		[NAMES_RECOVERS] = check_recovering,
	};

	check_paths(s);
	if (s->terms->has_foreign)
		check_kept(s, NAMES_FOREIGN);
	if (s->terms->has_third)
		check_kept(s, NAMES_THIRD);
	if (s->before != NULL)
		check_recovery(s);
	checks[s->terms->promise](s);
}
