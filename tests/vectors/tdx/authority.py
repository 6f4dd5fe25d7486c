#!/usr/bin/env python3
"""Makes authority/: a **test authority** in the shape of Intel's provisioning service.

root.der           self-signed root; its key is thrown away at the end of this program
certification.bin  what a quote of the test host carries behind its signature: report of the quoting
                   enclave, signature by the PCK, authentication data, PCK chain (PEM)
collateral.json    TCB info, identity of the quoting enclave, revocation lists, in the form in which
                   the crate dcap-qvl reads them

The attestation key stands in tests/host/src/silicon/tdx/quote.rs for everybody to read. A quote
below this root proves nothing about any machine.

Sources of the shapes: Intel "SGX PCK certificate and CRL profile" rev. 1.5; "TDX DCAP quoting library
API" rev. 0.9, appendix A.3; the JSON of PCS API version 4.

    pip install cryptography && python3 authority.py
"""
import datetime, hashlib, json, pathlib, struct
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID, ObjectIdentifier

ATTESTATION = b"tessera test host: not a QE key."
SINCE, UNTIL = datetime.datetime(2025, 1, 1), datetime.datetime(2075, 1, 1)
FMSPC = bytes.fromhex("7e55e7a00000")
SGX = "1.2.840.113741.1.13.1"
curve, sha = ec.SECP256R1(), hashes.SHA256()


def der(tag, body):
    size = len(body)
    head = [size] if size < 128 else [0x81, size] if size < 256 else [0x82, size >> 8, size & 255]
    return bytes([tag, *head]) + body


def oid(text):
    first, second, *rest = map(int, text.split("."))
    out = bytes([first * 40 + second])
    for number in rest:
        part = [number & 127]
        while number := number >> 7:
            part.insert(0, number & 127 | 128)
        out += bytes(part)
    return der(6, out)


def entry(last, value):
    return der(0x30, oid(f"{SGX}.{last}") + value)


def number(value):
    return der(2, bytes([value]))


def sgx_extension():
    tcb = b"".join(entry(f"2.{i}", number(0)) for i in range(1, 18))
    tcb += entry("2.18", der(4, bytes(16)))
    parts = entry("1", der(4, bytes(16))) + entry("2", der(0x30, tcb))
    parts += entry("3", der(4, bytes(2))) + entry("4", der(4, FMSPC)) + entry("5", der(10, b"\0"))
    return x509.UnrecognizedExtension(ObjectIdentifier(SGX), der(0x30, parts))


def name(common):
    return x509.Name([
        x509.NameAttribute(NameOID.COMMON_NAME, common),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tessera test host: proves nothing"),
    ])


def certificate(subject, key, issuer, signer, serial, more):
    made = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
            .public_key(key.public_key()).serial_number(serial)
            .not_valid_before(SINCE).not_valid_after(UNTIL)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False))
    for extension, critical in more:
        made = made.add_extension(extension, critical)
    return made.sign(signer, sha)


def revocations(issuer, signer):
    made = (x509.CertificateRevocationListBuilder().issuer_name(name(issuer))
            .last_update(SINCE).next_update(UNTIL).add_extension(x509.CRLNumber(1), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False))
    return made.sign(signer, sha).public_bytes(serialization.Encoding.DER)


def raw(key, message):
    r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(sha)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def usage(ca):
    return x509.KeyUsage(not ca, not ca, False, False, False, ca, ca, False, False), True


ROOT, PLATFORM, SIGNING = "Tessera Test Root CA", "Tessera Test PCK Platform CA", "Tessera Test TCB Signing"
root, platform, signing, pck = (ec.generate_private_key(curve) for _ in range(4))
attestation = ec.derive_private_key(int.from_bytes(ATTESTATION, "big"), curve)
point = attestation.public_key().public_bytes(
    serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)[1:]

ca = lambda depth: [(x509.BasicConstraints(True, depth), True), usage(True)]
leaf = [(x509.BasicConstraints(False, None), True), usage(False)]
root_cert = certificate(ROOT, root, ROOT, root, 1, ca(1))
platform_cert = certificate(PLATFORM, platform, ROOT, root, 2, ca(0))
signing_cert = certificate(SIGNING, signing, ROOT, root, 3, leaf)
pck_cert = certificate("Tessera Test PCK", pck, PLATFORM, platform, 4, leaf + [(sgx_extension(), False)])
pem = lambda *certs: b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certs).decode()

authentication = bytes(range(32))
signer = hashlib.sha256(b"tessera test quoting enclave").digest()
report = struct.pack("<16s I 28x 16s 32s 32x 32s 96x H H 60x 64s", bytes(16), 0,
                     b"\x11" + bytes(15), signer, signer, 2, 0,
                     hashlib.sha256(point + authentication).digest())
assert len(report) == 384
chain = pem(pck_cert, platform_cert, root_cert).encode()
certification = report + raw(pck, report) + struct.pack("<H", 32) + authentication
certification += struct.pack("<HI", 5, len(chain)) + chain

dates = {"issueDate": "2025-01-01T00:00:00Z", "nextUpdate": "2074-12-31T00:00:00Z"}
zeros = [{"svn": 0}] * 16
tcb = {"id": "TDX", "version": 3, **dates, "fmspc": FMSPC.hex().upper(), "pceId": "0000", "tcbType": 0,
       "tcbEvaluationDataNumber": 1,
       "tdxModule": {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8},
       "tcbLevels": [{"tcb": {"sgxtcbcomponents": zeros, "pcesvn": 0, "tdxtcbcomponents": zeros},
                      "tcbDate": "2025-01-01T00:00:00Z", "tcbStatus": "UpToDate"}]}
enclave = {"id": "TD_QE", "version": 2, **dates, "tcbEvaluationDataNumber": 1,
           "miscselect": "00000000", "miscselectMask": "FFFFFFFF",
           "attributes": "11" + "00" * 15, "attributesMask": "FB" + "FF" * 7 + "00" * 8,
           "mrsigner": signer.hex().upper(), "isvprodid": 2,
           "tcbLevels": [{"tcb": {"isvsvn": 0}, "tcbDate": "2025-01-01T00:00:00Z", "tcbStatus": "UpToDate"}]}
text = lambda value: json.dumps(value, separators=(",", ":"))
issuers = pem(signing_cert, root_cert)
collateral = {
    "pck_crl_issuer_chain": pem(platform_cert, root_cert),
    "root_ca_crl": revocations(ROOT, root).hex(),
    "pck_crl": revocations(PLATFORM, platform).hex(),
    "tcb_info_issuer_chain": issuers,
    "tcb_info": text(tcb), "tcb_info_signature": raw(signing, text(tcb).encode()).hex(),
    "qe_identity_issuer_chain": issuers,
    "qe_identity": text(enclave), "qe_identity_signature": raw(signing, text(enclave).encode()).hex(),
}
folder = pathlib.Path(__file__).parent / "authority"
folder.mkdir(exist_ok=True)
(folder / "root.der").write_bytes(root_cert.public_bytes(serialization.Encoding.DER))
(folder / "certification.bin").write_bytes(certification)
(folder / "collateral.json").write_text(json.dumps(collateral, indent=1) + "\n")
