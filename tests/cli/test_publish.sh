#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# filemap publish: a complete new file under a free name, or none.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

leftovers() { find . -name '.*' ! -name . ! -name .out ! -name .err; }
gone() { [ ! -e "$1" ] && [ ! -L "$1" ]; }

head -c 3000000 /dev/urandom >big
printf small | filemap publish small
check "standard input is the content" [ "$(cat small)" = small ]
status 0 filemap publish empty
check "no input is an empty file" eval '[ -f empty ] && [ ! -s empty ]'
check "nothing is said of it" [ -z "$out$err" ]
filemap publish from-file <big
check "standard input can be a file" cmp big from-file
cat big | filemap publish from-pipe
check "standard input can be a pipe" cmp big from-pipe
{
	head -c 1000 >/dev/null
	filemap publish rest
} <big
check "a file is read from where it stands" cmp rest <(tail -c +1001 big)
status 0 filemap publish --from big from-name
check "--from is the content" cmp big from-name
check "it is a file of its own" [ "$(stat -c %i big)" != "$(stat -c %i from-name)" ]
printf dash | filemap publish --from - dash
check "--from - is standard input" [ "$(cat dash)" = dash ]
mkfifo fifo
cat big >fifo &
status 0 filemap publish --from fifo from-fifo
check "a FIFO is read to its end" cmp big from-fifo
status 0 filemap publish --from /proc/version version
check "a file of /proc has content" cmp version /proc/version
printf x | filemap publish -- -dash
check "-- ends the options" [ "$(cat ./-dash)" = x ]
mkdir d
printf x | filemap publish d/deep
check "another directory" [ "$(cat d/deep)" = x ]
long=$(printf 'x%.0s' {1..255})
printf x | filemap publish "$long"
check "a name as long as names get" [ "$(cat "$long")" = x ]

# Permissions.
(umask 027 && filemap publish masked </dev/null)
check "the umask counts" [ "$(stat -c %a masked)" = 640 ]
(umask 077 && filemap publish --mode 0664 exact </dev/null)
check "--mode is exact" [ "$(stat -c %a exact)" = 664 ]
(umask 0 && filemap publish --mode 400 read-only </dev/null)
check "a mode without permission to write" [ "$(stat -c %a read-only)" = 400 ]

# Never over anything.
ln -s nowhere dangling && ln -s d link
for name in small fifo d dangling link; do
	status 1 filemap publish --from big $name
	check "nothing is put over $name" grep -q "^filemap: $name: .*File exists" .err
done
check "what was there stays" eval '[ "$(cat small)" = small ] && [ -p fifo ] && [ -L dangling ] && gone nowhere'
status 1 filemap publish --from missing new
says "missing: look up file: No such file or directory"
status 1 filemap publish --from d new
says "d: "
says "Is a directory"
"$FILEMAP" publish new <d 2>.err
check "standard input can be no directory" [ $? = 1 ]
says "filemap: standard input: Is a directory"
"$FILEMAP" publish new <&- 2>.err
check "a closed standard input is a failure" [ $? = 1 ]
says "standard input: Bad file descriptor"
timeout 30 "$FILEMAP" publish new 0>/dev/null 2>.err
check "a device that cannot be read is a failure" [ $? = 1 ]
says "new: copy from standard input: Bad file descriptor"
for name in missing/new small/new new/ . / ''; do
	status 1 filemap publish --from big "$name"
	check "it says why '$name' cannot be made" [ "$(wc -l <.err)" = 1 ]
done
status 2 filemap publish
status 2 filemap publish new more
for mode in 0 '' 8 0o7 rw 1000 4755 00001000 -1 66666666666666 400000000644; do
	status 2 filemap publish --mode "$mode" new
	says "not permissions"
done
status 2 filemap publish --expect x new
status 2 filemap publish --wrong new
says "filemap: publish: unrecognized option '--wrong'"
check "no such failure makes a file" gone new
check "nothing temporary is left" [ -z "$(leftovers)" ]

