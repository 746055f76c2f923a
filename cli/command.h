/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

/* Run a command and wait for it. Its exit status, 128 + the signal that ended it, 127 or 126 as a shell says. */
int cli_command_run(char **argv);

#endif
