/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The control page `ctl`: live state shared with other processes. Never evidence, never flushed. */
#ifndef FM_LOG_CTL_H
#define FM_LOG_CTL_H

#include "log/dir.h"
#include "log/guarded.h"

#define FM_LOG_CTL_RECOVERING 1u
#define FM_LOG_CTL_OPEN 2u
#define FM_LOG_CTL_CLOSED 3u
#define FM_LOG_CTL_POISONED 4u

struct fm__log_ctl; /* a mapping of the file */

/* One consistent-enough reading of the fields (each loaded atomically, acquire). */
struct fm__log_ctl_view {
	uint32_t state, epoch;
	uint64_t first, last, published, durable;
};

/* Writer: make or take over the file (4096 bytes, replaced by a new one if it has another size). */
int fm__log_ctl_open_writer(const struct fm__log_dir *dir, struct fm__log_ctl **ret,
			    struct filemap_error *reterr);
/* Writer: only what is there already; -ENOENT, or -EINVAL if it is no regular file of 4096 bytes. */
int fm__log_ctl_take_over(const struct fm__log_dir *dir, struct fm__log_ctl **ret);
/* Reader: read-only; -ENOENT. */
int fm__log_ctl_open_reader(const struct fm__log_dir *dir, struct fm__log_ctl **ret);
void fm__log_ctl_close(struct fm__log_ctl *ctl);
void fm__log_ctl_forget(struct fm__log_ctl *ctl); /* in a forked child, where the page is not mapped */

/* Does it carry this log's uuid, this boot and this very file? (the reader also asks state and lock) */
bool fm__log_ctl_trusted(const struct fm__log_ctl *ctl, const struct fm__log_geometry *g);
/* A page that cannot be had is not trusted, and says RECOVERING: nobody knows anything. */
void fm__log_ctl_load(const struct fm__log_ctl *ctl, struct fm__log_ctl_view *ret);

/* 0, or FILEMAP_EFAULT under a guard: somebody cut the file. */
int fm__log_ctl_start(struct fm__log_ctl *ctl, const struct fm__log_geometry *g,
		      const struct fm__log_ctl_view *view); /* all fields, state last */
int fm__log_ctl_set_state(struct fm__log_ctl *ctl, uint32_t state);
int fm__log_ctl_set_last(struct fm__log_ctl *ctl, uint64_t last);
int fm__log_ctl_wake_published(struct fm__log_ctl *ctl);
int fm__log_ctl_durable(struct fm__log_ctl *ctl, uint64_t durable); /* and wakes */

/* Inside a guard of the caller's, who names the page as one of its places. Wakes nobody. */
void fm__log_ctl_store_published(struct fm__log_ctl *ctl, uint64_t published);
void fm__log_ctl_place(const struct fm__log_ctl *ctl, struct fm__log_place *ret);

#endif
