#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Sizes (functions of at most 70 lines, files of at most 400, of
# cases 800), licence lines, words of unfinished work, the format of the code.
. "$(dirname "$0")/lint.sh"

long_functions() {
	awk 'FNR == 1 { start = 0 }
	/^\{/ { start = FNR }
	/^\}/ { if (start && FNR - start + 1 > 70) print FILENAME ":" start ": " FNR - start + 1 " lines"; start = 0 }' "$@"
}
long_files() { wc -l "$@" | awk '$2 != "total" && $1 > ($2 ~ /^tests.*\/test_/ ? 800 : 400) { print $2 ": " $1 " lines" }'; }
unlicensed() { for file in "$@"; do head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0 OR MIT' || echo "$file"; done; }
unfinished() { grep -nwE 'XXX|TODO|FIXME|[Nn]ot (yet )?implemented|[Ff]or now|[Pp]laceholder' "$@" | grep -v ENOSYS || :; }
unformatted() { clang-format --dry-run "$@" 2>&1 | sed -n 's/^\([^:]*\):.*clang-format-violations.*/\1/p' | sort -u; }

cd "$root"
find lib cli tests examples bench -name '*.[ch]' | sort >"$scratch/sources"
find include -name '*.h' | sort >"$scratch/headers"
find lib cli tests examples bench man include -name meson.build -o -name '*.sh' -o -name '*.py' |
	grep -v form.sh | sort >"$scratch/scripts"

long_functions $(cat "$scratch/sources") >"$scratch/found"
empty "$scratch/found" 'functions_have_at_most_70_lines'
long_files $(cat "$scratch/sources") >"$scratch/found"
empty "$scratch/found" 'files_are_not_long'
unlicensed $(cat "$scratch/sources" "$scratch/headers" "$scratch/scripts") run meson.build meson_options.txt >"$scratch/found"
empty "$scratch/found" 'files_name_their_licence'
unfinished $(cat "$scratch/sources" "$scratch/headers" "$scratch/scripts") run ./*.md >"$scratch/found"
empty "$scratch/found" 'nothing_is_left_unfinished'
if clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
	unformatted $(cat "$scratch/sources") >"$scratch/found"
	empty "$scratch/found" 'code_is_formatted'
else
	skip 'code_is_formatted: there is no clang-format 14'
fi

{ echo 'int f(void)'; echo '{'; yes ';' | head -n 400; echo '}'; } >"$scratch/long.c"
long_functions "$scratch/long.c" >"$scratch/found"
not_empty "$scratch/found" 'a_long_function_is_found'
long_files "$scratch/long.c" /dev/null >"$scratch/found"
not_empty "$scratch/found" 'a_long_file_is_found'
unlicensed "$scratch/long.c" >"$scratch/found"
not_empty "$scratch/found" 'a_missing_licence_is_found'
finish
