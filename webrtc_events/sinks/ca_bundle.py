"""One PEM file with every CA that sinks may have."""

import fcntl
import os
import ssl
import tempfile
from pathlib import Path

import certifi

__all__ = ["CaBundle"]

_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def _system_bundle() -> Path:
    """The host's CA bundle (or the one SSL_CERT_FILE names), else certifi's."""
    found = ssl.get_default_verify_paths().cafile
    candidates = (found, *_SYSTEM_BUNDLES) if found else _SYSTEM_BUNDLES
    for candidate in candidates:
        if Path(candidate).is_file():
            return Path(candidate)
    return Path(certifi.where())


class CaBundle:
    """The host's CAs, and those of `ca_file`. The file is there until `close`.

    A file rather than CAINFO_BLOB, since libcurl parses a file once and keeps it for all
    connections, but parses a blob for each of them.
    """

    def __init__(self, ca_file: Path | None) -> None:
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._lock: int | None = None
        self.path = _system_bundle()
        if ca_file is not None:
            joined = b"\n".join((self.path.read_bytes(), ca_file.read_bytes()))
            self._directory = tempfile.TemporaryDirectory(prefix="webrtc-events-")
            self.path = Path(self._directory.name) / "ca.pem"
            self.path.write_bytes(joined)
            # systemd-tmpfiles clears old files away, but not in a directory that is locked.
            self._lock = os.open(self._directory.name, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
        if self._directory is not None:
            self._directory.cleanup()
