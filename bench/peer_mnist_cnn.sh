#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# mnist-cnn training, ours beside PyTorch's, in alternating rounds of one run, tensors in memory:
#     peer_mnist_cnn.sh BUILD [BATCH [THREADS [ROUNDS]]]       default 64 1 3
# PyTorch is Debian's (python3-torch, python3-torchvision, libopenblas0-openmp) under ../shared/peers'
# mnist.py and tuned.sh. Prints each pair and the median ratio. Quote the ratio: machines are noisy.
set -eu
build=${1:?usage: peer_mnist_cnn.sh BUILD [BATCH [THREADS [ROUNDS]]]}
batch=${2:-64} threads=${3:-1} rounds=${4:-3}
root=$(cd "$(dirname "$0")/.." && pwd)
peers=$root/../shared/peers
[ -e "$peers/mnist.py" ] || { echo "no ../shared/peers: nothing to compare with" >&2; exit 2; }
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
"$peers/fmnist.sh" "$data"
export FMNIST_ROOT=$data
for ((round = 1; round <= rounds; round++)); do
    ours=$(OMP_NUM_THREADS=$threads OMP_WAIT_POLICY=PASSIVE "$build/bench/bench_mnist_cnn" "$batch" "$threads" 6 |
        sed -n 's/.*: \([0-9]*\) samples\/s.*/\1/p')
    peer=$("$peers/tuned.sh" "$threads" /usr/bin/python3 "$peers/mnist.py" --threads "$threads" \
        --batch-size "$batch" --loader tensor --max-batches 600 --test 0 |
        sed -n 's/.*"median_s": \([0-9]*\).*/\1/p')
    awk -v o="$ours" -v p="$peer" -v n="$round" \
        'BEGIN { printf "round %d: ours %d, PyTorch %d samples/s, ratio %.2f\n", n, o, p, o / p }'
    awk -v o="$ours" -v p="$peer" 'BEGIN { printf "%.3f\n", o / p }' >>"$data/ratios"
done
sort -n "$data/ratios" | awk '{ a[NR] = $1 } END { printf "batch '"$batch"', threads '"$threads"': median ratio %.2f\n", a[int((NR + 1) / 2)] }'
