"""Writes an authority, a certificate of its for a name, the key, and an OCSP response that says "good".

Usage: tls_material.py FOLDER NAME. Files: ca.pem, leaf.pem, leaf.key, leaf.ocsp; the authority is kept when it is there.
"""

import datetime
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
now = datetime.datetime.now(datetime.timezone.utc)
hour, days = datetime.timedelta(hours=1), datetime.timedelta(days=90)


def subject(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def key_file(path):
    if path.exists():
        return serialization.load_pem_private_key(path.read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    pkcs8, clear = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, clear))
    return key


def builder(text, issuer, public_key):
    begun = x509.CertificateBuilder().subject_name(subject(text)).issuer_name(issuer).public_key(public_key)
    dated = begun.serial_number(x509.random_serial_number()).not_valid_before(now - hour).not_valid_after(now + days)
    return dated


ca_key = key_file(folder / "ca.key")
ca_public = ca_key.public_key()
if not (folder / "ca.pem").exists():
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    ca = (
        builder("Test Authority", subject("Test Authority"), ca_public)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_public), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
ca = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())

key = key_file(folder / "leaf.key")
leaf = (
    builder(name, ca.subject, key.public_key())
    .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_public), critical=False)
    .sign(ca_key, hashes.SHA256())
)
(folder / "leaf.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))

answer = ocsp.OCSPResponseBuilder().add_response(
    cert=leaf,
    issuer=ca,
    algorithm=hashes.SHA256(),
    cert_status=ocsp.OCSPCertStatus.GOOD,
    this_update=now - hour,
    next_update=now + datetime.timedelta(days=7),
    revocation_time=None,
    revocation_reason=None,
)
answer = answer.responder_id(ocsp.OCSPResponderEncoding.HASH, ca).certificates([ca]).sign(ca_key, hashes.SHA256())
(folder / "leaf.ocsp").write_bytes(answer.public_bytes(serialization.Encoding.DER))
