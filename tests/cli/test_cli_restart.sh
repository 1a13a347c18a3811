#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A rank that dies is named by the others and nobody hangs; started again, the job goes on from its
# last checkpoint and ends with the bits of a run that was never stopped.
. "$(dirname "$0")/lib.sh"
[ -d "$data" ] || skip_all "no $data"

ok "an installation is made" install
ok "a job of two ranks with checkpoints" \
    make_job job.dsse --epochs 1 --world-size 2 --max-steps 120 --checkpoint-steps 20 --save-model --lease 10

port=$(free_port)
start_rank() { # start_rank N FOLDER: in the background; the process is in $rank_pid
    "$cloister" train job.dsse --broker "$slots" --maker sim:vendor/qe.sock --rank "$1" --port "$port" \
        --out "$2" --threads 1 --events "$2-$1.events" >"$2-$1.log" 2>&1 &
    rank_pid=$!
    children+=($rank_pid)
}
digest() { # of a run's trained model, from its transcript
    sed -n 's/.*"payload":"\([^"]*\)".*/\1/p' "$1/transcript.dsse" | base64 -d |
        grep -oE '"model_digest":"[0-9a-f]{64}"'
}

whole() {
    start_rank 1 straight
    local other=$rank_pid
    start_rank 0 straight
    wait $rank_pid && wait $other
}
ok "control: a run that is never stopped" whole
ok "it writes a model" digest straight

start_rank 1 broken
victim=$rank_pid
start_rank 0 broken
survivor=$rank_pid
ok "checkpoints appear" wait_for broken-0.events '"step":60' 60
# The command's child is the rank itself.
pkill -KILL -P $victim
begin=$(date +%s%N)
wait $survivor
code=$?
took=$((($(date +%s%N) - begin) / 1000000))
echo "# the survivor ended after $took ms with code $code"
ok "the other rank ends with an error" test $code != 0
ok "within ten seconds" test $took -lt 10000
ok "and names rank, phase and address" grep -qE 'rank 1 at [^ ]+:[0-9]+.*(epoch|step)' broken-0.log

mv broken-0.events before.events

# Interrupted while it waits for the other rank: nothing is at stake, so it ends at once.
sleep 1
start_rank 0 waiting
wait_for waiting-0.events '"enrolled"' 30
begin=$(date +%s%N)
kill -TERM $rank_pid
wait $rank_pid
code=$?
took=$((($(date +%s%N) - begin) / 1000000))
ok "a rank that waits for others can be interrupted" test $code = 5
ok "at once" test $took -lt 3000

again() {
    start_rank 1 broken
    local other=$rank_pid
    start_rank 0 broken
    wait $rank_pid && wait $other
}
ok "started again, the job ends" again
ok "it went on from a checkpoint" grep -qE '"resumed_step":[1-9]' broken-0.events
ok "with the bits of the run that was never stopped" test "$(digest straight)" = "$(digest broken)"
plan
