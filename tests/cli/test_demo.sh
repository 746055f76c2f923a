#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# The README's demonstration, on each backend.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

demo=$SOURCE_ROOT/examples/demo.sh
for arguments in "" "--backend threads"; do
	# shellcheck disable=SC2086
	status 0 bash "$demo" "$FILEMAP" $arguments
	prints "killed the writer (SIGKILL)"
	prints "equal to the input byte for byte"
	prints "log verify: clean"
done
prints "threads"

# What does the flushing: io_uring_enter alone with the ring, msync with the threads.
if ! command -v strace >/dev/null || ! strace -o /dev/null true 2>/dev/null; then
	skip "strace(1) cannot trace here"
	finish
fi
seq 1 5000 >numbers
run env ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" strace -f -c -o calls "$FILEMAP" log append --quiet --backend io_uring ring numbers
if [ "$code" = 0 ]; then
	check "io_uring_enter flushes" grep -q io_uring_enter calls
	check "nothing calls msync" [ "$(grep -c msync calls)" = 0 ]
else
	skip "io_uring is not available: $err"
fi
run env ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" strace -f -c -o calls "$FILEMAP" log append --quiet --backend threads pool numbers
check "the same works without a ring" [ "$code" = 0 ]
check "no ring is used then" [ "$(grep -c io_uring calls)" = 0 ]
check "threads flush by msync" grep -q msync calls
finish
