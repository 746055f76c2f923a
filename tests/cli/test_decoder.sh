#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# A decoder that was written from the format's description alone reads what the library writes.
# shellcheck source=tests/cli/t.sh
. "$(dirname "$0")/t.sh"

if ! command -v perl >/dev/null; then
	skip "no perl"
	finish
fi
decode() { perl "$SOURCE_ROOT/tests/crash/decode_log.pl" "$@"; }
head -c 1200000 /dev/urandom | od -An -tx1 -w300 >lines
filemap log append --quiet --segment-size 1M log lines
check "the decoder agrees on several segments" cmp <(decode log) lines
printf 'more\n\n' | filemap log append --quiet log
check "the decoder agrees after a second run" cmp <(decode log) <(filemap log cat log)
finish
