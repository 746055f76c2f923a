#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
# headers.sh CC: each public header compiles alone, as C11 and as C++17, without a warning, and with warnings
# that only strict users ask for; what is inline in them is inlined.
. "$(dirname "$0")/lint.sh"
compiler=$1
cxx=${CXX:-c++}

try() { # NAME COMMAND...
	case_name=$1
	shift
	if "$@"; then ok "$case_name"; else bad "$case_name"; fi
}

for header in "$root"/include/filemap/*.h; do
	name=$(basename "$header" .h)
	echo "#include <filemap/$name.h>" >"$scratch/one.c"
	cp "$scratch/one.c" "$scratch/one.cc"
	try "${name}_compiles_alone_as_c11" "$compiler" -std=c11 -Wall -Wextra -pedantic -Werror \
		-Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-qual -Wredundant-decls \
		-I"$root/include" -fsyntax-only "$scratch/one.c"
	if command -v "$cxx" >/dev/null; then
		try "${name}_compiles_alone_as_cxx17" "$cxx" -std=c++17 -Wall -Wextra -pedantic -Werror \
			-Wconversion -Wsign-conversion -Wold-style-cast -Wundef -Wcast-qual \
			-I"$root/include" -fsyntax-only "$scratch/one.cc"
	else
		skip "no C++ compiler for $name.h"
	fi
done

# An object that uses every accessor needs nothing but the two functions that say why one was refused.
cat >"$scratch/inline.c" <<'END'
#include <filemap/cursor.h>
#define USE(suffix, type, bytes, order)                                                            \
	int use_##suffix(struct filemap *map, struct filemap_cursor *cursor, type *value);         \
	int use_##suffix(struct filemap *map, struct filemap_cursor *cursor, type *value)          \
	{                                                                                          \
		return filemap_read_##suffix(map, 1, value) + filemap_write_##suffix(map, 2, *value) + \
			filemap_cursor_read_##suffix(cursor, value) +                              \
			filemap_cursor_write_##suffix(cursor, *value);                             \
	}
FILEMAP_ACCESS_TYPES(USE)
END
printf 'filemap_refuse_read\nfilemap_refuse_write\n' >"$scratch/expected"
for language in c c++; do
	[ $language = c ] && tool=$compiler || tool=$cxx
	command -v "$tool" >/dev/null || { skip "no compiler for $language"; continue; }
	"$tool" -x $language -O2 -I"$root/include" -c -o "$scratch/inline.o" "$scratch/inline.c"
	nm -u "$scratch/inline.o" | awk '$2 !~ /^_GLOBAL_OFFSET_TABLE_$/ { print $2 }' | sort >"$scratch/needed"
	diff "$scratch/needed" "$scratch/expected" >"$scratch/difference" || :
	empty "$scratch/difference" "accessors_are_inlined_in_$language"
done
finish
