#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
# warnings.sh BUILD_DIR: every source compiles without a warning, with the flags the build uses.
. "$(dirname "$0")/lint.sh"
build=$1

python3 - "$build" >"$scratch/commands" <<'END'
import json, shlex, sys
done = set()
for entry in json.load(open(sys.argv[1] + "/compile_commands.json")):
    words = shlex.split(entry["command"])
    if entry["file"] in done or not entry["file"].endswith(".c"):
        continue
    done.add(entry["file"])
    words[words.index("-o") + 1] = "/dev/null"
    drop = {"-MF", "-MQ"}
    kept = [w for i, w in enumerate(words) if w not in drop | {"-MD"} and words[i - 1] not in drop]
    print(shlex.join(["cd", entry["directory"]]) + " && " + shlex.join(kept + ["-Werror"]))
END
jobs=$(getconf _NPROCESSORS_ONLN)
tr '\n' '\0' <"$scratch/commands" | xargs -0 -P "$jobs" -I{} sh -c '{}' 2>"$scratch/found" || echo "a source does not compile" >>"$scratch/found"
not_empty "$scratch/commands" 'sources_are_listed'
empty "$scratch/found" 'sources_compile_without_a_warning'
finish
