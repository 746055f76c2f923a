/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Locks between mappings and programs that know nothing of the library: flock(1), and Python's fcntl with
 * flock(2) and with locks of open file descriptions. Each program is an outsider that takes a lock, or says
 * that it cannot, when it is told to; every mode meets both kinds of lock, in both orders.
 */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filemap/filemap.h>

/* ---- outsiders: a line each way; s, x, u in, o (has it) or n (has not) out ---- */

struct outsider {
	pid_t pid;
	int to, from;
};

struct program {
	const char *name, *missing; /* missing: what to say if it cannot be started */
	uint32_t family;            /* which it takes part in */
	const char *const *arguments;
};

static const char shell_script[] = "exec 9<>\"$1\" || exit 1\n"
				   "command -v flock >/dev/null || exit 1\n"
				   "echo o\n"
				   "while read -r kind; do case $kind in\n"
				   "s) flock -n -s 9 && echo o || echo n ;;\n"
				   "x) flock -n -x 9 && echo o || echo n ;;\n"
				   "u) flock -u 9; echo o ;;\n"
				   "esac; done\n";

static const char flock_script[] = "import fcntl, sys\n"
				   "f = open(sys.argv[1], 'r+b')\n"
				   "print('o', flush=True)\n"
				   "kinds = {'s': fcntl.LOCK_SH, 'x': fcntl.LOCK_EX, 'u': fcntl.LOCK_UN}\n"
				   "for line in sys.stdin:\n"
				   "    try:\n"
				   "        fcntl.flock(f, kinds[line.strip()] | fcntl.LOCK_NB)\n"
				   "        print('o', flush=True)\n"
				   "    except BlockingIOError:\n"
				   "        print('n', flush=True)\n";

static const char ofd_script[] =
	"import fcntl, struct, sys\n"
	"f = open(sys.argv[1], 'r+b')\n"
	"print('o', flush=True)\n"
	"kinds = {'s': fcntl.F_RDLCK, 'x': fcntl.F_WRLCK, 'u': fcntl.F_UNLCK}\n"
	"for line in sys.stdin:\n"
	"    try:\n"
	"        fcntl.fcntl(f, 37, struct.pack('hhqqi4x', kinds[line.strip()], 0, 0, 0, 0)) # F_OFD_SETLK\n"
	"        print('o', flush=True)\n"
	"    except BlockingIOError:\n"
	"        print('n', flush=True)\n";

static const struct program flock_command = {"flock(1)", "there is no flock(1)", FILEMAP_LOCK_FLOCK,
					     (const char *const[]){"sh", "-c", shell_script, "sh", NULL}};
static const struct program python_flock = {"Python's flock", "there is no python3", FILEMAP_LOCK_FLOCK,
					    (const char *const[]){"python3", "-c", flock_script, NULL}};
static const struct program python_ofd = {"Python's OFD lock", "there is no python3", FILEMAP_LOCK_OFD,
					  (const char *const[]){"python3", "-c", ofd_script, NULL}};

static void become(const struct program *program, const char *path, int in, int out)
{
	const char *arguments[8];
	int n = 0;

	while (program->arguments[n]) {
		arguments[n] = program->arguments[n];
		n++;
	}
	arguments[n] = path;
	arguments[n + 1] = NULL;
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	execvp(arguments[0], (char **)(uintptr_t)arguments);
	_exit(127);
}

/* The first character of a line, which may come in pieces. */
static char answer(const struct outsider *outsider)
{
	char said = '\0', next;

	while (read(outsider->from, &next, 1) == 1 && next != '\n')
		said = said ? said : next;
	return said;
}

static void end(const struct outsider *outsider)
{
	int status;

	close(outsider->to);
	close(outsider->from);
	assert_int_equal(waitpid(outsider->pid, &status, 0), outsider->pid);
}

