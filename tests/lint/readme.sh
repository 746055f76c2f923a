#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
# readme.sh BUILD_DIR LIBRARY CC MESON: what README.md shows is what happens. Each ```c block is a program
# that is compiled and run with a text file as its argument; each ```sh block runs as its mark says:
#   <!-- check: run -->    in an empty directory with notes.txt, the built command in PATH
#   <!-- check: source --> in a copy of the source tree, installing below DESTDIR
#   <!-- check: usage -->  the script ./run knows the word (the tests cannot run themselves)
# Each ```meson block is a project's meson.build around the first program. A block without a mark fails.
. "$(dirname "$0")/lint.sh"
build=$1 library=$(realpath "$2") compiler=$3 meson=$4
unset MESON_BUILD_ROOT MESON_SOURCE_ROOT

awk -v to="$scratch" '
	/^<!-- check: / { mark = $3; next }
	/^```/ && !inside { language = substr($0, 4); if (language == "") language = "text"
		file = sprintf("%s/%02d-%s.%s", to, ++count, mark == "" ? "none" : mark, language); inside = 1; printf "" >file; next }
	/^```/ { inside = 0; mark = ""; close(file); next }
	inside { print >file }' "$root/README.md"
mkdir "$scratch/play"
cd "$scratch/play"
yes 'a line of text' | head -n 100 >notes.txt
PATH=$build/cli:$PATH
LD_LIBRARY_PATH=$(dirname "$library")
export PATH LD_LIBRARY_PATH

for program in "$scratch"/*.c; do
	name=$(basename "$program" .c)
	if grep -q '<liburing.h>' "$program" && ! pkg-config --exists liburing 2>/dev/null; then
		skip "program_${name}_compiles_and_runs: there is no liburing"
		continue
	fi
	if "$compiler" -std=c11 -Wall -Wextra -Werror -I"$root/include" -o "$scratch/$name.out" "$program" \
		"$library" -pthread $(pkg-config --libs liburing 2>/dev/null || :) &&
		"$scratch/$name.out" notes.txt >/dev/null; then
		ok "program_${name}_compiles_and_runs"
	else
		bad "program_${name}_compiles_and_runs"
	fi
done

copy_source() {
	mkdir "$scratch/source"
	(cd "$root" && tar cf - --exclude='./build*' --exclude=./.git .) | (cd "$scratch/source" && tar xf -)
}

for script in "$scratch"/*.sh; do
	name=$(basename "$script" .sh)
	case $name in
	*-run) set -- sh -eu "$script" ;;
	*-source)
		copy_source
		set -- env -C "$scratch/source" DESTDIR="$scratch/installed" sh -eu "$script"
		;;
	*-usage)
		while read -r command word rest; do
			"$root/${command#./}" 2>/dev/null | grep -q "^./run $word" || echo "$command $word"
		done <"$script" >"$scratch/unknown"
		empty "$scratch/unknown" "commands_${name}_exist"
		continue
		;;
	*)
		bad "block_${name}_has_a_mark"
		continue
		;;
	esac
	if "$@" >"$scratch/log" 2>&1 </dev/null; then
		ok "commands_${name}_run"
	else
		cat "$scratch/log"
		bad "commands_${name}_run"
	fi
done

for project in "$scratch"/*.meson; do
	mkdir -p "$scratch/project/subprojects"
	cd "$scratch/project"
	cp "$(ls "$scratch"/*.c | head -n 1)" app.c
	{ echo "project('app', 'c')"; cat "$project"; echo "executable('app', 'app.c', dependencies: filemap_dep)"; } >meson.build
	ln -sfn "$root" subprojects/filemap
	if "$meson" setup build --wrap-mode=nodownload --force-fallback-for=filemap >log 2>&1 && "$meson" compile -C build >>log 2>&1; then
		ok 'embedding_lines_work'
	else
		cat log
		bad 'embedding_lines_work'
	fi
done
finish
