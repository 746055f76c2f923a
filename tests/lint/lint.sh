# SPDX-License-Identifier: Apache-2.0 OR MIT
# shellcheck shell=sh
# Sourced by the lint tests: counting in the harness's format, a scratch directory, exit codes.

set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/filemap-lint-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
passed=0 failed=0 skipped=0

ok() { passed=$((passed + 1)); echo "success: $*"; }
bad() { failed=$((failed + 1)); echo "failure: $*"; }
skip() { skipped=$((skipped + 1)); echo "skip: $*"; }

# empty FILE NAME: a list of findings that must have no line
empty() {
	if [ -s "$1" ]; then
		cat "$1"
		bad "$2"
	else
		ok "$2"
	fi
}

not_empty() {
	if [ -s "$1" ]; then ok "$2"; else bad "$2"; fi
}

finish() {
	echo "t: $passed passed, $failed failed, $skipped skipped"
	[ $failed = 0 ] || exit 1
	[ $passed != 0 ] || exit 77
	exit 0
}
