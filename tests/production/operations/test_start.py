"""From the settings and the units to an event that is delivered, and what happens when something is wrong."""

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.processes import Process
from tests.harness.documents import Document
from tests.harness.issuer import Issuer
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import eventually, free_port
from tests.production.operations.client import Client
from tests.production.operations.conftest import Configure, ConfiguredValkey
from tests.production.operations.tools import AUDIENCE, adapted, run_block
from tests.production.operations.units import DEPLOY, INSTALLED, SCRIPTS, Unit, environment_file, started
from webrtc_events import gunicorn_conf
from webrtc_events.core.settings import Settings
from webrtc_events.worker import Worker

API = Unit(DEPLOY / "webrtc-events-api.service")
WORKER = Unit(DEPLOY / "webrtc-events-worker@.service")


@contextmanager
def service(
    directory: Path, settings: Path, issuer: Issuer, *, confined: bool = False
) -> Iterator[tuple[Client, Process, Process]]:
    """API and worker of the units; a client that asks the API itself."""
    port = free_port()
    bind = {"GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}"}
    with (
        started(API, directory, settings, confined=confined, more=bind) as api,
        started(WORKER, directory, settings, confined=confined) as worker,
    ):
        client = Client(issuer, f"http://127.0.0.1:{port}")
        eventually(lambda: client("GET", "/readyz", token=None).ok, "the API is ready", every_s=0.1)
        yield client, api, worker
        client.close()


@pytest.mark.slow
@pytest.mark.parametrize("confined", [False, True], ids=["free", "confined as by the units"])
def test_the_smallest_settings_deliver_an_event(
    tmp_path: Path,
    document: Document,
    configured_valkey: ConfiguredValkey,
    issuer: Issuer,
    sink: RecordingSink,
    configure: Configure,
    *,
    confined: bool,
) -> None:
    settings = configure(tmp_path, configured_valkey.url, issuer, sink)
    with service(tmp_path, settings, issuer, confined=confined) as (client, api, worker):
        made = client.subscribe(sink.url)
        assert client.publish(1) == "accepted"
        (received,) = sink.wait_for(1, 20)
        event = received.json
        assert (event["source"], event["data"]["subscriptionId"]) == (AUDIENCE, made)
        # docs/operations/logs.md, "What to watch in the log", tells of such lines.
        eventually(lambda: "outcome=delivered" in worker.output, "the attempt is logged")
        assert re.search(r"attempt event=.* outcome=delivered .*reason=.* host=\S+", worker.output)
        check = adapted(
            document.block("Settings", 1),
            {
                "/etc/webrtc-events/settings.env": str(settings),
                "runuser -u webrtc-events -- ": "",
                INSTALLED: str(SCRIPTS),
            },
        )
        run_block(check, tmp_path)
        assert "Traceback" not in api.output + worker.output
        if confined:
            for process in (api, worker):
                assert "Seccomp:\t2\n" in Path(f"/proc/{process.pid}/status").read_text()


def test_the_store_keeps_what_it_accepts(configured_valkey: ConfiguredValkey) -> None:
    with configured_valkey.client() as client:
        found = client.config_get("append*") | client.config_get("maxmemory*")
    wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
    assert wanted.items() <= found.items()
    assert int(found["maxmemory"]) > 1 << 30


def test_the_settings_are_the_smallest_and_for_root_alone(
    tmp_path: Path, issuer: Issuer, sink: RecordingSink, configure: Configure, document: Document
) -> None:
    settings = configure(tmp_path, "redis://store:6379/0", issuer, sink)
    assert settings.stat().st_mode & 0o777 == 0o600
    values = environment_file(settings)
    Settings.from_environ(values)
    # A shell reads them as systemd does.
    shown = run_block(f"set -a; . {settings}; set +a; env", tmp_path)
    assert set(shown.splitlines()) >= {f"{name}={value}" for name, value in values.items()}
    # The line above each explains it.
    lines = document.block("Settings").splitlines()
    lines_above = [lines[at - 1] for at, line in enumerate(lines) if line.startswith("WEBRTC_EVENTS_")]
    assert [line for line in lines_above if not line.startswith("# ")] == []


def test_the_block_of_the_settings_never_replaces_a_key(
    tmp_path: Path, issuer: Issuer, sink: RecordingSink, configure: Configure
) -> None:
    before = configure(tmp_path, "redis://store:6379/0", issuer, sink).read_text()
    with pytest.raises(AssertionError, match="cannot overwrite existing file"):
        configure(tmp_path, "redis://store:6379/0", issuer, sink)
    assert (tmp_path / "etc" / "settings.env").read_text() == before


@pytest.mark.parametrize("unit", [API, WORKER], ids=["API", "worker"])
def test_wrong_settings_end_it_with_a_status_after_which_it_is_not_started_again(
    tmp_path: Path,
    configured_valkey: ConfiguredValkey,
    issuer: Issuer,
    sink: RecordingSink,
    configure: Configure,
    unit: Unit,
) -> None:
    settings = configure(tmp_path, configured_valkey.url, issuer, sink)
    with settings.open("a") as file:
        file.write("WEBRTC_EVENTS_PARTITIONS=none\nWEBRTC_EVENTS_SINK_PORT=443\n")
    status, output = status_of(unit, tmp_path, settings)
    assert status == int(unit.value("RestartPreventExitStatus"))
    assert output.count("WEBRTC_EVENTS_PARTITIONS must be a whole number") == 1
    assert output.count("WEBRTC_EVENTS_SINK_PORT is not a setting") == 1
    assert "Traceback" not in output


