#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# filemap copy: a complete new file or none.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

head -c 3000000 /dev/urandom >big
printf 'small' >small
: >empty

for file in big small empty; do
	status 0 filemap copy $file $file.new
	check "a copy of $file is equal" cmp $file $file.new
	check "it has its own inode" [ "$(stat -c %i $file)" != "$(stat -c %i $file.new)" ]
done
check "the copy obeys the umask" [ "$(umask 027 && filemap copy small masked && stat -c %a masked)" = 640 ]
filemap copy - piped <big
check "standard input can be a file" cmp big piped
cat <big | filemap copy - piped2
check "standard input can be a pipe" cmp big piped2
mkfifo fifo
cat big >fifo &
status 0 filemap copy fifo from-fifo
check "a FIFO can be copied" cmp big from-fifo

# Never over something.
status 1 filemap copy big small
says "small"
says "File exists"
check "what was there stays" [ "$(cat small)" = small ]
ln -s nowhere dangling
status 1 filemap copy big dangling
check "a link to nothing is something" [ ! -e nowhere ]
mkdir d
status 1 filemap copy big d
status 1 filemap copy big big
check "a file is not copied over itself" cmp big big.new
status 1 filemap copy big missing/new
says "No such file or directory"
status 1 filemap copy missing new
check "no source, no copy" [ ! -e new ]
status 1 filemap copy d new
says "Is a directory"
check "nothing temporary is left" [ -z "$(find . -name '.*' ! -name . ! -name .out ! -name .err)" ]
check "nor in the list of files" [ "$(find . -maxdepth 1 -type f ! -name '.*' | wc -l)" = 10 ]

if command -v flock >/dev/null; then
	status 1 flock -x big "$FILEMAP" copy big locked
	check "the refusal names the holder" grep -qE 'big: locked by [0-9]+ \(flock\); --no-lock' .err
	check "no copy of a locked file" [ ! -e locked ]
	status 0 flock -x big "$FILEMAP" copy --no-lock big locked
	check "--no-lock copies it" cmp big locked
else
	skip "no flock(1)"
fi
status 2 filemap copy
status 2 filemap copy big
status 2 filemap copy big new more
status 2 filemap copy --wrong big new
finish
