"""How a dead letter looks on a terminal and as JSON."""

import json
from collections.abc import Sequence
from typing import Any

from webrtc_events.core.clock import format_time
from webrtc_events.core.model import ContractVersion, Subscription
from webrtc_events.core.plain_text import escaped, printable
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.cloud_event import EventFormats, build_event
from webrtc_events.store.dead_letters import DeadLetter
from webrtc_events.store.outbox_entries import referred_payload

__all__ = ["HEADING", "as_sent", "as_text", "in_full", "row", "summary"]

_ROW = "{:<24}  {:<23}  {:<18}  {:<20}  {}"
HEADING = _ROW.format("LETTER", "GIVEN UP AT", "TYPE", "REASON", "EVENT")

# Of a line: what others wrote may be longer.
_MAX_CHARACTERS = 2_000
# Labels of the members of `in_full`, in order.
_LABELS = {
    "letter": "letter",
    "at": "given up at",
    "type": "type",
    "reason": "reason",
    "detail": "detail",
    "event": "event",
    "subscription": "subscription",
    "subscriptionStatus": "which is",
    "registration": "registration",
}


def row(letter: DeadLetter) -> str:
    given_up = format_time(letter.at_ms).replace("T", " ").removesuffix("Z")
    short_type = "?" if letter.type is None else letter.type.rpartition(".")[2]
    reason, event = printable(letter.reason, _MAX_CHARACTERS), printable(letter.event_id, _MAX_CHARACTERS)
    return _ROW.format(str(letter.id), given_up, short_type, reason, event)


def summary(letter: DeadLetter) -> dict[str, Any]:
    """Everything but the event."""
    return {
        "letter": str(letter.id),
        "at": format_time(letter.at_ms),
        "type": letter.type,
        "reason": letter.reason,
        "detail": letter.detail,
        "event": letter.event_id,
        "subscription": letter.subscription_id,
        "registration": letter.registration,
    }


def in_full(
    letter: DeadLetter,
    subscription: Subscription | None,
    attempts: Sequence[dict[str, Any]],
    settings: Settings,
) -> dict[str, Any]:
    """With the event as it would be sent, and what is wrong with it."""
    event, fault = as_sent(letter, subscription, EventFormats.of(settings), settings.source)
    return {
        **summary(letter),
        "subscriptionStatus": "not kept any more" if subscription is None else subscription.status,
        "asSent": event,
        "fault": fault,
        "attempts": attempts,
    }


def as_text(whole: dict[str, Any]) -> str:
    """`in_full` for people."""
    lines = [
        f"{label + ':':<14}{printable(whole[name] or '-', _MAX_CHARACTERS)}"
        for name, label in _LABELS.items()
    ]
    lines += ["", "The event as it would be sent:"]
    if whole["asSent"] is not None:
        lines.append(escaped(json.dumps(whole["asSent"], indent=2, ensure_ascii=False)))
    if whole["fault"] is not None:
        lines.append(printable(f"It cannot be sent: {whole['fault']}", _MAX_CHARACTERS))
    lines += ["", "Recent attempts:", *map(_attempt, whole["attempts"])]
    if not whole["attempts"]:
        lines.append("  none is kept")
    return "\n".join(lines)


def as_sent(
    letter: DeadLetter, subscription: Subscription | None, formats: EventFormats, source: str
) -> tuple[dict[str, Any] | None, str | None]:
    """The event of a dead letter as it would be sent, and what is wrong with it; None: there is no such."""
    contract = ContractVersion.V0_2 if subscription is None else subscription.contract
    # Whose it is is not known without its subscription.
    client = "" if subscription is None else subscription.client
    form = formats.get(contract, client)
    if form is None:
        return None, f"its contract {contract!r} is not known to this release"
    if letter.item is None:
        return None, "its entry cannot be read"
    if referred_payload(letter.entry) is not None:
        return None, letter.detail
    try:
        event = build_event(letter.item, letter.subscription_id, form, source=source)
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        return None, f"its entry cannot be read: {error!r}"
    fault = form.validator.first_fault(event)
    if fault is not None:
        event, fault = form.mended(event, fault)
    return event, None if fault is None else f"{fault.path}: {fault.message}"


def _attempt(attempt: dict[str, Any]) -> str:
    answer = "no answer" if attempt["status"] is None else f"status {attempt['status']}"
    said = " ".join(part for part in (attempt["outcome"], attempt["reason"]) if part)
    detail = f" ({attempt['detail']})" if "detail" in attempt else ""
    said_of_it = (
        f"  {format_time(attempt['at'])}  attempt {attempt['attempt']}: {said}{detail}; "
        f"{answer} in {attempt['ms']} ms, x-correlator {attempt['correlator'] or '-'}"
    )
    return printable(said_of_it, _MAX_CHARACTERS)
