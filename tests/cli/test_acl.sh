#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# replace --keep-mode where there are access control lists: nobody may do more with the new file than with the old.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

cat >acl.py <<'P'
import os, struct, sys
TAGS = {'u': 1, 'U': 2, 'g': 4, 'G': 8, 'm': 16, 'o': 32}
entries = [e.split(':') for e in sys.argv[3].split(',')]
os.setxattr(sys.argv[2], 'system.posix_acl_' + sys.argv[1], struct.pack('<I', 2) + b''.join(
	struct.pack('<HHI', TAGS[t], int(p), int(i) if i else 0xffffffff) for t, i, p in entries))
P
printf old >f && chmod 600 f
python3 acl.py access f u::6,U:1234:6,g::0,m::6,o::0 2>/dev/null || { skip "no access control lists here" && finish; }
has_list() { python3 -c 'import os, sys; sys.exit("system.posix_acl_access" not in os.listxattr(sys.argv[1]))' "$1"; }
check "the mask shows as the group's permissions" [ "$(stat -c %a f)" = 660 ]
printf new | filemap replace --keep-mode f
check "the group is still shut out" [ "$(stat -c %a f)" = 600 ]
mkdir d && printf old >d/f && chmod 660 d/f
python3 acl.py default d u::7,U:1234:7,g::0,m::7,o::0
printf new | filemap replace --keep-mode d/f
check "the directory's list lets nobody in" eval '! has_list d/f'
check "the permissions are the old" [ "$(stat -c %a d/f)" = 660 ]
finish
