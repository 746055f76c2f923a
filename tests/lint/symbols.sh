#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
# symbols.sh LIBRARY ARCHIVE CC: the shared library exports what the version script names and the headers
# declare, macros expanded; every global symbol of the static one begins with filemap_ or fm__.
. "$(dirname "$0")/lint.sh"
library=$1 archive=$2 compiler=$3

sed -n 's/^[ \t]*\(filemap_[a-z0-9_]*\);.*/\1/p' "$root/lib/filemap.map" | sort -u >"$scratch/script"
for header in "$root"/include/filemap/*.h; do echo "#include \"$header\""; done >"$scratch/all.c"
"$compiler" -E -P -std=c11 -I"$root/include" "$scratch/all.c" | tr '\n;{}' ' \n\n\n' | awk '
	/visibility\("default"\)/ && match($0, /filemap_[a-z0-9_]+ *\(/) {
		name = substr($0, RSTART, RLENGTH - 1); sub(/ +$/, "", name); print name
	}' | sort -u >"$scratch/declared"
not_empty "$scratch/declared" 'headers_declare_functions'
grep -qx filemap_write_i128be "$scratch/declared" && ok 'accessors_are_declared' || bad 'accessors_are_declared'
diff "$scratch/script" "$scratch/declared" >"$scratch/difference" || :
empty "$scratch/difference" 'version_script_names_what_the_headers_declare'

case $library in
*.so*)
	nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u >"$scratch/exported"
	diff "$scratch/script" "$scratch/exported" >"$scratch/difference" || :
	empty "$scratch/difference" 'shared_library_exports_the_version_script'
	;;
*) skip 'no shared library in this build' ;;
esac

nm -g --defined-only "$archive" >"$scratch/global"
grep -q ' T fm__sys_openat$' "$scratch/global" && ok 'symbols_of_the_archive_are_readable' || bad 'symbols_of_the_archive_are_readable'
awk 'NF == 3 && $3 !~ /^(filemap_|fm__|__asan_|__odr_asan|__ubsan|__tsan)/ { print $3 }' "$scratch/global" >"$scratch/foreign"
empty "$scratch/foreign" 'global_symbols_begin_with_our_prefixes'
finish
