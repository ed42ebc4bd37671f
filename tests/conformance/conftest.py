"""The servers that Schemathesis is let loose on, and how much of it there is."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.campaign import Report
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

_REPORTS = pytest.StashKey[dict[str, Report]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--seed", type=int, default=1, help="seed of the generated requests")
    group.addoption(
        "--examples",
        type=int,
        default=60,
        help="generated requests, or sequences, of an operation in a phase",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_REPORTS] = {}


def pytest_report_header(config: pytest.Config) -> str:
    return f"conformance: --seed={config.getoption('--seed')} --examples={config.getoption('--examples')}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, report in config.stash[_REPORTS].items():
        terminalreporter.section(f"Schemathesis, {name}")
        terminalreporter.write_line(report.summary())


@pytest.fixture(scope="session")
def reports(pytestconfig: pytest.Config) -> dict[str, Report]:
    """What is put here is told at the end."""
    return pytestconfig.stash[_REPORTS]


@dataclass(frozen=True, slots=True)
class Server:
    """A running service, one of its sinks with the CA of its certificate, tokens of two clients."""

    api: str
    sink: str
    ca: Path
    tokens: tuple[str, str]


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`webrtc-events serve` on free ports, with its deliveries and the sink that judges them."""
    home = tmp_path_factory.mktemp("serve")
    data = home / "data"
    ports = ("--port", "0", "--sink-port", "0")
    running = Running(home / "log", "serve", *ports, "--data-dir", str(data), env=UNLIMITED)
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


def _token(data: Path, client: str) -> str:
    return run("token", "--client", client, "--data-dir", str(data)).stdout.decode().strip()
