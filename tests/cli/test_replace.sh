#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# filemap replace: the old content or the new one, complete, and only of the file that was meant.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

identity() { filemap info --no-lock "$1" | sed -n 's/^  identity  *//p'; }
leftovers() { find . -name '.*' ! -name . ! -name .out ! -name .err; }
keeps() { check "$1: $2 is '$3'" [ "$(cat "$2")" = "$3" ]; }

head -c 3000000 /dev/urandom >big
printf old >f
inode=$(stat -c %i f)
printf new | filemap replace f
keeps "standard input is the content" f new
check "it is a new file" [ "$(stat -c %i f)" != "$inode" ]
status 0 filemap replace f
check "no input is no content" eval '[ -f f ] && [ ! -s f ]'
check "nothing is said of it" [ -z "$out$err" ]
status 0 filemap replace --from big f
check "--from is the content" cmp big f
status 0 filemap replace --from f f
check "a file can replace itself" cmp big f
status 0 filemap replace --from big made
check "what does not exist is made" cmp big made
printf x | filemap replace -- -dash
keeps "-- ends the options" ./-dash x
printf linked >a && ln a b
printf new | filemap replace a
keeps "a further name keeps the old" b linked
exec 8<f
printf new | filemap replace f
check "who has it open keeps the old" cmp big - <&8
exec 8<&-

# Permissions and owner.
printf old >f && chmod 751 f
(umask 022 && filemap replace f </dev/null)
check "permissions are those of a new file" [ "$(stat -c %a f)" = 644 ]
chmod 751 f
(umask 077 && filemap replace --keep-mode f </dev/null)
check "--keep-mode keeps them" [ "$(stat -c %a f)" = 751 ]
(umask 077 && filemap replace --mode 664 f </dev/null)
check "--mode sets them exactly" [ "$(stat -c %a f)" = 664 ]
filemap replace --keep-mode --mode 604 f </dev/null
check "--keep-mode comes before --mode" [ "$(stat -c %a f)" = 664 ]
filemap replace --keep-mode --mode 604 of-none </dev/null
check "which is for a file that does not exist" [ "$(stat -c %a of-none)" = 604 ]
nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
if [ "$(id -u)" = 0 ] && chmod 755 . && nobody "$FILEMAP" --version >/dev/null 2>&1; then
	printf old >f && chown 65534:12 f
	printf new | filemap replace f
	check "the owner is who replaces" [ "$(stat -c %u:%g f)" = 0:0 ]
	chown 65534:12 f && chmod 640 f
	printf newer | filemap replace --keep-owner --keep-mode f
	check "--keep-owner keeps owner and group" [ "$(stat -c %u:%g:%a f)" = 65534:12:640 ]
	keeps "and replaces" f newer
	mkdir public && chmod 777 public && printf root >public/f
	status 1 nobody "$FILEMAP" replace --keep-owner public/f
	says "public/f: "
	says "Operation not permitted"
	check "an owner that cannot be kept" [ "$(cat public/f)" = root ]
	check "leaves nothing" [ "$(ls -A public)" = f ]
	status 1 nobody "$FILEMAP" replace f
	says "Permission denied"
	keeps "a directory that may not be written" f newer
else
	skip "not root, or others cannot run the command: owners"
fi

# Identities.
printf old >f
old=$(identity f)
printf new | filemap replace --expect "$old" f
check "the expected one is replaced" [ "$(cat f)" = new ]
check "the old one is gone" [ -z "$(leftovers)" ]
status 1 filemap replace --expect "$old" --from big f
check "it says that it is another one" grep -q '^filemap: f: .*the name means another' .err
keeps "another file stays" f new
status 1 filemap replace --expect "$old" --from big missing
says "missing: "
check "with --expect none is made" [ ! -e missing ]

# What is refused.
mkdir d && mkfifo fifo && ln -s f link && ln -s nowhere dangling
for name in d fifo link dangling d/ f/ missing/f f/f . / ''; do
	status 1 filemap replace --from big "$name"
	check "it says why '$name' is not replaced" [ "$(wc -l <.err)" = 1 ]
