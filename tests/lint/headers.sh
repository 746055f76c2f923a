#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
# headers.sh CC: each public header compiles alone, as C11 and as C++17, without a warning.
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
		-I"$root/include" -fsyntax-only "$scratch/one.c"
	if command -v "$cxx" >/dev/null; then
		try "${name}_compiles_alone_as_cxx17" "$cxx" -std=c++17 -Wall -Wextra -pedantic -Werror \
			-I"$root/include" -fsyntax-only "$scratch/one.cc"
	else
		skip "no C++ compiler for $name.h"
	fi
done
finish
