/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Which limit may stand behind an errno. */
#ifndef FM_BASE_LIMITS_H
#define FM_BASE_LIMITS_H

/* A static string, or NULL: no limit is known that is told of by this errno (positive) at this step. */
const char *fm__limit_hint(int error, const char *step, const char *subject);

#endif
