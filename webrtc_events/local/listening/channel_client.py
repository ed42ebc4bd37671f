"""What a client asks of a service with channels: make one, subscribe for it, delete it."""

from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from webrtc_events.core.event_names import SUBSCRIBABLE, wire_type
from webrtc_events.core.model import ContractVersion, EventType
from webrtc_events.local.demo.http_client import ApiError, HttpClient
from webrtc_events.local.endpoints import PATH_OF_0_2, PATH_OF_0_3
from webrtc_events.local.local_error import LocalError

__all__ = ["ChannelAccess", "ChannelClient"]

# Source: webrtc-events-subscriptions.yaml, perPage.
_PER_PAGE: Final = 100


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
        self._subscriptions = f"{api}{PATH_OF_0_2}/subscriptions"
        self._of_devices = f"{api}{PATH_OF_0_3}/subscriptions"
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

    def subscribe_to_device(self, channel: ChannelAccess, device: str) -> None:
        """To all that there is of it, under 0.3, unless that is subscribed already.

        Raises:
            LocalError: the service does not serve 0.3.
            ApiError: the service refuses it.
        """
        if device.lower() in self._devices_of(channel):
            return
        request = {
            "protocol": "HTTP",
            "sink": channel.sink,
            "types": [wire_type(ContractVersion.V0_3, event_type) for event_type in SUBSCRIBABLE],
            "config": {"subscriptionDetail": {"deviceId": device}},
        }
        self._http.expect({201}, "POST", self._of_devices, json=request)

    def _devices_of(self, channel: ChannelAccess) -> set[str]:
        """In lower case; those that the channel has an active subscription to."""
        found: set[str] = set()
        for page in count(1):
            url = f"{self._of_devices}?page={page}&perPage={_PER_PAGE}"
            answer = self._http.expect({200, 404}, "GET", url)
            if answer.status_code == 404:
                raise LocalError(
                    f"{self._of_devices}: the service does not serve 0.3; set WEBRTC_EVENTS_NEXT=true"
                )
            listed = answer.json()
            found |= {
                str(subscription["config"]["subscriptionDetail"].get("deviceId", "")).lower()
                for subscription in listed
                if subscription["sink"] == channel.sink and subscription.get("status") == "ACTIVE"
            }
            if len(listed) < _PER_PAGE:
                break
        return found
