"""The servers that Schemathesis is let loose on, and how much of it there is."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.harness.commands import Running, run
from webrtc_events.local.endpoints import Endpoints

UNLIMITED = {
    "WEBRTC_EVENTS_REQUESTS_PER_S": "0",
    "WEBRTC_EVENTS_NEXT": "true",
    "WEBRTC_EVENTS_MAX_SUBSCRIPTIONS": "0",
    "WEBRTC_EVENTS_MAX_REGISTRATION_SUBSCRIPTIONS": "0",
    "WEBRTC_EVENTS_MAX_SESSION_SUBSCRIPTIONS": "0",
}
"""A campaign is more than a client may ask for; 429 would be taken for a fitting answer to anything."""

REQUESTS = "Requests and answers"
"""What a campaign tells of itself, as a property of its test: for the terminal and the report to hand in."""

# What is to run in one process, the longest first: a file, but where each test can run anywhere.
_ONE_BY_ONE = "test_checks_fire"
_FIRST = "test_schemathesis"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--seed", type=int, default=1, help="seed of the generated requests")
    group.addoption(
        "--examples",
        type=int,
        default=60,
        help="generated requests, or sequences, of an operation in a phase",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (item.path.stem != _FIRST, item.path.stem == _ONE_BY_ONE))
    for item in items:
        if item.path.stem != _ONE_BY_ONE:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_report_header(config: pytest.Config) -> str:
    return f"conformance: --seed={config.getoption('--seed')} --examples={config.getoption('--examples')}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        for name, value in report.user_properties:
            if name == REQUESTS:
                terminalreporter.section(report.nodeid)
                terminalreporter.write_line(str(value))


@dataclass(frozen=True, slots=True)
class Server:
    """A running service, one of its sinks with the CA of its certificate, tokens of two clients."""

    api: str
    sink: str
    ca: Path
    tokens: tuple[str, str]


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`webrtc-events serve` on free ports, with its deliveries and the sink that validates them."""
    home = tmp_path_factory.mktemp("serve")
    data = home / "data"
    ports = ("--port", "0", "--sink-port", "0")
    running = Running(
        home / "log", "serve", *ports, "--data-dir", str(data), env=UNLIMITED | _token_keys(home)
    )
    try:
        running.await_output("Ctrl-C stops everything")
        endpoints = Endpoints.read(data)
        tokens = (_token(data, "owner"), _token(data, "other"))
        yield Server(endpoints.api, endpoints.sink, data / "ca" / "ca.pem", tokens)
        assert running.stop() == 0, running.output
    finally:
        # Its store ends with it, whatever it dies of.
        running.process.kill()
        running.process.wait()


def _token_keys(home: Path) -> dict[str, str]:
    """Without keys every PRIVATE_KEY_JWT is a 422, whatever is right about it."""
    key, path = ec.generate_private_key(ec.SECP256R1()), home / "token.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {
        "WEBRTC_EVENTS_TOKEN_KEYS": str(path),
        "WEBRTC_EVENTS_TOKEN_JWKS_URI": "https://webrtc.example/.well-known/client-keys.json",
    }


def _token(data: Path, client: str) -> str:
    return run("token", "--client", client, "--data-dir", str(data)).stdout.decode().strip()
