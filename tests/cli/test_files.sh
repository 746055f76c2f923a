#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# filemap cat, what it says about input that cannot be read, and how it takes output that cannot be written.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

head -c 4000000 /dev/urandom >big
printf 'no newline at the end' >text
: >empty

filemap cat big text empty >joined
check "cat joins files byte for byte" cmp joined <(cat big text empty)
status 0 filemap cat empty
check "cat of an empty file prints nothing" [ -z "$out" ]

# Parts.
status 0 filemap cat --offset 3 --length 7 text
check "offset and length cut a part out" [ "$out" = newline ]
check "a part of a mapped file" cmp <(filemap cat --offset 1K --length 1M big) <(tail -c +1025 big | head -c 1048576)
status 0 filemap cat --offset 18 text
check "an offset leaves the rest" [ "$out" = end ]
status 0 filemap cat --offset 22 text
check "an offset behind the end leaves nothing" [ -z "$out" ]
status 0 filemap cat --length 0 text
check "no length prints nothing" [ -z "$out" ]
status 2 filemap cat --offset -1 text
says "not a number of bytes"
status 2 filemap cat --length 12x text

# Streams.
check "- is standard input" [ "$(printf 'from a pipe' | filemap cat -)" = "from a pipe" ]
check "standard input is one of several" [ "$(printf A | filemap cat text - text)" = "$(cat text)A$(cat text)" ]
check "a large pipe arrives whole" cmp <(cat <big | filemap cat -) big
check "a part of a pipe" [ "$(printf 0123456789 | filemap cat --offset 2 --length 3 -)" = 234 ]
check "a file of /proc has content" [ "$(filemap cat /proc/version)" = "$(cat /proc/version)" ]
mkfifo fifo
printf 'through a fifo' >fifo &
status 0 filemap cat fifo
wait $!
check "a FIFO is read to its end" [ "$out" = "through a fifo" ]
status 0 filemap cat /dev/null
check "the null device is empty" [ -z "$out" ]

# No more than is allowed.
status 0 filemap cat --max 21 text
check "exactly so many bytes are allowed" [ "$out" = "$(cat text)" ]
status 1 filemap cat --max 20 text
says "File too large"
check "exactly so many from a pipe" [ "$(printf 12345 | filemap cat --max 5 -)" = 12345 ]
printf 123456 | filemap cat --max 5 - >"$dir/.out" 2>"$dir/.err"
check "one byte more from a pipe is refused" [ $? = 1 ]
says "standard input"
status 1 filemap cat --max 3999999 big
check "nothing is printed of a file that is too large" [ ! -s "$dir/.out" ]

status 1 filemap cat missing text
says "missing"
says "No such file or directory"
prints "no newline"
mkdir d && ln -s missing dangling
status 1 filemap cat d
says "Is a directory"
status 1 filemap info fifo
says "No such device"
status 1 filemap info dangling
says "No such file or directory"
status 2 filemap cat
says "usage"
status 2 filemap cat --wrong text
says "filemap: cat: unrecognized option '--wrong'"
status 2 filemap cat --max
says "filemap: cat: option '--max' requires an argument"
status 2 filemap
status 2 filemap wrong
status 2 filemap log
status 2 filemap log wrong
for command in "" "cat" "copy" "info" "lock" "publish" "replace" "residency" "resize" "rm" "log append" "log cat" "log info" "log verify"; do
	# shellcheck disable=SC2086
	status 0 filemap $command --help
	prints usage
done
for word in -h help --help "cat -h" "log -h" "log cat -h"; do
	# shellcheck disable=SC2086
	status 0 filemap $word
	prints usage
done
status 0 filemap --version
prints "filemap 0."

# What a message says, it says once; a name can neither begin a line nor command a terminal.
is() { check "the error is '$1'" [ "$err" = "filemap: $1" ]; }
status 1 filemap cat missing
is "missing: look up file: No such file or directory"
status 1 filemap info fifo
is "fifo: check file type: No such device; only regular files can be mapped"
status 1 filemap cat ''
is "'': path: a name is needed"
status 1 filemap cat --max 20 text
is "text: more than 20 bytes: File too large"
status 1 filemap copy text empty
is "empty: create file: File exists"
status 1 filemap copy text nowhere/text
is "nowhere/text: open parent directory: No such file or directory"
status 1 filemap resize big 9000000000G
is "big: check resize file_size: outside the mapping or the file, or not representable"
long=$(printf 'x%.0s' {1..250})
status 1 filemap cat "$long"
is "$long: look up file: No such file or directory"
status 1 filemap cat $'a\nb\tc\033[2J\302\233\377\303\274'
is $'a\\nb\\tc\\x1b[2J\\xc2\\x9b\\xff\303\274: look up file: No such file or directory'
: >$'two\nlines'
for command in info residency; do
	status 0 filemap $command $'two\nlines'
	check "$command shows a name in one line" [ "$(head -n 1 .out)" = 'two\nlines' ]
done

if command -v flock >/dev/null; then
	flock -x text "$FILEMAP" cat text >"$dir/.out" 2>"$dir/.err"
	check "cat refuses a file that flock(1) holds exclusively" [ $? = 1 ]
	says "(flock)"
	says "--no-lock"
	check "cat --no-lock reads it" [ "$(flock -x text "$FILEMAP" cat --no-lock text)" = "$(cat text)" ]
	check "cat shares with a shared lock" [ "$(flock -s text "$FILEMAP" cat text)" = "$(cat text)" ]
else
	skip "no flock(1)"
fi

# Output that fails.
if [ -w /dev/full ]; then
	filemap cat big >/dev/full 2>"$dir/.err"
	check "a full standard output is a failure" [ $? = 1 ]
	says "No space left"
	filemap info big >/dev/full 2>"$dir/.err"
	check "so it is for what is buffered" [ $? = 1 ]
else
	skip "no /dev/full"
fi
filemap cat big 2>"$dir/.err" | :
check "a reader that went away is a failure, no signal" [ "${PIPESTATUS[0]}" = 1 ]
says "Broken pipe"
filemap cat text >&- 2>"$dir/.err"
check "a closed standard output is a failure" [ $? = 1 ]
says "standard output"

# The pipe holds less than the file: cat is in the middle of it when the file is cut.
cp big cut
filemap cat cut 2>"$dir/.err" | {
	head -c 1 >/dev/null
	: >cut
	cat >/dev/null
}
check "a file that is cut while it is printed is a failure, no SIGBUS" [ "${PIPESTATUS[0]}" = 1 ]
says "it was cut to 0 bytes"
finish
