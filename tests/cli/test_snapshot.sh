#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# filemap snapshot: copies that nobody can change, written out and given to commands.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

base64 /dev/urandom | head -c 300000 >f
: >empty
sha=$(sha256sum <f)

# Written out.
status 0 filemap snapshot f
check "the bytes are those of the file" cmp .out f
check "nothing is said" [ -z "$err" ]
status 0 filemap snapshot empty
check "an empty file is nothing" [ ! -s .out ]
status 0 filemap snapshot --no-lock f
check "without a lock, too" cmp .out f
check "into a pipe" cmp <("$FILEMAP" snapshot f) f
if [ -w /dev/full ]; then
	run sh -c '"$FILEMAP" snapshot f >/dev/full'
	check "a full disk is told" [ "$code" = 1 ]
	says "standard output: No space left on device"
fi

# The cap.
status 0 filemap snapshot --max 300000 f
status 1 filemap snapshot --max 299999 f
says "File too large"
check "nothing is written" [ ! -s .out ]
status 0 filemap snapshot --max 293K f
status 0 filemap snapshot --max 0 empty

# For a command.
status 0 filemap snapshot f sha256sum
check "it is the command's standard input" [ "$out" = "$sha" ]
status 0 filemap snapshot f sh -c 'sha256sum <"$FILEMAP_SNAPSHOT"; sha256sum <"$FILEMAP_SNAPSHOT"; sha256sum'
check "the name is read from the start, again and again" [ "$out" = "$sha"$'\n'"$sha"$'\n'"$sha" ]
status 0 filemap snapshot f sh -c 'exec </dev/null; cmp "$FILEMAP_SNAPSHOT" f'
status 0 filemap snapshot f sh -c 'sh -c "cmp \"\$FILEMAP_SNAPSHOT\" f"'
status 0 filemap snapshot f sh -c 'exec 3</dev/null 4<&3 5<&3; cmp "$FILEMAP_SNAPSHOT" f'
status 7 filemap snapshot f sh -c 'exit 7'
status 143 filemap snapshot f sh -c 'kill -TERM $$'
status 127 filemap snapshot f no-such-command
status 126 filemap snapshot f ./f
run sh -c 'ulimit -n 8; "$FILEMAP" snapshot f true'
check "no room for the name is told" [ "$code" = 1 ]
says "Too many open files"
status 0 filemap snapshot f echo --max --help -- x
check "options behind FILE are the command's" [ "$out" = "--max --help -- x" ]

# Nobody can change it, and it does not change.
cp f g
status 0 filemap snapshot g sh -c ': >g; rm g; cmp "$FILEMAP_SNAPSHOT" f && cmp - f'
run filemap snapshot f sh -c 'printf x 1<>"$FILEMAP_SNAPSHOT"'
check "it cannot be written" [ "$code" != 0 ]
run filemap snapshot f sh -c 'truncate -s 0 "$FILEMAP_SNAPSHOT"'
check "it cannot be cut" [ "$code" != 0 ]
status 0 filemap snapshot f "$FILEMAP" lock f true
check "the file is not locked meanwhile" [ "$code" = 0 ]
check "the file is as before" [ "$(sha256sum <f)" = "$sha" ]

# What cannot be copied.
status 1 filemap lock f "$FILEMAP" snapshot f
check "the holder of the lock is named" grep -qE 'f: locked by [0-9]+ \(filemap\); --no-lock copies it anyway$' .err
status 0 filemap lock f "$FILEMAP" snapshot --no-lock f
mkdir d && mkfifo fifo
status 1 filemap snapshot d
says "Is a directory"
status 1 filemap snapshot fifo
status 1 filemap snapshot missing true
says "No such file or directory"
for arguments in '' '--max x f' '--wrong f' '--max'; do
	# shellcheck disable=SC2086
	status 2 filemap snapshot $arguments
done
status 0 filemap snapshot --help
prints "FILEMAP_SNAPSHOT"

# Clones: where there are none it is said; where there are they behave the same.
run filemap snapshot --reflink f
if [ "$code" = 0 ]; then
	check "the clone has the bytes" cmp .out f
else
	check "what cannot be cloned is told" [ "$code" = 1 ]
	says "Operation not supported"
fi
clones() {
	truncate -s 128M image && mkfs.btrfs -q image >/dev/null && mkdir -p disk && mount -o loop image disk && cp f disk &&
		"$FILEMAP" snapshot --reflink disk/f sh -c ': >disk/f; cmp - f && cmp "$FILEMAP_SNAPSHOT" f'
	r=$?
	umount disk && [ $r = 0 ] && echo cloned
}
export PATH=$PATH:/sbin:/usr/sbin
if unshare -m true 2>/dev/null && command -v mkfs.btrfs >/dev/null; then
	export -f clones
	run unshare --mount --propagation private bash -c clones
	if [ "$out" != cloned ] && grep -qE '^(ERROR|mount):' .err; then
		skip "no loop mounts here"
	else
		check "a clone stays what it was" [ "$out" = cloned ]
	fi
else
	skip "no mkfs.btrfs, or mounting in a private namespace is not permitted"
fi
finish
