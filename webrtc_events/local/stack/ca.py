"""The certificates of the local HTTPS sink: one that the local CA signed, and one that nobody trusts.

The CA is constrained to loopback names: whoever trusts it trusts it for nothing else.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from webrtc_events.core.clock import Clock
from webrtc_events.local.data_directory import write_private
from webrtc_events.local.stack.key_files import load_private_key, private_pem

__all__ = ["ServerCertificate", "server_certificate", "untrusted_certificate"]

_CA_LIFETIME = timedelta(days=3650)
_LEAF_LIFETIME = timedelta(days=397)
# `serve` renews at its start only, so a certificate must outlast a long run.
_LEAF_REMAINDER = timedelta(days=180)
_CA_REMAINDER = _LEAF_LIFETIME + timedelta(days=1)
# Clocks of containers and hosts differ a little.
_BACKDATED = timedelta(hours=1)
_NAME = "localhost"
_ADDRESSES = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """PEM files: what the server presents, and the CA that its clients must trust."""

    certificate: Path
    key: Path
    ca: Path


def server_certificate(data: Path, clock: Clock) -> ServerCertificate:
    """The certificate for localhost, 127.0.0.1 and ::1, made or renewed as needed. Hold the setup lock."""
    directory = data / "ca"
    files = ServerCertificate(
        directory / "localhost.pem", directory / "localhost-key.pem", directory / "ca.pem"
    )
    now = datetime.fromtimestamp(clock.now(), UTC)
    if not _lasts(files.ca, now + _CA_REMAINDER) or not _authority_key(files).exists():
        _make_authority(files.ca, _authority_key(files), now)
    if not _lasts(files.certificate, now + _LEAF_REMAINDER) or not _issued_by(files.certificate, files.ca):
        _make_leaf(files, now)
    return files


def untrusted_certificate(data: Path, clock: Clock) -> ServerCertificate:
    """One for the same names, signed by itself; made or renewed as needed. Hold the setup lock."""
    path = data / "ca" / "untrusted.pem"
    files = ServerCertificate(path, path.with_name("untrusted-key.pem"), path)
    now = datetime.fromtimestamp(clock.now(), UTC)
    if not _lasts(path, now + _LEAF_REMAINDER) or not files.key.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name = _x509_name(_NAME)
        builder = _leaf_builder(name, key, x509.random_serial_number(), now)
        write_private(files.key, private_pem(key))
        write_private(path, builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return files


def _authority_key(files: ServerCertificate) -> Path:
    return files.ca.with_name("ca-key.pem")


def _lasts(path: Path, until: datetime) -> bool:
    certificate = _load(path)
    return certificate is not None and certificate.not_valid_after_utc > until


def _issued_by(leaf: Path, ca: Path) -> bool:
    certificate, authority = _load(leaf), _load(ca)
    if certificate is None or authority is None:
        return False
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def _load(path: Path) -> x509.Certificate | None:
    """None for a file that is missing or no certificate: it is made anew."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _make_authority(path: Path, key_path: Path, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # The serial tells authorities apart in lists of trusted ones.
    name = _x509_name(f"webrtc-events local CA {serial:x}"[:40])
    permitted: list[x509.GeneralName] = [x509.DNSName(_NAME)]
    permitted += [x509.IPAddress(ipaddress.ip_network(address)) for address in _ADDRESSES]
    certificate = (
        _builder(name, name, key, serial, now, _CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(key_path, private_pem(key))
    write_private(path, certificate.public_bytes(Encoding.PEM))


def _make_leaf(files: ServerCertificate, now: datetime) -> None:
    authority = x509.load_pem_x509_certificate(files.ca.read_bytes())
    authority_key = load_private_key(_authority_key(files))
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        _leaf_builder(authority.subject, key, serial, now)
        .add_extension(issuer_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    write_private(files.key, private_pem(key))
    write_private(files.certificate, certificate.public_bytes(Encoding.PEM))


def _leaf_builder(
    issuer: x509.Name, key: ec.EllipticCurvePrivateKey, serial: int, now: datetime
) -> x509.CertificateBuilder:
    names: list[x509.GeneralName] = [x509.DNSName(_NAME)]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in _ADDRESSES]
    return (
        _builder(_x509_name(_NAME), issuer, key, serial, now, _LEAF_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _x509_name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    serial: int,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
    )


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
