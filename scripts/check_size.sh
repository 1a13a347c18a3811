#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The limits of the house (CONTRIBUTING.md): functions of at most 80 lines and 7 parameters, files of
# at most 800 lines, lines of at most 100 columns, nesting of at most 4 (kernels and reference code
# excepted), and the budgets in lines of code. Prints each breach and the budgets; exit 1 on a breach.
set -u
cd "$(dirname "$0")/.."
bad=0
files=$(find src include tests bench examples -name '*.[ch]' -o -name '*.inc' 2>/dev/null | sort)

while read -r count file; do
    [ "$file" = total ] && continue
    if [ "$count" -gt 800 ]; then
        echo "size: $file has $count lines, at most 800"
        bad=1
    fi
done < <(wc -l $files)

awk 'length($0) > 100 { printf "size: %s:%d has %d columns, at most 100\n", FILENAME, FNR, length($0); bad = 1 }
     END { exit bad }' $files || bad=1

# Nesting by indentation (the format is checked apart): a control statement at five levels or more.
deep=$(grep -nE '^ {20,}(if|for|while|switch|do|else)\b' $(printf '%s\n' $files | grep '^src/.*\.c$' |
    grep -v '/kernel_'))
if [ -n "$deep" ]; then
    printf 'size: nests deeper than 4: %s\n' "$deep"
    bad=1
fi

if ! command -v ctags >/dev/null; then
    echo "size: no ctags (package universal-ctags): functions cannot be measured"
    bad=1
else
    ctags -x --c-kinds=f --_xformat='%{end} %n %N %F %S' $(printf '%s\n' $files | grep '\.c$') |
        awk '{ lines = $1 - $2 + 1
               if (lines > 80) { printf "size: %s:%d %s has %d lines, at most 80\n", $4, $2, $3, lines; bad = 1 }
               signature = $0; commas = gsub(/,/, ",", signature)
               if (commas > 6 && $4 !~ /kernel_/) { printf "size: %s:%d %s has %d parameters, at most 7\n", $4, $2, $3, commas + 1; bad = 1 }
               if ($4 ~ /^src\//) { all[++n] = lines } }
             END { m = asort_median(all, n); printf "functions: %d in src, median %d lines\n", n, m; exit bad }
             function asort_median(a, n,   i, j, t) {
                 for (i = 2; i <= n; i++) { t = a[i]; for (j = i - 1; j > 0 && a[j] > t; j--) a[j + 1] = a[j]; a[j + 1] = t }
                 return a[int((n + 1) / 2)] }' || bad=1
fi

# Lines of code: lines that bear code - neither blank, nor comment, nor punctuation alone.
code() {
    cat "$@" 2>/dev/null | awk '
        { line = $0; sub(/^[ \t]+/, "", line) }
        incomment { if (line ~ /\*\//) incomment = 0; next }
        line == "" || line ~ /^\/\// { next }
        line ~ /^\/\*/ { if (line !~ /\*\//) incomment = 1; next }
        line ~ /[A-Za-z0-9_]/ { n++ }
        END { print n + 0 }'
}
# The simulator is in no release build and is counted apart.
room_files() {
    local room
    for room; do
        find "src/$room" include/cloister -name '*.[ch]' 2>/dev/null |
            grep -E "^src/$room/|^include/cloister/$room[._]" | grep -vE '/(sim_[a-z_]*|maker_sim)\.[ch]$'
    done
}
budget() {
    printf 'budget: %-40s %6d of %d lines of code\n' "$1" "$2" "$3"
    if [ "$2" -gt "$3" ]; then
        bad=1
    fi
}
core=$(code $(room_files base crypto attest channel seal kms broker) /dev/null)
tee=$(code $(room_files base crypto attest channel seal kms broker tensor model data comm train) /dev/null)
all=$(code $(find src include -name '*.[ch]') /dev/null)
budget "security core (base .. kms, broker)" "$core" 15000
budget "cloister-tee's rooms" "$tee" 45000
budget "everything" "$all" 75000
printf 'simulator: %d lines of code\n' "$(code src/attest/sim_*.[ch] src/attest/maker_sim.c include/cloister/sim.h)"
printf 'tests: %d lines of code\n' "$(code $(find tests -name '*.[ch]') /dev/null)"
exit $bad
