/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Random programs on queues over a kernel that answers late, out of order, with errors, undone, or not at all any
 * more: each ticket ends exactly once, with a result that the kernel's answers allow; nothing begins that must
 * not; nothing is left over.
 *
 * FILEMAP_RANDOM_SEED: only that one. FILEMAP_RANDOM_RUNS: how many per shape. A failure prints its seed; with one
 * thread it fails again with it, otherwise mostly.
 */
#include "t.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <filemap/queue.h>

#include "fake_ring.h"
#include "queue_model.h"
#include "sys/sys.h"

#define MAPS 4
#define STEPS 60
#define RUNS 100
#define FIRST_PAGES 16
#define SILENT_MS 10000

struct slot {
	struct filemap *map;
	int file;
	bool has_device;
	unsigned headers; /* stored or asked for: each has a place of its own */
	char name[32];
};

static struct world {
	const struct t_dir *dir;
	struct filemap_queue *queue;
	struct slot slots[MAPS];
	struct {
		struct filemap *map; /* NULL: closed meanwhile */
		uint64_t wanted;     /* size after a change of it */
		bool does_nothing;   /* a removal of what is removed */
	} of_ticket[MODEL_TICKETS];
	unsigned depth, names;
	int dir_file;
	int depth_of_callbacks;
	bool one_thread, on_ring;
} world;

static char seed_text[64];

/* ---- chance ---- */

static unsigned below(unsigned limit)
{
	return fake_random(limit);
}

static bool chance(unsigned once_in)
{
	return below(once_in) == 0;
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- maps ---- */

static void open_slot(struct slot *slot)
{
	const bool is_memory = chance(8);

	slot->has_device = !is_memory;
	slot->headers = 0;
	snprintf(slot->name, sizeof slot->name, "m%u", world.names++);
	fake_quiet(true);
	fake_next_is_memory(is_memory);
	assert_ok(filemap_open(t_path(world.dir, slot->name), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_NO_DURABLE_NAME,
					       .size = FIRST_PAGES * page_size(),
					       .reserve = chance(2) ? FAKE_PAGES * page_size() : 0),
			       &slot->map, NULL));
	fake_quiet(false);
	slot->file = fake_file_add(filemap_fd(slot->map), is_memory);
	fake_file_place(slot->file, filemap_data_mut(slot->map), filemap_size(slot->map));
	memset(filemap_data_mut(slot->map), 1, page_size());
}

static void forget_map(const struct filemap *map)
{
	for (uint64_t i = 1; i <= model_last(); i++)
		if (world.of_ticket[i].map == map)
			world.of_ticket[i].map = NULL;
}

static void close_slot(struct slot *slot)
{
	forget_map(slot->map);
	fake_quiet(true);
	filemap_close(slot->map);
	(void)unlinkat(world.dir->fd, slot->name, 0);
	fake_quiet(false);
}

static struct slot *any_slot(void)
{
	return &world.slots[below(MAPS)];
}

static bool is_tainted(const struct slot *slot)
{
	return (filemap_state(slot->map) & (FILEMAP_STATE_TAINTED | FILEMAP_STATE_POISONED)) != 0;
}

/* ---- tickets end ---- */

static void check_size(uint64_t number, int result)
{
	const struct filemap *map = world.of_ticket[number].map;

	if (model_ticket(number)->kind != MODEL_RESIZE || map == NULL || result != 0)
		return;
	if (filemap_size(map) != world.of_ticket[number].wanted)
		fake_violated("ticket %llu resized to %zu, not %llu", (unsigned long long)number,
			      filemap_size(map), (unsigned long long)world.of_ticket[number].wanted);
}

/* Growth may have moved the window. */
static void place_again(uint64_t number)
{
	for (int i = 0; i < MAPS; i++) {
		const struct slot *slot = &world.slots[i];

		if (slot->map != NULL && slot->map == world.of_ticket[number].map)
			fake_file_place(slot->file, filemap_data_mut(slot->map), filemap_size(slot->map));
	}
}

static void ended(uint64_t number, int result)
{
	model_ended(number, result);
	if (number == 0 || number > model_last())
		return;
	check_size(number, result);
	if (model_ticket(number)->kind == MODEL_RESIZE)
		place_again(number);
}

static void queue_something(void);
static void cancel_something(void);

