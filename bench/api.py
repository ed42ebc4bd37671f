"""How much does one API process take, and at what cost? `python bench/api.py` measures it.

One process of the API under gunicorn, and beside it, in turns, bare Flask under gunicorn, which takes and
gives the same JSON at the same paths and does nothing with it. Both are asked over persistent connections by
libcurl in this process, on the same cores. No worker runs: what is accepted stays in the outboxes. A proxy
counts round trips to the store before, one request after the other.

    --compare DIR   another checkout beside this one, on a store of its own
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import requests
from harness.api_servers import ApiServer, bare_flask, service_api
from harness.contenders import Release, release_in
from harness.http_load import Request, load
from harness.job import Job
from harness.processes import cpu_s
from harness.publishing import BATCH, EVENTS, ONE, SUBSCRIPTIONS, network_event, subscription_request
from harness.report import machine, median, paired_ratio, progress, show_machine, table, write_json
from harness.round_trips import CountingProxy
from harness.store import BenchStore

TARGETS = 200
LISTED = 1000
CLIENTS = ("gateway", "lister", "creator")
SERVICE = "webrtc-events"
FLASK = "bare Flask"


@dataclass(frozen=True)
class Scenario:
    """`items` are in each request: events, subscriptions. `goal` is text, see docs/performance.md."""

    name: str
    connections: int
    items: int
    requests: Callable[[ApiServer], Iterator[Request]]
    goal: str


@dataclass(frozen=True)
class Measured:
    """CPU in s for 1,000 items; `commands` of the store for a request."""

    items_per_s: float
    p50: float
    p99: float
    api_cpu: float
    store_cpu: float
    commands: float


_JOB = Job("", "", "", ["https://127.0.0.1:9443"], TARGETS, 1)
_NUMBERS = count(1)


def _batches(server: ApiServer) -> Iterator[Request]:
    headers = server.headers("gateway") | BATCH
    while True:
        body = "[" + ",".join(network_event(_JOB, next(_NUMBERS)) for _ in range(100)) + "]"
        yield Request("POST", server.url + EVENTS, 202, body.encode(), headers)


def _singles(server: ApiServer) -> Iterator[Request]:
    headers = server.headers("gateway") | ONE
    for number in _NUMBERS:
        yield Request("POST", server.url + EVENTS, 202, network_event(_JOB, number).encode(), headers)


def _creates(server: ApiServer) -> Iterator[Request]:
    for number in _NUMBERS:
        body = json.dumps(subscription_request(f"created-{number}")).encode()
        yield Request("POST", server.url + SUBSCRIPTIONS, 201, body, server.headers("creator"))


def _reads(server: ApiServer) -> Iterator[Request]:
    ids = [resource["id"] for resource in _list(server)] if server.store else ["subscription"] * LISTED
    while True:
        for name in ids:
            yield Request("GET", f"{server.url}{SUBSCRIPTIONS}/{name}", 200, headers=server.headers("lister"))


def _lists(server: ApiServer) -> Iterator[Request]:
    while True:
        yield Request("GET", server.url + SUBSCRIPTIONS, 200, headers=server.headers("lister"))


SCENARIOS = (
    Scenario("publish, batches of 100", 4, 100, _batches, ">= 10,000 events/s"),
    Scenario("publish, single", 16, 1, _singles, ">= 1,500 events/s"),
    Scenario("create", 16, 1, _creates, ">= 0.6 x bare Flask"),
    Scenario("read", 16, 1, _reads, ">= 0.6 x bare Flask"),
    Scenario("list of 1,000", 1, 1, _lists, "2 round trips, <= 60 ms, >= 0.6 x bare Flask"),
)


def _list(server: ApiServer) -> list[dict[str, Any]]:
    answer = requests.get(server.url + SUBSCRIPTIONS, headers=server.headers("lister"), timeout=60)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()
    return found


def _prepare(server: ApiServer) -> None:
    """A subscription to each session that events are for, and a client with many."""
    names = [("gateway", str(number)) for number in range(TARGETS)]
    names += [("lister", f"listed-{number}") for number in range(LISTED)]
    with requests.Session() as session:
        for client, name in names:
            answer = session.post(
                server.url + SUBSCRIPTIONS,
                json=subscription_request(name),
                headers=server.headers(client),
                timeout=60,
            )
            answer.raise_for_status()


def measure(server: ApiServer, scenario: Scenario, seconds: float) -> Measured:
    requests_ = scenario.requests(server)
    load(requests_, connections=scenario.connections, seconds=0.3)
    cpu_before = cpu_s(server.pid)
    before = server.store.counters() if server.store else None
    done = load(requests_, connections=scenario.connections, seconds=seconds)
    api_cpu = cpu_s(server.pid) - cpu_before
    used = server.store.counters().since(before) if server.store and before else None
    items = done.requests * scenario.items
    return Measured(
        items_per_s=done.per_s * scenario.items,
        p50=done.p50,
        p99=done.p99,
        api_cpu=api_cpu / items * 1000,
        store_cpu=used.cpu_s / items * 1000 if used else 0.0,
        commands=used.commands / done.requests if used else 0.0,
    )


Rounds = dict[str, dict[str, list[Measured]]]


def play(servers: Sequence[ApiServer], scenarios: Sequence[Scenario], rounds: int, seconds: float) -> Rounds:
    """By scenario, then by server."""
    found: Rounds = {scenario.name: {server.name: [] for server in servers} for scenario in scenarios}
    for number in range(rounds):
        for scenario in scenarios:
            for server in servers if number % 2 == 0 else reversed(servers):
                measured = measure(server, scenario, seconds)
                found[scenario.name][server.name].append(measured)
                progress(
                    f"round {number + 1} of {rounds}: {scenario.name}: {server.name} "
                    f"{measured.items_per_s:,.0f}/s, p50 {measured.p50:.1f} ms"
                )
    return found


HEADS = (
    "",
    "per s",
    "p50 ms",
    "p99 ms",
    "API CPU s/1,000",
    "store CPU s/1,000",
    "commands",
    "round trips",
    "x Flask",
    "goal",
)


def api_table(
    found: Rounds, scenarios: Sequence[Scenario], round_trips: Mapping[str, Mapping[str, int]]
) -> str:
    """Medians; commands of the store and round trips to it are for a request."""
    goals = {scenario.name: scenario.goal for scenario in scenarios}
    rows: list[tuple[object, ...]] = []
    for name, servers in found.items():
        flask = [measured.items_per_s for measured in servers.get(FLASK, [])]
        for server, rounds in servers.items():
            figures = [median(getattr(measured, figure) for measured in rounds) for figure in FIGURES]
            ratio = paired_ratio([measured.items_per_s for measured in rounds], flask) if flask else None
            is_flask = server == FLASK
            turns = round_trips.get(server, {}).get(name)
            rows.append((f"{name}: {server}", *figures, turns, ratio, "" if is_flask else goals[name]))
    return table(HEADS, rows)


FIGURES = ("items_per_s", "p50", "p99", "api_cpu", "store_cpu", "commands")


def servers(
    stack: ExitStack, folder: Path, options: argparse.Namespace, round_trips: dict[str, dict[str, int]]
) -> list[ApiServer]:
    """All running: the service, with its subscriptions, another release if it is asked for, bare Flask.

    Into `round_trips` goes how many there are for a request: by server and scenario.
    """

    def service(name: str, folder: Path, release: Release | None = None) -> ApiServer:
        folder.mkdir()
        store = stack.enter_context(BenchStore.running(folder, options.fsync))
        server = stack.enter_context(service_api(name, folder, store, CLIENTS, release))
        _prepare(server)
        round_trips[name] = _count_round_trips(name, folder, store, release)
        return server

    found = [service(SERVICE, folder / "own")]
    if options.compare:
        name = f"{SERVICE} in {options.compare}"
        found.append(service(name, folder / "other", release_in(options.compare, options.python)))
    listed = _list(found[0])
    answers = {"one": listed[0], "list": listed}
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
    report["load_at_end"] = machine()["load_1_min"]
    report["round_trips"] = round_trips
    print(api_table(rounds, scenarios, round_trips))
    progress(f"load {report['load_at_end']} at the end; {write_json(options.name, report)}")
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
    parser.add_argument("--only", metavar="TEXT", default="", help="scenarios whose names have one of these")
    parser.add_argument("--name", default="api", help="of the JSON file in build/bench/")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
