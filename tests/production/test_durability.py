"""gunicorn and workers on a store that does not keep what it is given: what operators see."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.service import APP, GUNICORN_CONF, SCRIPTS
from tests.harness.sinks import Answer
from tests.harness.valkeys import eventually
from tests.production.service import Make, restarted

VOLATILE = {"save": "", "appendonly": "no"}


@pytest.mark.slow
def test_every_process_says_which_store_it_is_and_that_it_lost_its_data(
    service: Make,
) -> None:
    running, server = service(VOLATILE)
    running.start()
    assert f"nothing on disk, at {server.address}" in running.worker.output
    warning = (
        f"the store at {server.address} writes nothing to disk: a restart loses everything. Set `appendonly"
    )
    assert running.worker.output.count(warning) == 1
    # One of gunicorn's own, which looks before it starts any, and one for each of the API's processes.
    assert running.api.output.count(warning) == 3
    status, checks = running.ready()
    assert (status, checks["durability"]["status"], checks["clock"]["status"]) == (200, "degraded", "ok")
    assert [running.subscribe().status_code for _ in range(4)] == [201] * 4
    assert len(running.subscriptions()) == 4

    restarted(server)
    emptied = f"the store was emptied at {server.address}"
    eventually(lambda: running.worker.output.count(emptied) == 1, "the worker logs it", 20)
    eventually(lambda: running.api.output.count(emptied) == 2, "both processes of the API log it", 20)
    status, checks = running.ready()
    assert status == 200
    assert "The store lost all that it held" in checks["durability"]["detail"]
    assert running.subscriptions() == []
    assert running.subscribe().status_code == 201
    for process in (running.api, running.worker):
        assert "Traceback" not in process.output
        assert process.terminate(30) < 30


@pytest.mark.slow
@pytest.mark.parametrize("command", ["worker", "serve", "gunicorn"])
def test_where_the_store_must_be_durable_no_process_starts_on_another(
    service: Make, tmp_path: Path, command: str
) -> None:
    running, server = service(VOLATILE, REQUIRE_DURABLE_STORE="true")
    commands = {
        "worker": [str(SCRIPTS / "webrtc-events"), "worker"],
        "serve": [
            *(str(SCRIPTS / "webrtc-events"), "serve", "--port", "0", "--sink-port", "0"),
            *("--data-dir", str(tmp_path / "data")),
        ],
        "gunicorn": [
            *(str(SCRIPTS / "gunicorn"), "-c", GUNICORN_CONF, "-w", "2"),
            *("-b", "127.0.0.1:0", APP),
        ],
    }
    done = subprocess.run(
        commands[command], env=running.environ, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    output = done.stdout + done.stderr
    # Of gunicorn it may be that of the process, or of a worker that could not start.
    assert done.returncode in ({1, 3} if command == "gunicorn" else {1}), output
    assert "WEBRTC_EVENTS_REQUIRE_DURABLE_STORE=true" in output
    assert f"the store at {server.address} writes nothing to disk" in output
    assert "Set `appendonly yes`" in output
    assert "Traceback" not in output
    assert sys.executable not in output


@pytest.mark.slow
def test_where_the_store_must_be_durable_nothing_new_is_taken_once_it_is_not(
    service: Make, tmp_path: Path
) -> None:
    """And what was taken before is delivered."""
    running, server = service({"save": "3600 1", "appendonly": "yes"}, REQUIRE_DURABLE_STORE="true")
    running._sink.answer = lambda _: Answer(503)
    running.start()
    assert running.ready()[0] == 200
    assert running.subscribe().status_code == 201
    assert running.publish(1).status_code == 202
    with server.client() as client:
        client.save()
    server.options["appendonly"] = "no"
    restarted(server)
    eventually(lambda: running.ready()[0] == 503, "it is not ready", 20)
    # Each process of the API finds out by itself.
    refused = "new events and subscriptions are refused until it is durable again"
    eventually(lambda: running.api.output.count(refused) == 2, "both processes refuse", 20)
    status, checks = running.ready()
    assert (status, checks["store"]["status"], checks["durability"]["status"]) == (503, "ok", "unavailable")
    assert "snapshots only" in checks["durability"]["detail"]
    assert [running.subscribe().status_code, running.publish(2).status_code] == [503, 503]
    assert "does not keep what it is given" in running.publish(2).json()["message"]
    assert len(running.subscriptions()) == 1
    running._sink.answer = lambda _: Answer(204)
    before = len(running._sink.requests)
    eventually(lambda: len(running._sink.requests) > before, "it is delivered", 30)
    server.options["appendonly"] = "yes"
    with server.client() as client:
        client.config_set("appendonly", "yes")
        eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"], "it is written")
    restarted(server)
    # Of either process: each finds out by itself.
    eventually(lambda: all(running.publish(n).ok for n in range(20)), "they take events again", 20)
    assert running.ready()[0] == 200
