#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# filemap log append, cat, info, verify on both backends and both record formats.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

printf 'one\n\nthree\nlast without newline' >lines
seq 1 20000 >numbers

for backend in threads io_uring; do
	run filemap log append --backend $backend --segment-size 1M log-$backend lines
	if [ $backend = io_uring ] && [ "$code" != 0 ]; then
		check "a missing io_uring is named" grep -q "ring" "$dir/.err"
		skip "io_uring is not available: $err"
		continue
	fi
	check "append works on $backend" [ "$code" = 0 ]
	check "the summary names $backend" grep -q "flushes by $backend" "$dir/.err"
	filemap log append --quiet --backend $backend log-$backend <numbers
	check "cat restores lines, $backend" cmp <(filemap log cat log-$backend) <(cat lines; echo; cat numbers)
	status 0 filemap log verify --deep log-$backend
	prints "clean"
	prints "20004 ("
done

log=log-threads
filemap log append --acks --quiet acks numbers >acked
check "acks end with all records" grep -q "^durable 20000 " acked
check "acks ascend" sort -c -n -k 2,2 acked
check "acks are nothing but acks" [ -z "$(grep -v '^durable [0-9]* [0-9]*$' acked)" ]

printf '\003\000\000\000a\nb\000\000\000\000\001\000\000\000z' >prefixed
filemap log append --quiet --length-prefixed binary prefixed
check "length-prefixed records come back" cmp <(filemap log cat --length-prefixed binary) prefixed
printf '\003\000\000\000a' >cut
status 1 filemap log append --length-prefixed cut-log cut
says "record 1"

head -c 600000 /dev/zero | tr '\0' x >long
(echo first; cat long; echo; echo third) >with-long
status 1 filemap log append --segment-size 1M long-log with-long
says "record 2"
check "what came before a record that is too long is kept" [ "$(filemap log cat long-log)" = first ]

head -c 5000000 /dev/urandom | od -An -tx1 -w400 >several
status 0 filemap log append --segment-size 1M several-log several
check "several segments come back" cmp <(filemap log cat several-log) several
check "there are several segments" [ "$(find several-log -name '*.seg' | wc -l)" -ge 10 ]
status 0 filemap log verify --deep several-log
status 0 filemap log info --json $log
prints '"state":"clean"'

# What is no log, or none that may be written.
status 1 filemap log cat nowhere
says "No such file or directory"
mkdir foreign && echo data >foreign/file
status 1 filemap log append foreign lines
check "a foreign directory is left alone" [ "$(find foreign | wc -l)" = 2 ]
status 1 filemap log cat foreign
status 1 filemap log append not-made missing-input
check "an unreadable input leaves no log behind" [ ! -e not-made ]
status 1 filemap log append lines lines
status 2 filemap log append
status 2 filemap log append --backend wrong x
status 2 filemap log append --segment-size 12x x
status 1 filemap log append --segment-size 12345 x lines
says "segment_size"
check "a refused size leaves nothing behind" [ ! -e x ]

# A second writer while the first lives.
mkfifo feed
filemap log append --acks --quiet $log <feed >held &
writer=$!
exec 3>feed
echo held >&3
while ! grep -q durable held; do kill -0 $writer || break; done
before=$(cd $log && cksum -- *.seg meta)
status 1 filemap log append $log lines
says "lock"
check "a refused writer changes nothing" [ "$before" = "$(cd $log && cksum -- *.seg meta)" ]
check "a reader follows the living writer" [ "$(filemap log cat $log | tail -n 1)" = held ]
check "what was acknowledged is durable for a reader, too" [ "$(filemap log cat --durable $log | tail -n 1)" = held ]
status 0 filemap log verify $log
exec 3>&-
wait $writer
check "the writer ends well" [ $? = 0 ]

# A writer that was killed: all that it acknowledged can be read before anybody recovers.
filemap log append --acks --quiet killed <feed >held &
writer=$!
exec 3>feed
seq 1 3000 >&3
while [ "$(tail -n 1 held 2>/dev/null | cut -d" " -f2)" != 3000 ]; do kill -0 $writer || break; done
kill -9 $writer
wait $writer 2>/dev/null
exec 3>&-
check "cat shows what a killed writer had acknowledged" cmp <(filemap log cat killed) <(seq 1 3000)

# Damage in what was acknowledged.
cp -r $log damaged
segment=$(find damaged -name '*.seg' | sort | head -n 1)
printf 'X' | dd of="$segment" bs=1 seek=4200 conv=notrunc status=none
status 4 filemap log verify --deep damaged
finish
