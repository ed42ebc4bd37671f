"""Random registrations, devices, subscriptions of both contracts, events, crashes and sweeps.

Each subscription has just what a plain model says, in order: nothing is lost, doubled, or given to others.
"""

import dataclasses
import itertools
import json
from contextlib import nullcontext, suppress
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness.builders import invitation, new_subscription, session_status
from tests.store.devices import cut_after, end_of, outbox, to_device
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import EventType, NetworkEvent, Registration, Subscription
from webrtc_events.store.store import Store

INVITATION, STATUS, ENDS = EventType.SESSION_INVITATION, EventType.SESSION_STATUS, EventType.REGISTRATION_ENDS
REGISTRATIONS = st.integers(0, 3)
DEVICES = st.integers(0, 2)
CLIENTS = st.sampled_from(["app", "other"])
SUBJECTS = st.sampled_from([None, "alice", "bob"])
SESSIONS = st.sampled_from(["s1", "s2"])
KINDS = st.sampled_from([INVITATION, STATUS, ENDS])
TYPES = st.lists(KINDS, min_size=1, max_size=3, unique=True).map(tuple)
EVENTS = st.one_of(
    st.tuples(st.just("invitation"), REGISTRATIONS, SESSIONS),
    st.tuples(st.just("status"), REGISTRATIONS, SESSIONS),
    st.tuples(st.just("status"), st.none(), SESSIONS),
    st.tuples(st.just("end"), REGISTRATIONS, st.none()),
)
STEPS = st.one_of(
    st.tuples(st.just("register"), REGISTRATIONS, DEVICES, CLIENTS, SUBJECTS),
    st.tuples(st.just("unregister"), REGISTRATIONS),
    st.tuples(st.just("expire"), REGISTRATIONS, st.sampled_from(["", "noted", "appended"])),
    st.tuples(st.just("to_device"), DEVICES, CLIENTS, SUBJECTS, TYPES),
    st.tuples(st.just("to_registration"), REGISTRATIONS, CLIENTS, KINDS, SESSIONS),
    st.tuples(st.just("publish"), st.lists(EVENTS, min_size=1, max_size=4), st.integers(0, 2)),
    st.tuples(st.just("repeat"), st.integers(0, 50)),
)
BEGINNING: list[tuple[Any, ...]] = [
    ("register", 0, 0, "app", None),
    ("register", 1, 0, "app", "alice"),
    ("register", 2, 1, "app", "bob"),
    ("register", 3, 2, "other", None),
    ("to_device", 0, "app", None, (INVITATION, STATUS, ENDS)),
    ("to_device", 0, "app", "bob", (STATUS,)),
    ("to_device", 1, "app", None, (ENDS, INVITATION)),
    ("to_registration", 0, "app", STATUS, "s1"),
    ("to_registration", 1, "app", INVITATION, "s1"),
]
_RUNS = itertools.count()


@dataclasses.dataclass
class Known:
    device: str
    owner: str
    subject: str | None
    expires_at_ms: int | None = None


def is_heard(known: Known, client: str, subject: str | None) -> bool:
    return known.owner == client and (None in (known.subject, subject) or known.subject == subject)


