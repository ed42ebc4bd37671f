"""The subscription of 0.3 in place of some of 0.2, and what it changes for its application. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from webrtc_events.cli.migration.former import Former, successor_body
from webrtc_events.core.clock import format_time, parse_time
from webrtc_events.core.event_names import SUBSCRIBABLE, wire_type
from webrtc_events.core.model import ContractVersion, EventType
from webrtc_events.core.personal_view import PersonalView

__all__ = ["Change", "Successor", "successor_of"]

# Source: webrtc-events-subscriptions.yaml, subscriptionMaxEvents.
_MAX_EVENTS: Final = 1_000_000
_SESSION_STATUS: Final = EventType.SESSION_STATUS.value
_REGISTRATION_ENDS: Final = EventType.REGISTRATION_ENDS.value


@dataclass(frozen=True, slots=True)
class Change:
    """What is otherwise under 0.3: `name` for programs, `text` for people."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Successor:
    """`body` is for POST /subscriptions, but for what `supply` names, which is secret. Personal data is in
    clear; `changes` has it as the view shows it.
    """

    client: str
    user: str
    device: str
    body: dict[str, Any]
    formers: Sequence[Former]
    changes: Sequence[Change]
    supply: Sequence[str]
    scopes: Sequence[str]


def successor_of(formers: Sequence[Former], personal: PersonalView) -> Successor:
    """Of those with the same key, the oldest first."""
    client, device, user, sink, *_ = formers[0].key
    asked = {former.type for former in formers}
    types = [
        wire_type(ContractVersion.V0_3, event_type)
        for event_type in SUBSCRIBABLE
        if event_type.value in asked
    ]
    body = successor_body(sink, device, types)
    if (expiry := _expiry(formers)) is not None:
        body["config"]["subscriptionExpireTime"] = expiry
    if (max_events := _max_events(formers)) is not None:
        body["config"]["subscriptionMaxEvents"] = max_events
    return Successor(
        client=client,
        user=user,
        device=device,
        body=body,
        formers=formers,
        changes=list(_changes(formers, expiry, max_events, personal)),
        supply=list(_supply(formers)),
        scopes=[f"webrtc-events-subscriptions:{wire}:create" for wire in types],
    )


def _expiry(formers: Sequence[Former]) -> str | None:
    """The latest, as its client wrote it; None if one of them never expires."""
    times = [former.expire_time for former in formers]
    written = [time for time in times if time is not None]
    return max(written, key=parse_time) if len(written) == len(times) else None


def _max_events(formers: Sequence[Former]) -> int | None:
    """Only where it counts the same events as before."""
    (first, *others) = formers
    if others or first.type == _SESSION_STATUS or (first.max_events or 0) > _MAX_EVENTS:
        return None
    return first.max_events


def _changes(
    formers: Sequence[Former], expiry: str | None, max_events: int | None, personal: PersonalView
) -> Iterator[Change]:
    types = {former.type for former in formers}
    if _SESSION_STATUS in types:
        sessions = [former.session for former in formers if former.session]
        of = f"session {sessions[0]}" if len(sessions) == 1 else f"{len(sessions):,} sessions"
        yield Change(
            "all-sessions",
            f"session-status comes of all sessions of the device, not of {of} alone, and no session ends it",
        )
    registrations = {former.registration for former in formers}
    yield Change(
        "all-registrations",
        "events come of every registration of the device, now and later, not of "
        + (
            f"registration {personal.person(formers[0].registration)} alone"
            if len(registrations) == 1
            else f"{len(registrations):,} registrations alone"
        ),
    )
    end = (
        "registration-ends does not end it"
        if _REGISTRATION_ENDS in types
        else "the end of a registration does not end it"
    )
    yield Change("no-registration-end", f"{end}: it lasts until it is deleted or its time is over")
    if len(formers) > 1:
        yield Change(
            "folded",
            f"{len(formers):,} subscriptions become one, whose events come in one order, each once",
        )
    yield from _limits(formers, expiry, max_events)
    if any(not former.known for former in formers):
        yield Change(
            "unknown-registration",
            "its request names the device; nothing comes until the gateway has put the registration",
        )


def _limits(formers: Sequence[Former], expiry: str | None, max_events: int | None) -> Iterator[Change]:
    times = {former.expire_time for former in formers}
    if len(times) > 1:
        until = (
            "never expires, as one of them did not" if expiry is None else f"expires at {expiry}, the latest"
        )
        yield Change("expiry", f"it {until}; the others would have expired on their own")
    if any(former.max_events is not None for former in formers):
        if max_events is None:
            yield Change(
                "max-events",
                "subscriptionMaxEvents is left out: it would count all types, sessions and registrations",
            )
        else:
            yield Change("max-events", "subscriptionMaxEvents counts from 0 again")
    if any(former.initial_event for former in formers):
        yield Change("initial-event", "initialEvent is left out: under 0.3 it does nothing")


def _supply(formers: Sequence[Former]) -> Iterator[str]:
    first = formers[0]
    if first.has_credential:
        expires = first.token_expires_at_ms
        until = (
            "it cannot be opened"
            if expires is None
            else f"the present token runs out at {format_time(expires)}"
        )
        yield f"sinkCredential ({until})"
    for name in first.headers:
        yield f"protocolSettings.headers.{name}"
