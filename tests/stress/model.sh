#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
# model.sh PROGRAM [STEPS [SEED]]: the model test by hand, on ext4, tmpfs, and, one tenth as many steps, on xfs and
# btrfs. PROGRAM is test_map_model of a build. The file systems are images of its own, in a mount namespace of
# its own, below $TMPDIR or /tmp. It takes root; what cannot be made here is named and left out. MODEL_SYSTEMS, a
# list of words, says which ones, if not all.
set -eu

if [ $# -lt 1 ]; then
	echo "usage: model.sh PROGRAM [STEPS [SEED]]" >&2
	exit 2
fi
if [ "${MODEL_INSIDE:-}" != 1 ]; then
	MODEL_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
fi
program=$(realpath "$1")
steps=${2:-10000000}
seed=${3:-$(date +%s)}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/filemap-model-XXXXXX")
at=$scratch/at
failed=0
mkdir "$at"

clean() {
	umount "$at" 2>/dev/null || :
	rm -rf "$scratch"
}
trap clean EXIT

prepare() { # SYSTEM MIB: mounted at $at
	if [ "$1" = tmpfs ]; then
		mount -t tmpfs -o size="$2"m none "$at"
		return
	fi
	command -v "mkfs.$1" >/dev/null || { echo "there is no mkfs.$1"; return 1; }
	rm -f "$scratch/image"
	truncate -s "$2M" "$scratch/image"
	"mkfs.$1" -q "$scratch/image" >/dev/null && mount -o loop "$scratch/image" "$at"
}

run() { # SYSTEM MIB STEPS
	case " ${MODEL_SYSTEMS:-ext4 tmpfs xfs btrfs} " in
	*" $1 "*) ;;
	*) return 0 ;;
	esac
	if ! prepare "$1" "$2"; then
		echo "skip: $1 cannot be had here"
		return 0
	fi
	if "$program" "$seed" "$3" "$at" >"$scratch/log" 2>&1; then
		echo "success: $1, seed $seed, $3 steps"
	else
		cat "$scratch/log"
		echo "failure: $1, seed $seed, $3 steps"
		failed=1
	fi
	umount "$at"
}

run ext4 64 "$steps"
run tmpfs 64 "$steps"
run xfs 300 $((steps / 10))
run btrfs 128 $((steps / 10))
exit $failed
