/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* fuse_fault.h where libfuse 3 was not there when the tests were built: nothing starts, and it says why. */
#include "fuse_fault.h"

#include <stddef.h>

struct fuse_fault *fuse_fault_start(const char *mount_point, const char **ret_why)
{
	(void)mount_point;
	*ret_why = "built without libfuse 3";
	return NULL;
}

void fuse_fault_stop(struct fuse_fault *device)
{
	(void)device;
}

void fuse_fault_set(int *the_switch, int value)
{
	*the_switch = value;
}

const struct fuse_fault_file *fuse_fault_find(const struct fuse_fault *device, const char *path)
{
	(void)device;
	(void)path;
	return NULL;
}
