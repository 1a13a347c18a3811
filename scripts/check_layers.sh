#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The layer rule and law 8, read off the #include lines: a room may include only itself and what the
# table lets it use; a foreign library only in its one place. Prints each breach; exit 1 if any.
set -u
cd "$(dirname "$0")/.."
declare -A uses=(
    [base]="" [crypto]="base" [attest]="crypto base" [channel]="attest crypto base"
    [seal]="crypto base" [kms]="channel seal attest crypto base" [tensor]="base"
    [model]="tensor seal crypto base" [data]="seal tensor crypto base"
    [comm]="channel kms attest crypto seal base"
    [train]="model data comm kms channel seal tensor attest crypto base"
    [broker]="kms channel seal attest crypto base"
    [launch]="kms channel seal attest crypto base"
    [cli]="launch broker train comm data model tensor kms channel seal sim attest crypto base"
)
bad=0
breach() {
    echo "layer: $1"
    bad=1
}

for room in "${!uses[@]}"; do
    [ -d "src/$room" ] || continue
    allowed=" $room ${uses[$room]} "
    [ "$room" = attest ] && allowed="$allowed sim "
    files=$(ls src/"$room"/*.[ch] 2>/dev/null) || continue
    while IFS=: read -r file header; do
        case $allowed in
        *" $header "* | *" ${header%%_*} "*) ;;
        *) breach "$file includes cloister/$header.h, which room '$room' may not use" ;;
        esac
    done < <(grep -HoE '^ *# *include "cloister/[a-z_]+\.h"' $files |
                 sed -E 's|^([^:]+):.*cloister/([a-z_]+)\.h"|\1:\2|')
    header=include/cloister/$room.h
    while read -r used; do
        case $allowed in
        *" $used "*) ;;
        *) breach "$header includes cloister/$used.h, which room '$room' may not use" ;;
        esac
    done < <(grep -hoE '^ *# *include "cloister/[a-z_]+\.h"' "$header" 2>/dev/null |
                 sed -E 's|.*cloister/([a-z_]+)\.h"|\1|')
    # Private headers of other rooms are out of reach by name.
    for file in $files; do
        grep -oE '^ *# *include "[a-z_0-9]+\.h"' "$file" | sed -E 's|.*"(.*)"|\1|' | while read -r own; do
            [ -e "src/$room/$own" ] || echo "layer: $file includes $own, which is not in src/$room"
        done
    done
done > /tmp/layers.$$
cat /tmp/layers.$$
[ -s /tmp/layers.$$ ] && bad=1
rm -f /tmp/layers.$$

# One place for each foreign library.
place() {
    local pattern=$1 where=$2 found
    found=$(grep -lE "^ *# *include <$pattern" -r src include | grep -vE "$where")
    if [ -n "$found" ]; then
        breach "<$pattern...> outside $where: $found"
    fi
}
place 'openssl/' '^src/crypto/'
place '(dnnl|oneapi/)' '^src/tensor/dnnl_[a-z_]*\.[ch]$'
place 'sqlite3' '^src/broker/store_sqlite[a-z_]*\.c$'
place 'zlib' '^src/model/gunzip\.c$'

# Banned by house: raw allocation outside base, the unsafe string functions, the environment read
# outside the two rooms that may, shells, and assert.
banned() {
    local what=$1 where=$2 found
    found=$(grep -nE "(^|[^a-zA-Z0-9_>.])($what) *\(" -r src --include=*.c --include=*.h | grep -vE "$where" |
        grep -vE '^[^:]+:[0-9]+: *(\*|/\*|//)')
    if [ -n "$found" ]; then
        breach "banned call: $found"
    fi
}
banned 'malloc|calloc|realloc|strdup|aligned_alloc|posix_memalign' '^src/base/mem\.c:'
banned 'strcpy|strcat|sprintf|vsprintf|gets|alloca|system|popen|assert|atoi|atol|strtok' '^$'
banned 'getenv|secure_getenv' '^src/(launch|cli)/'
[ $bad = 0 ] && echo "layers: $(ls -d src/*/ | wc -l) rooms, no breach"
exit $bad
