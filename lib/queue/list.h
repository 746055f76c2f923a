/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Doubly linked lists of what has a node in it. What is on a list is on one only; whoever owns the list locks it. */
#ifndef FM_QUEUE_LIST_H
#define FM_QUEUE_LIST_H

#include <stddef.h>

struct fm__node {
	struct fm__node *next, *previous;
};

struct fm__list {
	struct fm__node *first, *last;
};

/* The thing of this type whose member is the node; NULL of NULL, if the node is its first member. */
#define FM_OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void fm__list_append(struct fm__list *list, struct fm__node *node)
{
	node->next = NULL;
	node->previous = list->last;
	if (list->last != NULL)
		list->last->next = node;
	else
		list->first = node;
	list->last = node;
}

static inline void fm__list_prepend(struct fm__list *list, struct fm__node *node)
{
	node->previous = NULL;
	node->next = list->first;
	if (list->first != NULL)
		list->first->previous = node;
	else
		list->last = node;
	list->first = node;
}

static inline void fm__list_remove(struct fm__list *list, struct fm__node *node)
{
	if (node->previous != NULL)
		node->previous->next = node->next;
	else
		list->first = node->next;
	if (node->next != NULL)
		node->next->previous = node->previous;
	else
		list->last = node->previous;
}

/* NULL = empty */
static inline struct fm__node *fm__list_pop(struct fm__list *list)
{
	struct fm__node *first = list->first;

	if (first != NULL)
		fm__list_remove(list, first);
	return first;
}

#endif
