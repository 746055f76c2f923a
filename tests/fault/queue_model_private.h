/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the two files of the model share. queue_model.c keeps the book and judges the entries, by the bounds that
 * queue_model_results.c has written into the tickets before.
 */
#ifndef T_QUEUE_MODEL_PRIVATE_H
#define T_QUEUE_MODEL_PRIVATE_H

#include "fake_ring.h"
#include "queue_model.h"

#define MODEL__KIND(kind) (1u << (kind)) /* of calls: a set of them is the bits of each */

void model__judge_tickets(void); /* all of the book, in the order of their numbers */

#endif
