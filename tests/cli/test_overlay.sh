#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# On overlayfs the first rename of a lower file with further names copies it, and its number changes under way: it
# is the same file all the same.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

if [ -z "${IN_NAMESPACE-}" ]; then
	unshare -m true 2>/dev/null || { skip "mounting in a private namespace is not permitted" && finish; }
	IN_NAMESPACE=1 exec unshare -m "$here/test_overlay.sh"
fi
mount --make-rprivate / && mount -t tmpfs none . || exit 77
cd "$PWD" && mkdir lower upper work all
for name in removed expected replaced; do
	printf old >"lower/$name" && ln "lower/$name" "lower/$name.2"
done
mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work all || exit 77
identity() { filemap info --no-lock "$1" | sed -n 's/^  identity  *//p'; }
status 0 filemap rm --quiet all/removed
check "it is gone" [ ! -e all/removed ]
status 0 filemap rm --quiet --expect "$(identity all/expected)" all/expected
check "so is the expected one" [ ! -e all/expected ]
status 0 filemap replace --expect "$(identity all/replaced)" all/replaced
check "it is replaced" [ -f all/replaced -a ! -s all/replaced ]
umount all
cd / && umount "$dir"
finish
