#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# filemap lock, against flock(1), against Python's locks, and as a keeper of commands.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

printf data >f
: >g

# The command.
status 0 filemap lock f echo under the lock
check "the command runs" [ "$out" = "under the lock" ]
status 7 filemap lock f sh -c 'exit 7'
status 137 filemap lock f sh -c 'kill -KILL $$'
status 143 filemap lock f sh -c 'kill -TERM $$'
status 127 filemap lock f no-such-command
says "no-such-command: No such file or directory"
status 126 filemap lock f ./f
says "./f: Permission denied"
status 0 filemap lock f echo --shared --help -- x
check "options behind FILE are the command's" [ "$out" = "--shared --help -- x" ]
check "the command has our standard input" [ "$(printf in | filemap lock f cat)" = in ]
status 0 sh -c 'ls -l /proc/$$/fd'
inherited=$(grep -c -- '->' .out)
status 0 filemap lock f sh -c 'ls -l /proc/$$/fd'
check "the descriptor does not leak" [ -z "$(grep -F "$dir/f" .out)" ]
check "nor does any other" [ "$(grep -c -- '->' .out)" = "$inherited" ]
check "the file is as before" [ "$(cat f)" = data ]

# What cannot be locked.
status 1 filemap lock missing true
says "No such file or directory"
mkdir d && mkfifo fifo
status 1 filemap lock d true
says "Is a directory"
status 1 filemap lock fifo true
status 0 filemap lock --create made true
check "--create makes the file" [ -e made ]
status 0 filemap lock --shared --create made-shared true
check "--create makes it for a shared lock" [ -e made-shared ]
check "it is empty" [ ! -s made ]
status 0 filemap lock --create f true
check "--create keeps what there is" [ "$(cat f)" = data ]
for arguments in '' f '--wait x f true' '--wait -1 f true' '--wait 4294967296 f true' '--family x f true' '--wrong f true'; do
	# shellcheck disable=SC2086
	status 2 filemap lock $arguments
done

# Against itself.
status 1 filemap lock f "$FILEMAP" lock f true
check "the refusal names the holder" grep -qE 'f: locked by [0-9]+ \(filemap\)$' .err
status 1 filemap lock f "$FILEMAP" lock --wait 1 f true
status 1 filemap lock f "$FILEMAP" lock --shared f true
status 1 filemap lock --shared f "$FILEMAP" lock f true
status 0 filemap lock --shared f "$FILEMAP" lock --shared f true
status 0 filemap lock --shared f "$FILEMAP" lock --shared --create f true
status 0 filemap lock f "$FILEMAP" lock g true
status 0 filemap lock --family ofd f "$FILEMAP" lock --family flock f true
status 1 filemap lock --family ofd f "$FILEMAP" lock --family ofd f true
check "the holder of an OFD lock is named" grep -qE 'f: locked by [0-9]+ \(filemap\)$' .err
status 0 filemap lock --shared --family ofd f "$FILEMAP" lock --shared --family ofd f true
status 1 filemap lock --shared --family ofd f "$FILEMAP" lock --family ofd f true

# Against flock(1), both ways.
if command -v flock >/dev/null; then
	status 1 filemap lock f flock -n f true
	status 1 filemap lock f flock -n -s f true
	status 1 filemap lock --shared f flock -n f true
	status 0 filemap lock --shared f flock -n -s f true
	status 0 filemap lock --family ofd f flock -n f true
	status 1 flock f "$FILEMAP" lock f true
	check "flock(1) is named" grep -qE 'f: locked by [0-9]+ \(flock\)$' .err
	status 1 flock f "$FILEMAP" lock --shared f true
	status 1 flock -s f "$FILEMAP" lock f true
	status 0 flock -s f "$FILEMAP" lock --shared f true
	status 0 flock f "$FILEMAP" lock --family ofd f true
	status 0 flock -n f true
	check "nothing is left locked" [ "$code" = 0 ]
else
	skip "no flock(1)"
fi

