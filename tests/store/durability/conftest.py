"""Stores of each kind and configuration, and watches over them on clocks that can be turned."""

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import settings_at
from tests.harness.valkeys import ValkeyServer
from webrtc_events.core.clock import SystemClock
from webrtc_events.store.durability.watch import StoreWatch

REDIS = shutil.which("redis-server")


class TurnableClock(SystemClock):
    """`wall_s` ahead of the host's clock, and so much later as `later_s` says."""

    wall_s = 0.0
    later_s = 0.0

    def now(self) -> float:
        return super().now() + self.wall_s

    def monotonic(self) -> float:
        return super().monotonic() + self.later_s


@pytest.fixture
def clock() -> TurnableClock:
    return TurnableClock()


Watch = Callable[..., StoreWatch]
Later = Callable[..., None]
Start = Callable[..., ValkeyServer]


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "webrtc_events")


def logged(caplog: pytest.LogCaptureFixture, least: int = logging.WARNING) -> list[str]:
    """What was logged of that level or above, and is forgotten then."""
    found = [record.getMessage() for record in caplog.records if record.levelno >= least]
    caplog.clear()
    return found


@pytest.fixture
def watch(clock: TurnableClock) -> Iterator[Watch]:
    """A watch over the store at a URL, that has begun; settings by their names without prefix."""
    made: list[StoreWatch] = []

    def begin(url: str, **changes: str) -> StoreWatch:
        made.append(StoreWatch.connect(settings_at(url, **changes), clock))
        return made[-1]

    yield begin
    for store_watch in made:
        store_watch.store.close()


@pytest.fixture
def later(clock: TurnableClock) -> Later:
    """Lets the time of a look go by."""

    def let(watch: StoreWatch, seconds: float = 61.0) -> None:
        clock.later_s += seconds
        watch.step()

    return let


@pytest.fixture(
    params=["valkey", pytest.param("redis", marks=pytest.mark.skipif(not REDIS, reason="no redis-server"))]
)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Starts servers of either product, each with what is to be set differently."""
    binary = REDIS if request.param == "redis" and REDIS else ""
    made: list[ValkeyServer] = []

    def begin(options: Mapping[str, str] | None = None, **more: Any) -> ValkeyServer:
        made.append(ValkeyServer(tmp_path / str(len(made)), options=options, binary=binary, **more))
        made[-1].start()
        made[-1].wait_ready()
        return made[-1]

    yield begin
    for server in made:
        server.stop()
