"""docs/delivery-policy.md, row by row, against a dispatcher and a sink; and nothing is without a row."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from tests.delivery.conftest import DispatcherDriver
from tests.delivery.deliveries import dead_letters, sequence
from tests.harness.builders import append, created, created_with_token, invitation
from tests.harness.documents import Document
from tests.harness.sinks import Answer, RecordingSink
from webrtc_events.core.model import EventType, Status, TerminationReason
from webrtc_events.core.outcomes import Delivered, Drop, End, Outcome, Retry, SinkAnswer, SinkFailure
from webrtc_events.core.settings import Settings
from webrtc_events.delivery import host_health, retry_policy
from webrtc_events.delivery.host_signals import Error, Healthy, Throttled, Unreachable, signal_of
from webrtc_events.sinks.failures import CURL_REASONS
from webrtc_events.store.store import Store

Make = Callable[..., DispatcherDriver]
DOCUMENT = Document("delivery-policy.md")
# Failures that libcurl has no code for, see sinks/transfer.py and sinks/failures.py.
OWN_FAILURES = {"too_large", "address_refused", "protocol", "other", "proxy", "tunnel"}
SIGNALS = {
    "healthy": Healthy,
    "throttled": Throttled,
    "error": Error,
    "unreachable": Unreachable,
    "none": type(None),
}


@dataclass(frozen=True)
class Row:
    """`of`: statuses (as `404`), classes (as `4xx`) or failures."""

    of: tuple[str, ...]
    credentialed: bool
    event: str
    subscription: str
    signal: str


ROWS = [
    Row(tuple(re.findall(r"`(\w+)`", first)), "credential" in first, *cells)
    for first, *cells in DOCUMENT.table("What an answer means")
]


def row_of(what: str, *, credentialed: bool = False) -> Row:
    """The row of a status or a failure: the first that names it, else the one that names its class."""
    for name in (what, f"{what[0]}xx"):
        for row in ROWS:
            if name in row.of and (credentialed or not row.credentialed):
                return row
    raise AssertionError(f"{what} has no row")


def decided(reply: SinkAnswer | SinkFailure, *, credentialed: bool = False) -> Outcome:
    return retry_policy.decide(
        reply, attempt=1, remaining_ms=60_000, credentialed=credentialed, random=lambda: 0.0, now_s=0.0
    )


def said(row: Row) -> tuple[type[Outcome], str]:
    """The outcome that a row tells of, and its reason if it ends the subscription."""
    ends = re.match(r"ends with (\w+)", row.subscription)
    if ends:
        assert row.event == "is given up"
        return End, ends[1]
    outcome: dict[str, type[Outcome]] = {
        "is delivered": Delivered,
        "is tried again": Retry,
        "is given up": Drop,
    }
    assert row.subscription == ("waits for it" if row.event == "is tried again" else "goes on")
    return outcome[row.event], ""


def check(row: Row, reply: SinkAnswer | SinkFailure) -> None:
    outcome, reason = said(row)
    found = decided(reply, credentialed=row.credentialed)
    case = (reply, row, found)
    assert isinstance(found, outcome), case
    if isinstance(found, End):
        assert found.reason == reason, case
        assert found.notify == ("with one notification" in row.subscription), case
    assert isinstance(signal_of(reply, 0.0), SIGNALS[row.signal]), case


def test_every_status_has_a_row_that_is_true() -> None:
    for status in range(200, 600):
        check(row_of(str(status)), SinkAnswer(status, None, 1))
        check(row_of(str(status), credentialed=True), SinkAnswer(status, None, 1))


@pytest.mark.parametrize("reason", sorted({*CURL_REASONS.values(), *OWN_FAILURES}))
def test_every_failure_has_a_row_that_is_true(reason: str) -> None:
    check(row_of(reason), SinkFailure(reason, "", 1))


def test_no_row_is_of_what_there_is_not() -> None:
    failures = {*CURL_REASONS.values(), *OWN_FAILURES}
    names = [name for row in ROWS for name in row.of if not name[0].isdigit()]
    assert sorted(names) == sorted(failures)


# One status of each row; for a class one without its own row.
TRIED = [
    (row, next(number for number in range(int(name[0]) * 100, 600) if row_of(str(number)) is row))
    if name.endswith("xx")
    else (row, int(name))
    for row in ROWS
    for name in row.of
    if name[0].isdigit()
]


@pytest.mark.parametrize(("row", "status"), TRIED, ids=[f"{status}-{row.signal}" for row, status in TRIED])
def test_a_real_sink_is_treated_as_its_row_says(
    row: Row,
    status: int,
    store: Store,
    settings: Settings,
    sink: RecordingSink,
    make_driver: Make,
    raw_store: "redis.Redis",
) -> None:
    answers = iter([Answer(status)])
    sink.answer = lambda _: next(answers, Answer(204))
    made = (
        created_with_token(store, settings, sink=sink.url)
        if row.credentialed
        else created(store, sink=sink.url)
    )
    append(store, invitation(1), invitation(2))
    make_driver().run()
    outcome, reason = said(row)
    end = [reason] if "with one notification" in row.subscription else []
    expected: dict[type[Outcome], list[Any]] = {
        Delivered: [1, 2],
        Retry: [1, 1, 2],
        Drop: [1, 2],
        End: [1, *end],
    }
    assert sequence(sink.requests) == expected[outcome]
    assert bool(dead_letters(raw_store)) == (row.event == "is given up")
    found = store.subscriptions.get(made.id)
    assert found is not None
    assert found.status is (Status.EXPIRED if outcome is End else Status.ACTIVE)


def test_the_figures_are_those_of_the_service() -> None:
    settings = Settings.from_environ(
        {
            "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "https://issuer.example/x",
            "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
        }
    )
    documented = {what: int(much.split()[0]) for what, much in DOCUMENT.table("When an event is tried again")}
    documented |= {what: int(much.split()[0]) for what, much in DOCUMENT.table("How much a sink is asked")}
    deadlines = {
        f"deadline of a {kind.rpartition('.')[2]}": settings.deadline_ms(kind) // 1000 for kind in EventType
    }
    reason = TerminationReason.NETWORK_TERMINATED
    assert documented == deadlines | {
        "longest delay after the first attempt": retry_policy._FIRST_DELAY_MS // 1000,
        "longest delay at all": retry_policy._MAX_DELAY_MS // 1000,
        f"failing without a break, after which a subscription ends with {reason}": settings.sink_failure_s,
        "failures in a row that open the circuit breaker": host_health.FAILURES_TO_OPEN,
        "longest cool-down": round(host_health.MAX_COOL_DOWN_S),
        "notifications on their way to one sink": settings.sink_in_flight,
        "connections to one sink": settings.sink_connections,
    }
