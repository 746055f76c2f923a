#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# The command on a disk that is full, and under a limit of file sizes: exit status 1 and a word on what to do; what
# was acknowledged is there, nothing half done is left, and with room it goes on.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

if [ -z "${IN_NAMESPACE-}" ]; then
	unshare -m true 2>/dev/null || { skip "mounting in a private namespace is not permitted" && finish; }
	IN_NAMESPACE=1 exec unshare -m "$here/test_full_disk.sh"
fi
mount --make-rprivate / || exit 77
seq 1 300000 >numbers
mkdir disk

from_full_to_room() { # in a fresh disk
	local acked
	status 1 filemap log append --segment-size 1M --acks --quiet disk/log numbers
	says "disk/log: record "
	says "No space left on device; make room and append from this record on"
	acked=$(sed -n 's/^durable \([0-9]*\) .*/\1/p' <<<"$out" | tail -1)
	check "some were acknowledged" [ "${acked:-0}" -gt 1000 ]
	check "the record that failed is the next one" grep -q "record $((acked + 1)):" "$dir/.err"
	check "all that were acknowledged are there" cmp <(filemap log cat disk/log) <(head -n "$acked" numbers)
	status 0 filemap log verify --deep disk/log
	fallocate -l 1G disk/filler 2>/dev/null || cat /dev/zero >disk/filler 2>/dev/null

	printf 'old content' >keep
	while ! cp keep disk/file 2>/dev/null || [ ! -s disk/file ]; do truncate -s -4096 disk/filler; done
	cat /dev/zero >>disk/filler 2>/dev/null
	status 1 filemap resize disk/file 3M
	says "No space left on device"
	status 1 filemap copy numbers disk/copy
	says "No space left on device"
	status 1 filemap publish --from numbers disk/new
	says "No space left on device"
	status 1 filemap replace --from numbers disk/file
	says "No space left on device"
	check "the file is as it was" cmp keep disk/file
	check "nothing was left" [ "$(find disk -mindepth 1 -maxdepth 1 ! -name lost+found | wc -l)" = 3 ]

	rm disk/filler
	mount -o remount,size=64m disk
	tail -n +$((acked + 1)) numbers >rest
	status 0 filemap log append --quiet disk/log rest
	check "it goes on where it stopped" cmp <(filemap log cat disk/log) numbers
	status 0 filemap resize disk/file 3M
	status 0 filemap replace --from numbers disk/file
	check "the content is the new one" cmp disk/file numbers
}
if mount -t tmpfs -o size=8m none disk; then
	from_full_to_room
	umount disk
else
	skip "no tmpfs can be mounted"
fi

# Without SIGXFSZ: its default action would end the command with status 153.
limited() { (ulimit -f 100 && exec "$FILEMAP" "$@"); }
printf 'old content' >file
status 1 limited resize file 3M
says "File too large"
status 1 limited copy numbers copy
says "File too large"
status 1 limited publish --from numbers new
says "File too large"
status 1 limited replace --from numbers file
says "File too large"
check "the file is as it was" cmp file <(printf 'old content')
status 1 limited log append log numbers
says "File too large"
check "nothing was left" [ ! -e copy -a ! -e new -a ! -e log -a -z "$(find . -name '.*.tmp')" ]
finish
