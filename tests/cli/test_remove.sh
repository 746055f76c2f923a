#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# filemap rm: the right file and no other, durably; and what a crash left hidden comes back.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

identity() { filemap info --no-lock "$1" | sed -n 's/^  identity  *//p'; }
hidden() { find "$1" -name '.*.del*' | sort; }
gone() { [ ! -e "$1" ] && [ ! -L "$1" ]; }
is() { check "the error is '$1'" [ "$err" = "filemap: $1" ]; }

printf one >a && printf two >b && printf three >./-c && mkdir d && printf four >d/e
status 0 filemap rm a
check "the file is gone" gone a
check "nothing is said of it" [ -z "$out$err" ]
status 0 filemap rm b d/e -- -c
check "several are gone" eval 'gone b && gone d/e && gone ./-c'
check "nothing hidden is left" [ -z "$(hidden .)" ]

# What is refused, and that the others go all the same.
printf x >a && printf y >b && ln -s a link && mkfifo fifo && mkdir -p deep/er && : >deep/file
status 1 filemap rm missing
says "missing: "
says "No such file or directory"
status 1 filemap rm a d missing link fifo b
check "a failure keeps no other file" eval 'gone a && gone b'
check "each failure is told" [ "$(wc -l <.err)" = 4 ]
says "d: "
says "Is a directory"
says "missing: "
says "link: "
says "fifo: "
check "a directory stays" [ -d d ]
check "a symbolic link stays" [ -L link ]
check "a FIFO stays" [ -p fifo ]
printf target >target && ln -sf target link
status 1 filemap rm link
check "nothing happens to what a link leads to" eval '[ -L link ] && [ "$(cat target)" = target ]'
ln -s deep way
status 0 filemap rm way/file
check "links on the way are followed" gone deep/file
for path in deep/ deep/er/ deep/. deep/.. . / '' target/ target/x missing/x; do
	status 1 filemap rm "$path"
	check "it says what '$path' is" [ "$(wc -l <.err)" = 1 ]
done
check "directories stay" [ -d deep/er ]
check "what is no directory stays" [ "$(cat target)" = target ]
long=$(printf 'x%.0s' {1..255})
: >"$long"
status 0 filemap rm "$long"
check "a name as long as names get is removed" gone "$long"
check "without a trace" [ -z "$(hidden .)" ]
odd=$'odd\nname\xff.del'
: >"$odd"
status 0 filemap rm "$odd"
check "a name of any bytes is removed" gone "$odd"

# Further names.
printf linked >a && ln a b
status 0 filemap rm a
check "a further name stays" [ "$(cat b)" = linked ]
is "a: removed; the file has further names"
ln b a
status 0 filemap rm --quiet a
check "--quiet says nothing of it" [ -z "$err" ]

# Identities.
printf old >f
old=$(identity f)
check "info prints an identity" [ -n "$old" ]
printf new >g && mv g f
status 1 filemap rm --expect "$old" f
check "another file under the name stays" [ "$(cat f)" = new ]
check "it says that it is another one" grep -q 'the name means another' .err
check "nothing was moved" [ -z "$(hidden .)" ]
status 1 filemap rm --expect "$old" missing
status 0 filemap rm --expect "$(identity f)" f
check "the expected one is removed" gone f

# Arguments are looked at before anything is done.
printf stays >stays
ours=$(identity stays)
status 2 filemap rm
says "no file given"
status 2 filemap rm --expect "$ours"
status 2 filemap rm --expect "$ours" stays b
says "--expect is for one file"
status 2 filemap rm --expect "$ours" --recover .
status 2 filemap rm --expect id1:0 stays
says "not an identity"
status 2 filemap rm --expect '' stays
status 2 filemap rm stays --wrong
says "filemap: rm: unrecognized option '--wrong'"
status 2 filemap rm --recover
says "no directory given"
check "wrong usage removes nothing" [ "$(cat stays)" = stays ]

# In use: who has the file mapped keeps its bytes, and no lock is asked for.
if command -v flock >/dev/null; then
	printf locked >a
	status 0 flock -x a "$FILEMAP" rm a
	check "a lock does not keep the name" gone a
else
	skip "no flock(1)"
fi

# JSON.
if command -v python3 >/dev/null; then
	printf x >a && ln a c && mkdir -p d && : >"$odd"
	status 1 filemap rm --json --quiet a d "$odd"
	check "--json is JSON" json .out
	check "--json prints a line a file" [ "$(wc -l <.out)" = 3 ]
	check "what was removed" [ "$(field .out '[j["path"], j["removed"], j["still_linked"], j["weakly_checked"]]')" = "['a', True, True, False]" ]
	sed -n 2p .out >second
	check "what was not" [ "$(field second '[j["path"], j["removed"], j["error"], j["left_as"]]')" = "['d', False, 'EISDIR', None]" ]
	sed -n 3p .out >third
	field third 'os.fsencode(j["path"]).hex()' >hex
	check "a name of any bytes" [ "$(cat hex)" = "$(printf %s "$odd" | od -An -tx1 | tr -d ' \n')" ]
else
	skip "no python3 to read the JSON with"
fi
if [ -w /dev/full ]; then
	: >a
	filemap rm --json a >/dev/full 2>.err
	check "a report that cannot be written is a failure" [ $? = 1 ]
	check "of the report" gone a
else
	skip "no /dev/full"
fi

