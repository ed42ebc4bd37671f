"""The load of a self-test: subscriptions of a client apart, events for them, and what became of these."""

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from webrtc_events.contract.documents import load_network
from webrtc_events.core.clock import Clock, format_time
from webrtc_events.core.errors import DamagedRecord, NewerRelease
from webrtc_events.core.model import EventType, Registration, Status, Subscription, TerminationReason
from webrtc_events.core.settings import Settings
from webrtc_events.services.events import Events
from webrtc_events.store import scans
from webrtc_events.store.attempt_records import read_attempts
from webrtc_events.store.keys import (
    Partition,
    new_subscription_id,
    partition_of,
    partition_of_subscription,
)
from webrtc_events.store.redis.scripts import answers_of, store_errors
from webrtc_events.store.store import Store

__all__ = ["CLIENT", "Load", "percentile"]

CLIENT: Final = "webrtc-events-bench"
"""The client id of these subscriptions, which no access token has."""

_REGISTRATION: Final = "webrtc-events-bench-"
_COUNT: Final = 64
# A run that was killed leaves no more behind than this.
_LIFE_S: Final = 900
_GONE_S: Final = 5.0
_POLL_S: Final = 0.1
_MS: Final = 1000
_EVENT_BYTES: Final = 3000
_SDP: Final = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"
    + "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" * 45
)


