/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Plays a scene once with the real library, then looks at each state that a crash can leave: as it was found,
 * after the real recovery, and again after each crash of that recovery.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "names_play.h"
#include "t.h"

struct names_counts names_counts;

struct look {
	const char *parent;
	struct names_terms terms;
	char ended[4];
	const struct names_run *run;
	const struct names_moment *moment;
	const struct names_run *recovery;
	const struct names_moment *recovery_moment;
};

/* ---- playing ---- */

const char *names_path(const struct names_play *play, const char *name)
{
	static char paths[4][700];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof paths[0], "%s/%s", play->dir, name);
	return path;
}

void names_put(struct names_play *play, const char *name, char letter)
{
	char bytes[NAMES_LENGTH];

	memset(bytes, letter, sizeof bytes);
	t_write_file(names_path(play, name), bytes, sizeof bytes);
}

static unsigned results_of(const struct names_scene *scene)
{
	unsigned count = 0;
	while (count < 3 && scene->results[count] != INT_MAX)
		count++;
	return count;
}

/* A scene that does not go as it was written would prove nothing. */
static void check_results(const struct names_scene *scene, const struct names_run *run, unsigned plans)
{
	unsigned count = 0;

	for (unsigned i = 0; i < run->event_count; i++) {
		const struct names_event *event = &run->events[i];
		if (event->kind != NAMES_RETURN)
			continue;
		if (count >= results_of(scene) || event->result != scene->results[count])
			fail_msg("%s: call %u returned %d (%s)", scene->title, count, event->result,
				 event->name);
		count++;
	}
	if (count != results_of(scene))
		fail_msg("%s: %u calls returned", scene->title, count);
	if (names_fired() != plans)
		fail_msg("%s: %u of %u planned things happened", scene->title, names_fired(), plans);
}

/* What was recorded, done again, must give the directory that is there: else a call went past the recorder. */
static void check_record(const struct names_scene *scene, const struct names_play *play, const char *parent)
{
	struct names_view real, again;
	struct names_state state;
	char path[400];

	snprintf(path, sizeof path, "%s/again", parent);
	if (!names_replay(&play->run, &state))
		fail_msg("%s: what was recorded cannot have happened", scene->title);
	names_materialise(&play->run, &state, path);
	names_look(play->dir, &real);
	names_look(path, &again);
	bool same = real.count == again.count;
	for (unsigned i = 0; same && i < real.count; i++)
		same = strcmp(real.list[i].path, again.list[i].path) == 0 &&
		       memcmp(&real.list[i].is, &again.list[i].is, sizeof real.list[i].is) == 0;
	if (!same)
		fail_msg("%s: not everything was recorded", scene->title);
}

static void play(const struct names_scene *scene, enum names_bug bug, struct names_play *play,
		 const char *parent)
{
	play->terms = scene->terms;
	if (play->terms.name == NULL)
		play->terms.name = "f";
	if (mkdir(play->dir, 0700) < 0)
		fail_msg("mkdir %s: %s", play->dir, strerror(errno));
	play->fd = open(play->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scene->prepare(play);
	names_recorder_reset();
	if (scene->plan != NULL)
		scene->plan(play);
	names_bug = bug;
	names_begin(&play->run, play->dir);
	scene->act(play);
	names_end(&play->run);
	if (names_bug == NAMES_NO_BUG)
		check_record(scene, play, parent);
	names_bug = NAMES_NO_BUG;
	filemap_close(play->map);
	close(play->fd);
	names_clear(play->dir);
}

/* ---- looking ---- */

static void note_ended(const struct names_run *run, const struct names_state *state, char ended[4])
{
	unsigned count = 0;

	memset(ended, 0, 4);
	for (unsigned i = 0; i < run->node_count && count < 4; i++)
		if (!run->nodes[i].is_dir && state->files[i].ended_by_other)
			ended[count++] = names_letter(&run->versions[run->nodes[i].seen]);
}

static int recover(const char *path)
{
	struct filemap_error error;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = filemap_recover_quarantine(fd, &error);

	names_counts.recoveries++;
	close(fd);
	return r;
}

/* As it is found, and after recovery, which is recorded if there is something to record it in. */
static void look_twice(const struct look *look, const char *path, struct names_run *record)
{
	struct names_view found, after;
	struct names_sighting s = {.terms = &look->terms,
				   .run = look->run,
				   .moment = look->moment,
				   .recovery = look->recovery,
				   .recovery_moment = look->recovery_moment,
				   .view = &found};

	memcpy(s.ended, look->ended, sizeof s.ended);
	names_look(path, &found);
	names_check(&s);
	if (record != NULL)
		names_begin(record, path);
	s.recovered = recover(path);
	if (record != NULL)
		names_end(record);
	names_look(path, &after);
	s.before = &found;
	s.view = &after;
	names_check(&s);
}

static void visit_recovery(const struct names_run *run, const struct names_state *state,
			   const struct names_moment *moment, void *context)
{
	struct look look = *(const struct look *)context;
	char path[400];

	if (moment->events == 0)
		return;
	look.recovery = run;
	look.recovery_moment = moment;
	snprintf(path, sizeof path, "%s/again", look.parent);
	names_counts.states++;
	names_materialise(run, state, path);
	look_twice(&look, path, NULL);
}

static void visit(const struct names_run *run, const struct names_state *state,
		  const struct names_moment *moment, void *context)
{
	struct look *look = context;
	struct names_run recovery;
	char path[400];

	snprintf(path, sizeof path, "%s/crashed", look->parent);
	names_counts.states++;
	names_counts.ordered += moment->in_order;
	look->run = run;
	look->moment = moment;
	note_ended(run, state, look->ended);
	names_materialise(run, state, path);
	look_twice(look, path, &recovery);
	names_counts.combinations += names_explore(&recovery, visit_recovery, look);
}

void names_run_scene(const struct names_scene *scene, enum names_bug bug, const char *parent)
{
	struct names_play one = {.fd = -1};
	struct look look = {.parent = parent};
	char crashed[400], again[400];

	names_title = scene->title;
	names_counts.scenes++;
	snprintf(one.dir, sizeof one.dir, "%s/play", parent);
	snprintf(crashed, sizeof crashed, "%s/crashed", parent);
	snprintf(again, sizeof again, "%s/again", parent);
	play(scene, bug != NAMES_NO_BUG ? bug : scene->bug, &one, parent);
	check_results(scene, &one.run, names_planned());
	look.terms = one.terms;
	names_without_sync = true;
	names_counts.combinations += names_explore(&one.run, visit, &look);
	names_without_sync = false;
	names_recorder_reset();
	names_clear(crashed);
	names_clear(again);
}
