#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Sum up Meson test runs: tally.py LABEL=LOG...

A test program says "t: N passed, N failed, N skipped" in its last line; one that says nothing counts
as one case. A program that Meson calls failed counts as a failed case even if its line does not say
so (a sanitizer, a signal, a time-out). A LOG is Meson's testlog.json; an empty name is a build that failed. The last line is the
sum; the exit status is 1 on any failure and if nothing passed.
"""
import json
import re
import sys

LINE = re.compile(r"^t: (\d+) passed, (\d+) failed, (\d+) skipped$", re.M)


def cases(entry):
    result = entry["result"]
    said = LINE.findall(entry.get("stdout") or "")
    counts = [int(n) for n in said[-1]] if said else [0, 0, 0]
    if result in ("OK", "EXPECTEDFAIL"):
        if not said:
            counts[0] = 1
        elif counts[1] > 0:
            print(f"failed: {entry['name']}: it exited 0 with {counts[1]} failed cases")
    elif result == "SKIP":
        if sum(counts) == 0:
            counts[2] = 1
    else:
        counts[1] = max(counts[1], 1)
        print(f"failed: {entry['name']} ({result})")
    return counts


def tally(label, log):
    total, reasons = [0, 0, 0], {}
    for line in open(log, encoding="utf-8", errors="replace") if log else []:
        entry = json.loads(line)
        total = [a + b for a, b in zip(total, cases(entry))]
        for reason in re.findall(r"^skip: (.*)$", entry.get("stdout") or "", re.M):
            reason = f"{entry['name']}: {reason}"
            reasons[reason] = reasons.get(reason, 0) + 1
    if sum(total) == 0:
        print(f"failed: {label}: nothing ran")
        total[1] += 1
    for reason, times in sorted(reasons.items()):
        print(f"skipped ({label}): {reason}" + (f" (x{times})" if times > 1 else ""))
    print("{}: {} passed, {} failed, {} skipped".format(label, *total))
    return total


def main():
    total = [0, 0, 0]
    for argument in sys.argv[1:]:
        label, _, log = argument.rpartition("=")
        total = [a + b for a, b in zip(total, tally(label, log))]
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] > 0 or total[0] == 0 else 0


sys.exit(main())
