"""What the parts of a process count, as values of the metrics."""

import platform
from collections import Counter
from collections.abc import Callable, Mapping
from importlib.metadata import version

from webrtc_events.core.activity import Activity
from webrtc_events.core.conditions import Condition, Health
from webrtc_events.core.histogram import Histogram
from webrtc_events.core.process_report import WorkerReport
from webrtc_events.core.process_usage import cpu_s, memory_bytes
from webrtc_events.telemetry.families import FAMILIES, known
from webrtc_events.telemetry.request_counts import RequestCounts
from webrtc_events.telemetry.snapshot import HistogramValue, Labels, Value

__all__ = [
    "Source",
    "Values",
    "of_acceptance",
    "of_adapter",
    "of_build",
    "of_delivery",
    "of_process",
    "of_readers",
    "of_requests",
    "of_round_trips",
    "of_spans",
    "of_store",
    "of_watched_store",
    "of_worker",
]

Values = dict[str, dict[Labels, Value]]
Source = Callable[[], Values]
"""Called by another thread than those that count. It waits for nothing."""


def of_acceptance(activity: Activity) -> Source:
    """Of what takes events from gateways. The store gives up others for them, where an outbox is full."""
    return lambda: (
        _numbers(
            events_accepted_total=activity.accepted,
            events_duplicate_total=activity.duplicates,
            events_rejected_total=activity.rejected,
            events_matched_total=activity.matched,
        )
        | {"given_up_total": _counted("given_up_total", activity.drops)}
    )


def of_delivery(activity: Activity) -> Source:
    """Of what takes them to sinks."""

    def values() -> Values:
        # The versions of the contract have names of their own for a type.
        deliveries: Counter[str] = Counter()
        for name, count in activity.deliveries.copy().items():
            deliveries[name.rpartition(".")[2]] += count
        return {
            "subscriptions_ended_total": {(): activity.ended},
            "leases_lost_total": {(): activity.leases_lost},
            "deliveries_total": _counted("deliveries_total", deliveries),
            "retries_total": _counted("retries_total", activity.retries),
            "given_up_total": _counted("given_up_total", activity.drops),
            "sink_validations_total": _counted("sink_validations_total", activity.validations),
            "token_requests_total": _counted("token_requests_total", activity.token_requests),
            "operator_events_total": _labelled(
                dict.fromkeys(FAMILIES["operator_events_total"].values, 0) | activity.operator_events.copy()
            ),
            "delivery_seconds": {(): _histogram(activity.delivery_s)},
            "attempt_seconds": {(): _histogram(activity.attempt_s)},
        }

    return values


def of_worker(
    report: Callable[[], WorkerReport],
    circuits: Callable[[], Mapping[str, int]],
    sweeps: Callable[[], int],
    alive: Callable[[], Mapping[str, bool]],
) -> Source:
    """Of a worker: what it has in hand, its hosts, its rounds, its threads."""

    def values() -> Values:
        in_hand = report()
        return _numbers(
            claimed_subscriptions=in_hand.claimed,
            sink_requests_in_flight=in_hand.in_flight,
            sweeps_total=sweeps(),
            threads_stuck=sum(not lives for lives in alive().values()),
        ) | {"circuits": _labelled(circuits())}

    return values


def of_round_trips(round_trips: Histogram) -> Source:
    return lambda: {"store_call_seconds": {(): _histogram(round_trips)}}


def of_watched_store(checks: Mapping[str, Callable[[], Condition]], round_trips: Histogram) -> list[Source]:
    """Of a connection to the store. `checks`: by the words of the metric."""

    def checked() -> Values:
        passed = {name: int(check().health is Health.OK) for name, check in checks.items()}
        return {"store_check": _labelled(passed)}

    return [of_round_trips(round_trips), checked]


def of_requests(requests: RequestCounts) -> Source:
    return lambda: {
        "http_requests_total": {**requests.answered},
        "http_request_seconds": _histograms(requests.seconds.copy()),
    }


def of_spans(counts: Mapping[str, int]) -> Source:
    return lambda: {"trace_spans_total": _counted("trace_spans_total", counts)}


def of_readers(count: Callable[[], int]) -> Source:
    return lambda: _numbers(channel_readers=count())


def of_store(figures: Callable[[], Mapping[str, float]]) -> Source:
    """`figures`: by the names of the families."""
    return lambda: _numbers(**figures())


def of_adapter(
    records: Callable[[], Mapping[str, int]],
    connection: Callable[[], Mapping[str, float]],
    requests: Callable[[], Mapping[str, int]],
    queue: Callable[[], Mapping[str, float]],
) -> Source:
    """Of an adapter beside a gateway. `records`, `requests`: by the words of their metrics; `connection`,
    `queue`: by the names of their families, without what is not known.
    """
    return lambda: (
        {
            "gateway_records_total": _counted("gateway_records_total", records()),
            "gateway_requests_total": _counted("gateway_requests_total", requests()),
        }
        | _numbers(**connection(), **queue())
    )


def of_process(*roles: str) -> Source:
    """`roles`: what the process is: api, worker, console, gateway. What it uses is the first one's."""
    return lambda: {
        "processes": {(role,): 1 for role in roles},
        "process_cpu_seconds_total": {(roles[0],): cpu_s()},
        "process_resident_memory_bytes": {(roles[0],): memory_bytes()},
    }


def of_build(*, compiled: bool) -> Source:
    labels = version("webrtc-events"), platform.python_version(), str(compiled).lower()
    return lambda: {"build_info": {labels: 1}}


def _numbers(**numbers: float) -> Values:
    return {name: {(): value} for name, value in numbers.items()}


def _labelled(numbers: Mapping[str, float]) -> dict[Labels, Value]:
    return {(name,): value for name, value in numbers.items()}


def _counted(name: str, counts: Mapping[str, int]) -> dict[Labels, Value]:
    """By the words that the family has; those that did not come yet are 0."""
    family = FAMILIES[name]
    found = dict.fromkeys(family.values, 0)
    # As one step: another thread may add a name meanwhile.
    for word, count in dict(counts).items():
        found[known(family, word)] += count
    return {(word,): count for word, count in found.items()}


def _histogram(histogram: Histogram) -> HistogramValue:
    return HistogramValue(tuple(histogram.counts), histogram.total)


def _histograms(histograms: Mapping[str, Histogram]) -> dict[Labels, Value]:
    return {(name,): _histogram(histogram) for name, histogram in histograms.items()}
