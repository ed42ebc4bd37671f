"""What one API process takes: scenarios, their requests, and what was measured of them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import requests

from harness.api_servers import ApiServer
from harness.http_load import Request, load
from harness.job import Job
from harness.processes import cpu_s
from harness.publishing import (
    BATCH,
    DEVICE_SUBSCRIPTIONS,
    EVENTS,
    ONE,
    REGISTRATIONS,
    SUBSCRIPTIONS,
    device,
    device_request,
    network_event,
    subscription_request,
)
from harness.report import median, paired_ratio, progress, table

__all__ = [
    "CLIENTS",
    "FLASK",
    "LISTED",
    "SCENARIOS",
    "TARGETS",
    "Measured",
    "Rounds",
    "Scenario",
    "api_table",
    "cpu_ratios",
    "listed",
    "play",
    "prepare",
    "register_all",
    "subscribe_devices",
]

TARGETS = 200
LISTED = 1000
CLIENTS = ("gateway", "lister", "creator")
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


_JOB = Job("", "", "", ("https://127.0.0.1:9443",), TARGETS, 1)
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
    ids = [resource["id"] for resource in listed(server)] if server.store else ["subscription"] * LISTED
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


def listed(server: ApiServer) -> list[dict[str, Any]]:
    """The subscriptions of the client with many."""
    answer = requests.get(server.url + SUBSCRIPTIONS, headers=server.headers("lister"), timeout=60)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()
    return found


def prepare(server: ApiServer, many: int = LISTED) -> None:
    """A subscription to each session that events are for, and a client with `many`."""
    names = [("gateway", str(number)) for number in range(TARGETS)]
    names += [("lister", f"listed-{number}") for number in range(many)]
    with requests.Session() as session:
        for client, name in names:
            answer = session.post(
                server.url + SUBSCRIPTIONS,
                json=subscription_request(name),
                headers=server.headers(client),
                timeout=60,
            )
            answer.raise_for_status()


def register_all(server: ApiServer) -> None:
    """Says of each registration that events are for whose it is, and on which device."""
    with requests.Session() as session:
        for number in range(TARGETS):
            answer = session.put(
                f"{server.url}{REGISTRATIONS}/registration-{number}",
                json={"deviceId": device(number), "owner": "gateway"},
                headers=server.headers("gateway"),
                timeout=60,
            )
            answer.raise_for_status()


def subscribe_devices(server: ApiServer, first: int) -> None:
    """As many subscriptions to devices as there are registrations, from that device on.

    From 0: each event is for one of them too. From TARGETS: none is, but there are subscriptions to devices.
    """
    with requests.Session() as session:
        for number in range(first, first + TARGETS):
            answer = session.post(
                server.url + DEVICE_SUBSCRIPTIONS,
                json=device_request(number),
                headers=server.headers("gateway"),
                timeout=60,
            )
            answer.raise_for_status()


def measure(server: ApiServer, scenario: Scenario, seconds: float) -> Measured:
    """One round, after a moment to open the connections."""
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


_HEADS = (
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
            figures = [median(getattr(measured, figure) for measured in rounds) for figure in _FIGURES]
            ratio = paired_ratio([measured.items_per_s for measured in rounds], flask) if flask else None
            is_flask = server == FLASK
            turns = round_trips.get(server, {}).get(name)
            rows.append((f"{name}: {server}", *figures, turns, ratio, "" if is_flask else goals[name]))
    return table(_HEADS, rows)


_FIGURES = ("items_per_s", "p50", "p99", "api_cpu", "store_cpu", "commands")


def cpu_ratios(found: Rounds) -> tuple[str, dict[str, dict[str, dict[str, float]]]]:
    """What an item costs each other server, to what it costs the first: pairs of rounds, by scenario."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    rows: list[tuple[object, ...]] = []
    for name, servers in found.items():
        (own, first), *others = servers.items()
        figures[name] = {}
        for server, rounds in others:
            pairs = {
                figure: paired_ratio(
                    [getattr(measured, figure) for measured in rounds],
                    [max(1e-9, getattr(measured, figure)) for measured in first],
                )
                for figure in ("api_cpu", "store_cpu", "commands")
            }
            figures[name][server] = pairs
            rows.append((f"{name}: {server}", *(f"x {ratio:.3f}" for ratio in pairs.values())))
    return table((f"to {own}", "API CPU", "store CPU", "commands"), rows), figures
