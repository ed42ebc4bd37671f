"""The ratios that matter, in less than a minute: `make bench-quick`. It never fails for being slow.

Drain beside bare libcurl, acceptance beside bare Flask, and the way of an event at 100/s. `make bench` has
the rest, and more rounds.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness import acceptance
from harness.api_servers import bare_flask, service_api
from harness.contenders import LIBCURL, SERVICE, libcurl, service
from harness.draining import Drained
from harness.pacing import Latencies
from harness.report import finish, machine, median, paired_ratio, progress, show_machine, table
from harness.rounds import play
from harness.running_service import RunningService
from harness.scene import scene
from harness.store import BenchStore

EVENTS = 25
ROUNDS = 2
SECONDS = 1.5
RATE = 100
SCENARIOS = [scenario for scenario in acceptance.SCENARIOS if scenario.name.startswith("publish")]


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    begun = time.monotonic()
    report: dict[str, Any] = {"machine": machine()}
    show_machine(report["machine"])
    with scene(events=EVENTS) as place:
        contenders = [service(SERVICE, place.job, place.job_path), libcurl(place.job_path)]
        drained = play(contenders, ROUNDS, place)
        place.store.empty()
        with ExitStack() as stack:
            latencies = RunningService(place, stack).play(RATE, 3 * RATE)
        progress(f"{RATE}/s: p50 {latencies.p50:.1f}, p99 {latencies.p99:.1f} ms")
    accepted = _acceptance()
    report["drain"] = {name: [one.as_json() for one in drains] for name, drains in drained.items()}
    report["acceptance"] = {
        name: {server: [asdict(measured) for measured in rounds] for server, rounds in by_server.items()}
        for name, by_server in accepted.items()
    }
    report["latency"] = asdict(latencies)
    finish("quick", report, [table(HEADS, rows(drained, accepted, latencies))])
    progress(f"took {time.monotonic() - begun:.0f} s")
    return 0


def _acceptance() -> acceptance.Rounds:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        store = stack.enter_context(BenchStore.running(folder))
        own = stack.enter_context(service_api(SERVICE, folder, store, acceptance.CLIENTS))
        flask = stack.enter_context(bare_flask(folder, acceptance.CLIENTS, {}))
        acceptance.prepare(own, many=0)
        return acceptance.play([own, flask], SCENARIOS, ROUNDS, SECONDS)


HEADS = ("", "measured", "beside it", "ratio", "goal")


def rows(
    drained: Mapping[str, Sequence[Drained]], accepted: acceptance.Rounds, latencies: Latencies
) -> list[tuple[object, ...]]:
    """Medians, and ratios of rounds that ran one after the other."""
    found: list[tuple[object, ...]] = [
        _row("drain, deliveries/s", drained[SERVICE], drained[LIBCURL], "per_s", f">= 0.3 x {LIBCURL}"),
        ("worker CPU, s/1,000", median(one.worker_cpu for one in drained[SERVICE]), None, None, "<= 0.08"),
        ("store CPU, s/1,000", median(one.store_cpu for one in drained[SERVICE]), None, None, "<= 0.025"),
        ("store commands a delivery", median(one.commands for one in drained[SERVICE]), None, None, "<= 2"),
        (
            "store round trips a delivery",
            median(one.round_trips for one in drained[SERVICE]),
            None,
            None,
            "<= 0.3",
        ),
    ]
    goals = {scenario.name: scenario.goal for scenario in SCENARIOS}
    for name, servers in accepted.items():
        own, flask = servers[SERVICE], servers[acceptance.FLASK]
        found.append(
            _row(f"{name}, events/s", own, flask, "items_per_s", f"{goals[name]}; beside: bare Flask")
        )
    found.append((f"publish to receipt at {RATE}/s, p50 ms", latencies.p50, None, None, None))
    found.append((f"publish to receipt at {RATE}/s, p99 ms", latencies.p99, None, None, None))
    return found


def _row(title: str, own: Sequence[Any], other: Sequence[Any], figure: str, goal: str) -> tuple[object, ...]:
    mine, theirs = ([getattr(one, figure) for one in rounds] for rounds in (own, other))
    return title, median(mine), median(theirs), f"x {paired_ratio(mine, theirs):.2f}", goal


if __name__ == "__main__":
    sys.exit(main())