done
check "all are what they were" eval '[ -d d ] && [ -p fifo ] && [ -L link ] && [ -L dangling ] && [ ! -e nowhere ]'
keeps "a link leads to what it led to" link new
status 1 filemap replace --from missing f
says "missing: look up file: No such file or directory"
status 1 filemap replace --from d f
says "Is a directory"
"$FILEMAP" replace f <&- 2>.err
check "a closed standard input is a failure" [ $? = 1 ]
says "standard input: Bad file descriptor"
status 2 filemap replace
status 2 filemap replace f g
status 2 filemap replace --mode 888 f
status 2 filemap replace --mode 0 f
status 2 filemap replace --expect '' f
says "not an identity"
status 2 filemap replace --expect "$old " f
status 2 filemap replace f --wrong
says "filemap: replace: unrecognized option '--wrong'"
keeps "no failure changes the file" f new
check "nor leaves anything" [ -z "$(leftovers)" ]

# Input that fails, or ends the command.
if head -c 1 /proc/$$/mem 2>&1 | grep -q "Input/output error"; then
	"$FILEMAP" replace f </proc/$$/mem 2>.err
	check "input that fails is a failure" [ $? = 1 ]
	says "f: copy from standard input: Input/output error"
	keeps "input that fails" f new
else
	skip "no input that fails"
fi
for signal in INT TERM KILL; do
	(
		trap - INT
		exec "$FILEMAP" replace f <fifo
	) &
	pid=$!
	exec 7>fifo
	head -c 100000 big >&7
	keeps "while input comes" f new
	# A background process of a script ignores SIGINT, see sh(1).
	[ $signal != INT ] || kill -TERM $pid
	{ kill -$signal $pid; wait $pid; } 2>/dev/null
	exec 7>&-
	keeps "after SIG$signal" f new
done
case $(stat -f -c %T .) in
ext2/ext3 | tmpfs | xfs | btrfs) check "nothing is left of what was begun" [ -z "$(leftovers)" ] ;;
*) skip "the file system may have no files without names" ;;
esac
(ulimit -f 100 && "$FILEMAP" replace --from big f 2>.err)
check "a file that gets too large is a failure" [ $? = 1 ]
says "f: copy from big: File too large"
cat big | (ulimit -f 100 && "$FILEMAP" replace f 2>.err)
check "one that comes from a pipe, too" [ $? = 1 ]
says "f: copy from standard input: File too large"
keeps "a limit on sizes" f new
(trap '' PIPE && "$FILEMAP" cat big 2>.err) | head -c 1000 | filemap replace piped
check "a pipe that ended early is a pipe that ended" cmp piped <(head -c 1000 big)
check "its writer is told" grep -q "Broken pipe" .err

if command -v flock >/dev/null; then
	printf new | flock -x f "$FILEMAP" replace f
	check "no lock on the old one is asked for" [ "$(cat f)" = new ]
	status 1 flock -x big "$FILEMAP" replace --from big f
	check "one on the source is" grep -qE 'big: locked by [0-9]+ \(flock\); --no-lock' .err
	status 0 flock -x big "$FILEMAP" replace --no-lock --from big f
	check "--no-lock reads it" cmp big f
else
	skip "no flock(1)"
fi

if command -v python3 >/dev/null; then
	# The pipe is empty when the command first looks, or later; both are to do.
	python3 -c 'import os, subprocess, sys, time
r, w = os.pipe()
os.set_blocking(r, False)
child = subprocess.Popen(sys.argv[1:], stdin=r, pass_fds=())
os.close(r)
for piece in range(3):
    time.sleep(0.05)
    os.write(w, b"piece %d\n" % piece)
os.close(w)
sys.exit(child.wait())' "$FILEMAP" replace f 2>.err
	check "standard input that does not block is waited for" [ $? = 0 ]
	keeps "all of it" f $'piece 0\npiece 1\npiece 2'
else
	skip "no python3 to make such an input"
fi

