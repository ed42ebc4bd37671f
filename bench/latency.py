"""How long is an event under way at a steady rate? `python bench/latency.py` measures it.

The service: an API process under gunicorn, a worker, a store; from before the gateway's request with one
event to the receipt at the sink. Peers: from before the enqueue to the receipt. An application in front of a
peer would take a request too: what that costs is measured at bare Flask under gunicorn, at the same rate.
Nothing waits for the answer to anything else. The first second of each round is not counted.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from itertools import count
from typing import Any

import requests
from harness.api_servers import ApiServer, bare_flask, service_api, settings
from harness.contenders import ROOT, peers
from harness.http_load import Request
from harness.pacing import Latencies, peer_latencies, request_at_rate, until_received
from harness.processes import started
from harness.publishing import EVENTS, ONE, SUBSCRIPTIONS, network_event, subscription_request
from harness.report import machine, median, progress, show_machine, table, write_json
from harness.scene import Scene, scene
from sinks import forget_arrivals

SERVICE = "webrtc-events"
REQUEST = "one request, bare Flask"
CLIENTS = ("gateway",)
WARM_UP = 50


class Service:
    """The service, and a gateway that publishes for its subscriptions in turns."""

    def __init__(self, place: Scene, stack: ExitStack) -> None:
        self._place = place
        store = place.store
        self._api = stack.enter_context(service_api(SERVICE, place.folder, store, CLIENTS))
        # The worker asks no issuer.
        environ = settings(store.url, "http://127.0.0.1:1/") | {
            "WEBRTC_EVENTS_SINK_CA_FILE": place.job.ca_file,
            "PYTHONPATH": str(ROOT),
        }
        command = (sys.executable, "-P", "-m", "webrtc_events.cli", "worker")
        stack.enter_context(started(command, environ, place.folder / "worker.log"))
        self._ids = [self._subscribe(target) for target in range(place.job.targets)]
        self._published = [0] * place.job.targets
        self._numbers = count()
        self.play(WARM_UP, WARM_UP)

    def _subscribe(self, target: int) -> str:
        request = subscription_request(str(target), self._place.job.url(target))
        answer = requests.post(
            self._api.url + SUBSCRIPTIONS, json=request, headers=self._api.headers("gateway"), timeout=60
        )
        answer.raise_for_status()
        subscription_id: str = answer.json()["id"]
        return subscription_id

    def play(self, rate: float, events: int) -> Latencies:
        forget_arrivals(self._place.folder)
        order: list[str] = []
        moments = request_at_rate(self._requests(order), rate, events)
        sent = {name: begin for name, (begin, _) in zip(order, moments, strict=True)}
        return until_received(sent, self._place)

    def _requests(self, order: list[str]) -> Iterator[Request]:
        """Adds to `order` the id that each notification will have."""
        headers = self._api.headers("gateway") | ONE
        for number in self._numbers:
            target = number % len(self._ids)
            self._published[target] += 1
            order.append(f"{self._ids[target]}.{self._published[target]}")
            body = network_event(self._place.job, number)
            yield Request("POST", self._api.url + EVENTS, 202, body.encode(), headers)


def request_latencies(flask: ApiServer, place: Scene, rate: float, events: int) -> Latencies:
    headers = flask.headers("gateway") | ONE
    bodies = (
        Request("POST", flask.url + EVENTS, 202, network_event(place.job, number).encode(), headers)
        for number in count()
    )
    return Latencies.of(request_at_rate(bodies, rate, events))


Found = dict[str, list[Latencies]]


def play(place: Scene, rate: float, seconds: float, rounds: int, *, with_peers: bool) -> Found:
    """What each contender took at one rate, in each round."""
    events = int(rate * (seconds + 1))
    beside = [peer for peer in peers(place.job_path) if peer.pace] if with_peers else []
    found: Found = defaultdict(list)
    for number in range(rounds):
        place.store.empty()
        with ExitStack() as stack:
            found[SERVICE].append(Service(place, stack).play(rate, events))
        _show(number, rounds, rate, SERVICE, found)
        for peer in beside:
            found[peer.name].append(peer_latencies(peer, place, rate, events))
            _show(number, rounds, rate, peer.name, found)
        if with_peers:
            with bare_flask(place.folder, CLIENTS, {}) as flask:
                request_latencies(flask, place, WARM_UP, WARM_UP)
                found[REQUEST].append(request_latencies(flask, place, rate, events))
            _show(number, rounds, rate, REQUEST, found)
    return found


def _show(number: int, rounds: int, rate: float, name: str, found: Found) -> None:
    last = found[name][-1]
    progress(
        f"round {number + 1} of {rounds}, {rate:g}/s: {name}: {last.per_s:,.0f}/s, "
        f"p50 {last.p50:.1f}, p99 {last.p99:.1f} ms"
    )


def latency_rows(rate: float, found: Found) -> list[tuple[object, ...]]:
    """Medians of the rounds, and for the service the best peer's with one request."""
    rows: list[tuple[object, ...]] = []
    middle = {
        name: Latencies(*(median(getattr(latencies, figure) for latencies in rounds) for figure in FIGURES))
        for name, rounds in found.items()
    }
    rivals = [figures for name, figures in middle.items() if name not in (SERVICE, REQUEST)]
    for name, figures in middle.items():
        row: list[object] = [f"{rate:g}/s: {name}", figures.per_s, figures.p50, figures.p99]
        if name == SERVICE and rivals and REQUEST in middle:
            request = middle[REQUEST]
            row.append(min(rival.p50 for rival in rivals) + request.p50)
            row.append(min(rival.p99 for rival in rivals) + request.p99)
        else:
            row += [None, None]
        rows.append(tuple(row))
    return rows


FIGURES = ("per_s", "p50", "p99")
HEADS = ("", "per s", "p50 ms", "p99 ms", "p50 of best peer + request", "p99 of best peer + request")


def main() -> int:
    options = _options()
    rates = [float(rate) for rate in options.rates.split(",")]
    targets = 200
    most = int(max(rates) * (options.seconds + 1))
    report: dict[str, Any] = {"machine": machine(), "options": vars(options), "rates": {}}
    rows = []
    with scene(fsync=options.fsync, targets=targets, events=most // targets + 1) as place:
        show_machine(report["machine"])
        print(place)
        for rate in rates:
            found = play(place, rate, options.seconds, options.rounds, with_peers=not options.no_peers)
            report["rates"][f"{rate:g}"] = {
                name: [asdict(latencies) for latencies in rounds] for name, rounds in found.items()
            }
            rows += latency_rows(rate, found)
    report["load_at_end"] = machine()["load_1_min"]
    print(table(HEADS, rows))
    progress(f"load {report['load_at_end']} at the end; {write_json(options.name, report)}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", default="100,400,1000", help="events/s, comma-separated")
    parser.add_argument("--rounds", type=int, default=3, help="of each rate")
    parser.add_argument("--seconds", type=float, default=5.0, help="a round")
    parser.add_argument("--fsync", choices=("everysec", "always"), default="everysec", help="appendfsync")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--name", default="latency", help="of the JSON file in build/bench/")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
