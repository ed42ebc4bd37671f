"""`webrtc-events worker`: everything by the environment."""

import signal
from collections.abc import Callable

from tests.harness.commands import Running, clean_environ, run


def test_worker_stops_in_order_at_sigterm(start: Callable[..., Running], environ: dict[str, str]) -> None:
    worker = start("worker", env=environ)
    worker.await_output("Delivering")
    assert worker.stop(signal.SIGTERM) == 0
    assert "Traceback" not in worker.output


def test_worker_names_every_fault_of_its_settings(environ: dict[str, str]) -> None:
    wrong = environ | {"WEBRTC_EVENTS_SECRET_KEY": "short", "WEBRTC_EVENTS_PARTITION": "64"}
    done = run("worker", env=clean_environ() | wrong)
    assert done.returncode == 2
    assert b"WEBRTC_EVENTS_SECRET_KEY" in done.stderr
    assert b"WEBRTC_EVENTS_PARTITION is not a setting" in done.stderr
    assert b"short" not in done.stderr


def test_worker_without_a_store_is_reported(environ: dict[str, str]) -> None:
    done = run("worker", env=clean_environ() | environ | {"WEBRTC_EVENTS_REDIS_URL": "redis://127.0.0.1:9/0"})
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"WEBRTC_EVENTS_REDIS_URL: " in done.stderr