# Recovery: what a crash leaves, made by hand.
rm -rf spool && mkdir -p spool/.two.0123456789abcdef.deld spool/.empty.0123456789abcdef.deld
chmod 700 spool/.*.deld
printf 1 >spool/.one.0123456789abcdef.del && printf 2 >spool/.two.0123456789abcdef.deld/two
printf 3 >spool/.three.0123456789ABCDEF.del && printf 4 >spool/.four.0123456789abcdef.tmp && printf 5 >spool/five
mkdir other
status 0 filemap rm --recover spool other
prints "spool: 2 names given back"
prints "other: 0 names given back"
check "a hidden file has its name again" [ "$(cat spool/one)" = 1 ]
check "one in a directory, too" [ "$(cat spool/two)" = 2 ]
check "that directory is gone" gone spool/.two.0123456789abcdef.deld
check "what only looks alike stays" eval \
	'[ "$(cat spool/.three.0123456789ABCDEF.del)" = 3 ] && [ "$(cat spool/.four.0123456789abcdef.tmp)" = 4 ]'
check "what was never hidden stays" [ "$(cat spool/five)" = 5 ]
status 0 filemap rm --recover --json spool
check "a second time there is nothing to do" [ "$out" = '{"path":"spool","given_back":0}' ]
status 0 filemap rm --recover --json --quiet spool
check "--quiet is about notes, not about --json" [ "$out" = '{"path":"spool","given_back":0}' ]
status 0 filemap rm --recover --quiet spool
check "--quiet without --json prints nothing" [ -z "$out$err" ]
printf mine >spool/.one.fedcba9876543210.del && printf free >spool/.free.fedcba9876543210.del
status 1 filemap rm --recover spool other
says "spool: "
says ".one.fedcba9876543210.del"
says "File exists"
check "a name that is taken is not taken away" [ "$(cat spool/one)" = 1 ]
check "its file stays hidden" [ "$(cat spool/.one.fedcba9876543210.del)" = mine ]
check "the others come back" [ "$(cat spool/free)" = free ]
prints "other: 0 names given back"
status 1 filemap rm --recover --json spool missing
prints '{"path":"spool","given_back":null,"error":"EEXIST","left_as":".one.fedcba9876543210.del"}'
prints '{"path":"missing","given_back":null,"error":"ENOENT","left_as":null}'
for path in missing spool/one ''; do
	status 1 filemap rm --recover "$path"
done

# What others can write: by way of a directory of one's own, which is gone afterwards.
mkdir public && chmod 777 public && printf x >public/x
status 0 filemap rm public/x
check "where others can write, too" [ -z "$(ls -A public)" ]
nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
chmod 755 .
if [ "$(id -u)" = 0 ] && nobody "$FILEMAP" --version >/dev/null 2>&1; then
	printf x >protected
	status 1 nobody "$FILEMAP" rm protected
	says "Permission denied"
	check "a directory that may not be written keeps its names" [ "$(cat protected)" = x ]
	printf x >public/x
	status 0 nobody "$FILEMAP" rm public/x
	check "a file that may not be read is removed where the directory allows it" [ -z "$(ls -A public)" ]
else
	skip "not root, or others cannot run the command: permissions"
fi

# Calls that fail: the order of calls is looked at, and every message says where the file is.
if ! command -v strace >/dev/null || ! strace -o /dev/null true 2>/dev/null; then
	skip "strace(1) cannot trace here"
	finish
fi
traced() { env ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" strace -f -o calls "$@"; }
mkdir box && printf x >box/x
status 0 traced "$FILEMAP" rm box/x
check "renamed, unlinked, synced" \
	[ "$(grep -oE '(renameat2|unlinkat|fsync)\(' calls | tr -d '\n')" = 'renameat2(unlinkat(fsync(' ]
printf x >box/x
status 1 traced -e inject=unlinkat:error=EIO "$FILEMAP" rm box/x
says "box/x: "
says "Input/output error"
check "a file that cannot be unlinked has its name again" eval '[ "$(cat box/x)" = x ] && [ -z "$(hidden box)" ]'
run traced -e inject=unlinkat:error=EIO -e inject=renameat2:error=EIO:when=2+ -e inject=linkat:error=EIO \
	"$FILEMAP" rm box/x
check "one that cannot be given it back is a failure" [ "$code" = 1 ]
check "it is told where it is" grep -qE '^filemap: box/x: a file had to be left as box/\.x\.[0-9a-f]{16}\.del$' .err
check "and it is there" [ "$(cat "$(sed -n 's/^.* left as //p' .err)")" = x ]
status 0 filemap rm --recover box
prints "box: 1 name given back"
check "recovery gives it back" [ "$(cat box/x)" = x ]
status 1 traced -e inject=fsync:error=EIO "$FILEMAP" rm box/x
says "box/x: sync parent directory: done, but not made durable (Input/output error)"
check "not durable, but gone" [ -z "$(ls -A box)" ]
printf x >box/x
status 0 traced -e inject=renameat2,mkdirat:error=ENOSPC "$FILEMAP" rm box/x
says "box/x: removed in the weaker way"
printf x >box/x
status 0 traced -e inject=renameat2,mkdirat:error=ENOSPC "$FILEMAP" rm --quiet box/x
check "--quiet says nothing of it" [ -z "$err" ]

# Killed at its calls: what is there then is what is documented.
killed() { # CALL EXPRESSION
	rm -rf box && mkdir box && printf x >box/x
	run traced -e inject="$1:signal=KILL" "$FILEMAP" rm box/x
	check "it was killed at $1" [ "$code" = 137 ]
	check "which leaves what is documented" eval "$2"
}
killed renameat2 '[ "$(ls -A box)" = x ]'
killed unlinkat '[[ $(ls -A box) =~ ^\.x\.[0-9a-f]{16}\.del$ ]]'
status 0 filemap rm --recover box
check "and comes back whole" [ "$(cat box/x)" = x ]
killed fsync '[ -z "$(ls -A box)" ]'
finish