static void check_error(uint64_t number, int result)
{
	struct filemap_error error = {0};
	const int r = filemap_queue_error(world.queue, number, &error);

	if (r != (result < 0))
		fake_violated("the error of ticket %llu, which ends with %d: %d", (unsigned long long)number,
			      result, r);
	else if (r == 1 && (error.code != result || error.step == NULL))
		fake_violated("the error of ticket %llu is %d, its result %d", (unsigned long long)number,
			      error.code, result);
}

static void completed(struct filemap_queue *queue, uint64_t number, int result, void *context)
{
	if (queue != world.queue || context != &world)
		fake_violated("a callback of something else");
	ended(number, result);
	if (number > 0 && number <= model_last() && !model_ticket(number)->has_callback)
		fake_violated("ticket %llu has no callback", (unsigned long long)number);
	check_error(number, result);
	if (world.depth_of_callbacks++ == 0 && chance(4))
		queue_something();
	if (chance(8))
		cancel_something();
	world.depth_of_callbacks--;
}

/* ---- requests ---- */

struct asked {
	struct slot *slot; /* NULL: of no map */
	struct model_ticket ticket;
	uint64_t wanted;
	filemap_completed *callback;
	bool does_nothing, was_tainted, was_full, was_changing;
};

static bool is_change(enum model_kind kind)
{
	return kind == MODEL_RESIZE || kind == MODEL_REMOVE;
}

static bool is_changing(const struct filemap *map)
{
	for (uint64_t i = 1; i <= model_last(); i++) {
		const struct model_ticket *ticket = model_ticket(i);

		if (world.of_ticket[i].map == map && ticket->ended == 0 && is_change(ticket->kind) &&
		    !world.of_ticket[i].does_nothing)
			return true;
	}
	return false;
}

static struct asked ask(enum model_kind kind, struct slot *slot)
{
	struct asked asked = {.slot = slot, .callback = chance(2) ? completed : NULL};

	asked.ticket.kind = kind;
	asked.ticket.file = slot != NULL ? slot->file : world.dir_file;
	asked.ticket.has_device = slot == NULL || slot->has_device;
	asked.was_full = model_open() == world.depth;
	asked.was_tainted = slot != NULL && is_tainted(slot);
	asked.does_nothing = kind == MODEL_REMOVE && (filemap_state(slot->map) & FILEMAP_STATE_REMOVED) != 0;
	asked.was_changing = is_change(kind) && !asked.does_nothing && is_changing(slot->map);
	return asked;
}

static void check_refusal(const struct asked *asked, int r)
{
	const enum model_kind kind = asked->ticket.kind;

	if (asked->was_full || asked->was_changing) {
		if (r != FILEMAP_EBUSY && r != FILEMAP_EPOISONED)
			fake_violated("a full queue, or a map in change, answers %d", r);
		return;
	}
	if (r == FILEMAP_EBUSY && !is_change(kind))
		fake_violated("a request of kind %d is refused by a queue with room", (int)kind);
	if (r == FILEMAP_EPOISONED && (asked->slot == NULL || !is_tainted(asked->slot)))
		fake_violated("a request of kind %d is refused though no flush failed", (int)kind);
	if (r != FILEMAP_EBUSY && r != FILEMAP_EPOISONED)
		fake_violated("a request of kind %d is refused with %d", (int)kind, r);
}

static void answered(const struct asked *asked, int r, uint64_t number)
{
	struct model_ticket *ticket;

	if (r != 0) {
		check_refusal(asked, r);
		return;
	}
	if (asked->was_full || asked->was_changing)
		fake_violated("a request of kind %d is taken in spite of others", (int)asked->ticket.kind);
	if (asked->was_tainted && asked->ticket.kind <= MODEL_SYNC)
		fake_violated("a flush of a tainted mapping is taken");
	ticket = model_add(number);
	const uint64_t queued = ticket->queued;
	*ticket = asked->ticket;
	ticket->queued = queued;
	ticket->has_callback = asked->callback != NULL;
	/* A drain begins what its callbacks queue. */
	ticket->submitted = world.depth_of_callbacks > 0 ? queued : 0;
	world.of_ticket[number].map = asked->slot != NULL ? asked->slot->map : NULL;
	world.of_ticket[number].wanted = asked->wanted;
	world.of_ticket[number].does_nothing = asked->does_nothing;
}

