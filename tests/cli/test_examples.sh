#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# The programs in examples/ do what they say.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

# index
status 2 "$INDEX" table 7
says "table: look up file"
status 0 "$INDEX" table 7 100
status 0 "$INDEX" table 8 0xffffffffffffffff
status 0 "$INDEX" table 7 200
status 0 "$INDEX" table 7
check "the later value of a key counts" [ "$out" = 200 ]
status 0 "$INDEX" table 8
check "a value has 64 bits" [ "$out" = 18446744073709551615 ]
status 1 "$INDEX" table 9
check "a key that was not set has no value" [ -z "$out" ]
check "the file is as it is documented" \
	[ "$(head -c 32 table | od -An -v -tx1 | tr -d ' \n')" = 49445831000000000300000000000000070000000000000064"$(printf '0%.0s' {1..14})" ]

for key in {10..300}; do
	"$INDEX" table "$key" $((key * 2)) || break
done
check "the table grows" [ "$(stat -c %s table)" = 8192 ]
check "with what it had" [ "$("$INDEX" table 7) $("$INDEX" table 10) $("$INDEX" table 300)" = "200 20 600" ]
truncate -s 4096 table
status 2 "$INDEX" table 7
says "a stored structure is damaged"
printf 'no table at all, but long enough' >text
status 2 "$INDEX" text 7 1
says "a stored structure is damaged"
check "what is no table stays as it is" [ "$(cat text)" = "no table at all, but long enough" ]

# counters
status 0 "$COUNTERS" counter 5 20000
check "no process loses a count" [ "$out" = 100000 ]
status 0 "$COUNTERS" counter 2 1
check "the file keeps the sum" [ "$out" = 100002 ]
status 0 "$FILEMAP" lock --shared counter "$COUNTERS" counter 1 1
check "it shares with the shared lock" [ "$out" = 100003 ]
: >short
status 0 "$COUNTERS" short 1 1
printf 1234 >odd
status 1 "$COUNTERS" odd 1 1
says "odd is too short"

# spool
mkdir jobs
for job in one two three; do
	status 0 "$SPOOL" jobs put $job "do $job"
done
status 1 "$SPOOL" jobs put two "something else"
says "two: "
says "File exists"
"$FILEMAP" lock jobs/three "$SPOOL" jobs take >taken
check "a job that somebody else is doing is left to him" [ "$(sort taken)" = "$(printf 'one: do one\ntwo: do two')" ]
check "what was done is gone" [ "$(ls -A jobs)" = three ]
status 0 "$SPOOL" jobs take
check "what was left is done later" [ "$out" = "three: do three" ]
status 0 "$SPOOL" jobs take
check "and only once" [ -z "$out" ]
for job in {1..40}; do
	"$SPOOL" jobs put "$job" x || break
done
for consumer in a b c; do
	"$SPOOL" jobs take >by-$consumer || echo "consumer $consumer failed: $?" >>failures &
done
wait
check "several consumers do not fail" [ ! -e failures ]
check "and do every job once" [ "$(cat by-a by-b by-c | sort)" = "$(printf '%s: x\n' {1..40} | sort)" ]
check "nothing is left behind" [ -z "$(ls -A jobs)" ]

# scan
yes 'thirty-one bytes and a new line' | head -n 4000 >lines
mkfifo questions
exec 3<>questions
"$SCAN" lines <questions 3>&- >answers &
scan=$!
ask() { # SIZE: cuts or extends the file, asks, and waits for the answer
	truncate -s "$1" lines
	count=$(wc -l <answers)
	echo >&3
	for _ in {1..100}; do
		[ "$(wc -l <answers)" = "$count" ] || return 0
		sleep 0.05
	done
}
ask 128000
ask 64000
ask 0
ask 128000
kill $scan
wait $scan 2>/dev/null
exec 3>&-
check "the lines are counted, and a file that is cut is no end of the program" [ "$(cat answers)" = "4000 lines
2000 lines before byte 65536: the file was cut
0 lines before byte 0: the file was cut
0 lines" ]

# own_ring
if [ -z "${OWN_RING-}" ]; then
	skip "own_ring: built without liburing"
	finish
fi
status 2 "$OWN_RING"
says "usage: "
status 1 "$OWN_RING" nowhere/kept
[ "$code" != 3 ] || { skip "own_ring: no io_uring here"; finish; }
says "nowhere/kept"
seq 1 300000 >input
"$OWN_RING" kept <input >answers
check "all that came in is in the file" cmp input kept
check "and is said to be durable in the end" [ "$(tail -n 1 answers)" = "durable $(stat -c %s input)" ]
check "in answers that ascend" \
	awk '$1 != "durable" || $2 + 0 <= last + 0 { bad = 1 } { last = $2 } END { exit bad || NR < 2 }' answers
status 0 "$OWN_RING" kept
check "nothing that comes in is an empty file, and no answer" [ "$(stat -c %s kept)$out" = 0 ]

mkfifo inputs
exec 3<>inputs
"$OWN_RING" kept <inputs >told 3>&- &
keeper=$!
printf 'twelve bytes' >&3
for _ in {1..600}; do
	! grep -qsx "durable 12" told || break
	sleep 0.05
done
check "what came is durable while more may come" [ "$(cat told)" = "durable 12" ]
kill -9 $keeper
wait $keeper 2>/dev/null
exec 3>&-
check "and outlives the keeper" [ "$(head -c 12 kept)" = "twelve bytes" ]
(
	ulimit -f 1536
	"$OWN_RING" limited <input >answers 2>"$dir/.err"
)
check "a file that cannot grow is an error" [ $? = 1 ]
says "grow: "
finish
