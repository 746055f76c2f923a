#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Includes go down only: lib/layers.txt names the floors; the command knows the public headers only.
. "$(dirname "$0")/lint.sh"

check_lib() { # DIRECTORY with one folder per floor
	(cd "$1" && find . -name '*.[ch]' | sort | xargs awk -v layers="$root/lib/layers.txt" '
	BEGIN {
		while ((getline line < layers) > 0)
			if (line !~ /^#/ && (count = split(line, word, " ")) >= 2) {
				floor[word[1]] = word[2]
				folder[word[1]] = count == 3 ? word[3] : word[1]
			}
	}
	FNR == 1 {
		split(FILENAME, part, "/")
		own = part[2]
		if (!(own in floor)) print FILENAME ": its folder has no floor in layers.txt"
	}
	/^[ \t]*#[ \t]*include/ {
		if (match($0, /"[^"]+"/)) {
			name = substr($0, RSTART + 1, RLENGTH - 2)
			if (split(name, to, "/") < 2) next
		} else if (match($0, /<filemap\/[^>]+>/)) {
			name = substr($0, RSTART + 9, RLENGTH - 10)
			split(name, to, ".")
		} else next
		if (!(to[1] in floor)) print FILENAME ":" FNR ": unknown floor: " $0
		else if (folder[to[1]] != own && floor[to[1]] >= floor[own])
			print FILENAME ":" FNR ": upward or sideways: " $0
	}')
}

check_cli() { # DIRECTORY of programs that use the public headers only
	[ -d "$1" ] || return 0
	find "$1" -name '*.[ch]' | sort | while read -r file; do
		sed -n 's/^[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*/\1/p' "$file" | while read -r name; do
			[ -f "$(dirname "$file")/$name" ] || [ -f "$1/$name" ] || echo "$file: $name is not public"
		done
	done
}

check_lib "$root/lib" >"$scratch/lib"
empty "$scratch/lib" 'lib_includes_go_down_only'
for part in cli examples bench; do
	check_cli "$root/$part" >"$scratch/$part"
	empty "$scratch/$part" "${part}_includes_public_headers_only"
done

mkdir -p "$scratch/tree/base" "$scratch/tree/map" "$scratch/cli-tree"
echo '#include "map/map.h"' >"$scratch/tree/base/up.c"
echo '#include <filemap/queue.h>' >"$scratch/tree/map/up.c"
echo '#include <filemap/cursor.h>' >"$scratch/tree/map/header.c"
echo '#include "sys/sys.h"' >"$scratch/cli-tree/inside.c"
check_lib "$scratch/tree" | grep -c 'upward' >"$scratch/count" || :
if [ "$(cat "$scratch/count")" = 3 ]; then ok 'upward_includes_are_found'; else bad 'upward_includes_are_found'; fi
check_cli "$scratch/cli-tree" >"$scratch/found"
not_empty "$scratch/found" 'internal_include_of_the_command_is_found'
finish
