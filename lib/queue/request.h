/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Requests: what was asked for, and how far it is; groups: what is done for several of them at once. */
#ifndef FM_QUEUE_REQUEST_H
#define FM_QUEUE_REQUEST_H

#include <filemap/queue.h>

#include "map/map.h"
#include "queue/list.h"
#include "sys/call.h"

/*
 *  free -> filling -> queued -> held -> waiting -> ready -> working -> done -> ending -> free
 *                                                    ^---------'
 *
 *   free       on queue->free
 *   filling    with the thread that is in filemap_queue_flush() or the like
 *   queued     on queue->queued, waits for a submit
 *   held       on queue->held: a barrier, or what is behind one
 *   waiting    for the end of another request: among its followers, on no list
 *   ready      in a group that waits for its turn (gather.c)
 *   working    in a group that is with the backend, or came back
 *   done       on queue->called or queue->plain, the result is final but for operation->end
 *   ending     with the thread that ends its ticket
 *
 * A request of several steps is ready again after each. Cancelled, it goes to working from any state before.
 */
struct fm__request;

enum fm__request_state {
	FM_REQUEST_FREE,
	FM_REQUEST_FILLING,
	FM_REQUEST_QUEUED,
	FM_REQUEST_HELD,
	FM_REQUEST_WAITING,
	FM_REQUEST_READY,
	FM_REQUEST_WORKING,
	FM_REQUEST_DONE,
	FM_REQUEST_ENDING
};

/*
 * What a request is. Each function runs on one thread at a time, with no lock of the queue held.
 *
 * begin and advance set request->call for what the kernel is to do next, and return true; or set request->result,
 * which is final, and return false.
 */
struct fm__operation {
	const char *step, *subject; /* of an error that says no more */
	/* The first step, unless the call is set already; NULL: that, or FM_CALL_NONE. */
	bool (*begin)(struct fm__request *request);
	/* The call has answered. -ECANCELED with !request->begun: it never will. */
	bool (*advance)(struct fm__request *request, int answer);
	/* On the thread that ends the ticket: gives the pin of the map back, if there is one, and may change the result.
	 * NULL: that is all there is to do. */
	void (*end)(struct fm__request *request, struct filemap *map);
	/* In a forked child: free the child's copies. NULL: there are none. */
	void (*abandon)(struct fm__request *request);
};

enum fm__group_state {
	FM_GROUP_WAITING,  /* on queue->ready if nothing blocks it */
	FM_GROUP_WORKING,  /* with the backend */
	FM_GROUP_SETTLING, /* came back well; others of its file may know better */
	FM_GROUP_RETURNED  /* on queue->returned, or with the thread that advances its members */
};

/* One call of the kernel, and the requests that it is made for. Lies in one of them. */
struct fm__group {
	struct fm__node link;    /* of the list it is on: ready, returned, or the backend's */
	struct fm__list members; /* requests; never empty once it waits */
	struct fm__call call;    /* constant while it works */
	enum fm__group_state state;
	int result; /* the backend's until it came back */

	/* gather.c's, under the lock */
	const struct fm__backing *backing;        /* whose errors the call may learn; NULL: of none */
	struct fm__group *next_mate, **mate_link; /* others whose backing has the same bucket */
	uint64_t serial;                          /* when it began; settling: when it came back */
	uint32_t blockers;                        /* waiting: groups at work that its range touches */
	uint32_t unsettled; /* settling: groups that were at work when it came back, and still are */

	/* Of the ring backends, the ring's thread only: how far the call was cut into pieces. */
	uint64_t done, left; /* left == 0: every piece was pushed */
	uint32_t pieces;     /* pushed, not completed */
	uint32_t unsent;     /* of these: not yet taken by the kernel, as far as we know */
	uint32_t undone;     /* a piece came back as never begun */
	uint32_t attempts;   /* that ended so */
};

struct fm__request {
	struct fm__node link;                  /* of the list it is on; of a group's members */
	const struct fm__operation *operation; /* constant until free */
	enum fm__request_state state;          /* queue->lock, as all up to the group */
	uint64_t ticket;                       /* 0 while free or filling */
	struct fm__request *same_slot;         /* the next one in the chain of tickets */
	uint64_t epoch;                        /* how many barriers were queued before it */
	uint64_t submitted_ns;
	struct fm__request *after, *followers, *next_follower; /* only those that have not finished */
	uint32_t is_active;                                    /* counted in queue->active */
	uint32_t is_doomed;      /* it is to end with -ECANCELED as soon as it could begin */
	struct fm__group *group; /* ready, working: that it is a member of */

	filemap_completed *completed; /* NULL: a wait claims it; constant until free, as the context */
	void *context;

	/* Of the thread that fills it, then of the one that carries it out, then of the one that ends it. */
	int result;
	uint32_t begun;             /* it has had its turn, and cannot be cancelled */
	uint32_t more;              /* what begin or advance has returned */
	size_t offset, length;      /* as asked for; for the error */
	struct filemap_error error; /* step NULL: nothing said yet */
	struct fm__call call;       /* the next one */
	struct fm__flush flush;     /* whose backing is NULL if none is referenced */
	struct filemap *pinned;     /* given back by whoever ends the ticket */
	union {
		struct fm__prefault prefault;
		struct fm__resizing resizing;
		struct fm__removing removing;
		struct {
			unsigned char *header; /* owned */
			size_t offset, length;
			uint32_t is_stored;
		} commit;
		int dirfd; /* owned */
	} u;

	struct fm__group own_group; /* room for one that it leads */
};

extern const struct fm__operation fm__operation_barrier;

/* For the threads of the backends; without the lock. */

/* Take the first step, if that is still to be done. After it the group's call says what the kernel is to do;
 * FM_CALL_NONE: nothing, it can be returned. */
void fm__group_begin(struct fm__group *group);

/* The kernel has answered: keep the answer. A failed flush is recorded at once, before anybody else is told of another. */
void fm__group_answer(struct fm__group *group, int answer);

/* Let every member take its next step. */
void fm__group_advance(struct fm__group *group);

#endif
