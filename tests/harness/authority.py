"""Certificates for sinks: of a private CA, and self-signed."""

import ssl
import tempfile
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

__all__ = ["Authority", "self_signed"]


class Authority:
    """A private CA. `ca_file` lives as long as this object."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self._directory = tempfile.TemporaryDirectory()
        self.ca_file = Path(self._directory.name) / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca_file))

    def context(self, *names: str, not_after: datetime | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names, not_after=not_after).configure_cert(context)
        return context

    def certificate(self, file: Path, *names: str) -> Path:
        """A certificate with its key, for a sink in another process."""
        self._ca.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(str(file))
        return file

    def asking_context(self, *names: str, required: bool = True) -> ssl.SSLContext:
        """A server that asks clients for a certificate of this CA, or demands one."""
        context = self.context(*names)
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        context.load_verify_locations(self.ca_file)
        return context

    def client_pair(self, subject: str, *, not_after: datetime | None = None) -> tuple[bytes, bytes]:
        """PEM of a certificate with its chain, and of its key, for the client of that common name."""
        issued = self._ca.issue_cert(f"{subject}@client.example", common_name=subject, not_after=not_after)
        return b"".join(pem.bytes() for pem in issued.cert_chain_pems), issued.private_key_pem.bytes()

    def old_context(self, *names: str) -> ssl.SSLContext:
        """TLS 1.1 and nothing newer."""
        context = self.context(*names)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        return context

    def close(self) -> None:
        self._directory.cleanup()


def self_signed(file: Path, subject: str, *names: str) -> ssl.SSLContext:
    """A server with a certificate that it issued itself; `file` gets it and its key.

    `subject` is its common name, which may be anything; `names` are those that it is good for.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    with warnings.catch_warnings():
        # It is longer than X.520 has it.
        warnings.simplefilter("ignore", UserWarning)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject, _validate=False)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
