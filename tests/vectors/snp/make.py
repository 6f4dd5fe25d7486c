#!/usr/bin/env python3
"""Makes digests.json: SNP launch digests computed by sev-snp-measure 0.0.13 (Apache-2.0,
https://github.com/virtee/sev-snp-measure), not by this project.

    python3 -m venv venv && venv/bin/pip install sev-snp-measure==0.0.13
    venv/bin/python tests/vectors/snp/make.py > tests/vectors/snp/digests.json
"""

import hashlib
import json
import sys

from sevsnpmeasure.gctx import GCTX
from sevsnpmeasure.sev_mode import SevMode
from sevsnpmeasure.vcpu_types import CPU_SIGS
from sevsnpmeasure.vmsa import VMSA

PAGE = 4096
MODEL = "EPYC-Milan"


def content(seed: int) -> bytes:
    """One page: byte i is (i * 7 + seed) mod 251."""
    return bytes((i * 7 + seed) % 251 for i in range(PAGE))


# kind, guest physical address, seed of the content
PAGES = [
    ("normal", 0x100000, 1),
    ("normal", 0x101000, 2),
    ("zero", 0x102000, None),
    ("unmeasured", 0x181000, None),
    ("secrets", 0x188000, None),
    ("cpuid", 0x189000, None),
    ("normal", 0xFFFFF000, 3),
]


def feed(context: GCTX) -> list:
    """Adds every page; returns the digest after each."""
    steps = []
    for kind, gpa, seed in PAGES:
        if kind == "normal":
            context.update_normal_pages(gpa, content(seed))
        elif kind == "zero":
            context.update_zero_pages(gpa, PAGE)
        elif kind == "unmeasured":
            context.update_unmeasured_pages(gpa, PAGE)
        elif kind == "secrets":
            context.update_secrets_page(gpa)
        else:
            context.update_cpuid_page(gpa)
        steps.append({"kind": kind, "gpa": gpa, "seed": seed, "digest": context.hex_ld()})
    return steps


def main() -> None:
    signature = CPU_SIGS[MODEL]
    # The tool's reset vector for APs is the caller's; KVM's own is 0xFFFFFFF0.
    vmsa = VMSA(SevMode.SEV_SNP, 0xFFFFFFF0, signature, 1)
    ap = bytes(vmsa.ap_save_area)
    counts = {}
    for count in (1, 2, 4, 8):
        context = GCTX()
        steps = feed(context)
        for page in vmsa.pages(count):
            context.update_vmsa_page(page)
        counts[str(count)] = context.hex_ld()
    json.dump(
        {
            "origin": "sev-snp-measure 0.0.13 from PyPI, GCTX and VMSA classes; see make.py",
            "licence": "Apache-2.0",
            "model": MODEL,
            "signature": signature,
            "steps": steps,
            "ap_vmsa_sha384": hashlib.sha384(ap).hexdigest(),
            "ap_vmsa_nonzero": {str(i): byte for i, byte in enumerate(ap) if byte},
            "digests_by_processors": counts,
        },
        sys.stdout,
        indent=2,
    )
    print()


if __name__ == "__main__":
    main()
