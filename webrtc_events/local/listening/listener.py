"""Listens to a registration, a session or a device by a channel, and to the calls that come in."""

from collections.abc import Iterator
from dataclasses import dataclass

from webrtc_events.core.clock import Clock
from webrtc_events.core.model import EventType
from webrtc_events.local.demo.http_client import ApiError
from webrtc_events.local.listening.channel_client import ChannelAccess, ChannelClient
from webrtc_events.local.listening.channel_reader import ChannelEvent, read_channel

__all__ = ["Listener", "Wanted"]

# Of a session whose registration is not known: the contract wants one.
_ANY_REGISTRATION = "webrtc-events-listen"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to listen to: a registration with its calls, one session, or both; or a device."""

    registration: str | None
    session: str | None
    device: str | None = None

    def subscriptions(self) -> list[tuple[EventType, str, str | None]]:
        registration = self.registration or _ANY_REGISTRATION
        found: list[tuple[EventType, str, str | None]] = []
        if self.registration is not None:
            found += [
                (EventType.SESSION_INVITATION, registration, None),
                (EventType.REGISTRATION_ENDS, registration, None),
            ]
        if self.session is not None:
            found.append((EventType.SESSION_STATUS, registration, self.session))
        return found


class Listener:
    """Whoever is invited to a call hears of its progress too."""

    def __init__(self, client: ChannelClient, wanted: Wanted, clock: Clock) -> None:
        self._client = client
        self._wanted = wanted
        self._clock = clock
        self._followed: set[str] = set()

    def subscribe(self, channel: ChannelAccess) -> None:
        """To what is wanted and not subscribed to yet."""
        if self._wanted.device is not None:
            self._client.subscribe_to_device(channel, self._wanted.device)
            return
        there = self._client.subscribed(channel)
        for event_type, registration, session in self._wanted.subscriptions():
            if (event_type.value, registration, session) not in there:
                self._client.subscribe(channel, event_type, registration, session)
        self._followed = {session for _, _, session in there if session is not None}

    def events(self, channel: ChannelAccess, after: str = "") -> Iterator[ChannelEvent]:
        """See `read_channel`."""
        for event in read_channel(self._client.events_url(channel), channel.token, self._clock, after):
            if event.type == EventType.SESSION_INVITATION:
                self._follow(channel, event)
            yield event

    def _follow(self, channel: ChannelAccess, invitation: ChannelEvent) -> None:
        session = invitation.content.get("data", {}).get("mediaSessionId")
        if self._wanted.registration is None or not isinstance(session, str) or session in self._followed:
            return
        self._followed.add(session)
        try:
            self._client.subscribe(channel, EventType.SESSION_STATUS, self._wanted.registration, session)
        except ApiError as error:
            # A call that is over, or that is not this registration's: there is nothing to follow.
            if error.status not in (400, 403, 422, 429):
                raise
