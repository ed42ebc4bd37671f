"""Subscriptions that the soak makes beside those that it watches."""

import requests

from webrtc_events.core.clock import SystemClock
from webrtc_events.core.model import EventType

__all__ = ["subscribe"]

_CLOCK = SystemClock()


def subscribe(
    public: str, token: str, registration: str, sink: str, *, session: requests.Session | None = None
) -> requests.Response:
    """Creates a subscription to the invitations of a registration; waits as long as a 429 asks for.

    `session` keeps one connection for many of them.

    Raises:
        requests.RequestException: there is no answer.
    """
    body = {
        "protocol": "HTTP",
        "sink": sink,
        "types": [EventType.SESSION_INVITATION],
        "config": {"subscriptionDetail": {"registrationId": registration}},
    }
    post = requests.post if session is None else session.post
    while True:
        answer = post(public, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30)
        if answer.status_code != 429:
            return answer
        _CLOCK.sleep(float(answer.headers["Retry-After"]))
