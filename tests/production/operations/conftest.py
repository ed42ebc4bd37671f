"""The service as docs/operations/install.md sets it up, its names, ports and paths adapted."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.documents import Document
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import ValkeyServer
from tests.production.operations.token_server import BOUND, FOR_SECRETS, KEYS, SHORT, Server, started
from tests.production.operations.tools import adapted, run_block
from tests.production.operations.units import INSTALLED, SCRIPTS
from webrtc_events.local.stack.valkey import Valkey


class ConfiguredValkey(ValkeyServer):
    """A store with the directives of the document."""

    def arguments(self) -> list[str]:
        config = self.directory / "store.conf"
        config.write_text(Document("operations/install.md").block("Store", language=""))
        return [config.name, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", "."]


@pytest.fixture(scope="session")
def document() -> Document:
    return Document("operations/install.md")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    running = Issuer(SigningKeyPair.rsa("k1"))
    yield running
    running.close()


@pytest.fixture
def configured_valkey(tmp_path: Path) -> Iterator[ConfiguredValkey]:
    with ConfiguredValkey(tmp_path / "store") as running:
        yield running


@pytest.fixture
def sink() -> Iterator[RecordingSink]:
    with RecordingSink() as running:
        yield running


@pytest.fixture(scope="module")
def server(valkey: Valkey) -> Iterator[Server]:
    """A running API with every key that a token of the tests may be signed with."""
    keys = dict.fromkeys([*KEYS.values(), SHORT, FOR_SECRETS, BOUND])
    with started(valkey, *keys, NEXT="true") as running:
        yield running


Configure = Callable[[Path, str, Issuer, RecordingSink], Path]


@pytest.fixture(scope="session")
def configure(document: Document) -> Configure:
    """Runs the block of the settings below a folder, for a store, an issuer and a sink of the tests."""

    def run(folder: Path, store_url: str, issuer: Issuer, sink: RecordingSink) -> Path:
        changes = {
            "/etc/webrtc-events": str(folder / "etc"),
            INSTALLED: str(SCRIPTS),
            "redis://127.0.0.1:6379/0": store_url,
            "https://login.operator.example/.well-known/openid-configuration": issuer.discovery_url,
        }
        run_block(adapted(document.block("Settings"), changes), folder)
        settings = folder / "etc" / "settings.env"
        with settings.open("a") as file:
            # What the document says of sinks that are not on the internet.
            file.write("WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS=127.0.0.0/8\n")
            file.write(f"WEBRTC_EVENTS_SINK_CA_FILE={sink.ca_file}\n")
        return settings

    return run
