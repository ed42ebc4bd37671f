"""`webrtc-events bench`: it measures a running `serve`, refuses to disturb others, and cleans up."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.builders import created
from tests.harness.commands import Running, clean_environ, eventually, run
from webrtc_events.cli.bench.command import local_texts_of
from webrtc_events.cli.bench.load import CLIENT, Load, percentile
from webrtc_events.cli.bench.measuring import Figures
from webrtc_events.cli.bench.words import lines
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store


def left_behind(store: Store) -> list[str]:
    return [found for page in store.client_index.pages(CLIENT) for found in page]


def figures(**values: Any) -> Figures:
    known: dict[str, Any] = {
        "seconds": 60.0,
        "accepted": 1000,
        "accepted_per_s": 12_000.0,
        "delivered_per_s": 700.0,
        "latency_p50_ms": 3,
        "latency_p99_ms": 60,
        "left": 0,
        "outcomes": {},
        "interrupted": False,
    }
    return Figures(**(known | values))


def test_figures_are_compared_in_words() -> None:
    text = "\n".join(lines(figures(), own_sink=True))
    assert "accepted        12,000/s   about as fast as documented" in text
    assert "17.7 times slower than documented (12,422/s)" in text
    assert "latency p50          3 ms  1.6 times slower than documented (1.9 ms)" in text
    assert "18.2 times slower" in text
    assert "see --sink" in text
    worse = "\n".join(
        lines(
            figures(
                accepted_per_s=None, latency_p50_ms=None, left=7, outcomes={"retry": 2}, interrupted=True
            ),
            own_sink=False,
        )
    )
    for expected in ("not measured", "7 events still waited", "2 retry", "It was interrupted"):
        assert expected in worse
    assert "see --sink" not in worse


def test_percentiles() -> None:
    assert percentile([], 0.5) is None
    assert percentile([7], 0.99) == 7
    assert percentile(list(range(100)), 0.5) == 50
    assert percentile(list(range(100)), 0.99) == 99


@pytest.mark.parametrize("known", ["true", "false"])
def test_what_a_killed_run_left_behind_is_removed(store: Store, environ: dict[str, str], known: str) -> None:
    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_REQUIRE_KNOWN_REGISTRATION": known})
    strict = Store.connect(settings)
    try:
        others = created(store)
        first = Load(strict, settings, SystemClock())
        first.subscribe("https://localhost:9443/")
        first.publish(100)
        assert first.waiting() == 100
        assert len(left_behind(store)) == 64
        # Killed here. No worker runs, so that no end is delivered.
        assert Load(strict, settings, SystemClock()).clean_up() == 64
        assert left_behind(store) == []
        assert first.waiting() == 0
        assert store.subscriptions.get(others.id) is not None
        assert Load(strict, settings, SystemClock()).clean_up() == 0
    finally:
        strict.close()


def test_without_a_worker_it_does_not_begin(store: Store, environ: dict[str, str]) -> None:
    done = run("bench", env=clean_environ() | environ)
    assert done.returncode == 1
    assert b"no worker runs" in done.stderr
    assert left_behind(store) == []


@pytest.mark.slow
def test_it_measures_a_serve_and_leaves_nothing(start_serve: Callable[..., Running], data: Path) -> None:
    start_serve()
    options = ["bench", "--local", "--data-dir", str(data), "--seconds", "8", "--json"]
    store_of(data).close()
    done = run(*options)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert found["accepted"] > 100
    assert found["acceptedPerSecond"] > 0
    assert found["latencyP50Ms"] is not None
    assert found["latencyP99Ms"] >= found["latencyP50Ms"]
    assert found["attempts"].keys() == {"delivered"}
    # A second time, the same.
    assert run(*options).returncode == 0


def test_ctrl_c_cleans_up(
    start_serve: Callable[..., Running], start: Callable[..., Running], data: Path
) -> None:
    start_serve()
    store = store_of(data)
    running = start("bench", "--local", "--data-dir", str(data), "--seconds", "600")
    try:
        eventually(lambda: running.process.poll() is not None or len(left_behind(store)) == 64)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(30) == 130, running.output
        assert "It was interrupted" in running.output
        assert left_behind(store) == []
        created(store, sink="https://sink.example/")
        refused = run("bench", "--local", "--data-dir", str(data))
        assert refused.returncode == 1
        assert b"others have active subscriptions" in refused.stderr
    finally:
        store.close()


def store_of(data: Path) -> Store:
    """Of the `serve` on the data directory, once its worker says that it runs."""
    store = Store.connect(Settings.from_texts(local_texts_of(data, SystemClock())))
    eventually(lambda: any(report.worker for report in store.processes.read().reports.values()))
    return store
