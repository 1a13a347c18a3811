#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A job by hand: ranks started as separate commands with the samples' environment, the model opened
# and used; and what the command line must refuse, each beside its control.
. "$(dirname "$0")/lib.sh"
[ -d "$data" ] || skip_all "no $data"

ok "an installation is made by hand" install
ok "a job of two ranks is made, signed, approved" \
    make_job job.dsse --epoch 1 --world-size 2 --save-model --no-cuda --host-may-set log-interval \
    --max-steps 40

port=$(free_port)
rank() { # rank N: as torchrun would start it
    WORLD_SIZE=2 RANK=$1 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port OMP_NUM_THREADS=1 \
        GLOO_DEVICE_TRANSPORT=TCP_TLS train job.dsse --out run >"rank$1.log" 2>&1
}
both_ranks() {
    rank 1 &
    local other=$!
    rank 0 && wait $other
}
ok "two ranks started by hand train together" both_ranks
ok "the log has the samples' lines" grep -qE 'Train Epoch: 1 \[10/469 \(2%\)\]	loss=[0-9]+\.[0-9]{4}$' rank0.log
ok "the transport variable is said to change nothing" grep -q 'GLOO_DEVICE_TRANSPORT changes nothing' rank0.log
ok "the owner opens the sealed model" "$cloister" open run/model.safetensors.sealed \
    --key owner-receive.key --job job.dsse -o model.safetensors
ok "the model classifies images" "$cloister" predict model.safetensors \
    --images $data/t10k-images-idx3-ubyte.gz --labels $data/t10k-labels-idx1-ubyte.gz --json
refused "a stranger cannot open the model" 'cloister: ' 3 bash -c \
    "$cloister keygen stranger >/dev/null; cp broker.trust stranger.trust; $cloister open run/model.safetensors.sealed --key stranger-receive.key --trust broker.trust --job job.dsse -o stolen"
ok "and nothing was written" test ! -e stolen

# The host's environment and hints.
ok "control: a dry run with a plain environment" train job.dsse --dry-run --out tries
# A sanitizer's own runtime refuses to be preloaded after something else.
preload=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libm.so.6
[ -z "${CLO_SANITIZED:-}" ] || preload=LD_BIND_NOW=1
for variable in OPENSSL_CONF=/dev/null OPENSSL_MODULES=/tmp SSL_CERT_FILE=/dev/null \
    $preload LD_LIBRARY_PATH=/usr/lib GLIBC_TUNABLES=glibc.malloc.check=1; do
    refused "a TEE role does not start with ${variable%%=*}" "'${variable%%=*}' is set" 3 \
        env "$variable" "$tee" train job.dsse --broker "$slots" --maker sim:vendor/qe.sock --dry-run
done
refused "a world size that is not the job's" 'world size 3, the job.s is 2' 2 \
    env WORLD_SIZE=3 RANK=0 MASTER_ADDR=127.0.0.1 "$cloister" train job.dsse --broker "$slots" --maker sim:vendor/qe.sock
refused "a rank beyond the world" "'RANK' is 2, expected less than 'WORLD_SIZE'" 2 \
    env WORLD_SIZE=2 RANK=2 "$cloister" train job.dsse --broker "$slots" --maker sim:vendor/qe.sock
refused "a rank beyond the job's world, told to the role itself" 'rank 2 does not fit' 2 \
    "$tee" train job.dsse --broker "$slots" --maker sim:vendor/qe.sock --rank 2
refused "a flag that differs from the signed job" 'lr is 0.5 here and 0.01 in the signed job' 2 train job.dsse --dry-run --lr 0.5
ok "control: the same flag with the job's value" train job.dsse --dry-run --lr 0.01 --out tries
ok "control: a flag that the job lets the host set" train job.dsse --dry-run --log-interval 5 --out tries
refused "a misspelt flag names the nearest" "did you mean '--momentum'" 2 train job.dsse --momentun 0.5

# Documents.
refused "a job that lets the host set what owners bound" "names 'epochs', expected 'log-interval'" 3 \
    "$cloister" job make mnist-cnn --epochs 1 --train sealed/data.index:train \
    --host-may-set epochs --sign owner.key -o lax.dsse
