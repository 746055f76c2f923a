#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# filemap resize: absolute and relative sizes, blocks or holes, durable.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

resized() { # resized EXPECTED ARGUMENT...: the file f has that size afterwards
	local expected=$1
	shift
	status 0 filemap resize "$@"
	check "resize $* leaves $expected bytes" [ "$(stat -c %s f)" = "$expected" ]
}
allocated() { echo $(($(stat -c '%b * %B' f))); }

printf 'content' >f
resized 100 f 100
check "the content stays and zeros follow" cmp f <(printf content && head -c 93 /dev/zero)
resized 4 f 4
check "what is cut is gone" [ "$(cat f)" = cont ]
resized 7 f 7
check "and does not come back" cmp f <(printf 'cont\0\0\0')
resized 0 f 0
resized 3072 f 3K
resized 2097152 f 2M
resized 2098152 f +1000
resized 2097128 f -1K
resized 2097128 f +0
resized 2097128 f 2097128
resized 0 f -2097128
resized 1048576 f +1M
if [ "$(stat -f -c %T .)" != btrfs ]; then
	check "growth takes blocks" [ "$(allocated)" -ge 1048576 ]
fi
resized 0 f 0
resized 1048576 --sparse f 1M
check "--sparse takes none" [ "$(allocated)" -lt 1048576 ]
resized 1099511627776 --sparse f 1T
resized 1073741824 --sparse f 1G
resized 10 f 10

# What is refused leaves the file alone.
status 1 filemap resize f -11
says "f: has 10 bytes, which cannot become 11 fewer"
status 1 filemap resize f 9223372036854775808
status 1 filemap resize f +18446744073709551615
says "f: has 10 bytes, which cannot become 18446744073709551615 more"
check "a refusal leaves the size" [ "$(stat -c %s f)" = 10 ]
status 1 filemap resize missing 10
check "resize makes no file" [ ! -e missing ]
mkdir d && mkfifo fifo
status 1 filemap resize d 10
status 1 filemap resize fifo 10
for size in '' x 1x 1KK - + +-1 --1 0x10 ' 1' 18446744073709551616 16777216T; do
	status 2 filemap resize f "$size"
done
status 2 filemap resize f
status 2 filemap resize f 1 2
status 2 filemap resize --wrong f 1
check "wrong usage leaves the size" [ "$(stat -c %s f)" = 10 ]

if command -v flock >/dev/null; then
	status 1 flock -s f "$FILEMAP" resize f 20
	check "the refusal names the holder" grep -qE 'f: locked by [0-9]+ \(flock\)$' .err
	check "a locked file keeps its size" [ "$(stat -c %s f)" = 10 ]
else
	skip "no flock(1)"
fi

# Started without standard descriptors: no message may end up in the file.
"$FILEMAP" resize f -11 2>&-
check "a failure without standard error is one" [ $? = 1 ]
"$FILEMAP" resize f -11 >&- 2>&-
"$FILEMAP" resize f -11 <&- >&- 2>&-
check "nothing is written into the file" cmp f <(head -c 10 /dev/zero)

if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
	status 0 env ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" strace -f -o calls "$FILEMAP" resize f 50000
	check "the size is synced after it was changed" \
		[ "$(grep -oE '(fallocate|ftruncate|fsync)\(' calls | tail -n 1)" = 'fsync(' ]
else
	skip "strace(1) cannot trace here"
fi
finish
