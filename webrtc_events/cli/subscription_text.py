"""How a subscription looks on a terminal and as JSON."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from webrtc_events.cli.tables import labelled, table
from webrtc_events.console.overview.wording import plural
from webrtc_events.core.clock import format_time
from webrtc_events.core.event_names import version_name, wire_types
from webrtc_events.core.personal_view import PersonalView
from webrtc_events.core.plain_text import escaped
from webrtc_events.services.subscription_view import (
    SubscriptionView,
    letter_event,
    subscription_resource,
)
from webrtc_events.store.dead_letters import DeadLetter
from webrtc_events.store.recent_attempts import Attempt
from webrtc_events.store.subscription_details import SubscriptionDetails

__all__ = ["as_document", "as_text"]

_STATE = (
    "sink",
    "outbox",
    "accepted",
    "failedAttempts",
    "failingSince",
    "leasedUntil",
    "dueAt",
    "endsAt",
    "endReason",
    "endedAt",
    "tokenExpiresAt",
    "storeTime",
)


def as_document(view: SubscriptionView, personal: PersonalView) -> dict[str, Any]:
    """What is known, for programs; None is what is not known or does not apply."""
    details = view.details
    record = details and details.record
    return {
        "subscription": view.id,
        "status": "not kept any more" if details is None else record.status if record else None,
        "fault": (details and details.fault) or None,
        "client": record.client if record else None,
        "version": version_name(record.contract) if record else None,
        "types": wire_types(record.contract, record.types) if record else [],
        "device": (personal.person(record.device) or None) if record else None,
        "resource": subscription_resource(record, personal) if record else None,
        **_state(details, personal),
        "attempts": [_attempt(attempt, personal) for attempt in view.attempts],
        "deadLetters": [_letter(letter, personal) for letter in view.letters],
    }


def _state(details: SubscriptionDetails | None, personal: PersonalView) -> dict[str, Any]:
    if details is None:
        return dict.fromkeys(_STATE)
    outbox = details.outbox
    return {
        "sink": personal.sink(details.sink) or None,
        "outbox": {
            "events": outbox.length,
            "bytes": outbox.size,
            "oldestAcceptedAt": _time(outbox.oldest_ms),
        },
        "accepted": details.accepted,
        "failedAttempts": details.failed_attempts,
        "failingSince": _time(details.failing_since_ms),
        "leasedUntil": _time(details.leased_until_ms),
        "dueAt": _time(details.due_at_ms),
        "endsAt": _time(details.ends_at_ms),
        "endReason": details.end_reason or None,
        "endedAt": _time(details.ended_at_ms),
        "tokenExpiresAt": _time(details.token_expires_at_ms),
        "storeTime": _time(details.now_ms),
    }


def _attempt(attempt: Attempt, personal: PersonalView) -> dict[str, Any]:
    found = asdict(attempt)
    at_ms = found.pop("at_ms")
    return {"at": _time(at_ms), **found, "detail": personal.text(attempt.detail)}


def _letter(letter: DeadLetter, personal: PersonalView) -> dict[str, Any]:
    return {
        "letter": str(letter.id),
        "at": format_time(letter.at_ms),
        "type": letter.type,
        "reason": letter.reason,
        "detail": personal.text(letter.detail),
        "event": letter.event_id,
        "data": letter_event(letter, personal),
    }


def _time(ms: int | None) -> str | None:
    return None if ms is None else format_time(ms)


_ATTEMPT_HEADS = ("AT", "EVENT", "TRY", "OUTCOME", "STATUS", "MS", "X-CORRELATOR", "DETAIL")
_LETTER_HEADS = ("LETTER", "GIVEN UP AT", "TYPE", "REASON", "DETAIL")


def as_text(document: Mapping[str, Any]) -> str:
    """`as_document` for people."""
    return "\n".join(_lines(document))


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield from labelled(_facts(document))
    if document["resource"] is not None:
        yield from ("", "As its client sees it:")
        yield escaped(json.dumps(document["resource"], indent=2, ensure_ascii=False))
    yield from ("", "Last attempts, the newest first:")
    yield from table(_ATTEMPT_HEADS, map(_attempt_cells, document["attempts"]))
    if not document["attempts"]:
        yield "none is kept"
    yield from ("", "Dead letters, the newest first:")
    yield from table(_LETTER_HEADS, map(_letter_cells, document["deadLetters"]))
    yield "`webrtc-events dead-letters show LETTER` has the event." if document["deadLetters"] else "none"


def _facts(document: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "subscription", document["subscription"]
    yield "status", document["status"]
    yield "cannot be read", document["fault"]
    yield "client", document["client"]
    yield "version", document["version"]
    yield "types", ", ".join(event_type.rpartition(".")[2] for event_type in document["types"]) or None
    yield "device", document["device"]
    yield "sink", document["sink"]
    outbox = document["outbox"]
    if outbox is not None:
        size = "" if outbox["bytes"] is None else f", {outbox['bytes']:,} bytes"
        yield "outbox", f"{plural(outbox['events'], 'event')}{size}"
        yield "oldest accepted", outbox["oldestAcceptedAt"]
    yield "accepted", document["accepted"]
    yield "failed attempts", document["failedAttempts"] or None
    yield "failing since", document["failingSince"]
    yield "leased until", document["leasedUntil"]
    yield "due at", document["dueAt"]
    yield "ends at", document["endsAt"]
    yield "ended for", document["endReason"]
    yield "ended at", document["endedAt"]
    yield "token expires", document["tokenExpiresAt"]
    yield "store's time", document["storeTime"]


def _attempt_cells(attempt: Mapping[str, Any]) -> tuple[object, ...]:
    outcome = " ".join(part for part in (attempt["outcome"], attempt["reason"]) if part)
    number = attempt["event"].rpartition(".")[2]
    return (
        *(attempt["at"], number, attempt["attempt"], outcome, attempt["status"], attempt["ms"]),
        *(attempt["correlator"], attempt["detail"]),
    )


def _letter_cells(letter: Mapping[str, Any]) -> tuple[object, ...]:
    short = letter["type"] and letter["type"].rpartition(".")[2]
    return letter["letter"], letter["at"], short, letter["reason"], letter["detail"]
