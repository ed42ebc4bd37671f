"""The gateway's side of a run: publishes numbered events, and repeats what was not answered.

Each line is a thread that awaits every answer before it goes on, as a gateway must that
needs order. What got no answer, or a 503, is sent again until it is accepted.
"""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests

from webrtc_events.core.clock import SystemClock

__all__ = ["LEAST_PER_S", "OF_A_DEVICE", "PREFIX", "Channel", "Load", "LoadOptions"]

CLOCK = SystemClock()
PREFIX = "org.camaraproject.webrtc-events.v0."
OF_A_DEVICE = "all-of-a-device"
"""The kind of a channel whose events are invitations and statuses in turns, for a subscription to both."""
# Twice the longest outage of a store or an API in any scenario.
_GIVE_UP_S = 90.0
# Far less than is accepted or delivered in a second; what takes longer hangs.
LEAST_PER_S = 100


@dataclass
class Channel:
    """One registration or media session, and its events, numbered from 1.

    `device`: the device of its registration, '' where the gateway says nothing of it. `subscribers` is
    how many subscriptions an event of it is to be appended to, None if that changes and is one at most.
    `sent` events were accepted; up to `appended` they were appended. After `until_s`, wall-clock seconds
    since the epoch, none is to be.
    """

    key: str
    kind: str
    total: int
    subscribers: int | None = 1
    until_s: float | None = None
    sent: int = 0
    appended: int = 0
    device: str = ""

    def event(self, number: int, source: str, padding: str) -> dict[str, Any]:
        data: dict[str, Any] = {"mediaSessionId": self.key, "status": "Ringing", "sequenceNumber": number}
        kind = ("session-status", "session-invitation")[number % 2] if self.kind == OF_A_DEVICE else self.kind
        event = {
            "id": f"{self.key}-{number}",
            "source": source,
            "specversion": "1.0",
            "type": PREFIX + kind,
            "time": "2026-03-10T09:00:00Z",
            "data": data,
        }
        if kind == "session-invitation" or self.device:
            event["subject"] = self.key
        if kind == "session-invitation":
            data |= {"originatorAddress": "tel:+12025550100", "receiverAddress": "tel:+12025550101"}
            data["status"] = "Initial"
        if padding:
            data["reason" if kind == "session-status" else "originatorName"] = padding
        return event


@dataclass(frozen=True)
class LoadOptions:
    """How it is sent: the number of connections, the largest batch, and the events a second in all.

    `unheard`: answers of the store are lost on the way, so the service sends it again what it was sent once,
    and may say duplicate.
    """

    lines: int = 8
    batch: int = 20
    rate: float = 1_000.0
    padding: str = ""
    unheard: bool = False


@dataclass
class _Counts:
    accepted: int = 0
    unanswered: int = 0
    refused: int = 0
    duplicates: int = 0
    faults: list[str] = field(default_factory=list)


