#!/usr/bin/env python3
"""Makes authority/{ark,ask,vcek}.der: a **test authority** in the shape of AMD's.

ARK and ASK have RSA keys of 4096 bits that are thrown away at the end of this program; the VCEK's
key is the one that stands in tests/host/src/silicon/snp/report.rs for everybody to read. A report
below this chain proves nothing about any machine.

Source of the shape: AMD 57230 rev. 0.52 (VCEK certificate and KDS interface): RSASSA-PSS with
SHA-384 for all three, extensions 1.3.6.1.4.1.3704.1.*.

    pip install cryptography && python3 authority.py
"""
import datetime, pathlib
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

VCEK = b"tessera test host: not a VCEK, proves nothing..."
# CHIP_ID of the reports. A masked one is zero, and the crate `sev` takes no such report.
CHIP = b"tessera test host: a chip that is not one, and proves nothing..."
PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=48)
SINCE = datetime.datetime(2025, 1, 1)
UNTIL = datetime.datetime(2075, 1, 1)


def name(common):
    return x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Tessera test host"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test authority: proves nothing"),
        x509.NameAttribute(NameOID.COMMON_NAME, common),
    ])


def certificate(subject, key, issuer, signer, number, extensions):
    made = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
            .public_key(key).serial_number(number).not_valid_before(SINCE).not_valid_after(UNTIL))
    for extension, critical in extensions:
        made = made.add_extension(extension, critical)
    return made.sign(signer, hashes.SHA384(), rsa_padding=PSS)


def amd(last, der):
    oid = "1.3.6.1.4.1.3704.1." + last
    return x509.UnrecognizedExtension(ObjectIdentifier(oid), der), False


ark, ask = (rsa.generate_private_key(65537, 4096) for _ in range(2))
vcek = ec.derive_private_key(int.from_bytes(VCEK, "big"), ec.SECP384R1())
authority = [(x509.BasicConstraints(ca=True, path_length=None), True)]
ZERO = b"\x02\x01\x00"
extensions = [amd("1", ZERO), amd("2", b"\x16\x04Test")]
# Boot loader, TEE, four reserved, SNP, microcode: every version is 0, as in the reports.
extensions += [amd(f"3.{part}", ZERO) for part in (1, 2, 4, 5, 6, 7, 3, 8)]
extensions += [amd("4", CHIP)]
made = {
    "ark": certificate("ARK-Test", ark.public_key(), "ARK-Test", ark, 1, authority),
    "ask": certificate("SEV-Test", ask.public_key(), "ARK-Test", ark, 2, authority),
    "vcek": certificate("SEV-VCEK", vcek.public_key(), "SEV-Test", ask, 3, extensions),
}
folder = pathlib.Path(__file__).parent / "authority"
folder.mkdir(exist_ok=True)
for file, cert in made.items():
    (folder / f"{file}.der").write_bytes(cert.public_bytes(serialization.Encoding.DER))
