/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* call: what a ring would do behind the back of a thread, done by the thread. */
#include "sys/call.h"

#include "sys/sys.h"

int fm__call_run(const struct fm__call *call)
{
	switch (call->kind) {
	case FM_CALL_FLUSH:
		return fm__sys_flush_range(call->fd, call->offset, call->length, call->windows);
	case FM_CALL_SYNC:
		return fm__sys_fsync(call->fd);
	case FM_CALL_WRITEBACK:
		return fm__sys_writeback_range(call->fd, call->offset, call->length);
	case FM_CALL_ADVISE:
		return fm__sys_madvise(call->at, (size_t)call->length, call->advice);
	case FM_CALL_ALLOCATE:
		return fm__sys_fallocate(call->fd, 0, call->offset, call->length);
	case FM_CALL_TRUNCATE:
		return fm__sys_ftruncate(call->fd, call->length);
	case FM_CALL_NONE:
		break;
	}
	return 0;
}