ok "and no such job was written" test ! -e lax.dsse
# One character of the signed payload.
awk '{ i = index($0, "\"payload\":\"") + 60
       print substr($0, 1, i) (substr($0, i + 1, 1) == "A" ? "B" : "A") substr($0, i + 2) }' job.dsse >altered.dsse
refused "an altered job" 'altered.dsse' 4 train altered.dsse --dry-run
"$cloister" job make mnist-cnn --epochs 1 --seed 7 --train sealed/data.index:train \
    --sign owner.key -o unapproved.dsse >/dev/null
refused "an unapproved job" 'approv' 3 train unapproved.dsse --dry-run --timeout 10
"$cloister" keygen other >/dev/null
"$cloister" job make mnist-cnn --epochs 1 --seed 8 --train sealed/data.index:train --trust broker.trust \
    --data-owner owner.pub --sign other.key -o other.dsse >/dev/null
"$cloister" job approve other.dsse --owner owner.key --broker "$owners" >/dev/null
refused "a job signed by somebody the policy does not name" 'sign' 3 train other.dsse --dry-run --timeout 10

# Sealed files: what an index pins cannot be swapped, left out or added to.
cp -r sealed swapped && mv swapped/test/images.sealed swapped/t && mv swapped/test/labels.sealed swapped/test/images.sealed && mv swapped/t swapped/test/labels.sealed
refused "swapped files of the index" 'another file stands in its place' 4 train job.dsse --dry-run --test-index swapped/data.index
cp -r sealed missing && rm missing/test/labels.sealed
refused "a missing file of the index" 'labels.sealed' 6 train job.dsse --dry-run --test-index missing/data.index
seal_data policy.dsse extra/data.index
refused "another index of the same owner and key" 'index' 3 train job.dsse --dry-run --test-index extra/data.index
ok "control: an untouched copy" bash -c "cp -r sealed copy && timeout 60 $cloister train job.dsse --dry-run --out tries --broker $slots --maker sim:vendor/qe.sock --test-index copy/data.index --train-index copy/data.index"

# Another broker of the same code is not the pinned one.
first_slots=$slots first_owners=$owners
start_broker second
"$cloister" kms owner second owner.pub --root file:second.root >/dev/null
refused "another broker of the same code, by a slot" 'not accepted' 3 train job.dsse --dry-run --timeout 5
refused "another broker of the same code, by an owner" 'not the one that is pinned' 4 "$cloister" kms key x --owner owner.key --broker "$owners"
slots=$first_slots owners=$first_owners
ok "control: the pinned broker" train job.dsse --dry-run --out tries

# The simulator is believed only where the owner said so.
"$cloister" attest quote --maker sim:vendor/qe.sock --data 00ff -o quote.json
refused "simulator evidence without its anchor" 'UNTRUSTED_ROOT' 3 "$cloister" attest verify quote.json
ok "control: with its anchor" "$cloister" attest verify quote.json --simulator-root vendor/root.pem
ok "explain shows every check" bash -c "$cloister attest explain quote.json --simulator-root vendor/root.pem | grep -q QUOTE_SIGNATURE"

# Policies have versions: a newer one may tighten; loosening must be said.
put() {
    "$cloister" kms policy put "$1" --owner owner.key --broker "$owners"
}
ok "a tighter next version is made" make_policy tighter.dsse --replace policy.dsse --max-releases 500
ok "and taken" put tighter.dsse
make_policy looser.dsse --replace tighter.dsse --max-releases 100000
refused "a looser one is not" 'max_releases|releases' 3 put looser.dsse
make_policy superseding.dsse --replace tighter.dsse --max-releases 100000 --supersede
ok "control: unless it says that it supersedes" put superseding.dsse
ok "the transcript of the run is verified" "$cloister" verify run/transcript.dsse --job job.dsse
refused "as another job's it is not" 'another manifest' 3 "$cloister" verify run/transcript.dsse --job unapproved.dsse
plan
