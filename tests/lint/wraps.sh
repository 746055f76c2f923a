#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
# The fault harness stands in front of every function of sys.h but the two clocks and free.
. "$(dirname "$0")/lint.sh"

sed -n '/^fault_wraps = \[/,/^\]/s/^ *.\(fm__[a-z_]*\).,*$/\1/p' "$root/tests/lib/meson.build" | sort -u >"$scratch/wrapped"
sed 's,/\*.*,,' "$root/lib/sys/sys.h" | grep -o 'fm__[a-z_]*(' | tr -d '(' |
	grep -v -e '^fm__sys_realtime_ms$' -e '^fm__sys_monotonic_ns$' -e '^fm__free$' | sort -u >"$scratch/declared"
not_empty "$scratch/declared" 'sys_h_declares_functions'
diff "$scratch/declared" "$scratch/wrapped" >"$scratch/difference" || :
empty "$scratch/difference" 'every_call_of_the_seam_is_wrapped'
finish
