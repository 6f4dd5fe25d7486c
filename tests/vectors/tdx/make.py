#!/usr/bin/env python3
"""Makes mrtd.json: the MRTD after each of a few pages, computed with hashlib alone from the
operations that Intel's 348549 ("Measurement") and 348551 (TDH.MEM.PAGE.ADD, TDH.MR.EXTEND) hash.

    python3 tests/vectors/tdx/make.py > tests/vectors/tdx/mrtd.json

image-builder/tests/measure.rs compares every value with two more implementations: the one of
the igvm crate 0.5.0 (measurement::generate_tdx_measurement, MIT), and this project's.
"""

import hashlib
import json
import struct
import sys

PAGE = 4096
CHUNK = 256

# kind, guest physical address, seed of the content
PAGES = [
    ("normal", 0x100000, 1),
    ("normal", 0x101000, 2),
    ("zero", 0x102000, None),
    ("unmeasured", 0x181000, None),
    ("normal", 0xFFFFF000, 3),
]


def content(kind: str, seed: int) -> bytes:
    """One page: zeros, or byte i is (i * 7 + seed) mod 251."""
    if kind == "zero":
        return bytes(PAGE)
    return bytes((i * 7 + seed) % 251 for i in range(PAGE))


def header(name: bytes, gpa: int) -> bytes:
    """What either operation hashes first: 128 bytes."""
    return name.ljust(16, b"\0") + struct.pack("<Q", gpa) + bytes(104)


def main() -> None:
    mrtd = hashlib.sha384()
    steps = []
    for kind, gpa, seed in PAGES:
        mrtd.update(header(b"MEM.PAGE.ADD", gpa))
        if kind != "unmeasured":
            page = content(kind, seed)
            for at in range(0, PAGE, CHUNK):
                mrtd.update(header(b"MR.EXTEND", gpa + at) + page[at : at + CHUNK])
        value = mrtd.copy().hexdigest()
        steps.append({"kind": kind, "gpa": gpa, "seed": seed, "mrtd": value})
    origin = "make.py, checked against the igvm crate 0.5.0 by image-builder/tests/measure.rs"
    json.dump({"origin": origin, "steps": steps}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
