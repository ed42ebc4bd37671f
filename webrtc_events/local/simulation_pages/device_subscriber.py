"""Subscribes to a device at the API of a `serve`, and registers the device as its gateway would."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, Final
from urllib.parse import quote

from webrtc_events.core.event_names import SUBSCRIBABLE, event_type_of, wire_type
from webrtc_events.core.model import ContractVersion
from webrtc_events.local.demo.http_client import ApiError, HttpClient
from webrtc_events.local.endpoints import DEFAULT_CLIENT
from webrtc_events.local.simulation.form_fields import FormErrors

__all__ = ["DEVICE_TYPES", "DeviceSubscriber", "kinds_of"]

DEVICE_TYPES: Final = tuple(wire_type(ContractVersion.V0_3, event_type) for event_type in SUBSCRIBABLE)
"""Those that the form offers, by their names under 0.3."""

_MADE: Final = frozenset({200, 201, 202})
_REFUSED: Final = frozenset({400, 403, 409, 422, 429})
_REGISTRATION: Final = re.compile(r"[^\x00-\x1F\x7F/]{1,256}")
# Which field of the form a member of the request comes from.
_FIELD_OF: Final = {
    "$.config.subscriptionDetail": "deviceId",
    "$.sink": "device-sink",
    "$.types": "device-types",
}


class DeviceSubscriber:
    """`api` is the base URL of version 0.3, `network` that of the gateway side; `client` makes an HTTP client
    whose token has the scopes of both.
    """

    def __init__(self, api: str, network: str, client: Callable[[], HttpClient]) -> None:
        self._url = f"{api.rstrip('/')}/subscriptions"
        self._registrations = f"{network.rstrip('/')}/registrations"
        self._client = client

    def subscribe(self, form: Mapping[str, str], types: Sequence[str]) -> str:
        """The id of the new subscription. `types` as `DEVICE_TYPES` has them.

        Raises:
            FormErrors: the service refused it, or a field cannot be read.
            UnreachableError: the API does not answer.
        """
        device, sink = form.get("deviceId", "").strip(), form.get("device-sink", "").strip()
        registration = form.get("device-registration", "").strip()
        if registration and _REGISTRATION.fullmatch(registration) is None:
            must = "must have 1 to 256 characters, no slash and no control characters"
            raise FormErrors({"device-registration": must})
        request = {
            "protocol": "HTTP",
            "sink": sink,
            "types": list(types),
            "config": {"subscriptionDetail": {"deviceId": device}},
        }
        with closing(self._client()) as client:
            made = self._sent(client, "POST", self._url, request)
            if registration:
                owned = {"deviceId": device, "owner": DEFAULT_CLIENT}
                self._sent(client, "PUT", f"{self._registrations}/{quote(registration, safe='')}", owned)
            return str(made["id"])

    def _sent(self, client: HttpClient, method: str, url: str, body: Mapping[str, Any]) -> Any:
        response = client.request(method, url, json=body)
        if response.status_code in _MADE:
            return response.json()
        if response.status_code in _REFUSED:
            raise FormErrors(_fault(str(response.json()["message"])))
        raise ApiError(method, url, response)


def kinds_of(types: Sequence[str]) -> list[tuple[str, str]]:
    """Each with what a person is shown of it."""
    return [(name, event_type_of(ContractVersion.V0_3, name).rpartition(".")[2]) for name in types]


def _fault(message: str) -> dict[str, str]:
    """What the service says is wrong, by the field that it is about; '' for none."""
    for place, name in _FIELD_OF.items():
        if message.startswith(place):
            return {name: message.partition(": ")[2] or message}
    return {"": message}
