#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# filemap info: what it tells of a file, as text and as JSON, and of those who hold locks on it.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

printf 'no newline at the end' >text
head -c 100000 /dev/urandom >big
: >empty
chmod 640 text
ln text other
touch -m -d '2001-02-03 04:05:06.789 UTC' text

status 0 filemap info text
prints "21 bytes"
prints "inode $(stat -c %i text)"
prints "permissions 0640"
prints "links       2"
prints "modified    2001-02-03T04:05:06.789"
prints "mapping     read, lock: shared"
prints "1 of 1 pages in memory"
status 0 filemap info --no-lock text empty
prints "lock: none"
prints "0 of 0 pages in memory"
case $(stat -f -c %T .) in
ext2/ext3 | tmpfs | xfs) prints "reservable  yes" ;;
btrfs | overlayfs) prints "reservable  no" ;;
*) skip "reservable: nothing is known of this file system" ;;
esac
check "hard links have one identity" \
	[ "$(filemap info text | grep identity)" = "$(filemap info other | grep identity)" ]
check "two files have two" [ "$(filemap info text | grep identity)" != "$(filemap info big | grep identity)" ]

name=$'we"ird\\\n\t\x01\x7f \xe2\x82\xac \x80\xff\xed\xa0\x80\xc0\xaf'
printf x >"$name"
if command -v python3 >/dev/null; then
	status 0 filemap info --json text empty big
	check "--json prints a line a file" [ "$(wc -l <"$dir/.out")" = 3 ]
	check "--json is JSON" json "$dir/.out"
	check "size" [ "$(field .out 'j["size"]')" = 21 ]
	check "inode" [ "$(field .out 'j["inode"]')" = "$(stat -c %i text)" ]
	check "device" [ "$(field .out 'j["device"]')" = "$(stat -c %d text)" ]
	check "permissions" [ "$(field .out 'j["permissions"]')" = 0640 ]
	check "mode and lock" [ "$(field .out 'j["mode"] + j["lock"]')" = readshared ]
	check "residency" [ "$(field .out 'j["residency"]["pages"]')" = 1 ]
	check "nobody else holds a lock" [ "$(field .out 'j["holders"]')" = "[]" ]
	run filemap info --json "$name"
	check "a name of any bytes makes valid JSON" json .out
	field .out 'os.fsencode(j["path"]).hex()' >hex
	check "and comes back from it" [ "$(cat hex)" = "$(printf %s "$name" | od -An -tx1 | tr -d ' \n')" ]
else
	skip "no python3 to read the JSON with"
fi

# Who holds it.
if command -v flock >/dev/null; then
	status 1 flock -x text "$FILEMAP" info text
	check "the refusal names the holder" grep -qE 'text: locked by [0-9]+ \(flock\); --no-lock' .err
	check "nothing is printed then" [ ! -s .out ]
	status 1 flock -x text "$FILEMAP" info text big
	prints "100000 bytes"
	status 0 flock -x text "$FILEMAP" info --no-lock text
	check "the exclusive holder is listed" grep -qE 'held by     [0-9]+ \(flock\): flock, exclusive' .out
	status 0 flock -s text "$FILEMAP" info text
	check "a shared holder is listed" grep -qE 'held by     [0-9]+ \(flock\): flock, shared' .out
	# The one who took it has ended, and left the descriptor to sleep(1).
	mkfifo ready
	(
		flock -x 9
		sleep 1000 >/dev/null 2>&1 &
		echo $! >ready
	) 9<>big &
	heir=$(<ready)
	wait $!
	status 1 filemap info big
	check "an heir of the descriptor is found" grep -qE "big: locked by $heir \(" .err
	kill "$heir"
else
	skip "no flock(1)"
fi
if command -v python3 >/dev/null; then
	status 0 holds posix exclusive text "$FILEMAP" info text
	check "a POSIX lock is listed" grep -qE 'held by     [0-9]+ \(python3.*\): posix, exclusive' .out
	status 0 holds ofd shared text "$FILEMAP" info --json text
	check "an OFD lock is JSON" json .out
	check "an OFD lock is listed with its process" \
		[ "$(field .out '[h["command"].startswith("python3") for h in j["holders"] if h["kind"] == "ofd"]')" = "[True]" ]
fi

# What somebody else owns and may only be read.
nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
chmod 755 . && chmod 644 big
if [ "$(id -u)" = 0 ] && nobody "$FILEMAP" --version >/dev/null 2>&1; then
	status 0 nobody "$FILEMAP" info big
	prints "residency   unknown"
	status 0 nobody "$FILEMAP" info --json big
	prints '"residency":null'
	status 1 nobody "$FILEMAP" residency big
	says "big: Operation not permitted; the kernel tells only owners"
else
	skip "not root, or others cannot run the command: residency of others' files"
fi
finish
