#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Records the first 100 training losses of mnist-cnn from Debian's PyTorch.

Usage: /usr/bin/python3 record_mnist_cnn.py > mnist_cnn_losses.txt

Weights and batches come from formulas over an integer hash that
tests/model/test_model_mnist_cnn.c repeats, so that both sides start from the same bits and see the
same samples. Data: /usr/share/datasets/fashion-mnist (package dataset-fashion-mnist).
Batch 64, lr 0.01, momentum 0.5, images scaled to 0..1, mean negative log-likelihood.
"""
import gzip
import math

import numpy as np
import torch
import torch.nn.functional as F

FOLDER = "/usr/share/datasets/fashion-mnist/"
STEPS, BATCH, LR, MOMENTUM = 100, 64, 0.01, 0.5
# (name, shape, fan_in), in the order of the parameters' numbers in the formula.
PARAMS = [
    ("conv1.weight", (20, 1, 5, 5), 25), ("conv1.bias", (20,), 25),
    ("conv2.weight", (50, 20, 5, 5), 500), ("conv2.bias", (50,), 500),
    ("fc1.weight", (500, 800), 800), ("fc1.bias", (500,), 800),
    ("fc2.weight", (10, 500), 500), ("fc2.bias", (10,), 500),
]


def mix(x):
    """The 32-bit finalizer of C. Wellons' hash prospector: (16 7feb352d 15 846ca68b 16)."""
    x = np.asarray(x, dtype=np.uint64) & 0xFFFFFFFF
    x ^= x >> 16
    x = (x * 0x7FEB352D) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def formula_param(number, shape, fan_in):
    count = int(np.prod(shape))
    h = mix(number * 0x01000000 + np.arange(count, dtype=np.uint64))
    unit = (h >> 8).astype(np.float64) / 16777216.0
    values = (2.0 * unit - 1.0) * (1.0 / math.sqrt(fan_in))
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def formula_batch(step):
    return (mix(0xB0000000 + step * BATCH + np.arange(BATCH)) % 60000).astype(np.int64)


def read_idx(name, header):
    with gzip.open(FOLDER + name) as stream:
        return np.frombuffer(stream.read(), dtype=np.uint8, offset=header)


def forward(p, x):
    x = F.max_pool2d(F.relu(F.conv2d(x, p["conv1.weight"], p["conv1.bias"])), 2, 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, p["conv2.weight"], p["conv2.bias"])), 2, 2)
    x = F.relu(F.linear(x.view(-1, 800), p["fc1.weight"], p["fc1.bias"]))
    return F.log_softmax(F.linear(x, p["fc2.weight"], p["fc2.bias"]), dim=1)


def main():
    torch.set_num_threads(1)
    images = read_idx("train-images-idx3-ubyte.gz", 16).reshape(60000, 1, 28, 28)
    labels = read_idx("train-labels-idx1-ubyte.gz", 8).astype(np.int64)
    p = {name: formula_param(i, shape, fan).requires_grad_()
         for i, (name, shape, fan) in enumerate(PARAMS)}
    optimizer = torch.optim.SGD(list(p.values()), lr=LR, momentum=MOMENTUM)
    print("# mnist-cnn, first %d losses, torch %s" % (STEPS, torch.__version__))
    for step in range(STEPS):
        index = formula_batch(step)
        x = torch.from_numpy(images[index].astype(np.float32) / np.float32(255))
        optimizer.zero_grad()
        loss = F.nll_loss(forward(p, x), torch.from_numpy(labels[index]))
        loss.backward()
        optimizer.step()
        print("%.8f" % loss.item())


if __name__ == "__main__":
    main()
