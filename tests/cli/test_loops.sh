#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# A queue in an event loop, as the examples show it, with each kind of loop that is there and with each backend.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

# wait_for TEXT FILE: until a line of it is TEXT, at most 30 s
wait_for() {
	for _ in {1..600}; do
		! grep -qx "$1" "$2" || return 0
		sleep 0.05
	done
	return 1
}
ascends() { # FILE: "durable N" with a larger N in every line
	awk '$1 != "durable" || $2 + 0 <= last + 0 { bad = 1 } { last = $2 } END { exit bad }' "$1"
}

serves() { # NAME PROGRAM BACKEND...
	local name="$1${3:+, $3}" file=$1-${3:-any} program=$2
	shift 2
	yes 'a line of thirty-one characters' | head -n 3000 >lines
	cat lines | "$program" "$file" "$@" >answers
	check "$name: many lines are all answered" [ "$(tail -n 1 answers)" = 'durable 3000' ]
	check "$name: in their order" ascends answers
	check "$name: the file has exactly the lines" cmp lines "$file"

	rm -f questions
	mkfifo questions
	exec 3<>questions
	"$program" "$file" "$@" <questions >answers 3>&- &
	local server=$!
	echo one >&3
	check "$name: a line is answered while the input is open" wait_for 'durable 1' answers
	printf 'two\nthr' >&3
	check "$name: and the next one" wait_for 'durable 2' answers
	kill -9 $server
	wait $server 2>/dev/null
	exec 3>&-
	printf 'one\ntwo\n' >>lines
	check "$name: what was answered is in the file of a server that was killed" \
		cmp -n "$(stat -c %s lines)" lines "$file"
	printf 'ee\n' | "$program" "$file" "$@" >answers
	check "$name: the next one goes on behind it" [ "$(tail -n 1 answers)$(tail -n 1 "$file")" = 'durable 1three' ]

	: | "$program" "$file-none" "$@" >answers
	check "$name: no line, no answer" [ ! -s answers ]
	check "$name: and an empty file" [ -e "$file-none" -a ! -s "$file-none" ]
}

# What cannot be stored is an error, and what was before it is answered.
fails() { # NAME PROGRAM
	(
		ulimit -f 64
		yes 'a line of thirty-one characters' | head -n 3000 | "$2" "$1-large" >answers 2>"$dir/.err"
	)
	check "$1: a file that cannot grow ends it" [ $? = 1 ]
	says 'file: '
	check "$1: after the lines that are in it were answered" [ "$(tail -n 1 answers)" = "durable $(wc -l <"$1-large")" ]
	check "$1: which are many" [ "$(wc -l <"$1-large")" -gt 1000 ]
	status 2 "$2"
	says 'usage: '
	status 1 "$2" nowhere/file
	says 'nowhere/file: '
}

for kind in epoll libuv glib; do
	variable=QUEUE_${kind^^}
	program=${!variable-}
	if [ -z "$program" ]; then
		skip "queue_$kind: $kind is not there to build it with"
		continue
	fi
	serves $kind "$program"
	serves $kind "$program" threads
	fails $kind "$program"
done
finish
