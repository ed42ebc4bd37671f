"""`webrtc-events sink`, which runs for all tests of a module; each has a path there."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.commands import Running
from tests.local.notifications import sink_url


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sink") / "data"


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("log") / "sink.log"
    running = Running(log, "sink", "--port", "0", "--data-dir", str(data))
    # The last that it says before it takes requests.
    running.await_output("Its certificate on")
    yield running
    running.stop()


@pytest.fixture
def url(sink: Running) -> str:
    return sink_url(sink)


@pytest.fixture
def path() -> str:
    return f"/{uuid.uuid4()}"
