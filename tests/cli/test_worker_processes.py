"""`webrtc-events worker --processes N`: started, replaced and stopped together."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness.builders import append, created, invitation
from tests.harness.commands import Running, clean_environ, eventually, run
from tests.harness.scrapes import metrics_url, scrape
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import free_port
from webrtc_events.cli.worker_processes import shared_out
from webrtc_events.core.settings import Settings, SettingsError
from webrtc_events.store.store import Store

Start = Callable[..., Running]


def is_alive(pid: int) -> bool:
    """Whether it runs; one that has ended and was not waited for by its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids_of(worker: Running) -> list[int]:
    worker.await_output("Delivering")
    (line,) = re.findall(r"\d+ processes deliver: ([\d, ]+)", worker.output)
    return [int(pid) for pid in line.split(", ")]


@pytest.fixture
def two(start: Start, environ: dict[str, str]) -> Running:
    return start("worker", "--processes", "2", env=environ)


def test_both_deliver_and_end_at_sigterm(
    start: Start, environ: dict[str, str], store: Store, two: Running
) -> None:
    pids = pids_of(two)
    assert len(set(pids)) == 2
    assert all(map(is_alive, pids))
    assert two.stop(signal.SIGTERM) == 0
    assert not any(map(is_alive, pids))
    assert "Traceback" not in two.output
    assert two.output.count("Delivering") == 1
    # Said once, as the processes run the same.
    assert two.output.count("delivery is ") == 1


def test_events_are_delivered_once_and_in_order(start: Start, environ: dict[str, str], store: Store) -> None:
    with RecordingSink() as sink:
        for _ in range(10):
            created(store, sink=sink.url)
        worker = start(
            "worker", "--processes", "2", env=environ | {"WEBRTC_EVENTS_SINK_CA_FILE": str(sink.ca_file)}
        )
        pids_of(worker)
        append(store, *(invitation(number) for number in range(1, 21)))
        sink.wait_for(200, 30)
        assert worker.stop() == 0
        ids = [request.json["id"] for request in sink.requests]
    assert len(ids) == len(set(ids)) == 200
    numbers: dict[str, list[int]] = {}
    for name in ids:
        subscription, _, number = name.rpartition(".")
        numbers.setdefault(subscription, []).append(int(number))
    assert all(found == list(range(1, 21)) for found in numbers.values())


def test_one_that_is_killed_is_replaced(two: Running) -> None:
    """And again: each of them, one after the other."""
    killed = pids_of(two)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
        eventually(lambda pid=pid: f"(pid {pid}) ended by SIGKILL; another starts in" in two.output)

    def children() -> list[int]:
        path = Path(f"/proc/{two.process.pid}/task/{two.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    new = eventually(lambda: len(alive := [pid for pid in children() if is_alive(pid)]) == 2 and alive)
    assert not set(new) & set(killed)
    assert two.stop() == 0
    assert not any(map(is_alive, new))


def test_they_end_with_their_parent_however_it_ends(two: Running) -> None:
    pids = pids_of(two)
    two.process.kill()
    two.process.wait()
    eventually(lambda: not any(map(is_alive, pids)))


def test_a_second_signal_hurries(two: Running) -> None:
    pids = pids_of(two)
    # Neither can end in order now.
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    two.process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        two.process.wait(1)
    assert two.stop(signal.SIGINT) == 130
    eventually(lambda: not any(map(is_alive, pids)))


def test_without_a_store_it_ends_and_says_so(environ: dict[str, str]) -> None:
    away = clean_environ() | environ | {"WEBRTC_EVENTS_REDIS_URL": "redis://127.0.0.1:9/0"}
    done = run("worker", "--processes", "2", env=away)
    assert done.returncode == 1
    assert b"WEBRTC_EVENTS_REDIS_URL: " in done.stderr
    assert b"Traceback" not in done.stderr


def test_no_processes_are_refused(environ: dict[str, str]) -> None:
    done = run("worker", "--processes", "0", env=clean_environ() | environ)
    assert done.returncode == 2
    assert b"--processes" in done.stderr


def test_what_cannot_be_divided_is_refused(environ: dict[str, str]) -> None:
    small = {"WEBRTC_EVENTS_SINK_IN_FLIGHT": "3", "WEBRTC_EVENTS_SINK_CONNECTIONS": "3"}
    done = run("worker", "--processes", "4", env=clean_environ() | environ | small)
    assert done.returncode == 2
    for name in small:
        assert f"{name} is 3, too few for 4 processes".encode() in done.stderr


def test_limits_are_divided(settings: Settings) -> None:
    shares = shared_out(replace(settings, sink_in_flight=64, sink_connections=10), 3)
    assert shares == {
        "WEBRTC_EVENTS_SINK_IN_FLIGHT": "21",
        "WEBRTC_EVENTS_SINK_CONNECTIONS": "3",
        "WEBRTC_EVENTS_WORKER_BYTES": str(settings.worker_bytes // 3),
    }
    many = shared_out(replace(settings, sink_in_flight=1_000, sink_connections=1_000), 1_000)
    assert many["WEBRTC_EVENTS_WORKER_BYTES"] == "1048576"
    with pytest.raises(SettingsError, match="too few for 11"):
        shared_out(replace(settings, sink_connections=10), 11)


def test_one_address_says_what_all_processes_did_and_a_killed_one_takes_nothing_with_it(
    start: Start, environ: dict[str, str], store: Store
) -> None:
    """And the next `worker` finds nothing of this one."""
    exposed = environ | {"WEBRTC_EVENTS_METRICS_ADDRESS": f"127.0.0.1:{free_port()}"}
    with RecordingSink() as sink:
        for _ in range(10):
            created(store, sink=sink.url)
        worker = start(
            "worker", "--processes", "2", env=exposed | {"WEBRTC_EVENTS_SINK_CA_FILE": str(sink.ca_file)}
        )
        killed = pids_of(worker)
        url = metrics_url(lambda: worker.output)
        assert url is not None
        append(store, *(invitation(number) for number in range(1, 21)))
        sink.wait_for(200, 30)

        def delivered() -> float:
            return scrape(url)("deliveries_total", type="session-invitation")

        eventually(lambda: delivered() == 200)
        assert scrape(url)("processes", process="worker") == 2
        os.kill(killed[0], signal.SIGKILL)
        eventually(lambda: f"(pid {killed[0]}) ended by SIGKILL" in worker.output)
        assert delivered() == 200
        eventually(lambda: scrape(url)("processes", process="worker") == 2)
        append(store, *(invitation(number) for number in range(21, 31)))
        eventually(lambda: delivered() == 300)
    assert worker.stop() == 0
    again = start("worker", "--processes", "2", env=exposed)
    pids_of(again)
    assert scrape(url).total("deliveries_total") == 0
    assert again.stop() == 0


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_address_of_metrics_that_is_in_use_is_said(environ: dict[str, str], processes: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        exposed = clean_environ() | environ | {"WEBRTC_EVENTS_METRICS_ADDRESS": address}
        done = run("worker", "--processes", processes, env=exposed)
    assert done.returncode == 1
    assert f"cannot listen for /metrics on {address}: Address already in use".encode() in done.stderr
    assert b"Traceback" not in done.stderr
