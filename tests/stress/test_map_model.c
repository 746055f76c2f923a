/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Random operations on one file against a model of it, in the manner of fsx.
 *
 *   test_map_model [SEED [STEPS [DIR]]], or in the environment FILEMAP_MODEL_SEED, _STEPS and _DIR
 *
 * A difference ends the test with the last operations and the seed, with which it happens again. Without a seed
 * there are two runs: of a fixed one, and of one taken from the clock.
 */
#include "model.h"

#include <inttypes.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STEPS 20000u
#else
#define STEPS 100000u
#endif
#define STEPS_UNDER_VALGRIND 1000u
#define FIXED_SEED 20240607u

static struct model model; /* also of the signal handler */

static const struct {
	void (*run)(struct model *);
	unsigned weight;
} operations[] = {
	{model_op_read_some, 200},
	{model_op_read_exact, 200},
	{model_op_slice, 200},
	{model_op_write_some, 240},
	{model_op_write_all, 240},
	{model_op_slice_mut, 160},
	{model_op_store, 320},
	{model_op_store_tail, 200},
	{model_op_zero, 120},
	{model_op_number, 120},
	{model_op_cursor, 120},
	{model_op_foreign_read, 120},
	{model_op_foreign_write, 160},
	{model_op_foreign_resize, 24},
	{model_op_compare, 80},
	{model_op_flush, 2},
	{model_op_sync, 1},
	{model_op_writeback, 8},
	{model_op_commit, 2},
	{model_op_allocate, 30},
	{model_op_discard, 80},
	{model_op_prefault, 60},
	{model_op_advise, 40},
	{model_op_mlock, 20},
	{model_op_residency, 40},
	{model_op_copy_to, 1},
	{model_op_open, 150},
	{model_op_window, 160},
	{model_op_close, 120},
	{model_op_close_truncated, 1},
	{model_op_reopen, 24},
	{model_op_pin, 60},
	{model_op_unpin, 80},
	{model_op_resize, 220},
	{model_op_refresh, 160},
	{model_op_freeze, 40},
	{model_op_freeze_exec, 20},
	{model_op_thaw, 100},
	{model_op_lock, 40},
};
#define OPERATIONS (sizeof operations / sizeof *operations)

static void run_one(struct model *m)
{
	uint64_t at = 0;
	size_t i = 0;

	for (size_t j = 0; j < OPERATIONS; j++)
		at += operations[j].weight;
	at = model_random(m, at);
	while (at >= operations[i].weight)
		at -= operations[i++].weight;
	m->log[m->step % MODEL_LOG][0] = '\0';
	operations[i].run(m);
}

/* A fault is a difference, too. The record is printed from the handler: the program ends there. */
static void die(int number)
{
	fprintf(stderr, "signal %d at step %" PRIu64 "\n", number, model.step);
	model_give_up(&model);
	signal(number, SIG_DFL);
	raise(number);
}

static void watch_faults(void (*handler)(int))
{
	signal(SIGBUS, handler);
	signal(SIGSEGV, handler);
}

static void run_model(const struct t_dir *dir, uint64_t seed, uint64_t steps)
{
	printf("seed %" PRIu64 ", %" PRIu64 " steps in %s\n", seed, steps, dir->path);
	model_start(&model, dir->path, seed);
	watch_faults(die);
	for (; model.step < steps; model.step++) {
		run_one(&model);
		if (model.step % 1000000 == 999999)
			printf("%" PRIu64 " steps\n", model.step + 1);
	}
	model_stop(&model);
	watch_faults(SIG_DFL);
}

/* ---- how often, and from where ---- */

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static uint64_t count_steps(void)
{
	const char *preloaded = getenv("LD_PRELOAD");
	const bool valgrind = preloaded && strstr(preloaded, "vgpreload");

	return from_environment("FILEMAP_MODEL_STEPS", valgrind ? STEPS_UNDER_VALGRIND : STEPS);
}

static void model_of_a_fixed_seed_agrees(void **state)
{
	run_model(*state, from_environment("FILEMAP_MODEL_SEED", FIXED_SEED), count_steps());
}

static void model_of_a_seed_of_the_clock_agrees(void **state)
{
	struct timespec now;

	if (getenv("FILEMAP_MODEL_SEED")) {
		t_skip("the seed was given");
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	run_model(*state, (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000, count_steps());
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"FILEMAP_MODEL_SEED", "FILEMAP_MODEL_STEPS", "FILEMAP_MODEL_DIR"};
	const struct CMUnitTest tests[] = {T_TEST(model_of_a_fixed_seed_agrees),
					   T_TEST(model_of_a_seed_of_the_clock_agrees)};

	for (int i = 1; i < argc && i <= 3; i++)
		setenv(names[i - 1], argv[i], 1);
	if (getenv("FILEMAP_MODEL_DIR"))
		setenv("FILEMAP_TEST_DIR", getenv("FILEMAP_MODEL_DIR"), 1);
	return t_run(__FILE__, tests, sizeof tests / sizeof *tests);
}
