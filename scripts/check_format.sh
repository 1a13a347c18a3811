#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# clang-format 14 over every C file; prints the files that differ. `check_format.sh fix` rewrites.
set -u
cd "$(dirname "$0")/.."
tool=$(command -v clang-format-14 || command -v clang-format) || { echo "format: no clang-format"; exit 1; }
files=$(git ls-files '*.c' '*.h')
if [ "${1:-}" = fix ]; then
    exec "$tool" -i $files
fi
bad=0
for file in $files; do
    "$tool" "$file" | cmp -s - "$file" || { echo "format: $file"; bad=1; }
done
[ $bad = 0 ] && echo "format: $(printf '%s\n' $files | wc -l) files"
exit $bad
