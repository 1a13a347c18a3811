#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An owner, a broker and a job of one rank, by the commands of the README with their defaults, on a
# small data set. Each refusal stands beside its control.
. "$(dirname "$0")/rig.sh"
need_simulator
start_default_vendor

# 256 images of 28x28, the first with a text in its pixels, and labels that are all 0.
text="nobody outside attested code may see this"
{
    printf '\0\0\10\3\0\0\1\0\0\0\0\34\0\0\0\34%s' "$text"
    head -c $((256 * 784 - ${#text})) /dev/urandom
} >images
{ printf '\0\0\10\1\0\0\1\0'; head -c 256 /dev/zero; } >labels

check "a broker's store is made" 0 '^$' cloister kms init broker --root file:root.key
check "and not over another one" 6 "store at 'broker.*already" \
    cloister kms init broker --root file:root.key
check "the root key is the operator's alone" 0 '^600$' stat -c %a root.key
head -c 32 /dev/zero >wrong.key && chmod 600 wrong.key
check "another root key does not open it" 4 tag cloister kms serve broker --root file:wrong.key \
    --slots 127.0.0.1:0 --owners 127.0.0.1:0
cloister kms serve broker --root file:root.key --slots 127.0.0.1:0 --owners 127.0.0.1:0 \
    >broker.log 2>&1 &
children+=($!)
wait_for broker.log 'owners at' 20 || give_up "no broker: $(cat broker.log)"
slots=$(sed -n 's/.*slots at \([^,]*\),.*/\1/p' broker.log)
owners=$(sed -n 's/.*owners at \(.*\)/\1/p' broker.log)
cloister keygen owner >/dev/null && cloister keygen other >/dev/null || give_up "no keys"

trust() {
    cloister kms trust "$owners" --owner owner.key --simulator-root "$SIM" "$@"
}
check "an owner who is not pinned is refused" 3 'peer refused' \
    trust --accept insecure_root_operator --accept insecure_no_anchor
check "without the root key nobody pins" 4 tag \
    cloister kms owner broker owner.pub --root file:wrong.key
check "a key that does not sign is no owner's" 2 'Ed25519' \
    cloister kms owner broker owner-receive.pub --root file:root.key
check "the operator pins the owner beside the serving broker" 0 "pinned: 'owner.pub'" \
    cloister kms owner broker owner.pub --root file:root.key
check "once" 6 "already, as 'owner.pub'" cloister kms owner broker owner.pub --root file:root.key \
    --name again
check "a broker's weaknesses must be accepted" 3 'insecure_' trust
check "each of them" 3 'insecure_no_anchor' trust --accept insecure_root_operator
check "a broker of another measurement is refused" 3 'POLICY_MEASUREMENT' \
    trust --measurement "$(printf 'ab%.0s' {1..32})" --accept insecure_root_operator \
    --accept insecure_no_anchor
check "another identity than the known one is refused" 3 . \
    trust --accept insecure_root_operator --accept insecure_no_anchor --identity other.pub
check "the broker is verified and pinned" 0 'its identity is pinned' \
    trust --accept insecure_root_operator --accept insecure_no_anchor

acting=(--owner owner.key --broker "$owners")
key=$(cloister kms key digits "${acting[@]}") || give_up "no data key"
policy() {
    cloister kms policy make --owner owner.key --key "$key" --data-set digits \
        --simulator-root "$SIM" --model mnist-cnn --recipient owner-receive.pub --metrics epoch "$@"
}
check "a policy is made" 0 '^$' policy -o policy.dsse
check "and shown" 0 '"data_set":"digits"' cloister kms policy show policy.dsse
check "a policy that names no model is refused" 2 '\-\-model' cloister kms policy make \
    --owner owner.key --key "$key" --data-set digits --simulator-root "$SIM"
check "metrics leave as often as is said" 2 "'batch', expected epoch or step" policy \
    --metrics batch -o batch.dsse
check "the broker takes it" 0 'holds the policy' cloister kms policy put policy.dsse "${acting[@]}"
check "somebody who is not pinned cannot put it" 3 'peer refused' \
    cloister kms policy put policy.dsse --owner other.key --broker "$owners"
cloister kms owner broker other.pub --root file:root.key >/dev/null || give_up "other is not pinned"
check "another owner cannot put it" 6 'has no key with this id' \
    cloister kms policy put policy.dsse --owner other.key --broker "$owners"
check "data is sealed" 0 'sealed 4 files' cloister seal "${acting[@]}" --policy policy.dsse \
    --index sealed/digits.index train/images=images train/labels=labels test/images=images \
    test/labels=labels
check "a sealed file says what it is" 0 'part +1 of 4' cloister inspect sealed/train/images.sealed
check "the text can be read in the plain file" 0 '^images$' grep -laF "$text" images
check "and in no sealed one" 1 '^$' grep -rlaF "$text" sealed

job() { # job FILE [OPTION...]
    local file=$1
    shift
    cloister job make mnist-cnn --epochs 1 --batch-size 32 --test-batch-size 64 --seed 42 \
        --train sealed/digits.index:train --test sealed/digits.index:test --save-model \
        --sign owner.key -o "$file" "$@"
}
# Where the index is, is the host's to say.
try() { # try JOB [OPTION...]
    local file=$1
    shift
    cloister train "$file" --broker "$slots" --out run --timeout 10 \
        --train-index sealed/digits.index --test-index sealed/digits.index "$@"
}
check "a job is made" 0 'job job.dsse: digest' job job.dsse
check "and shown" 0 '"world_size":1' cloister job show job.dsse
check "a split that is not there is refused" 6 "has no 'dev" job none.dsse \
    --train sealed/digits.index:dev
check "an unapproved job gets no keys" 3 'APPROVAL_MISSING' try job.dsse --dry-run
check "the owner approves it" 0 'is approved for 1 data key' \
    cloister job approve job.dsse "${acting[@]}"
check "then it does" 0 'rank 0 opened 256 training and 256 test samples' try job.dsse --dry-run

check "the right program in another role is refused" 3 'ROLE' cloister eval job.dsse \
    --broker "$slots" --timeout 10
cp -r sealed flipped && flip_byte flipped/train/images.sealed 100000
check "a flipped byte in a sealed file is found" 4 'tag does not match' bash -c \
    "cloister train job.dsse --broker $slots --dry-run --out run --timeout 10 \
         --train-index flipped/digits.index --test-index sealed/digits.index"

check "one rank trains" 0 'model sealed to its recipients' try job.dsse
check "its metrics are lines of JSON" 0 '"event":"epoch".*"test_accuracy":1' cat run/metrics.jsonl
check "with none at steps, as the policy says" 1 '^$' grep -E '"event":"step"|"loss"' \
    run/metrics.jsonl
ok "its transcript is there" test -s run/transcript.dsse
ok "a second job is made" job second.dsse --name second --log-interval 2
ok "and approved" cloister job approve second.dsse "${acting[@]}"
check "one job's folder is not another's" 2 'belongs to another job' try second.dsse
check "a log line is as the samples' are" 0 'metricName: accuracy, metricValue: 1.0000' \
    try second.dsse --out second
cp check.log second.log
check "but for a batch's loss" 0 'Train Epoch: 1 \[[0-9]+/8 \([0-9]+%\)\]$' cat second.log
check "which no line has" 1 '^$' grep -F 'loss=' second.log
opening=(cloister open run/model.safetensors.sealed -o model.safetensors)
check "the recipient opens the model" 0 'signed by an attested slot' "${opening[@]}" \
    --key owner-receive.key --job job.dsse
check "as another job's it is refused" 3 'made by another job' "${opening[@]}" \
    --key owner-receive.key --job second.dsse
check "it predicts" 0 'image 1: label T-shirt/top' cloister predict model.safetensors \
    --images images --labels labels --count 2

check "a revoked key is released no more" 0 'revoked' cloister kms revoke "$key" "${acting[@]}"
check "to nobody" 3 'not accepted|KEY_REVOKED' try job.dsse --dry-run
check "the broker's log says why" 0 'KEY_REVOKED|no owner has stored a policy' cat broker.log
check "the audit log tells it" 0 '"kind":"refused"' cloister kms audit "${acting[@]}"
check "the whole log is checked where it lies" 0 '"kind":"gate".*is pinned' \
    cloister kms audit-store broker
check "with the head that owners are shown" 0 '^$' bash -c \
    'test "$(cloister kms audit-store broker | tail -n 1)" = \
         "$(cloister kms audit --owner owner.key --broker '"$owners"' | tail -n 1)"'
cp -r broker touched
sed -i 's/"kind":"revoke"/"kind":"Revoke"/' touched/broker.db
check "an entry that was changed is named" 4 'breaks at entry [0-9]+: its hash' \
    cloister kms audit-store touched
check "and ends with its head" 0 '\{"head":"[0-9a-f]{64}"\}$' cloister kms audit "${acting[@]}"
plan