class Load:
    """Publishes every event of `channels`. `faults` are answers that a gateway must never get."""

    def __init__(
        self,
        url: str,
        token: str,
        channels: Sequence[Channel],
        seed: str,
        options: LoadOptions = LoadOptions(),
    ) -> None:
        self.total = sum(channel.total - channel.sent for channel in channels)
        self._url = f"{url}/network/v0/events"
        self._token = token
        self._seed = seed
        self._options = options
        self._changed = threading.Condition()
        self._counts = _Counts()
        self._stopping = threading.Event()
        shares = [list(channels[number :: options.lines]) for number in range(options.lines)]
        self._threads = [
            threading.Thread(target=self._line, args=(number, share), name=f"line-{number}")
            for number, share in enumerate(shares)
            if share
        ]

    def start(self) -> None:
        self._started = CLOCK.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the lines after their current request."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    @property
    def accepted(self) -> int:
        return self._counts.accepted

    @property
    def refused(self) -> int:
        """How many requests were answered 503."""
        return self._counts.refused

    def figures(self) -> str:
        counts = self._counts
        return f"unanswered {counts.unanswered}, 503 {counts.refused}, duplicates {counts.duplicates}"

    def wait_accepted(self, share: float) -> None:
        """Returns once that share of all events is accepted.

        Raises:
            TimeoutError: it is not, after as long as it may take.
            AssertionError: an answer came that a gateway must never get.
        """
        self._wait(lambda: self.accepted >= share * self.total, f"{share:.0%} are accepted")

    def wait_refused(self, count: int) -> None:
        """Returns once this number of requests has been answered 503; raises as `wait_accepted`."""
        self._wait(lambda: self.refused >= count, f"{count} answers were 503")

    def wait(self) -> None:
        """Returns once every event is accepted; raises as `wait_accepted`."""
        self.wait_accepted(1.0)
        for thread in self._threads:
            thread.join()

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        timeout_s = _GIVE_UP_S + self.total / LEAST_PER_S
        with self._changed:
            done = self._changed.wait_for(lambda: holds() or self._counts.faults, timeout_s)
            assert not self._counts.faults, "\n".join(self._counts.faults[:5])
        if not done:
            raise TimeoutError(
                f"{what}: not within {timeout_s:.0f} s; {self.accepted} accepted, {self.figures()}"
            )

    def _line(self, number: int, channels: list[Channel]) -> None:
        draw = random.Random(f"{self._seed} line {number}")
        rate = self._options.rate / len(self._threads)
        started, sent = CLOCK.monotonic(), 0
        with requests.Session() as session:
            session.trust_env = False
            session.headers["Authorization"] = f"Bearer {self._token}"
            session.headers["Content-Type"] = "application/cloudevents-batch+json"
            while (batch := self._batch(draw, channels)) and not self._stopping.is_set():
                # Of a gateway that records a part of its traces: what is kept with events differs.
                session.headers["traceparent"] = draw.choice((None, _traceparent(draw)))  # type: ignore[assignment]
                asked_s = CLOCK.now()
                answer = self._publish(session, draw, [event for _, event in batch])
                if answer is None:
                    return
                results, repeated = answer
                for (channel, event), result in zip(batch, results, strict=True):
                    self._note(channel, event, result, repeated)
                    if result["subscriptions"] and channel.until_s is not None and asked_s > channel.until_s:
                        self._fault(f"{event['id']}: {result}, after the expiry")
                sent += len(batch)
                with self._changed:
                    self._counts.accepted += len(batch)
                    self._changed.notify_all()
                self._stopping.wait(max(0.0, started + sent / rate - CLOCK.monotonic()))

    def _batch(self, draw: random.Random, channels: list[Channel]) -> list[tuple[Channel, dict[str, Any]]]:
        """The next events of some channels, several of one at times."""
        batch: list[tuple[Channel, dict[str, Any]]] = []
        ahead: dict[str, int] = {}
        for _ in range(draw.randint(1, self._options.batch)):
            left = [
                channel for channel in channels if channel.sent + ahead.get(channel.key, 0) < channel.total
            ]
            if not left:
                break
            channel = draw.choice(left)
            ahead[channel.key] = ahead.get(channel.key, 0) + 1
            number = channel.sent + ahead[channel.key]
            batch.append((channel, channel.event(number, f"/gateway/{self._seed}", self._options.padding)))
        return batch

    def _publish(
        self, session: requests.Session, draw: random.Random, events: list[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], bool] | None:
        """The results of a batch, which is sent until it is answered, and whether that took repeats.

        None: it was given up.
        """
        give_up, repeated = CLOCK.monotonic() + _GIVE_UP_S, False
        while CLOCK.monotonic() < give_up and not self._stopping.is_set():
            try:
                answer = session.post(self._url, json=events, timeout=(3, 15))
            except requests.RequestException:
                self._count("unanswered")
            else:
                if answer.status_code == 202:
                    return answer.json()["results"], repeated
                if answer.status_code != 503:
                    self._fault(f"{answer.status_code} to {events[0]['id']}...: {answer.text[:300]}")
                    return None
                self._count("refused")
            repeated = True
            self._stopping.wait(draw.uniform(0.05, 0.25))
        if not self._stopping.is_set():
            self._fault(f"{events[0]['id']}... is not accepted after {_GIVE_UP_S:.0f} s")
        return None

    def _note(self, channel: Channel, event: dict[str, Any], result: dict[str, Any], repeated: bool) -> None:
        number, wanted = event["data"]["sequenceNumber"], channel.subscribers
        if result["status"] not in ("accepted", "duplicate"):
            self._fault(f"{event['id']}: {result}")
        if result["status"] == "duplicate":
            self._count("duplicates")
        # What was appended before, with an answer that was lost, is not reported again.
        reported_again = repeated or (self._options.unheard and result["status"] == "duplicate")
        if wanted is not None and result["subscriptions"] != wanted and not reported_again:
            self._fault(f"{event['id']}: {result}, not to {wanted} subscriptions")
        if wanted is not None or result["subscriptions"]:
            channel.appended = number
        channel.sent = number

    def _count(self, name: str) -> None:
        with self._changed:
            setattr(self._counts, name, getattr(self._counts, name) + 1)
            self._changed.notify_all()

    def _fault(self, text: str) -> None:
        with self._changed:
            self._counts.faults.append(text)
            self._changed.notify_all()


def _traceparent(draw: random.Random) -> str:
    return f"00-{draw.getrandbits(128) | 1:032x}-{draw.getrandbits(64) | 1:016x}-{draw.choice(('00', '01'))}"
