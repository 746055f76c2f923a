#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# filemap cat and info, and what they say about input that cannot be mapped.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

head -c 300000 /dev/urandom >big
printf 'no newline at the end' >text
: >empty

filemap cat big text empty >joined
check "cat joins files byte for byte" cmp joined <(cat big text empty)
status 0 filemap cat empty
check "cat of an empty file prints nothing" [ -z "$out" ]

status 0 filemap info text
prints "21 bytes"
prints "inode $(stat -c %i text)"
status 0 filemap info --json text empty
check "info --json prints a line a file" [ "$(wc -l <"$dir/.out")" = 2 ]
if command -v python3 >/dev/null; then
	check "info --json is JSON" python3 -c 'import json,sys; [json.loads(l) for l in open(sys.argv[1])]' "$dir/.out"
else
	skip "no python3 to read the JSON with"
fi

status 1 filemap cat missing text
says "missing"
says "No such file or directory"
prints "no newline"
mkdir d && mkfifo fifo && ln -s missing dangling
status 1 filemap cat d
says "Is a directory"
status 1 filemap cat fifo
says "No such device"
status 1 filemap cat /dev/null
says "No such device"
status 1 filemap info dangling
says "No such file or directory"
status 2 filemap cat
says "usage"
status 2 filemap cat --wrong text
status 2 filemap
status 2 filemap wrong
status 2 filemap log
status 2 filemap log wrong
for command in "" "cat" "info" "log append" "log cat" "log info" "log verify"; do
	# shellcheck disable=SC2086
	status 0 filemap $command --help
	prints usage
done
status 0 filemap --version
prints "filemap 0."

if command -v flock >/dev/null; then
	flock -x text "$FILEMAP" cat text >"$dir/.out" 2>"$dir/.err"
	check "cat refuses a file that flock(1) holds exclusively" [ $? = 1 ]
	says "--no-lock"
	check "cat --no-lock reads it" [ "$(flock -x text "$FILEMAP" cat --no-lock text)" = "$(cat text)" ]
	check "cat shares with a shared lock" [ "$(flock -s text "$FILEMAP" cat text)" = "$(cat text)" ]
else
	skip "no flock(1)"
fi
if [ -w /dev/full ]; then
	filemap cat big >/dev/full 2>"$dir/.err"
	check "a full standard output is a failure" [ $? = 1 ]
	says "No space left"
else
	skip "no /dev/full"
fi
finish