struct range {
	size_t offset, length;
};

static struct range any_range(const struct slot *slot)
{
	const size_t size = filemap_size(slot->map), pages = size / page_size();
	const size_t first = below((unsigned)pages), most = chance(4) ? pages : 3;
	struct range range = {first * page_size(), (1 + below((unsigned)most)) * page_size()};

	if (chance(3)) {
		range.offset += below((unsigned)page_size());
		range.length -= below((unsigned)page_size());
	}
	if (range.offset + range.length > size)
		range.length = size - range.offset;
	if (chance(32))
		range.length = 0;
	return range;
}

static uint64_t bits_of(struct range range)
{
	return fake_page_bits(range.offset, range.length);
}

static uint64_t any_ticket(void)
{
	const uint64_t most = model_last();

	return most == 0 ? 1 : 1 + most - below((unsigned)(most < 12 ? most : 12));
}

static bool is_open(uint64_t number)
{
	return number != 0 && number <= model_last() && model_ticket(number)->ended == 0;
}

static void queue_flush(struct slot *slot)
{
	struct asked asked = ask(MODEL_FLUSH, slot);
	const struct range range = any_range(slot);
	uint64_t number = 0;
	int r;

	asked.ticket.pages = bits_of(range);
	r = filemap_queue_flush(world.queue, slot->map, range.offset, range.length, asked.callback, &world,
				&number);
	answered(&asked, r, number);
}

static void queue_flush_after(struct slot *slot)
{
	struct asked asked = ask(MODEL_FLUSH, slot);
	const struct range range = any_range(slot);
	const uint64_t after = any_ticket();
	uint64_t number = 0;
	const bool is_there = is_open(after);
	const int r = filemap_queue_flush_after(world.queue, slot->map, range.offset, range.length, after,
						asked.callback, &world, &number);

	asked.ticket.pages = bits_of(range);
	asked.ticket.after = after;
	if (r == -ENOENT && is_there)
		fake_violated("ticket %llu is not there to be followed", (unsigned long long)after);
	else if (r != -ENOENT && !is_there && r == 0)
		fake_violated("ticket %llu has ended, and is followed", (unsigned long long)after);
	if (r != -ENOENT)
		answered(&asked, r, number);
}

/* Each header has 8 bytes of its own, in the first page or the last. */
static void queue_commit(struct slot *slot)
{
	struct asked asked = ask(MODEL_COMMIT, slot);
	const struct range range = any_range(slot);
	const size_t last_page = filemap_size(slot->map) - page_size();
	const struct range header = {(chance(2) ? last_page : 0) + slot->headers * sizeof(uint64_t),
				     sizeof(uint64_t)};
	const uint64_t value = 0x1122334455667788;
	uint64_t number = 0;
	int r;

	if (slot->headers == page_size() / sizeof(uint64_t) ||
	    (header.offset < range.offset + range.length && range.offset < header.offset + header.length))
		return;
	asked.ticket.pages = bits_of(range);
	asked.ticket.header_pages = bits_of(header);
	r = filemap_queue_commit(world.queue, slot->map, range.offset, range.length, header.offset, &value,
				 sizeof value, asked.callback, &world, &number);
	slot->headers++;
	answered(&asked, r, number);
}

static void queue_sync(struct slot *slot)
{
	struct asked asked = ask(MODEL_SYNC, slot);
	uint64_t number = 0;
	const int r = filemap_queue_sync(world.queue, slot->map, asked.callback, &world, &number);

	answered(&asked, r, number);
}

static void queue_writeback(struct slot *slot)
{
	struct asked asked = ask(MODEL_WRITEBACK, slot);
	const struct range range = any_range(slot);
	uint64_t number = 0;
	int r;

	asked.ticket.pages = bits_of(range);
	r = filemap_queue_writeback(world.queue, slot->map, range.offset, range.length, asked.callback,
				    &world, &number);
	answered(&asked, r, number);
}

static void queue_prefault(struct slot *slot)
{
	struct asked asked = ask(MODEL_PREFAULT, slot);
	const struct range range = any_range(slot);
	uint64_t number = 0;
	int r;

	asked.ticket.pages = bits_of(range);
	r = filemap_queue_prefault(world.queue, slot->map,
				   chance(2) ? FILEMAP_PREFAULT_READ : FILEMAP_PREFAULT_WRITE, range.offset,
				   range.length, asked.callback, &world, &number);
	answered(&asked, r, number);
}

