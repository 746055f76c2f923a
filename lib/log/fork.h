/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a fork does to logs that are open for writing. */
#ifndef FM_LOG_FORK_H
#define FM_LOG_FORK_H

struct filemap_log;

/* From here on a forked child closes its copy of log->dir.lock_fd and has a handle that refuses. */
int fm__log_fork_enter(struct filemap_log *log);
void fm__log_fork_leave(struct filemap_log *log);

/* Between these no fork happens in this process: for a few calls that do not wait. */
void fm__log_fork_hold(void);
void fm__log_fork_release(void);

#endif
