"""How much does one API process take, and at what cost? `python bench/api.py` measures it.

One process of the API under gunicorn, and beside it, in turns, bare Flask under gunicorn, which takes and
gives the same JSON at the same paths and does nothing with it. Both are asked over persistent connections by
libcurl in this process, on the same cores. No worker runs: what is accepted stays in the outboxes. A proxy
counts round trips to the store before, one request after the other.

    --compare DIR   another checkout beside this one, on another store
    --metrics       the service scraped for metrics every second, on another store
    --otel SHARE    the service with this share of requests in traces of OpenTelemetry, on another store
    --devices       the service serving the next contract too: without subscriptions to devices, with some to
                    devices that no event concerns, with one to each device; every registration is known
    --without-flask bare Flask is left out
"""

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.acceptance import (
    CLIENTS,
    LISTED,
    SCENARIOS,
    TARGETS,
    api_table,
    cpu_ratios,
    listed,
    play,
    prepare,
    register_all,
    subscribe_devices,
)
from harness.api_servers import ApiServer, bare_flask, service_api
from harness.collecting import collecting, traced_settings
from harness.contenders import SERVICE, Release, release_in
from harness.http_load import load
from harness.report import finish, machine, show_machine
from harness.round_trips import CountingProxy
from harness.scraping import scraping
from harness.store import BenchStore
from sinks import free_ports

# What subscriptions to devices there are, and the number of the first device.
DEVICES = {"none": None, "of other devices": TARGETS, "of the same devices": 0}


def servers(
    stack: ExitStack, folder: Path, options: argparse.Namespace, round_trips: dict[str, dict[str, int]]
) -> list[ApiServer]:
    """All running: the service, with its subscriptions, another release if it is asked for, bare Flask.

    Into `round_trips` goes how many there are for a request: by server and scenario.
    """

    def service(
        name: str, folder: Path, release: Release | None = None, devices: int | None = None, **more: str
    ) -> ApiServer:
        folder.mkdir()
        store = stack.enter_context(BenchStore.running(folder, options.fsync))
        server = stack.enter_context(service_api(name, folder, store, CLIENTS, release, more=more))
        prepare(server, many=1 if options.devices else LISTED)
        if options.devices:
            register_all(server)
        if devices is not None:
            subscribe_devices(server, devices)
        round_trips[name] = _count_round_trips(name, folder, store, release)
        return server

    found = [service(SERVICE, folder / "own")]
    if options.compare:
        name = f"{SERVICE} in {options.compare}"
        found.append(service(name, folder / "other", release_in(options.compare, options.python)))
    if options.metrics:
        (port,) = free_ports(1)
        stack.enter_context(scraping(port))
        address = f"127.0.0.1:{port}"
        found.append(
            service(f"{SERVICE}, scraped", folder / "scraped", WEBRTC_EVENTS_METRICS_ADDRESS=address)
        )
    if options.otel:
        collector = stack.enter_context(collecting())
        name = f"{SERVICE}, {options.otel:.0%} traced"
        found.append(service(name, folder / "traced", **traced_settings(collector, options.otel)))
    if options.devices:
        found += [
            service(
                f"{SERVICE}, 0.3: {what}", folder / f"0.3-{first}", devices=first, WEBRTC_EVENTS_NEXT="true"
            )
            for what, first in DEVICES.items()
        ]
    if options.without_flask:
        return found
    resources = listed(found[0])
    answers = {"one": resources[0], "list": resources}
    found.append(stack.enter_context(bare_flask(folder, CLIENTS, answers)))
    return found


def _count_round_trips(name: str, folder: Path, store: BenchStore, release: Release | None) -> dict[str, int]:
    """By scenario: the median of some requests, as the API looks after its connection now and then."""
    found = {}
    with (
        CountingProxy.before(store.socket, folder / "counted.sock") as proxy,
        service_api(name, folder, store, CLIENTS, release, store_url=f"unix://{proxy.path}") as server,
    ):
        for scenario in SCENARIOS:
            requests_ = scenario.requests(server)
            turns = []
            for _ in range(5):
                before = proxy.turns
                load(requests_, connections=1, count=1)
                turns.append(proxy.turns - before)
            found[scenario.name] = statistics.median_low(turns)
    return found


def main() -> int:
    options = _options()
    wanted = options.only.lower().split(",")
    scenarios = [found for found in SCENARIOS if any(text in found.name for text in wanted)]
    round_trips: dict[str, dict[str, int]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        report: dict[str, Any] = {"machine": machine(), "options": vars(options)}
        show_machine(report["machine"])
        running = servers(stack, folder, options, round_trips)
        rounds = play(running, scenarios, options.rounds, options.seconds)
    report["rounds"] = {
        scenario: {server: [asdict(measured) for measured in taken] for server, taken in by_server.items()}
        for scenario, by_server in rounds.items()
    }
    report["round_trips"] = round_trips
    tables = [api_table(rounds, scenarios, round_trips)]
    if len(running) > 1:
        shown, report["ratios"] = cpu_ratios(rounds)
        tables.append(shown)
    finish(options.name, report, tables)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="of each scenario and server")
    parser.add_argument("--seconds", type=float, default=3.0, help="a round")
    parser.add_argument("--fsync", choices=("everysec", "always"), default="everysec", help="appendfsync")
    parser.add_argument("--compare", metavar="DIR", help="another checkout")
    parser.add_argument("--python", metavar="PATH", help="the interpreter of the other checkout")
    parser.add_argument("--metrics", action="store_true", help="scraped for metrics")
    parser.add_argument("--otel", type=float, metavar="SHARE", help="with traces of OpenTelemetry")
    parser.add_argument("--devices", action="store_true", help="with the next contract")
    parser.add_argument("--without-flask", action="store_true")
    parser.add_argument("--only", metavar="TEXT", default="", help="scenarios whose names have one of these")
    parser.add_argument("--name", default="api", help="of the JSON file in build/bench/")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
