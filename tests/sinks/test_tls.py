"""TLS: whom the client trusts."""

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.harness.authority import Authority, self_signed
from tests.harness.sinks import RecordingSink, plain_listener
from tests.sinks.exchanges import MakeSink, failure, post, status


def test_certificate_of_an_unknown_ca_is_refused(server: RecordingSink, make: MakeSink) -> None:
    other = Authority()
    try:
        assert failure(post(make(ca_file=other.ca_file), server.url)) == "tls"
        assert failure(post(make(ca_file=None), server.url)) == "tls"
    finally:
        other.close()
    assert server.requests == []


@pytest.mark.parametrize(
    ("names", "not_after"),
    [(["example.com"], None), (["localhost"], datetime(2020, 1, 1, tzinfo=UTC))],
    ids=["other name", "expired"],
)
def test_certificate_that_does_not_hold_is_refused(
    authority: Authority, make: MakeSink, names: list[str], not_after: datetime | None
) -> None:
    with RecordingSink(authority=authority, names=names, not_after=not_after) as server:
        assert failure(post(make(), server.url)) == "tls"
        assert server.requests == []


def test_self_signed_certificate_is_refused(server: RecordingSink, make: MakeSink, tmp_path: Path) -> None:
    server.use(self_signed(tmp_path / "own.pem", "localhost", "localhost"))
    assert failure(post(make(), server.url)) == "tls"
    assert server.requests == []
    # The certificate is in order otherwise: who trusts it gets through.
    assert status(post(make(ca_file=tmp_path / "own.pem"), server.url)) == 204


def test_old_tls_is_refused(authority: Authority, server: RecordingSink, make: MakeSink) -> None:
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        server.use(authority.old_context("localhost"))
    # The sink does speak it: a client that puts up with it gets through.
    assert _tls_version_with(authority, server.port) == "TLSv1.1"
    assert failure(post(make(), server.url)) == "tls"
    assert server.requests == []


def _tls_version_with(authority: Authority, port: int) -> str | None:
    """What is agreed on by a client that takes whatever there is."""
    lenient = ssl.create_default_context(cafile=str(authority.ca_file))
    lenient.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        lenient.minimum_version = ssl.TLSVersion.TLSv1
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        lenient.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        return connection.version()


def test_peer_that_speaks_no_tls_is_a_failure(make: MakeSink) -> None:
    with plain_listener(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        assert failure(post(make(), f"https://localhost:{port}/")) == "tls"
