#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Evidence as files: made by the simulator, verified, explained, appraised; each refusal beside what
# is accepted.
. "$(dirname "$0")/rig.sh"
need_simulator

check "quoting needs the quoting process" 6 'reaching the quoting process' cloister attest quote \
    --maker "sim:$work/nowhere/qe.sock"
start_default_vendor
check "a vendor is made once" 6 . cloister attest sim-init
check "sim-init says what it is" 0 'proves nothing against' cloister attest sim-init other

check "measure prints 64 digits" 0 '^[0-9a-f]{64}$' cloister attest measure
measurement=$(cloister attest measure)
cp "$build/cloister-tee" copy && cp copy changed
at=$(grep -abo 'SPDX\|cloister-tee' changed | head -n 1 | cut -d: -f1)
flip_byte changed "${at:-4096}"
check "an unchanged copy measures the same" 0 "^$measurement\$" cloister attest measure copy
check "a copy with one byte changed does not" 0 . bash -c \
    "[ \$(cloister attest measure changed) != $measurement ] && echo differs"

check "a quote is made" 0 . cloister attest quote --data 0102 -o quote.json
check "it is verified under the simulator's root" 0 'accepted: simulator, TCB UpToDate' \
    cloister attest verify quote.json --simulator-root "$SIM"
check "it is refused without" 3 'UNTRUSTED_ROOT' cloister attest verify quote.json
check "another vendor's root does not do" 3 'UNTRUSTED_ROOT' \
    cloister attest verify quote.json --simulator-root other/root.pem
check "explain shows the checks" 0 'QUOTE_SIGNATURE' \
    cloister attest explain quote.json --simulator-root "$SIM"
check "explain shows the check that failed" 3 'UNTRUSTED_ROOT' cloister attest explain quote.json
check "a verdict is JSON too" 0 '"accepted":true' \
    cloister attest verify quote.json --simulator-root "$SIM" --json
check "years later it is expired" 3 'EXPIRED' \
    cloister attest verify quote.json --simulator-root "$SIM" --at 2046-01-01T00:00:00Z
check "years before it is not valid yet" 3 'NOT_YET_VALID' \
    cloister attest verify quote.json --simulator-root "$SIM" --at 2020-01-01T00:00:00Z
check "a time that is none is wrong" 4 "option '--at'" \
    cloister attest verify quote.json --at yesterday
check "too much data is refused" 4 . cloister attest quote --data "$(printf '00%.0s' {1..65})"

conditions() { # conditions TEE MEASUREMENT
    printf '{"tees":[%s],"measurements":[%s],"tcb_statuses":["UpToDate"]}' "$1" "$2"
}
conditions '"simulator"' "\"$measurement\"" >good.json
conditions '"simulator"' '' >empty.json
conditions '"sgx"' "\"$measurement\"" >hardware.json
conditions '"simulator"' "\"${measurement//[0-9]/a}\"" >other.json
echo '{"tee":["simulator"]}' >misspelt.json
for row in "the right conditions=good=0=accepted" "an empty list=empty=3=POLICY_MEASUREMENT" \
    "conditions that ask for hardware=hardware=3=POLICY_TEE" \
    "another measurement=other=3=POLICY_MEASUREMENT" \
    "a misspelt condition=misspelt=4=did you mean"; do
    IFS='=' read -r name file code pattern <<<"$row"
    check "$name" "$code" "$pattern" \
        cloister attest verify quote.json --simulator-root "$SIM" --policy "$file.json"
done
plan