static void queue_resize(struct slot *slot)
{
	struct asked asked = ask(MODEL_RESIZE, slot);
	uint64_t number = 0;
	int r;

	asked.wanted = (1 + below(FAKE_PAGES)) * page_size();
	r = filemap_queue_resize(world.queue, slot->map, asked.wanted, asked.callback, &world, &number);
	answered(&asked, r, number);
}

static void queue_remove(struct slot *slot)
{
	struct asked asked = ask(MODEL_REMOVE, slot);
	uint64_t number = 0;
	const int r = filemap_queue_remove(world.queue, slot->map, asked.callback, &world, &number);

	asked.ticket.file = world.dir_file;
	answered(&asked, r, number);
}

static void queue_sync_dir(struct slot *slot)
{
	struct asked asked = ask(MODEL_SYNC_DIR, NULL);
	uint64_t number = 0;
	const int r = filemap_queue_sync_dir(world.queue, world.dir->fd, asked.callback, &world, &number);

	(void)slot;
	asked.ticket.pages = UINT64_MAX;
	answered(&asked, r, number);
}

static void queue_barrier(struct slot *slot)
{
	struct asked asked = ask(MODEL_BARRIER, NULL);
	uint64_t number = 0;
	const int r = filemap_queue_barrier(world.queue, asked.callback, &world, &number);

	(void)slot;
	asked.ticket.file = FAKE_NO_FILE;
	answered(&asked, r, number);
}

static void queue_something(void)
{
	static void (*const requests[])(struct slot *) = {
		queue_flush,  queue_flush,       queue_flush,       queue_flush,       queue_flush,
		queue_flush,  queue_flush_after, queue_flush_after, queue_flush_after, queue_commit,
		queue_commit, queue_sync,        queue_writeback,   queue_prefault,    queue_resize,
		queue_remove, queue_sync_dir,    queue_barrier,
	};

	if (model_last() + 1 < MODEL_TICKETS)
		requests[below(sizeof requests / sizeof *requests)](any_slot());
}

/* ---- everything else that a program does ---- */

static void cancel_something(void)
{
	const uint64_t number = any_ticket();
	const bool was_open = is_open(number);
	const bool is_queued = was_open && model_ticket(number)->submitted == 0;
	const uint64_t now = fake_now();
	const int r = filemap_queue_cancel(world.queue, number);

	if (r != 0 && r != -EALREADY && r != -ENOENT)
		fake_violated("cancelling answers %d", r);
	if ((r == -ENOENT) == was_open)
		fake_violated("cancelling ticket %llu answers %d", (unsigned long long)number, r);
	if (is_queued && r != 0 && model_ticket(number)->cancelled == 0)
		fake_violated("ticket %llu, only queued, cannot be cancelled: %d", (unsigned long long)number,
			      r);
	if (r == 0 && was_open)
		model_ticket(number)->cancelled = now;
}

static void submit(void)
{
	model_submitted();
	if (filemap_queue_submit(world.queue) != 0)
		fake_violated("submit is refused");
}

static int poll_queue(void)
{
	model_submitted();
	const int r = filemap_queue_poll(world.queue);

	if (r < 0)
		fake_violated("poll answers %d", r);
	return r;
}

static int wait_queue(uint64_t number, int timeout_ms)
{
	struct filemap_completion done = {0};
	bool had_callback;
	int r;

	model_submitted();
	r = filemap_queue_wait(world.queue, number, timeout_ms, &done);
	if (r != 1)
		return r;
	had_callback = done.ticket <= model_last() && model_ticket(done.ticket)->has_callback;
	if (!had_callback)
		ended(done.ticket, done.result);
	else if (model_ticket(done.ticket)->ended == 0 || model_ticket(done.ticket)->result != done.result)
		fake_violated("ticket %llu is waited for, and its callback has said otherwise",
			      (unsigned long long)done.ticket);
	if (number != FILEMAP_ANY && number != done.ticket)
		fake_violated("a wait for %llu ends %llu", (unsigned long long)number,
			      (unsigned long long)done.ticket);
	return r;
}