class Load:
    """Not for several threads. Every method may raise `errors.Unavailable`."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._events = Events(store, load_network(), settings.event_bytes)
        self._name = secrets.token_hex(4)
        self.subscriptions: list[Subscription] = []
        # For each subscription, when its events were accepted, ms of the store's time.
        self._accepted_ms: dict[str, list[int]] = {}
        self._published = 0

    def subscribe(self, sink: str) -> None:
        for number in range(_COUNT):
            registration = f"{_REGISTRATION}{number}"
            if self._settings.require_known_registration:
                self._register(registration)
            made = self._subscription(registration, sink)
            result = self._store.subscriptions.create(made, sink=sink, headers={}, sealed=None)
            if result.outcome != "created":
                raise RuntimeError(f"a subscription was not made: {result.outcome}")
            self.subscriptions.append(made)
            self._accepted_ms[made.id] = []

    def _register(self, registration: str) -> None:
        known = Registration(registration, "bench", CLIENT, None, None)
        self._store.registrations.put(known, expires_at_ms=self._expiry_ms(), end="{}")

    def _expiry_ms(self) -> int:
        return self._store.processes.now_ms() + _LIFE_S * _MS

    def _subscription(self, registration: str, sink: str) -> Subscription:
        event_type = EventType.SESSION_INVITATION
        return Subscription(
            id=new_subscription_id(partition_of(registration, self._store.partitions)),
            client=CLIENT,
            subject=None,
            type=event_type,
            registration=registration,
            session=None,
            request={
                "protocol": "HTTP",
                "sink": sink,
                "types": [event_type.value],
                "config": {"subscriptionDetail": {"registrationId": registration}},
            },
            starts_at_ms=0,
            expires_at_ms=self._expiry_ms(),
            max_events=None,
        )

    def publish(self, count: int) -> None:
        """The next events, in one step, for one subscription after the other."""
        now_ms = self._store.processes.now_ms()
        numbers = range(self._published, self._published + count)
        results = self._events.accept([self._event(number, now_ms) for number in numbers])
        wrong = next((result for result in results if result["status"] != "accepted"), None)
        if wrong is not None:
            raise RuntimeError(f"an event was not accepted: {wrong}")
        for number in numbers:
            self._accepted_ms[self.subscriptions[number % _COUNT].id].append(now_ms)
        self._published += count

    @property
    def published(self) -> int:
        return self._published

    @property
    def room(self) -> int:
        """How many events may wait at once: half of what the outboxes take."""
        settings = self._settings
        of_one = min(settings.outbox_length, settings.outbox_bytes // _EVENT_BYTES)
        return len(self.subscriptions) * of_one // 2

    def _event(self, number: int, now_ms: int) -> dict[str, Any]:
        """Source: network-events.yaml, NetworkEvent. Some 2.5 kB, as in docs/performance.md."""
        return {
            "id": f"{self._name}-{number}",
            "source": "/webrtc-events-bench",
            "specversion": "1.0",
            "type": EventType.SESSION_INVITATION.value,
            "time": format_time(now_ms),
            "datacontenttype": "application/json",
            "subject": f"{_REGISTRATION}{number % _COUNT}",
            "data": {
                "originatorAddress": "tel:+12025550143",
                "receiverAddress": "tel:+12025550178",
                "status": "Initial",
                "mediaSessionId": f"bench-{self._name}-{number}",
                "sequenceNumber": 1,
                "offer": {"sdp": _SDP},
            },
        }

    def waiting(self) -> int:
        """How many events are in the outboxes."""
        with store_errors():
            pipe = self._store.client.pipeline()
            for subscription in self.subscriptions:
                pipe.llen(self._partition(subscription.id).outbox(subscription.id))
            return sum(answer for answer in answers_of(pipe) if isinstance(answer, int))

    def attempts(self, since_ms: int) -> tuple[list[int], Counter[str]]:
        """From acceptance to the answer of the sink, ms, in order; and how many had which outcome."""
        took_ms: list[int] = []
        outcomes: Counter[str] = Counter()
        for subscription_id, attempt in self._attempts(since_ms):
            outcomes[str(attempt["outcome"])] += 1
            number = str(attempt["event"]).rpartition(".")[2]
            times = self._accepted_ms[subscription_id]
            if attempt["outcome"] == "delivered" and number.isdecimal() and 0 < int(number) <= len(times):
                took_ms.append(max(0, int(attempt["at"]) - times[int(number) - 1]))
        return sorted(took_ms), outcomes

    def _attempts(self, since_ms: int) -> Iterator[tuple[str, dict[str, Any]]]:
        partitions = {self._partition(subscription.id).number for subscription in self.subscriptions}
        for number in sorted(partitions):
            for page in scans.oldest_first(self._store.client, Partition(number).attempts, since_ms):
                for _, fields in page:
                    subscription_id = fields.get("subscription", "")
                    if subscription_id in self._accepted_ms:
                        for attempt in read_attempts(fields):
                            yield subscription_id, attempt

    def _partition(self, subscription_id: str) -> Partition:
        found = partition_of_subscription(subscription_id, self._store.partitions)
        if found is None:
            raise RuntimeError(f"{subscription_id} names no partition")
        return found

    def clean_up(self) -> int:
        """Ends and removes all subscriptions of `CLIENT`, also of a run that was killed; returns how many."""
        ids = [found for page in self._store.client_index.pages(CLIENT) for found in page]
        for subscription_id in ids:
            try:
                self._store.subscriptions.end(
                    subscription_id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
                )
            except (DamagedRecord, NewerRelease):
                # It is removed below.
                continue
        until_s = self._clock.monotonic() + _GONE_S
        while (left := self._kept(ids)) and self._clock.monotonic() < until_s:
            self._clock.sleep(_POLL_S)
        for subscription_id in left:
            self._store.subscriptions.discard(subscription_id, CLIENT)
        if self._settings.require_known_registration:
            for number in range(_COUNT):
                self._store.registrations.delete(f"{_REGISTRATION}{number}")
        return len(ids)

    def _kept(self, ids: Sequence[str]) -> list[str]:
        known = [found for found in ids if partition_of_subscription(found, self._store.partitions)]
        with store_errors():
            pipe = self._store.client.pipeline()
            for subscription_id in known:
                pipe.exists(self._partition(subscription_id).subscription(subscription_id))
            return [found for found, kept in zip(known, answers_of(pipe), strict=True) if kept]


def percentile(sorted_values: Sequence[int], share: float) -> int | None:
    """The value that so large a share of them does not exceed; None of none."""
    if not sorted_values:
        return None
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]
