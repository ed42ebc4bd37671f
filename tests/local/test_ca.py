"""The local CA and what it issues, over real TLS."""

import socket
import ssl
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from webrtc_events.core.clock import SystemClock
from webrtc_events.local.stack.ca import ServerCertificate, server_certificate, untrusted_certificate

_DAY_S = 86_400


class _LaterClock(SystemClock):
    def __init__(self, days: float) -> None:
        self._days = days

    def now(self) -> float:
        return super().now() + self._days * _DAY_S


def _handshake(files: ServerCertificate, name: str) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)
    client = ssl.create_default_context(cafile=str(files.ca))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()

    def accept() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError:  # The client refused; it tells the test.
            theirs.close()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        client.wrap_socket(ours, server_hostname=name).close()
    finally:
        ours.close()
        thread.join(5)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_certificate_is_trusted_for_loopback(tmp_path: Path, name: str) -> None:
    _handshake(server_certificate(tmp_path, SystemClock()), name)


def test_certificate_is_refused_for_another_name(tmp_path: Path) -> None:
    files = server_certificate(tmp_path, SystemClock())
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(files, "example.com")


def test_files_are_private(tmp_path: Path) -> None:
    files = server_certificate(tmp_path, SystemClock())
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.ca.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(files.ca.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("days", "new_certificate", "new_ca"), [(0, False, False), (250, True, False), (3300, True, True)]
)
def test_what_nears_its_expiry_is_renewed(
    tmp_path: Path, days: int, new_certificate: bool, new_ca: bool
) -> None:
    files = server_certificate(tmp_path, SystemClock())
    before = files.certificate.read_bytes(), files.ca.read_bytes()
    again = server_certificate(tmp_path, _LaterClock(days))
    assert (again.certificate.read_bytes() != before[0], again.ca.read_bytes() != before[1]) == (
        new_certificate,
        new_ca,
    )


def test_certificate_of_a_lost_ca_is_replaced(tmp_path: Path) -> None:
    files = server_certificate(tmp_path, SystemClock())
    files.ca.unlink()
    _handshake(server_certificate(tmp_path, SystemClock()), "localhost")


def test_broken_certificate_is_replaced(tmp_path: Path) -> None:
    files = server_certificate(tmp_path, SystemClock())
    files.certificate.write_text("broken")
    _handshake(server_certificate(tmp_path, SystemClock()), "localhost")


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_untrusted_certificate_is_for_the_same_names_and_signed_by_itself(tmp_path: Path, name: str) -> None:
    trusted, untrusted = (
        make(tmp_path, SystemClock()) for make in (server_certificate, untrusted_certificate)
    )
    with pytest.raises(ssl.SSLCertVerificationError, match="self-signed certificate"):
        _handshake(replace(untrusted, ca=trusted.ca), name)
    again = untrusted_certificate(tmp_path, SystemClock())
    assert again.certificate.read_bytes() == untrusted.certificate.read_bytes()


def test_untrusted_certificate_is_renewed_before_it_expires(tmp_path: Path) -> None:
    before = untrusted_certificate(tmp_path, SystemClock()).certificate.read_bytes()
    later = untrusted_certificate(tmp_path, _LaterClock(300))
    assert later.certificate.read_bytes() != before
    # Nothing but trust is wrong with it.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(later.certificate, later.key)