class World:
    """The store, and beside it what it must hold."""

    def __init__(self, store: Store, raw_store: "redis.Redis") -> None:
        self.store, self.raw = store, raw_store
        self.run = next(_RUNS)
        self.began_ms = raw_store.time()[0] * 1000 - 1_000_000
        self.numbers = itertools.count(1)
        self.known: dict[str, Known] = {}
        self.ended: set[str] = set()
        self.involved: dict[str, set[str]] = {}
        self.made: list[Subscription] = []
        self.over: set[str] = set()
        self.expected: dict[str, list[int | str]] = {}
        self.published: list[list[NetworkEvent]] = []

    def name(self, number: int) -> str:
        return f"r{number}-{self.run}"

    def device(self, number: int) -> str:
        return f"{self.run:08x}-0000-4000-8000-{number:012d}"

    def register(self, number: int, device: int, owner: str, subject: str | None) -> None:
        self._put(self.name(number), Known(self.device(device), owner, subject))

    def _put(self, name: str, known: Known, end: str = "") -> None:
        self.known[name] = known
        self.ended.discard(name)
        self.store.registrations.put(
            Registration(name, known.device.upper(), known.owner, known.subject, None),
            expires_at_ms=known.expires_at_ms,
            end=end,
        )

    def unregister(self, number: int) -> None:
        self.known.pop(self.name(number), None)
        self.store.registrations.delete(self.name(number))

    def expire(self, number: int, crash: str) -> None:
        """It is renewed for a moment that is over, and swept; a sweep may break off behind either half."""
        name = self.name(number)
        if name not in self.known:
            return
        end = end_of(name)
        number = next(self.numbers)
        # Of one moment a registration has one end, however often it is put for that.
        moment = self.began_ms + number
        self._put(
            name, dataclasses.replace(self.known[name], expires_at_ms=moment), _numbered(end, number).payload
        )
        with pytest.MonkeyPatch.context() as patch:
            if crash == "noted":
                patch.setattr(self.store.expiry._device_ends, "settle", lambda _: 0)
            with cut_after(self.store, 1) if crash == "appended" else nullcontext():
                self.store.expiry.sweep()
        self.store.expiry.sweep()
        self.known[name] = dataclasses.replace(self.known[name], expires_at_ms=None)
        self._expect(ENDS, name, None, number)

    def to_device(self, device: int, client: str, subject: str | None, types: tuple[EventType, ...]) -> None:
        self._create(to_device(self.device(device), client=client, subject=subject, types=types))

    def to_registration(self, number: int, client: str, kind: EventType, session: str) -> None:
        self._create(
            new_subscription(
                registration=self.name(number),
                client=client,
                event_type=kind,
                session=f"{session}-{self.run}" if kind is STATUS else None,
            )
        )

    def _create(self, made: Subscription) -> None:
        result = self.store.subscriptions.create(made, sink="https://sink/", headers={}, sealed=None)
        if result.outcome == "created":
            self.made.append(made)
            self.expected[made.id] = []

    def publish(self, chosen: list[tuple[str, int | None, str | None]], crash: int) -> None:
        events = [self._event(*of_one) for of_one in chosen]
        if crash and all(event.registration for event in events):
            with cut_after(self.store, crash), suppress(Unavailable):
                self.store.events.accept(events)
        self.store.events.accept(events)
        self.published.append(events)
        for event in events:
            if event.session is not None and event.registration is not None:
                self.involved.setdefault(event.session, set()).add(event.registration)
            number = json.loads(event.payload)["data"]["sequenceNumber"]
            self._expect(event.type, event.registration, event.session, number)

    def repeat(self, which: int) -> None:
        """Of one without subject more may be known to be involved by now."""
        if self.published:
            events = self.published[which % len(self.published)]
            self.store.events.accept([event for event in events if event.registration is not None])

    def _event(self, kind: str, number: int | None, session: str | None) -> NetworkEvent:
        name = None if number is None else self.name(number)
        count = next(self.numbers)
        if kind == "end":
            return _numbered(end_of(str(name), count), count, self.run)
        event = invitation(count) if kind == "invitation" else session_status(count)
        return _numbered(
            dataclasses.replace(event, registration=name), count, self.run, f"{session}-{self.run}"
        )

    def _expect(self, kind: EventType, name: str | None, session: str | None, number: int) -> None:
        concerned = {name} if name else self.involved.get(session or "", set())
        heard = [self.known[of] for of in concerned if of in self.known]
        if kind is ENDS and name in self.ended:
            heard = []
        for made in self.made:
            if made.id in self.over:
                continue
            if made.device is not None:
                if kind in made.types and any(
                    known.device == made.device and is_heard(known, made.client, made.subject)
                    for known in heard
                ):
                    self.expected[made.id].append(number)
                continue
            known_of = self.known.get(made.registration)
            may = known_of is None or is_heard(known_of, made.client, made.subject)
            fits = made.registration == name or (
                name is None and (not concerned or made.registration in concerned)
            )
            if made.type is kind and fits and may and made.session == (session if kind is STATUS else None):
                self.expected[made.id].append(number)
            if kind is ENDS and fits and made.type in (ENDS, INVITATION):
                self.over.add(made.id)
                self.expected[made.id].append("NETWORK_TERMINATED")
        if kind is ENDS:
            self.ended.add(str(name))

    def check(self) -> None:
        for made in self.made:
            found = [
                payload.get("end") or payload["data"]["sequenceNumber"] for payload in outbox(self.raw, made)
            ]
            assert found == self.expected[made.id], made


def _numbered(event: NetworkEvent, number: int, run: int = 0, session: str | None = None) -> NetworkEvent:
    payload = json.loads(event.payload)
    payload["data"]["sequenceNumber"] = number
    if session is not None:
        payload["data"]["mediaSessionId"] = session
    return dataclasses.replace(
        event, id=f"e{number}-{run}", session=session, payload=json.dumps(payload), numbered=True
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(STEPS, min_size=5, max_size=40))
def test_each_gets_what_is_for_it_in_order(
    store: Store, raw_store: "redis.Redis", steps: list[tuple[Any, ...]]
) -> None:
    world = World(store, raw_store)
    # So that there is somebody for most events; what follows changes it.
    for name, *values in (*BEGINNING, *steps):
        getattr(world, name)(*values)
    world.check()
