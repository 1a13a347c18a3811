#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every test program of a build folder and every script in tests/cli, two at a time, and counts
# their TAP points. Usage: run.sh BUILD [NAME...]. The last line is `N passed, N failed, N skipped`;
# the exit code is 0 only when none failed and at least one passed.
set -u
build=$(cd "${1:?usage: run.sh BUILD [NAME...]}" && pwd)
shift
root=$(cd "$(dirname "$0")/.." && pwd)
limit=${CLO_TEST_LIMIT:-600}
jobs=${CLO_TEST_JOBS:-2}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

wanted() {
    [ $# = 1 ] && return 0
    local name=$1 word
    shift
    for word; do
        case $name in *"$word"*) return 0 ;; esac
    done
    return 1
}

run_one() {
    local name=$1 log=$2 begin code
    shift 2
    begin=$(date +%s)
    timeout -k 10 "$limit" "$@" >"$log.out" 2>"$log.err" </dev/null
    code=$?
    # A program that dies, hangs or prints no plan is one more failure: its points cannot be trusted.
    if [ $code -gt 1 ] || ! grep -q '^1\.\.[0-9]' "$log.out"; then
        echo "not ok - $name ended with code $code" >>"$log.out"
    fi
    echo "$(($(date +%s) - begin))" >"$log.time"
}

names=()
while read -r path; do
    name=$(basename "$path")
    if wanted "$name" "$@"; then
        names+=("$name")
        while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
        CLO_BUILD=$build run_one "$name" "$logs/$name" "$path" &
    fi
done < <(find "$build/tests" -maxdepth 1 -type f -name 'test_*' -perm -u+x | sort
         find "$root/tests/cli" -maxdepth 1 -name 'test_*.sh' 2>/dev/null | sort)
wait

passed=0 failed=0 skipped=0
for name in "${names[@]}"; do
    out=$logs/$name.out
    ok=$(grep -c '^ok' "$out")
    skip=$(grep -c '^ok.*# SKIP' "$out")
    bad=$(grep -c '^not ok' "$out")
    printf '%-44s %4d passed %3d failed %3d skipped  %ss\n' "$name" $((ok - skip)) "$bad" "$skip" \
        "$(cat "$logs/$name.time")"
    grep '^ok.*# SKIP' "$out" | sed 's/^/    /'
    grep '^# counted' "$out" | sed 's/^/    /'
    if [ "$bad" -gt 0 ]; then
        grep -A 8 '^not ok' "$out" | sed 's/^/    /'
        tail -n 20 "$logs/$name.err" | sed 's/^/    stderr: /'
    fi
    passed=$((passed + ok - skip)) failed=$((failed + bad)) skipped=$((skipped + skip))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
