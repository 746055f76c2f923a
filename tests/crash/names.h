/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Crashes at the level of directory operations.
 *
 * names_record.c stands between the library and the kernel (-Wl,--wrap) and writes down what happens to one
 * directory: names made, moved and unlinked, bytes written, what was synced, what was returned to the caller.
 * names_model.c says what a crash can leave of that: each operation on names that no later sync of its
 * directory covers happened or not, independently of all others; bytes that no later sync of the file covers
 * are as they were, cut, or garbage. names_image.c makes real directories of such states and reads them back.
 */
#ifndef NAMES_H
#define NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <filemap/base.h>

#define NAMES_NODES 24u
#define NAMES_EVENTS 64u
#define NAMES_ENTRIES 24u
#define NAMES_NAME 256u
#define NAMES_BYTES 64u
#define NAMES_NONE UINT32_MAX

/* What a file holds and who may use it. */
struct names_version {
	size_t length;
	unsigned char bytes[NAMES_BYTES];
	unsigned mode, owner;
};

/* A file or directory; the first node is the directory that is looked at. */
struct names_node {
	uint64_t device, inode;
	int pin; /* keeps the number from being given to another one; -1 once nothing is recorded any more */
	bool is_dir;
	unsigned version; /* of a file: what was durable when it was first seen */
	unsigned seen;    /* of a file: what was seen last */
};

struct names_entry {
	unsigned dir, node;
	char name[NAMES_NAME];
};

enum names_kind {
	NAMES_LINK, /* also: made */
	NAMES_UNLINK,
	NAMES_RMDIR,
	NAMES_MOVE,
	NAMES_SWAP,
	NAMES_WRITE,
	NAMES_SYNC,
	NAMES_SYNC_BYTES, /* without mode and owner */
	NAMES_RETURN,
};

struct names_event {
	enum names_kind kind;
	bool by_other;                         /* not by the library */
	bool replaces;                         /* MOVE */
	unsigned dir, to_dir;                  /* nodes */
	unsigned node;                         /* LINK, MOVE, WRITE, SYNC */
	unsigned version;                      /* WRITE */
	int result;                            /* RETURN */
	bool sync_failed;                      /* RETURN: nothing else did */
	char name[NAMES_NAME], to[NAMES_NAME]; /* RETURN: `name` is the detail */
};

struct names_run {
	struct names_node nodes[NAMES_NODES];
	struct names_version versions[NAMES_EVENTS];
	struct names_entry base[NAMES_ENTRIES];
	struct names_event events[NAMES_EVENTS];
	unsigned node_count, version_count, base_count, event_count;
};

/* ---- recording ---- */
void names_begin(struct names_run *run, const char *dir); /* what is in it is durable */
void names_end(struct names_run *run);
void names_returned(int result, const struct filemap_error *error);
void names_recorder_reset(void); /* no plan, no bugs */

/*
 * The nth call of this one from now fails, or is preceded by `run`, which acts as somebody else. Calls are named
 * as in sys.h but for "tmpfile" (openat), "rmdir" (unlinkat) and "sync_dir" (fsync). nth 0: all of them.
 */
void names_fail(const char *call, unsigned nth, int error);
void names_hook(const char *call, unsigned nth, void (*run)(void *), void *context);
unsigned names_planned(void); /* how many of those there are */
unsigned names_fired(void);   /* and how many of them were met */

/* Bugs that the library might have: what is recorded is not what it did. */
enum names_bug {
	NAMES_NO_BUG,
	NAMES_NO_FILE_SYNC,
	NAMES_NO_LINK_SYNC, /* of a file that was synced before it had a name */
	NAMES_NO_DIR_SYNC,
	NAMES_OTHER_DIR_SYNC,     /* of the private directory instead of the one with the name */
	NAMES_SYNC_BEFORE_UNLINK, /* of the directory */
	NAMES_SYNC_BEFORE_WRITE,  /* of the file, before the last change */
	NAMES_NAME_BEFORE_SYNC,   /* of the file */
	NAMES_RETURN_EARLY,       /* before the last sync */
	NAMES_UNLINK_THEN_MOVE,   /* instead of replacing */
	NAMES_IN_PLACE,           /* the old file is overwritten */
	NAMES_STRAY_NAME,         /* hidden so that recovery does not know it */
	NAMES_PUT_BACK_LOST,
	NAMES_PUT_BACK_REPLACES, /* the third file */
	NAMES_FOREIGN_UNLINKED,  /* instead of put back */
	NAMES_SWAP_IN_STEPS,
	NAMES_MOVE_IN_STEPS, /* link, unlink */
};
extern enum names_bug names_bug;

/* ---- what a crash leaves ---- */
struct names_file_state {
	unsigned version; /* its bytes */
	unsigned owned;   /* the version whose mode and owner it has */
	enum names_damage { NAMES_WHOLE, NAMES_CUT, NAMES_GARBAGE } damage;
	unsigned ended_by_other; /* 1: its last name was unlinked or replaced, not by the library */
};

struct names_state {
	struct names_entry entries[NAMES_ENTRIES];
	unsigned count;
	struct names_file_state files[NAMES_NODES];
};

/* When the crash came. */
struct names_moment {
	unsigned events;                   /* before it */
	const struct names_event *returns; /* the last of them, or NULL */
	bool just_returned;                /* nothing came after that */
	uint64_t lost;                     /* a bit for each event */
	bool in_order; /* also what a crash leaves where operations are lost from the end only */
};

typedef void names_visit_fn(const struct names_run *run, const struct names_state *state,
			    const struct names_moment *moment, void *context);

/* Calls visit for each different state and phase; how many combinations were tried. */
uint64_t names_explore(const struct names_run *run, names_visit_fn *visit, void *context);

/* Nothing lost: what is there without a crash. False: what was recorded cannot have happened. */
bool names_replay(const struct names_run *run, struct names_state *ret);

/* Texts for people: "move f -> .f.0123456789abcdef.del". */
void names_describe_event(const struct names_event *event, char *to, size_t size);

/* ---- real directories ---- */
void names_materialise(const struct names_run *run, const struct names_state *state, const char *path);

struct names_seen {
	char path[2 * NAMES_NAME]; /* within the directory */
	bool is_dir;
	struct names_version is;
};

struct names_view {
	struct names_seen list[NAMES_ENTRIES]; /* sorted by path */
	unsigned count;
};

void names_look(const char *path, struct names_view *ret);
void names_clear(const char *path); /* it and everything in it, which need not exist */

extern bool names_without_sync; /* pretend: what is durable is the model's business */

#endif
