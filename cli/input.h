/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Records from a descriptor: lines, or payloads behind a u32 little-endian length. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stddef.h>
#include <stdint.h>

#define CLI_INPUT_RECORD 1 /* a record was returned */
#define CLI_INPUT_WAIT 2   /* nothing complete is buffered: wait for the descriptor, then fill */
#define CLI_INPUT_END 0
#define CLI_INPUT_CUT (-1) /* length-prefixed input ends inside a record */

struct cli_input;
typedef int cli_input_split(struct cli_input *input, const unsigned char **ret_data, size_t *ret_length);

struct cli_input {
	int fd;
	int at_end;             /* read() has returned 0 */
	cli_input_split *split; /* cli_input_line or cli_input_prefixed */
	unsigned char *buffer;
	size_t start, end, size; /* unread bytes are buffer[start, end) */
	size_t searched;         /* bytes from start on that are known to hold no newline */
};

cli_input_split cli_input_line, cli_input_prefixed;

/* The next record out of the buffer: CLI_INPUT_*. The data is valid until the next fill. */
static inline int cli_input_next(struct cli_input *input, const unsigned char **ret_data, size_t *ret_length)
{
	return input->split(input, ret_data, ret_length);
}

/* One read(2): 0 or -errno. -EMSGSIZE if a record is longer than any log takes. */
int cli_input_fill(struct cli_input *input);
void cli_input_done(struct cli_input *input);

#endif
