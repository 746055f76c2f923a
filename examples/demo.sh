#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The demonstration: real text goes into an append log, the writer is killed in the middle, and everything
# that it had acknowledged - and all the rest, once a second writer has gone on - is read back byte for byte.
#
# usage: demo.sh FILEMAP [--backend io_uring|threads]      (FILEMAP: the command, or the folder it was built in)
set -euo pipefail

filemap=$1
[ ! -d "$filemap" ] || filemap=$filemap/cli/filemap
shift
backend=()
while [ $# -gt 0 ]; do
	case $1 in
	--backend) backend=(--backend "$2"); shift 2 ;;
	*) echo "demo: unknown argument $1" >&2; exit 2 ;;
	esac
done

# The writer is killed once this many records were acknowledged as durable, and gets this many before.
acknowledged=3000
given=5000

work=$(mktemp -d)
writer= feeder=
cleanup() {
	[ -z "$writer" ] || kill -9 "$writer" 2>/dev/null || true
	[ -z "$feeder" ] || kill "$feeder" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
log=$work/log

sources() {
	find /usr/share/common-licenses -type f 2>/dev/null | sort
	[ ! -f /var/lib/dpkg/status ] || echo /var/lib/dpkg/status
}
project() {
	find "$(dirname "$0")/.." \( -name .git -o -name 'build*' \) -prune -o \
		-type f \( -name '*.[ch]' -o -name '*.md' \) -print | sort
}
gather() {
	while IFS= read -r file; do cat "$file"; echo; done
}
number() { # number FIELD FILE: of a flat JSON object
	sed -n "s/.*\"$1\":\"\{0,1\}\([A-Za-z0-9_.]*\).*/\1/p" "$2" | tail -n 1
}

sources | gather >"$work/input"
[ "$(wc -l <"$work/input")" -ge $((given + 1000)) ] || project | gather >"$work/input"
lines=$(wc -l <"$work/input")
[ "$lines" -gt $given ] || { echo "demo: only $lines lines of input" >&2; exit 1; }
echo "input: $lines lines, $(wc -c <"$work/input") bytes"

# The input pauses after $given lines and stays open, so that the writer cannot be through before it is killed.
mkfifo "$work/in" "$work/acks"
"$filemap" log append --acks --quiet "${backend[@]}" "$log" <"$work/in" >"$work/acks" 2>"$work/errors" &
writer=$!
{ head -n $given "$work/input"; exec sleep 600; } >"$work/in" &
feeder=$!
records=0
while read -r word records position; do
	[ "$word" = durable ] || { echo "demo: unexpected acknowledgement: $word" >&2; exit 1; }
	[ "$records" -lt $acknowledged ] || break
done <"$work/acks"
if [ "$records" -lt $acknowledged ]; then
	cat "$work/errors" >&2
	echo "demo: the writer ended after $records records" >&2
	exit 1
fi
kill -9 "$writer"
wait "$writer" 2>/dev/null || true
writer=
kill "$feeder" 2>/dev/null || true
wait "$feeder" 2>/dev/null || true
feeder=
echo "killed the writer (SIGKILL) after it had acknowledged $records records as durable, up to $position"

status=0
"$filemap" log verify --deep --json "$log" >"$work/report" || status=$?
case $status in 0 | 3) ;; *) echo "demo: log verify ended with $status" >&2; exit 1 ;; esac
recovered=$(number records "$work/report")
echo "recovery will find: $(number state "$work/report"), $recovered records up to position $(number end "$work/report")"
[ "$recovered" -ge "$records" ] || { echo "demo: LOST: $records acknowledged, $recovered found" >&2; exit 1; }

tail -n +$((recovered + 1)) "$work/input" |
	"$filemap" log append --json "${backend[@]}" "$log" >"$work/second"
grep -q io_uring "$work/second" || [ ${#backend[@]} -gt 0 ] ||
	echo "io_uring was not available here: the flushes ran on threads"

"$filemap" log cat "$log" >"$work/output"
cmp "$work/input" "$work/output" || { echo "demo: what was read back DIFFERS" >&2; exit 1; }
echo "read back: $(wc -l <"$work/output") records, equal to the input byte for byte"

status=0
"$filemap" log verify --deep --json "$log" >"$work/report" || status=$?
cat <<SUMMARY
summary of the second writer
  records            $(number records "$work/second")
  bytes              $(number bytes "$work/second")
  flushes            $(number flushes "$work/second")
  records per flush  $(number records_per_flush "$work/second")
  backend            $(number backend "$work/second")
  seconds            $(number seconds "$work/second")
log verify: $(number state "$work/report"), $(number records "$work/report") records (exit status $status)
SUMMARY
exit $status
