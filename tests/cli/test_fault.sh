#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Files that are cut while the command has them mapped: a message and exit status 1, never a signal.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

# cutting FILE SIZE COMMAND...: runs the command into a FIFO of which only the first byte is read; then FILE is cut,
# then the rest is read. Whatever the command prints has to be much more than a FIFO holds.
cutting() {
	local file=$1 size=$2
	shift 2
	rm -f pipe && mkfifo pipe
	"$@" >pipe 2>"$dir/.err" &
	local pid=$!
	exec 3<pipe
	head -c 1 <&3 >/dev/null
	truncate -s "$size" "$file"
	cat <&3 >rest
	exec 3<&-
	code=0
	wait $pid || code=$?
	err=$(<"$dir/.err")
}

head -c 8M /dev/zero | tr '\0' x >f
cutting f 2M "$FILEMAP" cat f
check "cat of a file that is cut exits with 1 (was $code)" [ "$code" = 1 ]
says "it was cut to 2097152 bytes"
check "cat wrote what was there" [ "$(stat -c %s rest)" = $((2 * 1024 * 1024 - 1)) ]

seq 1 400000 >numbers
filemap log append --quiet --segment-size 32M log numbers
cutting log/0000000000000000.seg 2M "$FILEMAP" log cat log
check "log cat of a segment that is cut exits with 1 (was $code)" [ "$code" = 1 ]
says "log:"
check "log cat wrote the records before" cmp -n "$(($(stat -c %s rest) - 1))" rest <(tail -c +2 numbers)
check "log cat did not write all" [ "$(stat -c %s rest)" -lt "$(stat -c %s numbers)" ]

mkfifo feed
filemap log append --acks --quiet --segment-size 1M live <feed >acks 2>"$dir/.err" &
writer=$!
exec 4>feed
echo first >&4
while ! grep -q durable acks; do kill -0 $writer || break; done
truncate -s 4096 live/0000000000000000.seg
echo second >&4
exec 4>&-
code=0
wait $writer || code=$?
err=$(<"$dir/.err")
check "log append into a segment that is cut exits with 1 (was $code)" [ "$code" = 1 ]
says "live:"
check "nothing more was acknowledged" [ "$(wc -l <acks)" = 1 ]
finish
