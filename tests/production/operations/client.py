"""An application and a gateway, as they ask the service."""

from typing import Any

import requests

from tests.api.conftest import ALL_SCOPES, PREFIX, invitation, subscription_request
from tests.harness.issuer import Issuer
from tests.production.operations.tools import AUDIENCE
from webrtc_events.core.clock import SystemClock

__all__ = ["Client"]

CLOCK = SystemClock()
INVITATION = f"{PREFIX}session-invitation"


class Client:
    """Asks at two base URLs, which may be one; `ca` is the file of a CA to trust."""

    def __init__(self, issuer: Issuer, public: str, network: str = "", ca: str | None = None) -> None:
        self.issuer = issuer
        self._bases = {"/network/": network or public}
        self._public = public
        self._session = requests.Session()
        self._session.trust_env = False
        if ca is not None:
            self._session.verify = ca

    def token(self, **claims: Any) -> str:
        now = CLOCK.now()
        return self.issuer.token(now, **({"aud": AUDIENCE, "scope": ALL_SCOPES, "exp": now + 600} | claims))

    def __call__(
        self, method: str, path: str, *, token: str | None = "", **options: Any
    ) -> requests.Response:
        """`token` "": one with all scopes; None: no Authorization."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers.setdefault("Authorization", f"Bearer {token or self.token()}")
        base = next((url for prefix, url in self._bases.items() if path.startswith(prefix)), self._public)
        return self._session.request(method, f"{base}{path}", headers=headers, timeout=20, **options)

    def subscribe(self, sink: str, registration: str = "r1") -> str:
        """The id of a subscription to invitations of a registration."""
        config = {"subscriptionDetail": {"registrationId": registration}}
        request = subscription_request(sink=sink, config=config)
        made = self("POST", "/webrtc-events/v0.2/subscriptions", json=request)
        assert made.status_code == 201, made.text
        found: str = made.json()["id"]
        return found

    def publish(self, number: int, registration: str = "r1") -> str:
        """What became of the event: `accepted` or `duplicate`."""
        answer = self(
            "POST",
            "/network/v0/events",
            json=invitation(number, subject=registration),
            headers={"Content-Type": "application/cloudevents+json"},
        )
        assert answer.status_code == 202, answer.text
        (result,) = answer.json()["results"]
        status: str = result["status"]
        return status

    def close(self) -> None:
        self._session.close()
