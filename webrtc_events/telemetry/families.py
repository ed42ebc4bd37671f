"""Every metric that the service exposes: its name, its labels, and what their values may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final

from webrtc_events.core.activity import ATTEMPT_BOUNDS_S, DELIVERY_BOUNDS_S
from webrtc_events.core.model import EventType

__all__ = [
    "FAMILIES",
    "HTTP_BOUNDS_S",
    "OTHER",
    "PREFIX",
    "PREFLIGHT",
    "ROUND_TRIP_BOUNDS_S",
    "UNKNOWN",
    "Family",
    "Kind",
    "Merge",
    "known",
]

PREFIX: Final = "webrtc_events_"

OTHER: Final = "other"
"""Stands for every value that a label has no word for. As `operation`: what is no operation of a contract."""

PREFLIGHT: Final = "preflight"
"""As `operation`: what a browser asks before a page may use the API."""

UNKNOWN: Final = "unknown"
"""As `operation`: a path that nothing is at."""

HTTP_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""From the head of a request to the head of its answer."""

ROUND_TRIP_BOUNDS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""From the first byte sent to the store to the last of its answers; after seconds a node counts as silent."""

_RETRY_REASONS: Final = (
    *("address_refused", "connect", "dns", "protocol", "proxy", "timeout", "tls", "too_large", "tunnel"),
    # Nothing was sent: another worker may have the key, or know the contract.
    *("contract_unknown", "credential_unreadable"),
    *("token_refused", "token_unavailable"),
    *("http_401", "http_404", "http_408", "http_425", "http_429", "http_5xx", OTHER),
)
_DROP_REASONS: Final = (
    *("access_token_expired", "damaged", "deadline_exceeded", "end_refused", "invalid_event"),
    *("outbox_full", "refused", "subscription_ended", "unreadable_entry", "unsendable", OTHER),
)
_TYPES: Final = (*(event_type.rpartition(".")[2] for event_type in EventType), OTHER)
_PROCESSES: Final = ("api", "worker", "console", "gateway")


class Kind(StrEnum):
    """The types of Prometheus. A histogram's `bounds` are its buckets."""

    COUNTER = auto()
    GAUGE = auto()
    HISTOGRAM = auto()


class Merge(StrEnum):
    """What the processes behind one address come to.

    SUM: of all, and what processes that ended have counted stays. LATEST: each says the same, of something
    that is outside of them; the latest word counts. WORST: the least value.
    """

    SUM = auto()
    LATEST = auto()
    WORST = auto()


