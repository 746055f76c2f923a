#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
# seam.sh ARCHIVE CC: only objects of lib/sys/linux reach the system. Read from the undefined symbols,
# so that no macro, no alias such as open64 and no fortified name such as __read_chk hides a call.
. "$(dirname "$0")/lint.sh"
archive=$1 compiler=$2

findings() { # nm -A -u output on stdin
	awk -v allowed="$root/tests/lint/seam-allowed.txt" '
	BEGIN {
		while ((getline line < allowed) > 0) {
			if (line ~ /^#/ || line == "") continue
			gsub(/\*/, ".*", line)
			pattern[++count] = "^" line "$"
		}
	}
	{
		object = $1
		sub(/:$/, "", object)
		sub(/.*[\/:]/, "", object)
		name = $NF
		if (object ~ /^sys_linux_/ || name ~ /^(fm__|filemap_)/) next
		for (i = 1; i <= count; i++) if (name ~ pattern[i]) next
		print object ": " name
	}'
}

nm -A -u "$archive" >"$scratch/undefined"
grep -c 'sys_linux_.* U \(fsync\|fdatasync\)' "$scratch/undefined" >"$scratch/seen" || :
if [ "$(cat "$scratch/seen")" != 0 ]; then ok 'symbols_of_the_seam_are_readable'; else bad 'symbols_of_the_seam_are_readable'; fi
findings <"$scratch/undefined" | sort -u >"$scratch/found"
empty "$scratch/found" 'only_sys_linux_reaches_the_system'

cat >"$scratch/map_bypass.c" <<'END'
#include <fcntl.h>
#include <unistd.h>
int bypass(const char *path, char *to, size_t size);
int bypass(const char *path, char *to, size_t size) { return (int)read(open(path, O_RDONLY), to, size); }
END
"$compiler" -D_FILE_OFFSET_BITS=64 -c -o "$scratch/map_bypass.o" "$scratch/map_bypass.c"
nm -A -u "$scratch/map_bypass.o" | findings >"$scratch/bypass"
for name in open read; do
	grep -q "map_bypass.o: .*$name" "$scratch/bypass" && ok "a_bypass_by_${name}_is_found" || bad "a_bypass_by_${name}_is_found"
done
finish