@pytest.mark.slow
@pytest.mark.parametrize("unit", [API, WORKER], ids=["API", "worker"])
def test_without_its_store_it_ends_with_a_status_after_which_it_is_started_again(
    tmp_path: Path, issuer: Issuer, sink: RecordingSink, configure: Configure, unit: Unit
) -> None:
    settings = configure(tmp_path, f"redis://127.0.0.1:{free_port()}/0", issuer, sink)
    status, _ = status_of(unit, tmp_path, settings)
    assert status not in (0, int(unit.value("RestartPreventExitStatus")))
    assert unit.value("Restart") == "on-failure"
    # Else systemd gives up after some tries.
    assert unit.value("StartLimitIntervalSec") == "0"


def status_of(unit: Unit, directory: Path, settings: Path) -> tuple[int, str]:
    """The exit status of a unit's process, and what it logged; it is to end by itself."""
    bind = {"GUNICORN_CMD_ARGS": "--bind 127.0.0.1:0"}
    process = Process("ends", directory, unit.environ(settings) | bind, unit.command())
    process.start()
    try:
        eventually(lambda: not process.running, "it ends", every_s=0.05)
        assert process._process is not None
        return process._process.wait(), process.output
    finally:
        process.kill_all()


@pytest.mark.slow
def test_readiness_shows_that_the_store_is_unavailable_and_health_that_the_process_runs(
    tmp_path: Path,
    configured_valkey: ConfiguredValkey,
    issuer: Issuer,
    sink: RecordingSink,
    configure: Configure,
    document: Document,
) -> None:
    settings = configure(tmp_path, configured_valkey.url, issuer, sink)
    supervisor, balancer, person, _ = Document("operations/health.md").table("Health")
    assert supervisor[1] == "`http://127.0.0.1:9091/healthz`"
    assert balancer[1].endswith("/readyz`")
    assert person[1] == "`http://127.0.0.1:9091/readyz`"
    with service(tmp_path, settings, issuer) as (client, _, worker):
        assert client("GET", "/healthz", token=None).status_code == 200
        configured_valkey.stop()
        worker.wait_output("waits for the store: ")
        unavailable = client("GET", "/readyz", token=None)
        assert (unavailable.status_code, unavailable.json()["status"]) == (503, "unavailable")
        assert unavailable.json()["checks"]["store"]["detail"]
        assert client("GET", "/healthz", token=None).status_code == 200
        configured_valkey.start()
        configured_valkey.wait_ready()
        worker.wait_output("has the store back")
        eventually(lambda: client("GET", "/readyz", token=None).ok, "the API is ready again")
        assert client.publish(1) == "accepted"


@pytest.mark.slow
def test_two_kinds_of_api_processes_serve_one_side_each(
    tmp_path: Path,
    configured_valkey: ConfiguredValkey,
    issuer: Issuer,
    sink: RecordingSink,
    configure: Configure,
    document: Document,
) -> None:
    settings = configure(tmp_path, configured_valkey.url, issuer, sink)
    (tmp_path / API.path.name).write_text(API.path.read_text())
    block = document.block("TLS proxy", 1)
    commands = [line for line in block.splitlines() if not line.startswith("systemctl ")]
    run_block(adapted("\n".join(commands), {"/etc/systemd/system": str(tmp_path)}), tmp_path)
    public, network = (Unit(tmp_path / f"webrtc-events-{name}.service") for name in ("api", "network"))
    assert public.command() == API.command()
    assert network.command() == [API.command()[0], "--bind", "127.0.0.1:9092", *API.command()[1:]]
    path = "/webrtc-events/v0.2/subscriptions"
    for unit, served, absent in ((public, path, "/network/v0/events"), (network, "/network/v0/events", path)):
        port = free_port()
        text = unit.path.read_text().replace("--bind 127.0.0.1:9092 ", "")
        unit.path.write_text(text)
        bind = {"GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}"}
        with started(Unit(unit.path), tmp_path, settings, more=bind):
            client = Client(issuer, f"http://127.0.0.1:{port}")
            eventually(lambda client=client: client("GET", "/readyz", token=None).ok, "it is ready")
            assert client("OPTIONS", served).status_code == 405
            assert client("OPTIONS", absent).status_code == 404
            client.close()


def test_the_times_of_the_units_are_longer_than_those_of_the_processes(document: Document) -> None:
    (stops,) = (effect for what, effect in document.table("Start") if what == "`systemctl stop`")
    requests_s, deliveries_s, *kills_s = map(float, re.findall(r"(\d+) s", stops))
    assert requests_s == gunicorn_conf.graceful_timeout
    assert deliveries_s == inspect.signature(Worker.stop).parameters["grace_s"].default
    assert kills_s == [API.seconds("TimeoutStopSec"), WORKER.seconds("TimeoutStopSec")]
    assert kills_s[0] > requests_s
    assert kills_s[1] > deliveries_s