/* Skips the case if the machine has no such program. */
static bool start(const struct program *program, const char *path, struct outsider *ret)
{
	int in[2], out[2];

	if (program->family == FILEMAP_LOCK_OFD && sizeof(long) != 8) {
		t_skip("the script knows the lock's layout of 64-bit machines only");
		return false;
	}
	assert_ok(pipe2(in, O_CLOEXEC));
	assert_ok(pipe2(out, O_CLOEXEC));
	fflush(NULL);
	ret->pid = fork();
	assert_true(ret->pid >= 0);
	if (ret->pid == 0)
		become(program, path, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	ret->to = in[1];
	ret->from = out[0];
	if (answer(ret) == 'o')
		return true;
	end(ret);
	t_skip(program->missing);
	return false;
}

static bool tell(const struct outsider *outsider, char kind)
{
	const char line[2] = {kind, '\n'};
	char said;

	assert_int_equal(write(outsider->to, line, 2), 2);
	said = answer(outsider);
	assert_true(said == 'o' || said == 'n');
	return said == 'o';
}

static bool can_lock(const struct outsider *outsider, char kind)
{
	const bool has = tell(outsider, kind);

	assert_true(tell(outsider, 'u'));
	return has;
}

/* ---- the modes ---- */

struct way {
	const char *name;
	unsigned mode, sharing;
	bool alone; /* takes the exclusive lock */
};

static const struct way ways[] = {
	{"READ", FILEMAP_READ, 0, false},
	{"EXEC", FILEMAP_EXEC, 0, false},
	{"COW", FILEMAP_COW, 0, false},
	{"WRITE", FILEMAP_WRITE, 0, true},
	{"READ that cooperates", FILEMAP_READ, FILEMAP_SHARING_COOPERATE, false},
	{"COW that cooperates", FILEMAP_COW, FILEMAP_SHARING_COOPERATE, false},
	{"WRITE that cooperates", FILEMAP_WRITE, FILEMAP_SHARING_COOPERATE, false},
};
#define WAYS (sizeof ways / sizeof *ways)

static int open_as(const char *path, const struct way *way, uint32_t family, struct filemap **ret)
{
	return filemap_open(path, way->mode, FILEMAP_OPTIONS(.lock_family = family, .sharing = way->sharing),
			    ret, NULL);
}

/* A file system that forbids execution has nothing to say about locks. */
static bool can_be_opened(const char *path, const struct way *way)
{
	struct filemap *map;
	int r;

	if (way->sharing) /* which needs a lock */
		return true;
	r = open_as(path, way, FILEMAP_LOCK_NONE, &map);
	if (r == -EPERM && way->mode == FILEMAP_EXEC)
		return false;
	assert_ok(r);
	filemap_close(map);
	return true;
}

static void check(bool is, bool must, const char *what, const struct program *program, char kind,
		  const struct way *way)
{
	if (is != must)
		fail_msg("%s with %s '%c' and %s: %d, must be %d", what, program->name, kind, way->name, is,
			 must);
}

static const char *make_file(void **state)
{
	const char *path = t_path(*state, "file");

	t_write_file(path, "hello", 5);
	return path;
}

/* ---- both orders ---- */

static void meet_held(const char *path, const struct program *program, const struct outsider *outsider,
		      const struct way *way, char kind)
{
	struct filemap *map = NULL;
	int r;

	assert_true(tell(outsider, kind));
	r = open_as(path, way, program->family, &map);
	assert_true(r == 0 || r == FILEMAP_ELOCKED);
	check(r == 0, kind == 's' && !way->alone, "they hold", program, kind, way);
	filemap_close(map);
	assert_true(tell(outsider, 'u'));
	assert_ok(open_as(path, way, program->family, &map));
	filemap_close(map);
}

static void hold_and_be_met(const char *path, const struct program *program, const struct outsider *outsider,
			    const struct way *way)
{
	struct filemap *map;

	assert_ok(open_as(path, way, program->family, &map));
	check(can_lock(outsider, 's'), !way->alone, "we hold", program, 's', way);
	check(can_lock(outsider, 'x'), false, "we hold", program, 'x', way);
	filemap_close(map);
	check(can_lock(outsider, 'x'), true, "we let go", program, 'x', way);
}

static void every_mode_meets(void **state, const struct program *program)
{
	const char *path = make_file(state);
	struct outsider outsider;

	if (!start(program, path, &outsider))
		return;
	for (size_t i = 0; i < WAYS; i++) {
		if (!can_be_opened(path, &ways[i]))
			continue;
		meet_held(path, program, &outsider, &ways[i], 's');
		meet_held(path, program, &outsider, &ways[i], 'x');
		hold_and_be_met(path, program, &outsider, &ways[i]);
	}
	end(&outsider);
}

static void every_mode_and_the_flock_command_exclude_each_other(void **state)
{
	every_mode_meets(state, &flock_command);
}

static void every_mode_and_flock_of_python_exclude_each_other(void **state)
{
	every_mode_meets(state, &python_flock);
}

static void every_mode_and_ofd_locks_of_python_exclude_each_other(void **state)
{
	every_mode_meets(state, &python_ofd);
}

/* ---- changes while it is mapped ---- */

static void changes_meet(void **state, const struct program *program)
{
	const char *path = make_file(state);
	struct outsider outsider;
	struct filemap *map;

	if (!start(program, path, &outsider))
		return;
	assert_ok(filemap_open(
		path, FILEMAP_WRITE,
		FILEMAP_OPTIONS(.lock_family = program->family, .flags = FILEMAP_DOWNGRADE_ON_FREEZE), &map,
		NULL));
	assert_ok(filemap_freeze(map, NULL));
	assert_true(tell(&outsider, 's')); /* a reader comes in, and keeps the writer from coming back */
	assert_int_equal(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL), FILEMAP_ELOCKED);
	assert_int_equal(filemap_lock_state(map), FILEMAP_SHARED_LOCK);
	assert_int_equal(filemap_thaw(map, NULL), FILEMAP_EMODE);
	assert_true(tell(&outsider, 'u'));
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_ok(filemap_thaw(map, NULL));
	assert_false(can_lock(&outsider, 's'));
	assert_ok(filemap_unlock(map));
	assert_true(tell(&outsider, 'x'));
	assert_int_equal(filemap_lock(map, FILEMAP_SHARED_LOCK, 0, NULL), FILEMAP_ELOCKED);
	end(&outsider); /* with its lock */
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, FILEMAP_FOREVER, NULL));
	filemap_close(map);
}