full() { # COMMAND: in a file system of 1 MiB, which vanishes with its namespace
	unshare --mount --propagation private sh -c 'mount -t tmpfs -o size=1m none "$0" && cd "$0" && eval "$1"' "$dir/d" "$1"
}
if [ "$(id -u)" = 0 ] && full true 2>/dev/null; then
	status 1 full "echo old >f; \"$FILEMAP\" replace --from \"$dir/big\" f; code=\$?; cat f; ls -A; exit \$code"
	says "f: copy from $dir/big: No space left on device"
	check "a full disk leaves the old one, and nothing else" [ "$out" = $'old\nf' ]
else
	skip "no file system can be mounted here"
fi

# Readers meanwhile: always one of the two, never a part, never none.
printf 'A%.0s' {1..5000} >as && printf 'B%.0s' {1..5000} >bs && cp as f
as=$(<as) bs=$(<bs)
(
	for _ in {1..25}; do
		"$FILEMAP" replace --from bs f && "$FILEMAP" replace --expect "$(identity f)" --from as f || echo failed
	done >writer.log 2>&1
	: >writer.ended
) &
torn=0 reads=0
while [ ! -e writer.ended ] || [ $reads = 0 ]; do
	content=$(<f)
	[ "$content" = "$as" ] || [ "$content" = "$bs" ] || torn=$((torn + 1))
	reads=$((reads + 1))
done
wait
check "every replacement succeeds" [ ! -s writer.log ]
check "no reader sees a part of a file ($reads reads)" [ $torn = 0 ]

if ! command -v strace >/dev/null || ! strace -o /dev/null true 2>/dev/null; then
	skip "strace(1) cannot trace here"
	finish
fi
traced() { env ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" strace -f -o calls "$@"; }
printf old >f
status 0 traced "$FILEMAP" replace --from big f
check "named, synced, renamed, synced" \
	[ "$(grep -oE '(fsync|fdatasync|linkat|renameat2?)\(' calls | sed 's/fdatasync/fsync/; s/at2/at/' | tr -d '\n')" = 'linkat(fsync(renameat(fsync(' ]
printf old >f
status 1 traced -e inject=renameat,renameat2:error=EIO "$FILEMAP" replace --from big f
says "f: "
says "Input/output error"
keeps "a renaming that fails" f old
check "leaves nothing" [ -z "$(leftovers)" ]
inode=$(stat -c %i f)
status 1 traced -e inject=unlinkat:error=EIO "$FILEMAP" replace --expect "$(identity f)" --from big f
check "an old one that cannot be unlinked is put back" [ "$(stat -c %i f)" = "$inode" ]
find . -name '.f.*' -delete # the new one, which could not be unlinked either
status 1 traced -e inject=unlinkat:error=EIO -e inject=renameat2:error=EIO:when=2+ \
	"$FILEMAP" replace --expect "$(identity f)" --from big f
check "one that cannot be put back is told" grep -qE '^filemap: f: a file had to be left as \.f\.[0-9a-f]{16}\.del$' .err
left=$(sed -n 's/^.* left as //p' .err)
check "and is there" [ "$(cat "$left")" = old ]
check "the new one has the name" cmp big f
status 1 filemap rm --recover .
says "$left"
mv "$left" f && find . -name '.f.*' -delete
status 1 traced -e inject=fsync,fdatasync:error=EIO:when=1 "$FILEMAP" replace --from big f
keeps "content that is not durable" f old
status 1 traced -e inject=fsync:error=EIO:when=2 "$FILEMAP" replace --from big f
says "f: sync"
check "a name that is not durable is the new one's all the same" cmp big f
printf old >f
status 0 traced -e inject=renameat2:error=EINVAL:when=1 "$FILEMAP" replace --expect "$(identity f)" --from big f
check "where two cannot change places" cmp big f
says "f: replaced in the weaker way"
for call in linkat renameat,renameat2 unlinkat fsync; do
	printf old >f
	# Without one of the calls there is nothing to be killed at.
	run traced -e inject=$call:signal=KILL "$FILEMAP" replace --expect "$(identity f)" --from as f
	check "killed at $call it leaves the old one or the new" eval '[ "$(cat f)" = old ] || cmp -s as f'
	check "and otherwise only what is hidden" [ "$(leftovers | grep -cvE '\.f\.[0-9a-f]{16}\.(tmp|del)$')" = 0 ]
	find . -name '.f.*' -delete
done
finish
