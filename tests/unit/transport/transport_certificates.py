"""Certificates for the servers of tests, good ones and bad ones, made anew in each process."""

from __future__ import annotations

import datetime
import ssl
import tempfile
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["server_tls", "trusting"]


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@cache
def _authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    return key, _certificate(key, "an authority of the tests", key, _name("an authority of the tests"), days=30)


def _certificate(
    key: ec.EllipticCurvePrivateKey, name: str, signing: ec.EllipticCurvePrivateKey, issuer: x509.Name, *, days: int
) -> x509.Certificate:
    """Good for `days` days; of an authority when it signs itself as one."""
    now = datetime.datetime.now(datetime.UTC)
    first, last = sorted((now - datetime.timedelta(days=1), now + datetime.timedelta(days=days)))
    is_authority = "authority" in name
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if not is_authority:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return made.sign(signing, hashes.SHA256())


@cache
def server_tls(kind: str = "good") -> ssl.SSLContext:
    """`good`, `wrong host`, `expired` or `self-signed`."""
    authority_key, authority = _authority()
    key = ec.generate_private_key(ec.SECP256R1())
    name = "elsewhere.example" if kind == "wrong host" else "localhost"
    if kind == "self-signed":
        made = _certificate(key, name, key, _name(name), days=30)
    else:
        made = _certificate(key, name, authority_key, authority.subject, days=-30 if kind == "expired" else 30)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "key.pem"
        written.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + made.public_bytes(serialization.Encoding.PEM)
        )
        context.load_cert_chain(written)
    return context


@cache
def trusting() -> ssl.SSLContext:
    """What a client needs to believe the good ones."""
    return ssl.create_default_context(cadata=_authority()[1].public_bytes(serialization.Encoding.PEM).decode())
