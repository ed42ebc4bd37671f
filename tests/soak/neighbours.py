"""Clients that do the service no good, for some seconds: it is to go on for the others."""

import itertools
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack

import requests

from tests.chaos.gateway import Channel
from tests.soak.subscribing import subscribe
from webrtc_events.core.clock import SystemClock

__all__ = ["NEIGHBOURS", "Neighbour"]

CLOCK = SystemClock()
_HALF_HEADS = 200
_HANGING_SUBSCRIPTIONS = 40

Neighbour = Callable[["str", "str", "threading.Event"], None]
"""Takes the API's address, its own access token, and goes on until the event is set."""


def half_heads(url: str, _: str, stop: threading.Event) -> None:
    """Opens connections and never says what it wants."""
    host, _, port = url.removeprefix("http://").partition(":")
    with ExitStack() as stack:
        while not stop.wait(0.5):
            for _ in range(_HALF_HEADS // 10):
                try:
                    client = stack.enter_context(socket.create_connection((host, int(port)), 2))
                    client.sendall(b"POST /network/v0/events HTTP/1.1\r\nHost: x\r\n")
                except OSError:
                    # Refused, or closed: as it may be.
                    continue


def nonsense(url: str, token: str, stop: threading.Event) -> None:
    """What is no request that can be served: each is refused with a 4xx."""
    bodies = [b"{", b"[" * 50_000, b"\xff\xfe", b'{"id": 1}', b"null", b'"' + b"x" * 200_000 + b'"']
    for body in itertools.cycle(bodies):
        if stop.wait(0.02):
            return
        for path in ("/network/v0/events", "/webrtc-events/v0.2/subscriptions"):
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            _tried(
                lambda path=path, body=body, headers=headers: requests.post(
                    f"{url}{path}", data=body, headers=headers, timeout=5
                )
            )


def lists(url: str, token: str, stop: threading.Event) -> None:
    """Makes subscriptions to nothing, lists them over and over, and deletes them."""
    public = f"{url}/webrtc-events/v0.2/subscriptions"
    headers = {"Authorization": f"Bearer {token}"}
    made = _subscribed(public, token, "listed", 100, "https://127.0.0.1:9/")
    while not stop.wait(0.02):
        _tried(lambda: requests.get(public, headers=headers, timeout=10))
    for subscription_id in made:
        _deleted(f"{public}/{subscription_id}", headers)


def hanging_sink(url: str, token: str, stop: threading.Event) -> None:
    """Has events sent to a sink that accepts connections and never answers."""
    public = f"{url}/webrtc-events/v0.2/subscriptions"
    headers = {"Authorization": f"Bearer {token}"}
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        sink = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        made = _subscribed(public, token, "hanging", _HANGING_SUBSCRIPTIONS, sink)
        # Of this run of it alone, so that no event is one that came before.
        source = f"/neighbour/{CLOCK.now()}"
        numbers = itertools.count(1)
        while not stop.wait(0.1):
            number = next(numbers)
            channel = Channel(f"hanging-{number % _HANGING_SUBSCRIPTIONS}", "session-invitation", 0)
            event = channel.event(number, source, "")
            _tried(
                lambda event=event: requests.post(
                    f"{url}/network/v0/events",
                    json=event,
                    headers=headers | {"Content-Type": "application/cloudevents+json"},
                    timeout=10,
                )
            )
        for subscription_id in made:
            _deleted(f"{public}/{subscription_id}", headers)


NEIGHBOURS: dict[str, Neighbour] = {
    "half heads": half_heads,
    "nonsense": nonsense,
    "lists without end": lists,
    "a sink that hangs": hanging_sink,
}


def _subscribed(public: str, token: str, name: str, count: int, sink: str) -> list[str]:
    """The ids of those that could be made, each to another registration."""
    answers = [
        _tried(lambda number=number: subscribe(public, token, f"{name}-{number}", sink))
        for number in range(count)
    ]
    return [answer.json()["id"] for answer in answers if answer is not None and answer.status_code == 201]


def _tried(ask: Callable[[], requests.Response]) -> requests.Response | None:
    """None: no answer, as it may be while something is killed."""
    try:
        return ask()
    except requests.RequestException:
        return None


def _deleted(url: str, headers: dict[str, str]) -> None:
    """Whatever is killed meanwhile: nothing is to be left for the next round."""
    for _ in range(100):
        answer = _tried(lambda: requests.delete(url, headers=headers, timeout=10))
        if answer is not None and answer.status_code in (204, 404):
            return
        CLOCK.sleep(0.3)
    raise AssertionError(f"{url} is not deleted")
