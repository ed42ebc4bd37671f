"""Appends network events to the outboxes of their partitions, in steps that are short for the store."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from webrtc_events.core.ascii_json import ascii_json
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import EventType, NetworkEvent
from webrtc_events.core.settings import Settings
from webrtc_events.store.deadlines import Deadlines
from webrtc_events.store.event_runs import MAX_EVENTS, first_of, runs_of
from webrtc_events.store.keys import Partition, session_state_key
from webrtc_events.store.redis.scripts import Part, Scripts, calls_of
from webrtc_events.store.script_steps import Rest, ScriptStep

__all__ = ["AppendOptions", "AppendResult", "RegisteredDevice", "append_events", "append_step"]


@dataclass(frozen=True, slots=True)
class AppendOptions:
    """`replicas`: how many must hold an event before it counts as appended.

    A payload is kept once for all its outboxes if that saves `shared_from` bytes; 0: never.
    """

    deadlines: Deadlines
    replicas: int
    shared_from: int

    @classmethod
    def of(cls, settings: Settings, shared_from: int) -> "AppendOptions":
        return cls(Deadlines.of(settings), settings.ack_replicas, shared_from)


@dataclass(frozen=True, slots=True)
class RegisteredDevice:
    """Of a registration: its device in lower case, whom it belongs to, and the end user, '' for none."""

    device: str
    owner: str
    subject: str


@dataclass(frozen=True, slots=True)
class AppendResult:
    """Whether an event was new, and to how many subscriptions it was appended.

    `device`: whose subscriptions are to get it too, where some are to devices: the device that its
    registration was of when the event was new. `names_nobody`: it names no registration, and its session is
    not known to involve any.
    """

    new: bool
    subscriptions: int
    device: RegisteredDevice | None = None
    names_nobody: bool = False


def _unheard(given_up: Iterable[Sequence[str]]) -> None:
    """For a caller that does not ask."""


def append_events(
    scripts: Scripts,
    options: AppendOptions,
    batches: Mapping[int, Sequence[NetworkEvent]],
    report_damaged: Callable[[Iterable[Sequence[str]]], None],
    *,
    report_given_up: Callable[[Iterable[Sequence[str]]], None] = _unheard,
    records: bool = False,
) -> dict[int, list[AppendResult]]:
    """Appends each partition's events, in order; returns when all outboxes hold them.

    How far an event has come is kept in the store, so whoever gives it again goes on from there.
    `report_damaged` gets name and reason of each record that is damaged, and so was passed over,
    `report_given_up` what outboxes had no room for any more. `records`:
    in a store without slots, what events say of their sessions is recorded first.

    Raises:
        Unavailable: some outbox may lack some event.
        SlotsFound: with `records`; the store has slots.
    """
    results: dict[int, list[AppendResult]] = {number: [] for number in batches}
    sizes = dict.fromkeys(batches, MAX_EVENTS)
    together = True
    while left := {
        number: events[len(results[number]) :]
        for number, events in batches.items()
        if len(events) > len(results[number])
    }:
        # One part of each partition at a time: if it is refused, none that follows may overtake it.
        parts = {number: first_of(events, sizes[number]) for number, events in left.items()}
        runs = runs_of(parts, parts.__getitem__) if together else [[number] for number in parts]
        answers = scripts.run_parts(
            "append",
            [options.shared_from],
            [
                [_part(options, Partition(number), parts[number], records=records) for number in run]
                for run in runs
            ],
            replicas=options.replicas,
        )
        for number, answer in zip(chain.from_iterable(runs), answers, strict=True):
            done, damaged, given_up = _read_answer(answer)
            report_damaged(damaged)
            report_given_up(given_up)
            results[number] += done
            # What a call does not get to need not be sent with it.
            sizes[number] = min(MAX_EVENTS, 2 * len(done) + 1)
        # What one run does not get to, each partition gets to in its own.
        together = False
    return results


def append_step(
    scripts: Scripts,
    options: AppendOptions,
    batches: Mapping[int, Sequence[NetworkEvent]],
    report_damaged: Callable[[Iterable[Sequence[str]]], None],
    report_given_up: Callable[[Iterable[Sequence[str]]], None],
) -> ScriptStep[dict[int, list[AppendResult]]]:
    """As `append_events` with `records`, for what one run takes and without replicas, as a step.

    It brings the results of the events that are done with: of those that come first in a partition. The
    others are to be given to `append_events`, which says what is wrong with them, if anything is.
    """
    parts = [_part(options, Partition(number), events, records=True) for number, events in batches.items()]
    calls = calls_of("append", [options.shared_from], [parts])

    def take(answers: list[Any]) -> tuple[dict[int, list[AppendResult]], Rest | None]:
        (answer,) = answers
        if isinstance(answer, Unavailable):
            raise answer
        results: dict[int, list[AppendResult]] = {}
        for number, of_part in zip(batches, answer, strict=True):
            if not isinstance(of_part, Exception):
                results[number], damaged, given_up = _read_answer(of_part)
                report_damaged(damaged)
                report_given_up(given_up)
        return results, None

    return ScriptStep(scripts, calls, take)


def _part(
    options: AppendOptions, partition: Partition, events: Sequence[NetworkEvent], *, records: bool
) -> Part:
    """Source: lua/append.lua."""
    args: list[str | int] = [partition.tag, len(events)]
    for event in events:
        is_status = event.type is EventType.SESSION_STATUS
        args += [
            event.name,
            event.type.rpartition(".")[2],
            event.registration or "",
            event.session or "",
            options.deadlines.ms[event.type],
            event.payload,
            int(event.session is not None and not event.numbered),
            _audience(event) if event.audience or (is_status and event.involved) else "",
            int(event.last) if is_status and event.audience is None else "",
            event.time_ms,
        ]
    sessions = [event.session for event in events if event.session is not None] if records else []
    return Part(partition.due, partition.tag, args, [session_state_key(session) for session in sessions])


def _audience(event: NetworkEvent) -> str:
    of = event.audience
    if of is None:
        return ascii_json(event.involved)
    return ascii_json({"device": of.device, "owner": of.owner, "subjects": of.subjects})


def _read_answer(
    raw: Sequence[Any],
) -> tuple[list[AppendResult], Sequence[Sequence[str]], Sequence[Sequence[str]]]:
    """The results of the events that are done with, what is damaged, what was given up.

    Source: lua/append.lua.
    """
    pairs, (damaged, given_up, devices) = (raw[:-1], raw[-1]) if len(raw) % 2 else (raw, ((), (), ()))
    results = [
        AppendResult(bool(new), int(count)) for new, count in zip(pairs[::2], pairs[1::2], strict=True)
    ]
    if devices:
        results = [
            replace(result, device=_registered(found)) if found else result
            for result, found in zip(results, devices, strict=True)
        ]
    return results, damaged, given_up


def _registered(found: Sequence[str]) -> RegisteredDevice:
    device, owner, subject = found
    return RegisteredDevice(device.lower(), owner, subject)
