#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sealed files of fixed keys, made from the description of the format and not from our code.

Prints, for the sizes of plain text in test_seal_format.c: the size of the file, its SHA-256, and
the digest that an index pins. Needs the Python package "cryptography".
"""
import hashlib
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

POLICY = b'{"policy":1}'
LOG2_CHUNK = 12


def ramp(first, size):
    return bytes((first + i) & 255 for i in range(size))


def header():
    fixed = bytes([0x89]) + b"CLOSEAL" + struct.pack(">H", 1) + ramp(1, 16) + ramp(2, 16)
    fixed += struct.pack(">II", 2, 5) + ramp(3, 16) + struct.pack(">I", 7) + bytes([LOG2_CHUNK])
    return fixed + ramp(4, 32) + struct.pack(">I", len(POLICY)) + POLICY


def seal(plain):
    head = header()
    digest = hashlib.sha256(head).digest()
    file_key = HKDF(hashes.SHA256(), 32, ramp(4, 32), b"cloister file key v1" + digest).derive(
        ramp(0, 32))
    both = HKDFExpand(hashes.SHA512(), 64, b"cloister seal v1" + digest).derive(file_key)
    aead, out, tags = AESGCM(both[:32]), head + both[32:], b""
    step = 1 << LOG2_CHUNK
    chunks = max(1, -(-len(plain) // step))
    for i in range(chunks):
        nonce = bytes(7) + struct.pack(">IB", i, i == chunks - 1)
        chunk = aead.encrypt(nonce, plain[i * step:(i + 1) * step], None)
        out, tags = out + chunk, tags + chunk[-16:]
    return out, hashlib.sha256(head + tags).hexdigest()


for size in (0, 1, 4096, 9000):
    sealed, digest = seal(bytes((i * 7 + 1) & 255 for i in range(size)))
    print(size, len(sealed), hashlib.sha256(sealed).hexdigest(), digest)
