"""A `serve` that signs, and the examples that receive what it sends."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.clients.examples import Example
from tests.harness.commands import api, data, start, start_serve

__all__ = ["api", "data", "start", "start_serve"]


@pytest.fixture
def make_key(tmp_path: Path) -> Callable[[str], str]:
    """The path of a new private key with that name."""

    def make(name: str) -> str:
        file = tmp_path / f"{name}.pem"
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(pem)
        return str(file)

    return make


@pytest.fixture
def make_example(data: Path, tmp_path: Path) -> Iterator[Callable[[str], Example]]:
    """An example for the `serve` that runs; stopped at the end of the test."""
    made: list[Example] = []

    def make(name: str) -> Example:
        made.append(Example(name, data, tmp_path))
        return made[-1]

    yield make
    for example in made:
        example.stop(signal.SIGKILL)
