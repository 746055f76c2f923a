/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The buffer between a descriptor and the records in it; it grows to the longest record seen. */
#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_SIZE ((size_t)256 * 1024)
/* No log takes a record of 512 MiB: endless input without a newline must not eat the memory. */
#define GREATEST_SIZE ((size_t)1 << 29)

static int take(struct cli_input *input, size_t skip, size_t length, size_t used,
		const unsigned char **ret_data, size_t *ret_length)
{
	*ret_data = input->buffer + input->start + skip;
	*ret_length = length;
	input->start += used;
	input->searched = 0;
	return CLI_INPUT_RECORD;
}

int cli_input_line(struct cli_input *input, const unsigned char **ret_data, size_t *ret_length)
{
	const size_t held = input->end - input->start;
	const unsigned char *from, *newline;

	if (held == 0)
		return input->at_end ? CLI_INPUT_END : CLI_INPUT_WAIT;
	from = input->buffer + input->start;
	newline = memchr(from + input->searched, '\n', held - input->searched);
	if (newline) {
		const size_t length = (size_t)(newline - from);
		return take(input, 0, length, length + 1, ret_data, ret_length);
	}
	if (input->at_end)
		return take(input, 0, held, held, ret_data, ret_length);
	input->searched = held;
	return CLI_INPUT_WAIT;
}

int cli_input_prefixed(struct cli_input *input, const unsigned char **ret_data, size_t *ret_length)
{
	const size_t held = input->end - input->start;
	const unsigned char *p;
	size_t length;

	if (held == 0 && input->at_end)
		return CLI_INPUT_END;
	if (held < 4)
		return input->at_end ? CLI_INPUT_CUT : CLI_INPUT_WAIT;
	p = input->buffer + input->start;
	length = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
	if (held - 4 < length)
		return input->at_end ? CLI_INPUT_CUT : CLI_INPUT_WAIT;
	return take(input, 4, length, length + 4, ret_data, ret_length);
}

/* Make room behind `end`: move what is held to the front, then grow if that was not enough. */
static int make_room(struct cli_input *input)
{
	size_t size;
	unsigned char *grown;

	if (input->start != 0) {
		memmove(input->buffer, input->buffer + input->start, input->end - input->start);
		input->end -= input->start;
		input->start = 0;
	}
	if (input->end < input->size)
		return 0;
	size = input->size ? input->size * 2 : FIRST_SIZE;
	if (size > GREATEST_SIZE)
		return -EMSGSIZE;
	grown = realloc(input->buffer, size);
	if (!grown)
		return -ENOMEM;
	input->buffer = grown;
	input->size = size;
	return 0;
}

int cli_input_fill(struct cli_input *input)
{
	ssize_t n;
	int r = make_room(input);

	if (r < 0)
		return r;
	do
		n = read(input->fd, input->buffer + input->end, input->size - input->end);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		input->at_end = 1;
	input->end += (size_t)n;
	return 0;
}

void cli_input_done(struct cli_input *input)
{
	free(input->buffer);
	if (input->fd > 0)
		close(input->fd);
}
