"""How long is an event under way at a steady rate? `python bench/latency.py` measures it.

The service: an API process under gunicorn, a worker, a store; from before the gateway's request with one
event to the receipt at the sink. Peers: from before the enqueue to the receipt. An application in front of a
peer would take a request too: what that costs is measured at bare Flask under gunicorn, at the same rate.
Nothing waits for the answer to anything else. The first second of each round is not counted.

    --compare DIR   another checkout beside this one, run by DIR/.venv/bin/python, or by --python, instead of
                    peers; both run all the time, each with a store and a sink of its own
"""

import argparse
import sys
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict
from itertools import count
from typing import Any

from harness.api_servers import ApiServer, bare_flask
from harness.contenders import ROOT, SERVICE, Release, peers, release_in
from harness.http_load import Request
from harness.pacing import Latencies, peer_latencies, request_at_rate
from harness.publishing import EVENTS, ONE, network_event
from harness.report import finish, machine, median, progress, show_machine, table
from harness.running_service import RunningService
from harness.scene import Scene, scene
from harness.side_by_side import SideBySide

REQUEST = "one request, bare Flask"
CLIENTS = ("gateway",)
WARM_UP = 50


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
            found[SERVICE].append(RunningService(place, stack).play(rate, events))
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
    if options.compare:
        return _compare(options, rates)
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
    finish(options.name, report, [table(HEADS, rows)])
    return 0


def _compare(options: argparse.Namespace, rates: list[float]) -> int:
    other = release_in(options.compare, options.python)
    releases = {SERVICE: Release(ROOT, sys.executable), f"{SERVICE} in {options.compare}": other}
    report: dict[str, Any] = {"machine": machine(), "options": vars(options)}
    show_machine(report["machine"])
    found = SideBySide(releases, rates, options.seconds, options.rounds, options.fsync)
    report["rates"] = found.as_json()
    finish(options.name, report, [found.table()])
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
    parser.add_argument("--compare", metavar="DIR", help="another checkout")
    parser.add_argument("--python", metavar="PATH", help="the interpreter of the other checkout")
    parser.add_argument("--name", default="latency", help="of the JSON file in build/bench/")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
