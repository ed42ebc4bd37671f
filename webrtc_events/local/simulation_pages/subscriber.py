"""Makes subscriptions at the API of a `serve`, as an application would."""

from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cached_property
from typing import Any

from webrtc_events.contract.documents import load_public
from webrtc_events.local.demo.http_client import ApiError, HttpClient
from webrtc_events.local.simulation.form_fields import FormErrors
from webrtc_events.local.simulation_pages.subscription_form import SubscriptionForm

__all__ = ["Subscriber"]

_MADE = frozenset({201, 202})
_REFUSED = frozenset({400, 403, 409, 422, 429})


class Subscriber:
    """`url` is the base of the public API; `client` makes an HTTP client whose token has its scopes."""

    def __init__(self, url: str, client: Callable[[], HttpClient]) -> None:
        self._url = f"{url.rstrip('/')}/subscriptions"
        self._client = client

    @cached_property
    def form(self) -> SubscriptionForm:
        """Made when it is first needed: reading the contract takes a tenth of a second."""
        return SubscriptionForm.of(load_public())

    def subscribe(self, form: Mapping[str, str]) -> str:
        """The id of the new subscription.

        Raises:
            FormErrors: the service refused it, or a field cannot be read.
            UnreachableError: the API does not answer.
        """
        request = self.form.request(form)
        with closing(self._client()) as client:
            response = client.request("POST", self._url, json=request)
            if response.status_code in _MADE:
                return str(response.json()["id"])
            if response.status_code in _REFUSED:
                raise FormErrors(self.form.faults(_message(response.json())))
            raise ApiError("POST", self._url, response)


def _message(info: Any) -> str:
    """Source: webrtc-events.yaml, ErrorInfo."""
    return str(info["message"])
