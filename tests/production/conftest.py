"""Services of whole processes, and who issues their tokens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import ValkeyServer
from tests.production.service import Make, Service


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer(SigningKeyPair.rsa("k1"))
    yield issuer
    issuer.close()


@pytest.fixture
def service(tmp_path: Path, issuer: Issuer) -> Iterator[Make]:
    """A service that is yet to be started, and its store, by the store's options and further settings."""
    made: list[Any] = []
    with RecordingSink() as sink:

        def make(options: dict[str, str], **settings: str) -> tuple[Service, ValkeyServer]:
            server = ValkeyServer(tmp_path / "store", options=options)
            made.append(server)
            server.start()
            server.wait_ready()
            made.append(Service(tmp_path, issuer, server.url, sink, **settings))
            return made[-1], server

        yield make
        for subscription_id in reversed(made):
            subscription_id.stop()
