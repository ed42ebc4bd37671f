"""Composes the network events of a call, in the form of the recorded calls."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

from webrtc_events.core.clock import format_time
from webrtc_events.core.model import EventType
from webrtc_events.local.recordings import Event
from webrtc_events.local.simulation.call_plan import CallPlan, Outcome, Party
from webrtc_events.local.simulation.session_descriptions import Media

__all__ = ["compose", "registration_for"]

# A recording has a date as well. Whoever plays the call gives its events the present time.
_BEGIN_MS = 1_773_133_200_000
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_SOURCE = "/webrtc-gateway/simulation"
# From the invitation to the network's first answer, and on to the alert. Source: the recorded calls.
_PROGRESS_MS = (250, 450)
_ALERT_MS = (900, 1500)
_REFUSAL_MS = (300, 1200)

_ENDS = {
    Outcome.DECLINED: ("Declined", "Receiver declined the call"),
    Outcome.CANCELLED: ("SessionCancelled", "Originator cancelled before an answer"),
    Outcome.NO_ANSWER: ("NoAnswer", "Receiver did not answer in time"),
    Outcome.BUSY: ("Busy", "Receiver is in another call"),
    Outcome.NOT_REACHABLE: ("NotReachable", "Receiver's endpoint does not answer the network"),
    Outcome.FAILED: ("Failed", "The network could not set up the call"),
}
_WITHOUT_ALERT = frozenset({Outcome.BUSY, Outcome.NOT_REACHABLE, Outcome.FAILED})


@dataclass(frozen=True, slots=True)
class _Step:
    """`wait_ms` after the step before. Each description is None where the event has none."""

    wait_ms: int
    status: str
    reason: str
    offer: str | None = None
    answer: str | None = None


def registration_for(receiver: Party) -> str:
    """The registration that a composed call is for: the same for every call to this address."""
    digest = int.from_bytes(hashlib.sha256(receiver.address.encode()).digest())
    return "".join(_LETTERS[digest // 36**place % 36] for place in range(24))


def compose(plan: CallPlan) -> list[Event]:
    """The events in the order in which they happen, valid by NetworkEvent of network-events.yaml.

    The first is the invitation, the others are statuses. The last ends the session.
    """
    random = Random(plan.seed)  # noqa: S311 - identifiers of a simulated call, which anybody may guess
    common = _common(plan, random)
    registration = registration_for(plan.receiver)
    at_ms = _BEGIN_MS
    events = []
    for number, step in enumerate(_steps(plan, random), start=1):
        # Something takes a moment, however short it was meant to be.
        at_ms += step.wait_ms if number == 1 else max(step.wait_ms, 1)
        kind = EventType.SESSION_INVITATION if number == 1 else EventType.SESSION_STATUS
        events.append(
            {
                "id": "".join(random.choices(_LETTERS, k=24)),
                "source": _SOURCE,
                "specversion": "1.0",
                "type": str(kind),
                "time": format_time(at_ms),
                "datacontenttype": "application/json",
                "subject": registration,
                "data": _data(common, step, number),
            }
        )
    return events


def _common(plan: CallPlan, random: Random) -> dict[str, str]:
    """What each event of the call says. A party without a name has none in the events."""
    parties = {
        "originatorAddress": plan.originator.address,
        "originatorName": plan.originator.name,
        "receiverAddress": plan.receiver.address,
        "receiverName": plan.receiver.name,
    }
    return {name: value for name, value in parties.items() if value} | {
        "clientCorrelator": _uuid(random),
        "mediaSessionId": f"{random.getrandbits(204):051X}",
        "callObjectRef": f"urn:uuid:{_uuid(random)}",
        "serverCorrelator": _uuid(random),
    }


def _uuid(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))


def _data(common: dict[str, str], step: _Step, number: int) -> dict[str, Any]:
    descriptions = {"offer": step.offer, "answer": step.answer}
    return {
        **common,
        "status": step.status,
        **{name: {"sdp": sdp} for name, sdp in descriptions.items() if sdp is not None},
        "reason": step.reason,
        "sequenceNumber": number,
    }


def _steps(plan: CallPlan, random: Random) -> Iterator[_Step]:
    # Always drawn in this order: with another outcome the same seed makes the same media.
    caller, called = Media(random), Media(random)
    progress_ms, alert_ms, refusal_ms = (
        random.randint(*span) for span in (_PROGRESS_MS, _ALERT_MS, _REFUSAL_MS)
    )
    yield _Step(0, "Initial", "New incoming call", offer=caller.offer(1) if plan.sdp else None)
    yield _Step(progress_ms, "InProgress", "Session accepted by the network")
    if plan.outcome in _WITHOUT_ALERT:
        yield _Step(refusal_ms, *_ENDS[plan.outcome])
        return
    yield _Step(alert_ms, "Ringing", "Receiver is being alerted")
    ringing_ms = round(plan.ringing_s * 1000)
    if plan.outcome is Outcome.ANSWERED:
        yield from _talk(plan, ringing_ms, caller, called)
    else:
        yield _Step(ringing_ms, *_ENDS[plan.outcome])


def _talk(plan: CallPlan, ringing_ms: int, caller: Media, called: Media) -> Iterator[_Step]:
    def described(wait_ms: int, status: str, reason: str, version: int, directions: tuple[str, str]) -> _Step:
        if not plan.sdp:
            return _Step(wait_ms, status, reason)
        offer, answer = directions
        return _Step(wait_ms, status, reason, caller.offer(version, offer), called.answer(version, answer))

    both_ways = ("sendrecv", "sendrecv")
    yield described(ringing_ms, "Connected", "Call answered", 1, both_ways)
    talk_ms = round(plan.talk_s * 1000)
    if plan.hold:
        third_ms = talk_ms // 3
        yield described(third_ms, "Hold", "Originator holds the call", 2, ("sendonly", "recvonly"))
        yield described(third_ms, "Resume", "Originator resumes the call", 3, both_ways)
        talk_ms -= 2 * third_ms
    yield _Step(talk_ms, "Terminated", "Originator hung up")
