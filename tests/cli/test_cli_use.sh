#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How the programs are used: help, wrong words, keys, and files that are not what they should be.
. "$(dirname "$0")/rig.sh"

check "the help lists the commands" 0 'kms policy make +sign conditions' cloister --help
check "no command is wrong use" 2 'usage: cloister COMMAND' cloister
check "help works on a group" 0 'job approve' cloister job --help
check "help works on a command" 0 'usage: cloister train JOB' cloister train --help
check "cloister-tee has its own table" 0 'broker serve' cloister-tee --help
check "an unknown command names the nearest" 2 "did you mean 'seal'" cloister saal
check "an unknown option names the nearest" 2 "did you mean '--batch-size'" \
    cloister job make mnist-cnn --epoch=3 --batchsize 3
check "a missing argument shows the usage" 2 "'open' takes FILE" cloister open
check "every command of the table has help" 0 '^$' bash -c '
    cloister --help | sed -n "s/^  \([a-z -]*[a-z]\)   *.*/\1/p" | while read -r words; do
        cloister $words --help | grep -q "^usage: cloister $words" || echo "no help: $words"
    done'

check "keygen makes two pairs" 0 'owner.key signs' cloister keygen owner
check "private keys are the owner's alone" 0 '^600 600 644 644$' bash -c \
    'echo $(stat -c %a owner.key owner-receive.key owner.pub owner-receive.pub)'
check "keygen never writes over a key" 6 "'owner.key' is already there" cloister keygen owner
check "an owner's command needs a pinned broker" 6 'kms trust makes it' \
    cloister kms key name --owner owner.key
touch broker.trust && cp owner.key open.key && chmod 644 open.key
check "a private key that others can read is refused" 2 "'open.key' is open to group or others" \
    cloister kms key name --owner open.key
check "a trust file that is none is refused" 4 'broker' cloister kms key name --owner owner.key
rm broker.trust

head -c 1000 /dev/zero >zeros
check "inspect says what it does not know" 4 'is no sealed file' cloister inspect zeros
check "inspect of nothing" 6 'nowhere' cloister inspect nowhere
check "a job that is none is refused" 4 "job 'zeros'" cloister job show zeros
check "a model that is none is refused" 4 '.' \
    cloister predict zeros --images zeros --labels zeros
check "attest verify of what is no evidence" 4 "evidence 'empty'" bash -c \
    ': >empty; cloister attest verify empty'

check "cloister-tee starts with variables that matter to nobody" 0 usage \
    env HARMLESS=1 DNNL_VERBOSE=2 OMP_NUM_THREADS=7 cloister-tee --help
check "and says nothing that DNNL_VERBOSE would have it say" 0 '^$' bash -c \
    'DNNL_VERBOSE=2 cloister-tee --help 2>&1 | grep -i dnnl_verbose; true'
plan
