"""The subscriptions of a run, under both contracts, and the channels of events that they are to."""

import random
import uuid
from collections.abc import Iterable
from typing import Any

from tests.chaos.gateway import OF_A_DEVICE, Channel
from tests.chaos.service import SCOPES, Service, Subscriber
from tests.harness.issuer import Issuer
from webrtc_events.core.clock import SystemClock

__all__ = ["Subscribing"]

CLOCK = SystemClock()


class Subscribing:
    """`subscribers` are all that were made; `strangers` are ids of another client's, to hear nothing."""

    service: Service

    def __init__(self, issuer: Issuer, draw: random.Random) -> None:
        self.issuer = issuer
        self.draw = draw
        self.subscribers: list[Subscriber] = []
        self.strangers: set[str] = set()

    def channels(
        self, count: int, events: int, kind: str = "session-invitation", subscribers: int | None = 1
    ) -> list[Channel]:
        """`events` in all, evenly; keys are unlike those of other calls."""
        first, events_each = len(self.subscribers), -(-events // count)
        keys = [f"{kind[8:11]}{first + number}" for number in range(count)]
        return [Channel(key, kind, events_each, subscribers) for key in keys]

    def subscribe(self, channels: Iterable[Channel], **options: Any) -> list[Subscriber]:
        """As many subscriptions to each as its events are to be appended to."""
        wanted = [(channel, number) for channel in channels for number in range(channel.subscribers or 1)]
        made = self.service.together(lambda pair: self.service.subscribe(pair[0], pair[1], **options), wanted)
        self.subscribers += made
        return made

    def mixed(self, events: int, subscriptions: int = 100, *, devices: bool = True) -> list[Channel]:
        """Channels with subscriptions: registrations, and sessions with two subscriptions each.

        With `devices` also some that are heard under 0.2 and 0.3 at once, and some under 0.3 alone. `events`
        counts what is to be delivered; the subscriptions are made.
        """
        sessions = subscriptions // 10
        both, alone = (subscriptions // 10, subscriptions // 10) if devices else (0, 0)
        plain = subscriptions - 2 * sessions - 2 * both - alone
        events_each = -(-events // subscriptions)
        invitations = self.channels(plain, events_each * plain)
        self.subscribe(invitations)
        statuses = self.channels(sessions, events_each * sessions, "session-status", subscribers=2)
        self.subscribe(statuses)
        heard_twice = self.of_devices(both, events_each * both, subscribers=2)
        heard_whole = self.of_devices(alone, events_each * alone, OF_A_DEVICE)
        return invitations + statuses + heard_twice + heard_whole

    def of_devices(
        self, count: int, events: int, kind: str = "session-invitation", subscribers: int = 1, **record: Any
    ) -> list[Channel]:
        """Channels of registrations that the gateway announced, each on a device, with their subscriptions.

        `events` counts what is published. Another client listens in on each, and is to hear nothing.
        """
        if not count:
            return []
        channels = self.channels(count, events, kind, subscribers)
        for channel in channels:
            channel.device = str(uuid.UUID(int=self.draw.getrandbits(128)))
        self.service.together(lambda channel: self.service.register(channel, **record), channels)
        self.subscribe(channels)
        stranger = self.issuer.token(
            CLOCK.now(), scope=SCOPES, exp=CLOCK.now() + 3_600, client_id="stranger", sub="stranger"
        )
        made = self.service.together(lambda channel: self.service.listen_in(channel, stranger), channels)
        # 202: its sink is asked first.
        assert {answer.status_code for answer in made} <= {201, 202}, {answer.text for answer in made}
        self.strangers |= {answer.json()["id"] for answer in made}
        return channels
