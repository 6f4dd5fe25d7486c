#!/usr/bin/env python3
"""Makes messages.json: SNP guest messages encrypted by OpenSSL through Python's `cryptography`
(Apache-2.0 or BSD-3-Clause), not by this project. The layout is written down here a second time,
from SNP firmware ABI 56860, table 99.

    python3 tests/vectors/snp/message.py > tests/vectors/snp/messages.json
"""

import json
import struct
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def message(key: bytes, number: int, kind: int, vmpck: int, payload: bytes) -> bytes:
    """Header (96 bytes) and encrypted payload."""
    clear = struct.pack("<QQ", number, 0)
    aad = struct.pack("<BBHBBHIB35x", 1, 1, 0x60, kind, 1, len(payload), 0, vmpck)
    assert len(aad) == 48
    sealed = AESGCM(key).encrypt(struct.pack("<Q4x", number), payload, aad)
    cipher, tag = sealed[:-16], sealed[-16:]
    return tag + bytes(16) + clear + aad + cipher


def pattern(seed: int, count: int) -> bytes:
    return bytes((i * 7 + seed) % 251 for i in range(count))


def report_request(data: bytes, vmpl: int) -> bytes:
    return data + struct.pack("<II24x", vmpl, 0)


def key_request(fields: int, vmpl: int) -> bytes:
    return struct.pack("<IIQIIQ", 0, 0, fields, vmpl, 0, 0)


CASES = [
    ("report request", 1, 5, 0, report_request(pattern(3, 64), 0)),
    ("report response", 2, 6, 0, pattern(4, 0x4C0)),
    ("key request", 3, 3, 0, key_request(0x0B, 1)),
    ("key response", 4, 4, 0, bytes(32) + pattern(5, 32)),
    ("report request, key 2", 0x1_0000_0001, 5, 2, report_request(pattern(6, 64), 3)),
    ("report response, key 2", 0x1_0000_0002, 6, 2, pattern(7, 0x4C0)),
]

out = []
for name, number, kind, vmpck, payload in CASES:
    key = pattern(100 + vmpck, 32)
    out.append({
        "name": name, "key": key.hex(), "sequence": number, "type": kind, "vmpck": vmpck,
        "payload": payload.hex(), "message": message(key, number, kind, vmpck, payload).hex(),
    })
json.dump(out, sys.stdout, indent=1)
print()
