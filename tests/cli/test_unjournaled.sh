#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# A power cut on a file system without a journal: what the device holds when the command has ended is what a crash
# leaves. There the link count of the new file has to be synced, too, or fsck takes its name away.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

if [ -z "${IN_NAMESPACE-}" ]; then
	unshare -m true 2>/dev/null || { skip "mounting in a private namespace is not permitted" && finish; }
	rm -rf "$dir"
	IN_NAMESPACE=1 exec unshare -m "$here/test_unjournaled.sh"
fi
PATH=$PATH:/usr/sbin:/sbin
command -v mke2fs e2fsck >/dev/null || { skip "no mke2fs(8), or no e2fsck(8)" && finish; }
truncate -s 64M image && mke2fs -q -F -t ext2 image && mkdir disk after
mount --make-rprivate / && mount -o loop image disk 2>.err || { skip "ext2 cannot be mounted: $(<.err)" && finish; }
umount disk
identity() { filemap info --no-lock "$1" | sed -n 's/^  identity  *//p'; }
head -c 5000 /dev/urandom >content

# cut_after COMMAND...: in a directory far from the new file's inode; what is left is then under "after".
cut_after() {
	mke2fs -q -F -t ext2 image && mount -o loop image disk
	mkdir disk/d && printf old >disk/d/old
	for i in {1..300}; do : >"disk/d/$i"; done
	sync
	"$@" <content >.out
	cp image copy
	umount disk
	e2fsck -fy copy >.out 2>&1
	mount -o loop copy after
}
same() {
	check "$1" cmp content "after/d/$2"
	umount after
}
expecting() { filemap replace --expect "$(identity "$1")" "$1"; }

cut_after filemap publish disk/d/new
same "what was published is there" new
cut_after filemap replace disk/d/new
same "what replaced nothing is there" new
cut_after filemap replace disk/d/old
same "what replaced another file is there" old
cut_after expecting disk/d/old
same "what replaced the expected file is there" old
cut_after "$COUNTERS" disk/d/counter 1 1
check "a file that a mapping made is there" [ -e after/d/counter ]
umount after
finish
