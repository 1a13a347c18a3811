#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs from Debian what building and testing need (docs/dependencies.md), only what is missing.
# `deps.sh check` adds what .ci/run needs besides. Needs root or sudo only when something is missing.
set -eu
packages="gcc libc6-dev cmake ninja-build pkg-config libssl-dev libdnnl-dev libsqlite3-dev zlib1g-dev
          dataset-fashion-mnist"
if [ "${1:-}" = check ]; then
    packages="$packages clang clang-format libclang-rt-14-dev universal-ctags"
fi
missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    case $state in
    ii*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0
run=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "deps: missing$missing; run as root: apt-get install$missing" >&2
        exit 1
    }
    run=sudo
fi
echo "deps: installing$missing" >&2
log=$(mktemp)
if ! { $run apt-get update && $run env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "deps: apt-get failed; the log is $log" >&2
    exit 1
fi
rm -f "$log"
