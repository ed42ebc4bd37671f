"""`/metrics` of an adapter, as an operator starts it."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import requests

from tests.gateways.harness.answering_service import Service, answer
from tests.gateways.harness.ports import free_port
from tests.gateways.janus.conftest import posts
from tests.harness.commands import Running, eventually, run, start  # noqa: F401 (a fixture)
from tests.harness.scrapes import Scrape, metrics_url, scrape
from tests.harness.sinks import Answer

Start = Callable[..., Running]


def command(queue: Path, service: Service, *more: str) -> tuple[str, ...]:
    url = service.sink.url_of("")
    return (
        *(
            "gateway",
            "janus",
            "--queue",
            str(queue),
            "--service",
            url,
            "--issuer",
            url,
            "--owner",
            "softphone",
        ),
        *("--ca-file", str(service.sink.ca_file), *more),
    )


def scraped(adapter: Running) -> Scrape:
    url = metrics_url(lambda: adapter.output)
    assert url is not None
    return scrape(url)


def test_what_an_adapter_takes_publishes_and_has_is_counted(
    start: Start,  # noqa: F811
    path: Path,
    service: Service,
) -> None:
    """Some of it rejected, some refused; sent twice; and with the service away."""
    port = free_port()
    adapter = start(
        *command(path, service, "--listen", f"127.0.0.1:{port}", "--metrics-address", "127.0.0.1:0")
    )
    adapter.await_output("Takes events of Janus")
    found = scraped(adapter)
    assert found("gateway_records_total", outcome="taken") == found("gateway_queue_requests") == 0
    assert found("gateway_queue_limit_bytes") == 1 << 30
    service.events = lambda events: answer(
        202,
        {"results": [{"status": "rejected", "message": "no"}, *[{"status": "accepted"}] * (len(events) - 1)]},
    )
    batch = [*posts(), {"type": 64}]
    for _ in range(2):
        assert requests.post(f"http://127.0.0.1:{port}/", data=json.dumps(batch), timeout=30).ok
    eventually(lambda: scraped(adapter)("gateway_queue_requests") == 0)
    found = scraped(adapter)
    assert found("gateway_records_total", outcome="taken") == len(posts())
    assert found("gateway_records_total", outcome="repeated") == len(posts())
    assert found("gateway_records_total", outcome="damaged") == 2
    published = found("gateway_requests_total", outcome="published")
    rejected = found("gateway_requests_total", outcome="rejected")
    assert rejected == len(service.batches())
    assert published == sum(map(len, service.batches())) - rejected + 2
    assert found("processes", process="gateway") == 1
    service.registrations = lambda _: Answer(503)
    # Alice registers once more.
    again = [post | {"timestamp": post["timestamp"] + 3_600_000_000} for post in posts()[:8]]
    assert requests.post(f"http://127.0.0.1:{port}/", data=json.dumps(again), timeout=30).ok
    eventually(lambda: scraped(adapter)("gateway_requests_total", outcome="failed") >= 1)
    found = scraped(adapter)
    assert found("gateway_queue_requests") >= 1
    assert found("gateway_queue_bytes") > 100
    assert found("gateway_queue_oldest_seconds") > 0
    assert adapter.stop() == 0
    assert "Traceback" not in adapter.output


def test_a_kamailio_that_is_not_there_is_seen(start: Start, path: Path, service: Service) -> None:  # noqa: F811
    arguments = [part if part != "janus" else "kamailio" for part in command(path, service)]
    adapter = start(*arguments, "--evapi", f"127.0.0.1:{free_port()}", "--metrics-address", "127.0.0.1:0")
    adapter.await_output("Takes what the Kamailio")
    eventually(lambda: scraped(adapter)("gateway_silent_seconds") > 1)
    assert scraped(adapter)("gateway_reconnects_total") == 0


def test_nothing_listens_unless_it_is_asked_for(start: Start, path: Path, service: Service) -> None:  # noqa: F811
    adapter = start(*command(path, service, "--listen", "127.0.0.1:0"))
    adapter.await_output("Takes events of Janus")
    assert metrics_url(lambda: adapter.output) is None


def test_an_address_in_use_is_an_error_that_says_what_to_do(path: Path, service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run(*command(path, service, "--listen", "127.0.0.1:0", "--metrics-address", address))
    assert done.returncode == 1
    assert f"cannot listen for /metrics on {address}".encode() in done.stderr
    assert b"set --metrics-address to one that is free" in b" ".join(done.stderr.split())
    assert b"Traceback" not in done.stderr
    done = run(*command(path, service, "--listen", "127.0.0.1:0", "--metrics-address", "9468"))
    assert done.returncode == 2
    assert b"must be host:port" in done.stderr