# Against Python, both ways.
if command -v python3 >/dev/null; then
	for family in flock ofd; do
		for pair in 'exclusive exclusive 1' 'exclusive shared 1' 'shared exclusive 1' 'shared shared 0'; do
			read -r theirs ours expected <<<"$pair"
			ours=${ours/exclusive/} && ours=${ours/shared/--shared}
			# shellcheck disable=SC2086
			status "$expected" holds $family "$theirs" f "$FILEMAP" lock --family $family $ours f true
			[ "$expected" = 0 ] || check "Python is named ($family)" grep -qE 'f: locked by [0-9]+ \(python3.*\)$' .err
			# shellcheck disable=SC2086
			status $((expected * 75)) "$FILEMAP" lock --family $family $ours f python3 "$here/hold.py" $family "$theirs" f true
		done
	done
	status 1 holds posix exclusive f "$FILEMAP" lock --family ofd f true
	check "a POSIX lock is one of the same family" grep -qE 'f: locked by [0-9]+ \(python3.*\)$' .err
	status 75 filemap lock --family ofd f python3 "$here/hold.py" posix exclusive f true
	status 0 holds posix exclusive f "$FILEMAP" lock f true
	status 1 holds posix exclusive f "$FILEMAP" lock f "$FILEMAP" lock f true
	check "only those who stand in the way are named" grep -qE 'f: locked by [0-9]+ \(filemap\)$' .err
	HOLD_BYTE=0 status 1 holds posix exclusive f env HOLD_BYTE=9 python3 "$here/hold.py" posix shared f \
		"$FILEMAP" lock --family ofd --shared f true
	check "who shares is not in the way of a shared lock" grep -qE 'f: locked by [0-9]+ \(python3[^,]*\)$' .err
	HOLD_TWICE=1 status 1 holds flock shared f "$FILEMAP" lock f true
	check "each of them once" grep -qE 'f: locked by [0-9]+ \(python3[^,]*\)$' .err
	status 1 holds flock shared f "$FILEMAP" lock --shared f "$FILEMAP" lock f true
	check "and all of them" grep -qE 'f: locked by ([0-9]+ \((filemap|python3.*)\)(, |$)){2}$' .err
else
	skip "no python3"
fi

# Waiting: the waiter is started while the lock is held, and ends only after it was given up.
mkfifo held release
"$FILEMAP" lock f sh -c 'echo held >held; read -r _ <release' &
holder=$!
read -r _ <held
"$FILEMAP" lock --wait forever f touch waited &
waiter=$!
check "the waiter has to wait" [ ! -e waited ]
echo go >release
wait $holder
wait $waiter
check "it gets the lock in the end" [ "$? $(ls waited)" = "0 waited" ]

# What the command leaves running keeps no lock.
filemap lock f sh -c 'sleep 1000 >/dev/null 2>&1 </dev/null & echo $! >daemon'
check "the daemon lives" kill -0 "$(<daemon)"
status 0 filemap lock f true
kill "$(<daemon)"

# Signals of a process are passed on, and the lock is held until the command ends. A shell that has forked and
# not yet called exec may lose a signal: what sleeps holds no output that somebody waits for.
for signal in TERM HUP USR1; do
	"$FILEMAP" lock f sh -c '
		trap "kill \$!; echo got >got; exit 9" '$signal'
		sleep 60 >/dev/null 2>&1 & echo held >held; wait' &
	holder=$!
	read -r _ <held
	kill -$signal $holder
	wait $holder
	code=$?
	check "SIG$signal is passed on, the status comes back" [ "$code $(cat got)" = "9 got" ]
	rm -f got
done

# What may only be read can be locked, as flock(1) does.
nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
chmod 755 . && chmod 644 f
if [ "$(id -u)" = 0 ] && nobody "$FILEMAP" --version >/dev/null 2>&1; then
	status 0 nobody "$FILEMAP" lock f true
	status 1 nobody "$FILEMAP" lock f "$FILEMAP" lock f true
	status 1 nobody "$FILEMAP" lock --family ofd f true
	says "Permission denied"
	status 0 nobody "$FILEMAP" lock --shared --family ofd f true
else
	skip "not root, or others cannot run the command: files that may only be read"
fi
finish
