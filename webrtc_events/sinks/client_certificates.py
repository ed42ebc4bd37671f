"""The certificates that this service shows to sinks, read anew when their files change.

libcurl gets them as bytes, not as files: it tells connections apart by these bytes, so that a connection is
never used with another certificate than it was opened with, neither between hosts' patterns nor after a
rotation; and a file that is half written is never read in the middle of a handshake.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from webrtc_events.core.client_certificates import CertificateFiles
from webrtc_events.core.clock import Clock
from webrtc_events.sinks.client_identity import Identity

__all__ = ["LOOK_S", "WARN_DAYS", "CertificateError", "ClientCertificates", "Expiry"]

log = logging.getLogger(__name__)

LOOK_S: Final = 10.0
"""How often it is seen whether files have changed."""

WARN_DAYS: Final = 14
"""How long before a certificate expires the log says so, once a day."""

_DAY_S: Final = 86_400.0
_HOSTS: Final = 20_000

_Stamp = tuple[tuple[int, int, int], ...] | None


class CertificateError(Exception):
    """A certificate and its key cannot be used; the text names the file, and shows nothing of a key."""


class Expiry(NamedTuple):
    """`name`: of the certificate's file. `left_s`: until it expires; negative: it has."""

    name: str
    left_s: float


class _Source:
    """The files of one identity, and what was last read of them."""

    def __init__(self, files: CertificateFiles) -> None:
        self.files = files
        self.stamp = _stamp(files)
        self.identity = _read(files)
        self.warned_s = float("-inf")

    def look(self) -> None:
        """Reads the files anew if they have changed. What cannot be used changes nothing."""
        stamp = _stamp(self.files)
        if stamp == self.stamp:
            return
        try:
            identity = _read(self.files)
        except CertificateError as error:
            # Said once for each state of the files; the second of them may be on its way.
            self.stamp = stamp
            log.warning("the former client certificate goes on being used: %s", error)
            return
        if _stamp(self.files) != stamp:
            # They change at this moment. The next look reads them.
            return
        self.stamp, self.identity, self.warned_s = stamp, identity, float("-inf")
        until = datetime.fromtimestamp(identity.ends_s, UTC).date()
        log.info("the client certificate in %s was read anew; it is valid until %s", self.files, until)


class ClientCertificates:
    """Belongs to one thread, but for `expiries`.

    Raises:
        CertificateError: a pair cannot be used at the start.
    """

    def __init__(self, files: Sequence[CertificateFiles], clock: Clock) -> None:
        self._clock = clock
        self._sources = {named.pattern: _Source(named) for named in files}
        self._source_of = lru_cache(maxsize=_HOSTS)(self._find)
        self._next_s = float("-inf")

    def of(self, url: str) -> Identity | None:
        """What is shown to that sink, if it asks for a certificate."""
        source = self._source_of(url)
        return None if source is None else source.identity

    def look(self) -> None:
        """Sees, every `LOOK_S`, whether files have changed and what expires soon. To be called often."""
        now_s = self._clock.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + LOOK_S
        for source in self._sources.values():
            source.look()
            self._warn(source, now_s)

    def expiries(self) -> list[Expiry]:
        """Of each certificate, in the order of the setting. From any thread."""
        now_s = self._clock.now()
        return [
            Expiry(str(source.files), source.identity.ends_s - now_s) for source in self._sources.values()
        ]

    def _warn(self, source: _Source, now_s: float) -> None:
        left_s = source.identity.ends_s - self._clock.now()
        if left_s > WARN_DAYS * _DAY_S or now_s - source.warned_s < _DAY_S:
            return
        source.warned_s = now_s
        if left_s <= 0:
            log.error(
                "the client certificate in %s has expired: sinks that ask for one refuse it", source.files
            )
        else:
            log.warning("the client certificate in %s expires in %d days", source.files, left_s // _DAY_S)

    def _find(self, url: str) -> _Source | None:
        """By the host itself, then by the nearest domain above it, then the one for all."""
        host = (urlsplit(url).hostname or "").removesuffix(".")
        labels = host.split(".")
        domains = (f"*.{'.'.join(labels[first:])}" for first in range(1, len(labels)))
        return next((self._sources[name] for name in (host, *domains, "") if name in self._sources), None)


def _stamp(files: CertificateFiles) -> _Stamp:
    """What changes with the files, also when a link to them is moved; None: one is not there."""
    try:
        found = [path.stat() for path in (files.certificate, files.key)]
    except OSError:
        return None
    return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in found)


def _read(files: CertificateFiles) -> Identity:
    try:
        certificate_pem, key_pem = files.certificate.read_bytes(), files.key.read_bytes()
    except OSError as error:
        raise CertificateError(f"{error.filename} cannot be read: {error.strerror}") from None
    try:
        chain = x509.load_pem_x509_certificates(certificate_pem)
    except ValueError:
        raise CertificateError(f"{files.certificate} holds no certificate in PEM") from None
    try:
        key = load_pem_private_key(key_pem, password=None)
    except TypeError:
        raise CertificateError(f"the key in {files.key} is protected by a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(f"{files.key} holds no private key in PEM") from None
    public = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*public) != chain[0].public_key().public_bytes(*public):
        raise CertificateError(
            f"the key in {files.key} is not that of the certificate in {files.certificate}"
        )
    return Identity(
        b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        chain[0].not_valid_after_utc.timestamp(),
    )
