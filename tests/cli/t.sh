# SPDX-License-Identifier: Apache-2.0 OR MIT
# shellcheck shell=bash
# The harness of the command's tests: a fresh directory, checks that count, the closing line that ./run sums up.
#
#   check "cat writes the file" cmp <(filemap cat f) f
#   status 2 filemap cat                   # runs it; remembers status, standard output in $out, error in $err

set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
passed=0 failed=0 skipped=0
dir=$(mktemp -d "${FILEMAP_TEST_DIR:-${TMPDIR:-/tmp}}/filemap-cli.XXXXXX")
trap 'chmod -R u+rwx "$dir" 2>/dev/null; rm -rf "$dir"' EXIT
cd "$dir" || exit 1
filemap() { "$FILEMAP" "$@"; }

check() {
	local name=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $name: $*"
		echo "  out: ${out-}"
		echo "  err: ${err-}"
	fi
}
skip() {
	skipped=$((skipped + 1))
	echo "skip: $*"
}
run() { # run COMMAND...: sets $code, $out, $err
	code=0
	"$@" >"$dir/.out" 2>"$dir/.err" </dev/null || code=$?
	out=$(<"$dir/.out")
	err=$(<"$dir/.err")
}
status() {
	local expected=$1
	shift
	run "$@"
	check "exit status of '$*' is $expected (was $code)" [ "$code" = "$expected" ]
}
says() { check "the error says '$1'" grep -qF -- "$1" "$dir/.err"; }
prints() { check "the output says '$1'" grep -qF -- "$1" "$dir/.out"; }
# holds FAMILY KIND FILE COMMAND...: hold.py runs COMMAND under a lock that Python took; see there.
holds() { python3 "$here/hold.py" "$@"; }
json() { python3 -m json.tool --json-lines "$1" >/dev/null; }
# field FILE EXPRESSION: evaluates it with j = the JSON of the file's first line.
field() { python3 -c 'import json, os, sys; j = json.loads(open(sys.argv[1]).readline()); print(eval(sys.argv[2]))' "$@"; }
finish() {
	echo "t: $passed passed, $failed failed, $skipped skipped"
	[ $failed = 0 ] || exit 1
	[ $passed != 0 ] || exit 77
	exit 0
}
