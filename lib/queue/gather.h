/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What is ready to be done: group commit, and who has to wait for whom at the device. Lock held for all of it. */
#ifndef FM_QUEUE_GATHER_H
#define FM_QUEUE_GATHER_H

#include "queue/request.h"

struct filemap_queue;

/* The request's call is to be made: alone, or with others that wait. */
void fm__gather_add(struct filemap_queue *queue, struct fm__request *request);

/* The next group to work on; NULL: none, or as many as may are at work. */
struct fm__group *fm__gather_take(struct filemap_queue *queue);

/* It has its answer. It gets on queue->returned, now or when all that were at work beside it have theirs. */
void fm__gather_return(struct filemap_queue *queue, struct fm__group *group);

/* Nothing is to be done for the request: it gets on queue->returned, alone, with this result. */
void fm__gather_pass(struct filemap_queue *queue, struct fm__request *request, int result);

/* Take a ready request back: the others of its group are gathered again. */
void fm__gather_withdraw(struct filemap_queue *queue, struct fm__request *request);

#endif
