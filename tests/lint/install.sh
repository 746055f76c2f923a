#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
# install.sh MESON CC: the installed library serves a program through pkg-config, shared and static.
. "$(dirname "$0")/lint.sh"
meson=$1 compiler=$2
unset DESTDIR MESON_BUILD_ROOT MESON_SOURCE_ROOT

cd "$scratch"
if "$meson" setup build "$root" --prefix="$scratch/usr" --libdir=lib -Ddefault_library=both \
	-Dtests=disabled -Dbench=disabled >log 2>&1 && "$meson" install -C build >>log 2>&1; then
	ok 'project_installs'
else
	cat log
	bad 'project_installs'
fi
PKG_CONFIG_PATH=$scratch/usr/lib/pkgconfig
LD_LIBRARY_PATH=$scratch/usr/lib
export PKG_CONFIG_PATH LD_LIBRARY_PATH

for kind in shared static; do
	flags=$(pkg-config --cflags --libs $([ $kind = shared ] || echo --static) filemap)
	[ $kind = shared ] || flags=$(echo "$flags" | sed 's,-lfilemap,-l:libfilemap.a,')
	# shellcheck disable=SC2086
	if "$compiler" -std=c11 -Wall -Wextra -Werror -o $kind "$root/tests/embed/main.c" $flags; then
		said=$(./$kind "made-$kind" || :)
	else
		said='a compiler error'
	fi
	[ "$said" = '0.1.0 filemap 64 durable' ] && ok "${kind}_program_runs" || bad "${kind}_program_runs: it said '$said'"
done
cxx=${CXX:-c++}
if command -v "$cxx" >/dev/null; then
	# shellcheck disable=SC2046
	if "$cxx" -std=c++17 -O2 -Wall -Wextra -pedantic -Wconversion -Wold-style-cast -Werror -o cxx \
		"$root/tests/embed/access.cc" $(pkg-config --cflags --libs filemap); then
		said=$(./cxx made-cxx || :)
	else
		said='a compiler error'
	fi
	[ "$said" = 'good 04030201' ] && ok 'cxx_program_runs' || bad "cxx_program_runs: it said '$said'"
else
	skip 'cxx_program_runs: there is no C++ compiler'
fi
[ "$(pkg-config --modversion filemap)" = 0.1.0 ] && ok 'pkg_config_knows_the_version' || bad 'pkg_config_knows_the_version'
case $(pkg-config --variable=io_uring filemap) in
yes | no) ok 'pkg_config_says_whether_io_uring_is_in' ;;
*) bad 'pkg_config_says_whether_io_uring_is_in' ;;
esac
for file in include/filemap/filemap.h include/filemap/uring.h lib/libfilemap.so.0 lib/libfilemap.a bin/filemap \
	share/man/man1/filemap.1 share/man/man3/filemap-queue.3 share/man/man3/filemap_queue_flush.3; do
	[ -e "usr/$file" ] && ok "$file is installed" || bad "$file is installed"
done
"$scratch/usr/bin/filemap" info made-shared >said 2>&1 && ok 'installed_command_runs' || { cat said; bad 'installed_command_runs'; }
finish
