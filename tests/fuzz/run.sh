#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzz target of a build folder for some seconds over its corpus, two at a time.
# Usage: run.sh BUILD SECONDS. Exit 1 when one crashed, leaked, timed out or did not start.
set -u
build=${1:?usage: run.sh BUILD SECONDS} seconds=${2:?usage: run.sh BUILD SECONDS}
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

run_one() {
    local target=$1 name corpus
    name=$(basename "$target")
    corpus=$root/tests/fuzz/corpus/${name#fuzz_}
    mkdir -p "$work/$name"
    if timeout -k 5 $((seconds + 60)) "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -max_len=8192 -artifact_prefix="$work/$name-" "$work/$name" $([ -d "$corpus" ] && echo "$corpus") \
        >"$work/$name.log" 2>&1; then
        printf '%-32s %s\n' "$name" "$(grep -oE 'DONE.*' "$work/$name.log" | tail -n 1)"
    else
        printf '%-32s FAILED\n' "$name"
        tail -n 30 "$work/$name.log"
        touch "$work/failed"
    fi
}

count=0
for target in "$build"/tests/fuzz_*; do
    [ -x "$target" ] && [ -f "$target" ] || continue
    count=$((count + 1))
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
    run_one "$target" &
done
wait
echo "fuzz targets: $count, $seconds s each"
[ "$count" -gt 0 ] && [ ! -e "$work/failed" ]