@dataclass(frozen=True, slots=True)
class Family:
    """`name` without the prefix. `values`: what its only label may be, each of which is exposed from the
    start; empty where values come as they are met.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    values: Sequence[str] = ()
    bounds: tuple[float, ...] = ()
    merge: Merge = Merge.SUM


def _counter(name: str, help_: str, labels: tuple[str, ...] = (), values: Sequence[str] = ()) -> Family:
    return Family(name, Kind.COUNTER, help_, labels, values)


def _histogram(name: str, help_: str, bounds: tuple[float, ...], labels: tuple[str, ...] = ()) -> Family:
    return Family(name, Kind.HISTOGRAM, help_, labels, bounds=bounds)


def _of_store(name: str, help_: str) -> Family:
    return Family(name, Kind.GAUGE, help_, merge=Merge.LATEST)


def _gauge(name: str, help_: str, label: str | None = None, values: Sequence[str] = ()) -> Family:
    return Family(name, Kind.GAUGE, help_, () if label is None else (label,), values)


FAMILIES: Final = {
    family.name: family
    for family in (
        _counter("events_accepted_total", "Network events that were accepted, each once."),
        _counter("events_duplicate_total", "Network events that had been accepted before."),
        _counter("events_rejected_total", "Network events that were refused for what they are."),
        _counter("events_matched_total", "Outboxes that took an accepted event."),
        _counter("deliveries_total", "Notifications that their sinks took.", ("type",), _TYPES),
        _counter("retries_total", "Attempts that failed and are made again.", ("reason",), _RETRY_REASONS),
        _counter("given_up_total", "Notifications that became dead letters.", ("reason",), _DROP_REASONS),
        _counter("subscriptions_ended_total", "Subscriptions whose last notification is settled."),
        _counter("leases_lost_total", "Claims that were settled too late: another worker had them."),
        _counter(
            "sink_validations_total",
            "Answers of sinks that were asked.",
            ("outcome",),
            ("agreed", "refused"),
        ),
        _counter(
            "token_requests_total",
            "Requests for tokens of sinks by what came of them.",
            ("outcome",),
            ("issued", "refused", "unavailable", OTHER),
        ),
        _counter(
            "operator_events_total",
            "Events for operators by what became of them.",
            ("outcome",),
            ("written", "delivered", "retried", "given_up"),
        ),
        _counter("sweeps_total", "Rounds in which a worker looked for what expires."),
        _histogram("delivery_seconds", "From the acceptance of an event to its receipt.", DELIVERY_BOUNDS_S),
        _histogram("attempt_seconds", "Requests to sinks, however they ended.", ATTEMPT_BOUNDS_S),
        _histogram("store_call_seconds", "Round trips to the store.", ROUND_TRIP_BOUNDS_S),
        _counter("http_requests_total", "Answered requests.", ("operation", "api", "status")),
        _histogram(
            "http_request_seconds", "From a request to the head of its answer.", HTTP_BOUNDS_S, ("operation",)
        ),
        _gauge("channel_readers", "Readers of channels that are connected."),
        _gauge("claimed_subscriptions", "Subscriptions that workers have claimed."),
        _gauge("sink_requests_in_flight", "Requests to sinks that are under way."),
        _gauge("circuits", "Hosts of sinks by their circuit breaker.", "state", ("closed", "open")),
        _of_store("outbox_events", "Events that wait for their sinks, at least."),
        _of_store("outbox_subscriptions", "Subscriptions with events that wait."),
        _of_store("outbox_oldest_seconds", "How long ago the oldest of these events was accepted."),
        _of_store("outbox_late_seconds", "For how long a due subscription has not been claimed."),
        _of_store("dead_letters", "Dead letters that are kept."),
        _of_store("store_memory_bytes", "Memory of the store's fullest node."),
        _of_store("store_memory_watermark_bytes", "Above this that node takes nothing new."),
        Family(
            "store_check",
            Kind.GAUGE,
            "1 if the store passes the check, else 0.",
            ("check",),
            ("clock", "durability", "writes"),
            merge=Merge.WORST,
        ),
        _counter(
            "gateway_records_total",
            "What a gateway has said, by what became of it.",
            ("outcome",),
            ("taken", "repeated", "damaged", "lost"),
        ),
        _counter("gateway_reconnects_total", "Connections to a gateway that an adapter had to make again."),
        _gauge("gateway_silent_seconds", "How long ago the gateway last answered, where an adapter asks it."),
        _counter(
            "gateway_requests_total",
            "Requests of an adapter's queue, by what the service did.",
            ("outcome",),
            ("published", "rejected", "set_aside", "failed"),
        ),
        _gauge("gateway_queue_requests", "Requests that wait for the service."),
        _gauge("gateway_queue_bytes", "What they come to."),
        _gauge("gateway_queue_limit_bytes", "Above this the gateway is refused."),
        _gauge("gateway_queue_oldest_seconds", "How long ago the oldest of these requests was queued."),
        _gauge(
            "gateway_failing_seconds",
            "How long the service has taken nothing of the queue, though it was asked; 0: it takes it.",
        ),
        _gauge("gateway_set_aside", "Requests that were set aside, until they are brought back."),
        _gauge("threads_stuck", "Threads of workers that do not come round."),
        _gauge("processes", "Processes that run.", "process", _PROCESSES),
        _counter("process_cpu_seconds_total", "Processor time.", ("process",), _PROCESSES),
        _gauge("process_resident_memory_bytes", "Resident memory.", "process", _PROCESSES),
        _counter(
            "trace_spans_total",
            "Spans of traces that the collector took, or that were lost.",
            ("outcome",),
            ("exported", "lost"),
        ),
        Family(
            "build_info",
            Kind.GAUGE,
            "1, of the release that runs.",
            ("version", "python", "compiled"),
            merge=Merge.LATEST,
        ),
    )
}
"""By their names."""


def known(family: Family, value: str) -> str:
    """The label value itself if the family has a word for it, else what stands for it."""
    if value in family.values:
        return value
    if value.startswith("http_5") and "http_5xx" in family.values:
        return "http_5xx"
    return OTHER