static void wait_for_one(void)
{
	static const int timeouts[] = {0, 0, 1, -1};
	const uint64_t number = any_ticket();
	const bool was_open = is_open(number);
	const int timeout = timeouts[below(4)], r = wait_queue(number, timeout);

	if ((r == -ENOENT) == was_open)
		fake_violated("a wait for ticket %llu answers %d", (unsigned long long)number, r);
	if (r == 0 && timeout < 0)
		fake_violated("a wait for ever times out");
	if (r < 0 && r != -ENOENT && r != -EINTR)
		fake_violated("a wait answers %d", r);
}

static void wait_for_any(void)
{
	const bool is_any = model_open() > 0;
	const int r = wait_queue(FILEMAP_ANY, (int)below(2));

	if ((r == -ENOENT) == is_any)
		fake_violated("a wait for any of %u answers %d", model_open(), r);
}

static void look_at_error(void)
{
	const uint64_t number = any_ticket();
	const bool was_open = is_open(number);
	struct filemap_error error;
	const int r = filemap_queue_error(world.queue, number, &error);

	if ((r == -ENOENT) == was_open)
		fake_violated("the error of ticket %llu: %d", (unsigned long long)number, r);
}

static void drain(void)
{
	model_submitted();
	if (filemap_queue_drain(world.queue) != 0)
		fake_violated("drain is refused");
	for (uint64_t i = 1; i <= model_last(); i++)
		if (is_open(i) && model_ticket(i)->has_callback)
			fake_violated("ticket %llu outlives a drain", (unsigned long long)i);
}

static void collect_plain(void)
{
	int r;

	do
		r = wait_queue(FILEMAP_ANY, 0);
	while (r == 1 || r == -EINTR);
}

/* An event loop: looks at nothing but the descriptor. */
static void loop(void)
{
	const int event = filemap_queue_eventfd(world.queue);

	submit();
	(void)poll_queue();
	collect_plain();
	while (model_open() > 0 && fake_violation() == NULL) {
		if (world.on_ring && world.one_thread)
			fake_advance();
		if (fm__sys_poll_in(event, world.on_ring && world.one_thread ? 0 : SILENT_MS) != 1) {
			fake_violated("the eventfd is silent, and %u tickets are open", model_open());
			return;
		}
		(void)poll_queue();
		collect_plain();
		submit(); /* what callbacks have queued */
	}
}

static void look_at_stats(void)
{
	struct filemap_queue_stats stats;

	assert_ok(filemap_queue_stats(world.queue, &stats));
	if (stats.queued != model_last() || stats.finished > stats.queued ||
	    stats.in_flight != stats.queued - stats.finished || stats.at_work > stats.in_flight)
		fake_violated("the statistics do not add up");
}

static void replace_map(void)
{
	struct slot *slot = any_slot();

	if (chance(3) || is_tainted(slot)) {
		close_slot(slot);
		open_slot(slot);
	}
}

static void step(void)
{
	switch (below(24)) {
	case 0:
		submit();
		break;
	case 1:
		(void)poll_queue();
		break;
	case 2:
	case 3:
		wait_for_one();
		break;
	case 4:
		wait_for_any();
		break;
	case 5:
	case 6:
		cancel_something();
		break;
	case 7:
		replace_map();
		break;
	case 8:
		look_at_error();
		look_at_stats();
		break;
	case 9:
		if (chance(4))
			drain();
		else if (chance(4))
			loop();
		break;
	case 10:
		fake_advance();
		break;
	default:
		queue_something();
		break;
	}
}

/* ---- runs ---- */

struct shape {
	uint32_t backend, flags;
};

static const struct shape threads = {FILEMAP_QUEUE_THREADS, 0};
static const struct shape uring_one = {FILEMAP_QUEUE_URING, FILEMAP_QUEUE_ONE_THREAD};
static const struct shape uring_shared = {FILEMAP_QUEUE_URING, 0};

static unsigned pick(uint64_t *random, unsigned limit)
{
	*random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(*random >> 33) % limit;
}

static struct fake_plan plan_of(uint64_t seed, unsigned workers)
{
	static const unsigned rates[] = {0, 4, 16, 40};
	uint64_t random = seed * 77777 + 1;
	struct fake_plan plan = {.seed = seed, .workers = workers, .refuse_error = -EPERM};