static void lock_changes_and_the_flock_command_see_each_other(void **state)
{
	changes_meet(state, &flock_command);
}

static void lock_changes_and_flock_of_python_see_each_other(void **state)
{
	changes_meet(state, &python_flock);
}

static void lock_changes_and_ofd_locks_of_python_see_each_other(void **state)
{
	changes_meet(state, &python_ofd);
}

/* ---- waiting ---- */

struct letting_go {
	const struct outsider *outsider;
	struct t_dir *dir;
};

/* As soon as the waiting one has the file open, beside the two descriptors of this test. */
static void *let_go(void *context)
{
	const struct letting_go *l = context;

	while (t_census_take(l->dir->path).descriptors <= l->dir->before.descriptors + 2)
		usleep(1000);
	(void)tell(l->outsider, 'u');
	return NULL;
}

static void wait_meets(void **state, const struct program *program)
{
	const char *path = make_file(state);
	struct outsider outsider;
	struct filemap *map;
	pthread_t thread;

	if (!start(program, path, &outsider))
		return;
	assert_true(tell(&outsider, 'x'));
	assert_int_equal(filemap_open(path, FILEMAP_READ,
				      FILEMAP_OPTIONS(.lock_family = program->family, .lock_wait_ms = 5),
				      &map, NULL),
			 FILEMAP_ELOCKED);
	struct letting_go l = {&outsider, *state};
	assert_ok(pthread_create(&thread, NULL, let_go, &l));
	assert_ok(
		filemap_open(path, FILEMAP_READ,
			     FILEMAP_OPTIONS(.lock_family = program->family, .lock_wait_ms = FILEMAP_FOREVER),
			     &map, NULL));
	assert_ok(pthread_join(thread, NULL));
	filemap_close(map);
	end(&outsider);
}

static void wait_ends_when_the_flock_command_lets_go(void **state)
{
	wait_meets(state, &flock_command);
}

static void wait_ends_when_an_ofd_lock_of_python_goes(void **state)
{
	wait_meets(state, &python_ofd);
}

/* ---- families ---- */

/* Also what the header says they cannot do for each other. */
static void families_do_not_see_each_other(void **state)
{
	const char *path = make_file(state);
	struct outsider outsider;
	struct filemap *map;

	if (!start(&python_ofd, path, &outsider))
		return;
	assert_true(tell(&outsider, 'x'));
	assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &map, NULL));
	filemap_close(map);
	assert_ok(filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_NONE), &map,
			       NULL));
	filemap_close(map);
	end(&outsider);
}

T_MAIN(T_TEST(every_mode_and_the_flock_command_exclude_each_other),
       T_TEST(every_mode_and_flock_of_python_exclude_each_other),
       T_TEST(every_mode_and_ofd_locks_of_python_exclude_each_other),
       T_TEST(lock_changes_and_the_flock_command_see_each_other),
       T_TEST(lock_changes_and_flock_of_python_see_each_other),
       T_TEST(lock_changes_and_ofd_locks_of_python_see_each_other),
       T_TEST(wait_ends_when_the_flock_command_lets_go), T_TEST(wait_ends_when_an_ofd_lock_of_python_goes),
       T_TEST(families_do_not_see_each_other))
