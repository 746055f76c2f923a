#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
# embed.sh MESON: a project that has filemap as a Meson subproject builds offline, and its program runs.
. "$(dirname "$0")/lint.sh"
meson=$1
unset DESTDIR MESON_BUILD_ROOT MESON_SOURCE_ROOT

cp "$root/tests/embed/main.c" "$root/tests/embed/meson.build" "$scratch"
mkdir "$scratch/subprojects"
ln -s "$root" "$scratch/subprojects/filemap"
cd "$scratch"

# Not the installed library, should there be one.
if "$meson" setup build --wrap-mode=nodownload --force-fallback-for=filemap >log 2>&1 &&
	"$meson" compile -C build >>log 2>&1; then
	ok 'subproject_builds'
else
	cat log
	bad 'subproject_builds'
fi
said=$(./build/embedder "$scratch/made" || :)
[ "$said" = '0.1.0 filemap 64 durable' ] && ok 'program_runs' || bad "program_runs: it said '$said'"
[ "$(head -c 7 made)" = filemap ] && ok 'program_wrote_its_file' || bad 'program_wrote_its_file'
"$meson" introspect build --targets | tr ',' '\n' | grep '"name"' >targets
if grep -q 'test_\|"filemap"$' targets && grep -q 'test_' targets; then
	bad 'tests_are_off_in_a_subproject'
else
	ok 'tests_are_off_in_a_subproject'
fi
finish