	plan.failing = pick(&random, 3) == 0 ? 0 : 10 + pick(&random, 40);
	plan.undone = rates[pick(&random, 4)];
	plan.unknown = rates[pick(&random, 4)];
	plan.full = rates[pick(&random, 4)];
	plan.short_taken = rates[pick(&random, 4)];
	plan.interrupted = rates[pick(&random, 4)];
	plan.late = 1 + pick(&random, 4);
	if (plan.late == 1)
		plan.late = 0;
	plan.refuse_wait = pick(&random, 2) == 0;
	if (pick(&random, 4) == 0)
		plan.refuse_at = 1 + pick(&random, 200);
	return plan;
}

static void begin_run(const struct t_dir *dir, const struct shape *shape, uint64_t seed)
{
	uint64_t random = seed;
	const unsigned workers = 1 + pick(&random, 5);
	const struct fake_plan plan = plan_of(seed, workers);

	memset(&world, 0, sizeof world);
	world.dir = dir;
	world.depth = 2 + pick(&random, 30);
	world.one_thread = shape->flags != 0;
	world.on_ring = shape->backend == FILEMAP_QUEUE_URING;
	fake_start(&plan);
	model_start();
	world.dir_file = fake_file_add(dir->fd, false);
	assert_ok(filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = shape->backend, .flags = shape->flags,
							   .depth = world.depth, .workers = workers),
				     &world.queue, NULL));
	for (int i = 0; i < MAPS; i++)
		open_slot(&world.slots[i]);
}

static void end_tickets(void)
{
	if (below(2) == 0)
		loop();
	drain();
	collect_plain();
	if (model_open() != 0)
		fake_violated("%u tickets never end", model_open());
	if (filemap_queue_wait(world.queue, FILEMAP_ANY, 0, NULL) != -ENOENT)
		fake_violated("a ticket is left that was never given");
	look_at_stats();
}

static void end_run(void)
{
	const bool is_drained = !chance(8);

	if (is_drained)
		end_tickets();
	else
		model_submitted();
	filemap_queue_close(world.queue);
	for (int i = 0; i < MAPS; i++) {
		fake_quiet(true);
		const int r = filemap_try_close(world.slots[i].map);

		if (r != 0)
			fake_violated("a mapping is still held: %d", r);
		(void)unlinkat(world.dir->fd, world.slots[i].name, 0);
		fake_quiet(false);
	}
	model_verify();
}

static void hang(int signal)
{
	(void)signal;
	(void)!write(STDERR_FILENO, seed_text, strlen(seed_text));
	abort();
}

static void run(const struct t_dir *dir, const struct shape *shape, const char *name, uint64_t seed)
{
	snprintf(seed_text, sizeof seed_text, "\nFILEMAP_RANDOM_SEED=%llu, %s\n", (unsigned long long)seed,
		 name);
	begin_run(dir, shape, seed);
	for (int i = 0; i < STEPS && fake_violation() == NULL; i++)
		step();
	if (fake_violation() == NULL)
		end_run();
	if (fake_violation() != NULL && getenv("FILEMAP_RANDOM_SEED") != NULL)
		model_print();
	if (fake_violation() != NULL)
		fail_msg("%s on %s: FILEMAP_RANDOM_SEED=%llu", fake_violation(), name,
			 (unsigned long long)seed);
	t_census_same(dir);
}

static uint64_t number_in(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void run_all(const struct t_dir *dir, const struct shape *shape, const char *name)
{
	const uint64_t only = number_in("FILEMAP_RANDOM_SEED", 0);
	const uint64_t runs = number_in("FILEMAP_RANDOM_RUNS", RUNS);

	signal(SIGALRM, hang);
	for (uint64_t seed = only != 0 ? only : 1; seed <= (only != 0 ? only : runs); seed++) {
		alarm(30);
		run(dir, shape, name, seed);
	}
	alarm(0);
}

#define ON(shape)                                                                 \
	static void random_programs_end_each_ticket_once_on_##shape(void **state) \
	{                                                                         \
		run_all(*state, &shape, #shape);                                  \
	}
ON(threads)
ON(uring_one)
ON(uring_shared)

T_MAIN(T_TEST(random_programs_end_each_ticket_once_on_uring_one),
       T_TEST(random_programs_end_each_ticket_once_on_uring_shared),
       T_TEST(random_programs_end_each_ticket_once_on_threads))