# Input that fails, or ends the command.
if head -c 1 /proc/$$/mem 2>&1 | grep -q "Input/output error"; then
	"$FILEMAP" publish new </proc/$$/mem 2>.err
	check "input that fails is a failure" [ $? = 1 ]
	says "new: copy from standard input: Input/output error"
	check "and makes no file" eval 'gone new && [ -z "$(leftovers)" ]'
else
	skip "no input that fails"
fi
"$FILEMAP" publish killed <fifo &
pid=$!
exec 7>fifo
head -c 100000 big >&7
check "while input comes there is no file" gone killed
{ kill -KILL $pid; wait $pid; } 2>/dev/null
exec 7>&-
check "nor after the command was killed" gone killed
case $(stat -f -c %T .) in
ext2/ext3 | tmpfs | xfs | btrfs) check "nor anything else" [ -z "$(leftovers)" ] ;;
*) skip "the file system may have no files without names" ;;
esac
(ulimit -f 100 && "$FILEMAP" publish --from big new 2>.err)
check "a file that gets too large is a failure" [ $? = 1 ]
says "new: copy from big: File too large"
check "and no file" eval 'gone new && [ -z "$(leftovers)" ]'
cat big | (ulimit -f 100 && "$FILEMAP" publish new 2>.err)
check "nor is one made from a pipe" [ $? = 1 ]
says "new: copy from standard input: File too large"
check "nor anything else" eval 'gone new && [ -z "$(leftovers)" ]'

if command -v flock >/dev/null; then
	status 1 flock -x big "$FILEMAP" publish --from big locked
	check "the refusal names the holder" grep -qE 'big: locked by [0-9]+ \(flock\); --no-lock' .err
	check "nothing is made of a locked file" gone locked
	status 0 flock -x big "$FILEMAP" publish --no-lock --from big locked
	check "--no-lock reads it" cmp big locked
else
	skip "no flock(1)"
fi
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
	# The keys come once somebody reads: script(1) passes them through a terminal of its own.
	printf 'typed\n\004' | script -qec "stty -echo; \"$FILEMAP\" publish typed" /dev/null >/dev/null
	check "a terminal can be typed at" [ "$(cat typed)" = typed ]
else
	skip "script(1) makes no terminal here"
fi

# A full disk.
full() { # COMMAND: in a file system of 1 MiB, which vanishes with its namespace
	unshare --mount --propagation private sh -c 'mount -t tmpfs -o size=1m none "$0" && cd "$0" && eval "$1"' "$dir/d" "$1"
}
if [ "$(id -u)" = 0 ] && full true 2>/dev/null; then
	status 1 full "\"$FILEMAP\" publish --from \"$dir/big\" new; code=\$?; ls -A >&2; exit \$code"
	says "new: copy from $dir/big: No space left on device"
	check "a full disk makes no file" [ "$(wc -l <.err)" = 1 ]
else
	skip "no file system can be mounted here"
fi

if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
	traced() { env ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" strace -f -o calls "$@"; }
	status 0 traced "$FILEMAP" publish --from big traced
	check "synced, named, synced" \
		[ "$(grep -oE '(fsync|fdatasync|linkat|renameat2)\(' calls | sed 's/fdatasync/fsync/' | tr -d '\n')" = 'fsync(linkat(fsync(fsync(' ]
	status 1 traced -e inject=linkat:error=EEXIST "$FILEMAP" publish --from big late
	check "a name that is taken in the last moment" eval 'gone late && [ -z "$(leftovers)" ]'
	status 1 traced -e inject=fsync:error=EIO:when=2 "$FILEMAP" publish --from big doubtful
	says "doubtful: sync"
	check "a name that is not durable is there all the same" cmp big doubtful
	status 1 traced -e inject=fsync:error=EIO:when=3 "$FILEMAP" publish --from big doubtful-2
	says "doubtful-2: sync parent directory"
	check "one whose directory is not is, too" cmp big doubtful-2
else
	skip "strace(1) cannot trace here"
fi
finish
