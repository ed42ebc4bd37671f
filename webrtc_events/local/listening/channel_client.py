"""What a client asks of a service with channels: make one, subscribe for it, delete it."""

from dataclasses import dataclass
from typing import Any

from webrtc_events.core.model import EventType
from webrtc_events.local.demo.http_client import ApiError, HttpClient
from webrtc_events.local.local_error import LocalError

__all__ = ["ChannelAccess", "ChannelClient"]


@dataclass(frozen=True, slots=True)
class ChannelAccess:
    """A channel, by what its readers need and what its subscriptions name."""

    id: str
    sink: str
    token: str


class ChannelClient:
    """`api` is the service's address, without a path."""

    def __init__(self, api: str, http: HttpClient) -> None:
        self._channels = f"{api}/channels/v0/channels"
        self._subscriptions = f"{api}/webrtc-events/v0.2/subscriptions"
        self._http = http

    def make(self) -> ChannelAccess:
        """
        Raises:
            LocalError: the service has no channels, or refuses one.
        """
        try:
            made = self._http.expect({201}, "POST", self._channels).json()
        except ApiError as error:
            if error.status == 404:
                raise LocalError(
                    f"{self._channels}: the service has no channels; set WEBRTC_EVENTS_CHANNELS_URL"
                ) from error
            raise
        return ChannelAccess(made["id"], made["sink"], made["token"])

    def events_url(self, channel: ChannelAccess) -> str:
        return f"{self._channels}/{channel.id}/events"

    def is_there(self, channel: ChannelAccess) -> bool:
        answer = self._http.expect({200, 404}, "GET", f"{self._channels}/{channel.id}")
        return answer.status_code == 200

    def delete(self, channel: ChannelAccess) -> None:
        """One that is gone already is as good."""
        self._http.expect({204, 404}, "DELETE", f"{self._channels}/{channel.id}")

    def subscribe(
        self, channel: ChannelAccess, event_type: EventType, registration: str, session: str | None = None
    ) -> None:
        """With the latest state as the first event, if there is one.

        Raises:
            ApiError: the service refuses it.
        """
        detail = {"registrationId": registration} | ({} if session is None else {"sessionId": session})
        request: dict[str, Any] = {
            "protocol": "HTTP",
            "sink": channel.sink,
            "types": [event_type.value],
            "config": {"subscriptionDetail": detail, "initialEvent": True},
        }
        self._http.expect({201}, "POST", self._subscriptions, json=request)

    def subscribed(self, channel: ChannelAccess) -> set[tuple[str, str, str | None]]:
        """Type, registration and session of each active subscription for the channel."""
        listed = self._http.expect({200}, "GET", self._subscriptions).json()
        return {
            (found["types"][0], detail["registrationId"], detail.get("sessionId"))
            for found in listed
            if found["sink"] == channel.sink and found.get("status") == "ACTIVE"
            for detail in [found["config"]["subscriptionDetail"]]
        }
