#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# filemap residency: counts that are true and a picture that agrees with them.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

page=$(getconf PAGESIZE)
row() { sed -n 's/^  \[\(.*\)\]$/\1/p' .out; }
# counted TOUCH EXPECTED COMMAND...: the kernel may drop a clean page between any two calls, so the pages are touched
# and counted again, a few times, until the output holds EXPECTED. What is wrong stays wrong, for the checks that follow.
counted() {
	local touch=$1 expected=$2 attempt
	shift 2
	for attempt in $(seq 20); do
		eval "$touch" >/dev/null
		run "$@"
		! grep -qF -- "$expected" .out || break
	done
	check "exit status of '$*' is 0 (was $code, attempt $attempt)" [ "$code" = 0 ]
}
put_last() {
	dd if=/dev/urandom of=holes bs="$page" seek=63 count=1 conv=notrunc status=none
	sync holes
}
head -c $((page * 200 + 1)) /dev/urandom >f
printf tiny >tiny
: >empty
sync f tiny

counted "cat f" " 201 of 201 " filemap residency f
prints "in memory     201 of 201 pages, 100.0 %"
check "the picture has 64 cells" [ "$(row)" = "$(printf '#%.0s' $(seq 64))" ]
prints "a cell is 3 or 4 pages"
counted "cat f" " 201 of 201 " filemap residency --width 10 f
check "as wide as asked for" [ "$(row)" = "##########" ]
counted "cat f" " 201 of 201 " filemap residency --width 1000 f
check "never more cells than pages" [ "$(row | wc -m)" = 202 ]
prints "a cell is 1 page"
counted "cat tiny" " 1 of 1 " filemap residency tiny empty
prints "1 of 1 pages, 100.0 %"
prints "0 of 0 pages, 0.0 %"
check "without a terminal all is ASCII" [ -z "$(LC_ALL=C tr -d '\0-\177' <.out)" ]

# A hole is not in memory; tmpfs and disks agree.
truncate -s $((page * 64)) half
dd if=/dev/urandom of=half bs="$page" count=32 conv=notrunc status=none
sync half
counted "cat half" "################################" filemap residency --width 64 half
check "the written half is in memory" [ "$(row | cut -c1-32)" = "################################" ]
truncate -s $((page * 64)) holes
status 0 filemap residency --width 8 holes
check "a hole that nobody read is not" [ "$(row)" = "........" ]
prints "in memory     0 of 64 pages, 0.0 %"
counted put_last ".......+" filemap residency --width 8 holes
check "one page of eight is a partial cell" [ "$(row)" = ".......+" ]

if [ "$(stat -f -c %T .)" != tmpfs ]; then
	dd of=f oflag=nocache conv=notrunc,fdatasync count=0 status=none
	status 0 filemap residency f
	check "pages that the kernel dropped are missed" [ -n "$(row | tr -d '#')" ]
else
	skip "tmpfs drops no pages"
fi

if command -v python3 >/dev/null; then
	status 0 filemap residency --json --width 4 f empty
	check "--json is JSON" json .out
	check "the cells sum up" [ "$(field .out 'sum(c["pages"] for c in j["cells"]) == j["total"]["pages"] == 201')" = True ]
	check "so do their residents" [ "$(field .out 'sum(c["resident"] for c in j["cells"]) == j["total"]["resident"]')" = True ]
	check "there are as many as asked for" [ "$(field .out 'len(j["cells"])')" = 4 ]
	head -c $((page * 50)) /dev/urandom >fresh
	status 0 filemap residency --json --width 1 fresh
	check "dirty is a number no larger than resident, or null" \
		[ "$(field .out 'j["total"]["dirty"] is None or 0 <= j["total"]["dirty"] <= 50')" = True ]
else
	skip "no python3 to read the JSON with"
fi

# On a terminal.
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
	LC_ALL=C.UTF-8 script -qec "stty cols 50; '$FILEMAP' residency tiny half" /dev/null </dev/null >tty
	check "a terminal that can gets blocks" grep -q $'\u2588' tty
	LC_ALL=C script -qec "stty cols 50; '$FILEMAP' residency half" /dev/null </dev/null >tty
	check "another one gets ASCII" [ -z "$(LC_ALL=C tr -d '\0-\177' <tty)" ]
	check "as wide as the terminal" [ "$(tr -d '\r' <tty | grep -F '[' | wc -m)" = 51 ]
else
	skip "script(1) makes no terminal here"
fi

if command -v flock >/dev/null; then
	status 1 flock -x f "$FILEMAP" residency f
	check "the refusal names the holder" grep -qE 'f: locked by [0-9]+ \(flock\); --no-lock' .err
	status 0 flock -x f "$FILEMAP" residency --no-lock f
else
	skip "no flock(1)"
fi
status 1 filemap residency missing tiny
prints " of 1 pages"
for width in 0 -1 x 65537 1K; do
	status 2 filemap residency --width "$width" f
done
status 2 filemap residency
finish
