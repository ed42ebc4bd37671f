"""A Janus that posts the events of many calls, and posts again what got no whole answer."""

import json
import random
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import requests

from tests.chaos.gateway import Channel
from webrtc_events.core.clock import SystemClock

__all__ = ["JanusPosts"]

CLOCK = SystemClock()
_GIVE_UP_S = 120.0
_STARTED_US = 1_780_000_000_000_000
_SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na={direction}\r\n"


class JanusPosts:
    """A thread. Each channel is a call that an endpoint of ours has placed, whose events are its statuses."""

    def __init__(
        self, url: str, password: str, channels: Sequence[Channel], draw: random.Random, pause_s: float
    ) -> None:
        self._url = url
        self._password = password
        self._draw = draw
        self._pause_s = pause_s
        self._batches = list(
            _batches(draw, [list(_events(number, channel)) for number, channel in enumerate(channels)])
        )
        self._thread = threading.Thread(target=self._run, name="janus")
        self.posted = 0
        self.repeats = 0
        self.fault: str | None = None

    @property
    def share(self) -> float:
        return self.posted / len(self._batches)

    def start(self) -> None:
        self._thread.start()

    def is_done(self) -> bool:
        assert self.fault is None, self.fault
        return not self._thread.is_alive()

    def _run(self) -> None:
        for batch in self._batches:
            give_up_s = CLOCK.monotonic() + _GIVE_UP_S
            while not self._post(batch):
                self.repeats += 1
                if CLOCK.monotonic() > give_up_s:
                    self.fault = f"a batch is not taken after {_GIVE_UP_S:.0f} s"
                    return
                CLOCK.sleep(0.05)
            self.posted += 1
            if self._draw.random() < 0.05:
                # The answer was lost on its way.
                self._post(batch)
                self.repeats += 1
            CLOCK.sleep(self._pause_s)

    def _post(self, batch: list[dict[str, Any]]) -> bool:
        try:
            answer = requests.post(
                self._url, data=json.dumps(batch), auth=("janus", self._password), timeout=10
            )
        except requests.RequestException:
            return False
        if answer.status_code != 200:
            self.fault = f"{answer.status_code}: {answer.text}"
        return True


def _batches(draw: random.Random, calls: list[list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    """Each call in its order, among the others."""
    places = [0] * len(calls)
    order = [number for number, events in enumerate(calls) for _ in events]
    draw.shuffle(order)
    left = []
    for number in order:
        left.append(calls[number][places[number]])
        places[number] += 1
    while left:
        size = draw.randint(1, 50)
        yield left[:size]
        left = left[size:]


def _events(number: int, channel: Channel) -> Iterator[dict[str, Any]]:
    """Registered, then as many changes as the channel has events: the first three, then hold and resume."""
    user, call = f"{channel.key}-0", channel.key
    data: list[dict[str, Any]] = [
        {"event": "registered", "identity": f"sip:{user}@example.com"},
        {"event": "calling", "callee": "sip:somebody@example.com", "call-id": call, "sdp": _sdp("sendrecv")},
        _message("sip-out", "INVITE sip:somebody@example.com SIP/2.0", call, user, 1, "", _sdp("sendrecv")),
        {"event": "proceeding", "call-id": call, "code": 180},
        _message("sip-in", "SIP/2.0 200 OK", call, user, 1, ";tag=b", _sdp("sendrecv")),
        {"event": "accepted", "call-id": call},
    ]
    for change in range(channel.total - 3):
        direction, answer = ("sendonly", "recvonly") if change % 2 == 0 else ("sendrecv", "sendrecv")
        sequence = change + 2
        request = "INVITE sip:somebody@example.com SIP/2.0"
        data.append(_message("sip-out", request, call, user, sequence, ";tag=b", _sdp(direction)))
        data.append(_message("sip-in", "SIP/2.0 200 OK", call, user, sequence, ";tag=b", _sdp(answer)))
    for step, found in enumerate(data):
        yield {
            "emitter": "chaos",
            "type": 64,
            "timestamp": _STARTED_US + 1_000_000 * step + number,
            "session_id": number + 1,
            "handle_id": number + 1,
            "opaque_id": "",
            "event": {"plugin": "janus.plugin.sip", "data": found},
        }


def _sdp(direction: str) -> str:
    return _SDP.format(direction=direction)


def _message(
    event: str, first: str, call: str, user: str, sequence: int, to_tag: str, sdp: str
) -> dict[str, Any]:
    text = (
        f"{first}\r\nFrom: <sip:{user}@example.com>;tag=a\r\nTo: <sip:somebody@example.com>{to_tag}\r\n"
        f"Call-ID: {call}\r\nCSeq: {sequence} INVITE\r\nContent-Type: application/sdp\r\n"
        f"Content-Length: {len(sdp)}\r\n\r\n{sdp}"
    )
    return {"event": event, "sip": text}
