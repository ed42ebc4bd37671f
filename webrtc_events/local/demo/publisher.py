"""Publishes NDJSON of network events: in order, in batches, every answer awaited."""

import json
import random
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from queue import Empty, Queue
from threading import Thread
from typing import Any, BinaryIO

import requests

from webrtc_events.contract.strict_json import parse_json
from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import InvalidArgument
from webrtc_events.local.demo.client import ApiError, Client
from webrtc_events.local.errors import LocalError, UnreachableError

__all__ = ["Judgement", "Publisher", "Result", "Summary"]

_BATCH_EVENTS = 100
_BATCH_BYTES = 512 * 1024
_READ_AHEAD = 1000
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0
_GIVE_UP_S = 60.0
_TRY_AGAIN = frozenset({429, 502, 503, 504})
# The batch as a whole was refused; a part of it may be taken.
_DIVIDE = frozenset({400, 413})


class Judgement(StrEnum):
    """Source: network-events.yaml, EventResult.status."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class _Line:
    """`fault`: why the line cannot be sent at all. `size` counts its bytes in the file."""

    number: int
    size: int
    text: bytes
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one line; `message` for a rejected one.

    `subscriptions`: how many it was newly appended to, each of which is sent a notification.
    """

    line: int
    status: Judgement
    subscriptions: int
    message: str = ""


@dataclass(slots=True)
class Summary:
    """How many events were accepted, duplicates or rejected.

    `notifications` counts what subscribers are sent for the accepted ones, `unmatched` those that no
    subscription is for.
    """

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    notifications: int = 0
    unmatched: int = 0

    def add(self, result: Result) -> None:
        self.notifications += result.subscriptions
        if result.status is Judgement.ACCEPTED:
            self.accepted += 1
            self.unmatched += result.subscriptions == 0
        elif result.status is Judgement.DUPLICATE:
            self.duplicate += 1
        else:
            self.rejected += 1

    def __str__(self) -> str:
        return (
            f"accepted {self.accepted}, duplicate {self.duplicate}, rejected {self.rejected}, "
            f"notifications {self.notifications}, unmatched {self.unmatched}"
        )

    def hints(self, *, kept_ids: bool) -> list[str]:
        """Why less arrives than a person may expect, and what to do; `kept_ids`: the file's own were sent."""
        hints = []
        if self.accepted and not self.notifications and not self.duplicate:
            again = "without --keep-ids" if kept_ids else "again"
            hints.append(
                "No active subscription is for these events, so nothing will arrive. Subscribe to their "
                f"registration or session, then publish {again}."
            )
        if self.duplicate and kept_ids:
            hints.append(
                "Duplicates were accepted before under the same ids; nothing is sent for them again. "
                "Leave out --keep-ids to publish them as new events."
            )
        elif self.duplicate:
            hints.append(
                "Duplicates repeat an event of this input, or were accepted at an attempt whose "
                "answer was lost."
            )
        return hints


class Publisher:
    """`url` is the base of the gateway side, such as http://127.0.0.1:9091/network/v0.

    `renew` gives the event to send in place of the one that was read; None sends lines as they are.
    """

    def __init__(
        self, url: str, client: Client, clock: Clock, renew: Callable[[Any], Any] | None = None
    ) -> None:
        self._url = f"{url.rstrip('/')}/events"
        self._client = client
        self._clock = clock
        self._renew = renew
        self._reached = False

    def publish(
        self, stream: BinaryIO, report: Callable[[Result], None], progress: Callable[[int], None]
    ) -> None:
        """Sends every line; each batch once the one before is answered.

        `report` gets each line's result, in order; `progress` the bytes dealt with.

        Raises:
            LocalError: a batch could not be delivered; nothing after it was sent.
        """
        for batch in _batches(stream, self._line):
            for each in self._judge(batch):
                report(each)
            progress(sum(line.size for line in batch))

    def _line(self, number: int, raw: bytes) -> _Line:
        """What would break the batch around it is kept back.

        Ids and times are given here, once: a batch that is sent again has those that it had.
        """
        try:
            event = parse_json(raw)
        except InvalidArgument as error:
            return _Line(number, len(raw), b"", _json_fault(raw) or error.message)
        if self._renew is None:
            return _Line(number, len(raw), raw.strip())
        return _Line(number, len(raw), json.dumps(self._renew(event), separators=(",", ":")).encode())

    def _judge(self, batch: list[_Line]) -> Iterator[Result]:
        sent = iter(self._send([line for line in batch if line.fault is None]))
        for line in batch:
            yield _rejected(line, line.fault) if line.fault is not None else next(sent)

    def _send(self, lines: list[_Line]) -> list[Result]:
        if not lines:
            return []
        try:
            results = self._answered(lines)
        except ApiError as error:
            if error.status not in _DIVIDE:
                raise LocalError(
                    f"lines {lines[0].number} and following were not published: {error}"
                ) from error
            if len(lines) == 1:
                return [_rejected(lines[0], error.reason)]
            half = len(lines) // 2
            return self._send(lines[:half]) + self._send(lines[half:])
        if len(results) != len(lines):
            raise LocalError(f"{self._url} answered {len(results)} results to {len(lines)} events")
        return [
            Result(
                line.number,
                Judgement(result["status"]),
                int(result["subscriptions"]),
                str(result.get("message", "")),
            )
            for line, result in zip(lines, results, strict=True)
        ]

    def _answered(self, lines: list[_Line]) -> list[dict[str, Any]]:
        """The results of one batch, sent again while the service is out of reach: it knows repeats."""
        body = b"[" + b",".join(line.text for line in lines) + b"]"
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        give_up = self._clock.monotonic() + _GIVE_UP_S
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                response = self._client.expect({202}, "POST", self._url, data=body, headers=headers)
            except (ApiError, UnreachableError) as error:
                again = error.status in _TRY_AGAIN if isinstance(error, ApiError) else self._reached
                if not again or self._clock.monotonic() + pause_s > give_up:
                    raise
            else:
                self._reached = True
                return _results(response)
            self._clock.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _results(response: requests.Response) -> list[dict[str, Any]]:
    """Source: network-events.yaml, PublishResult."""
    try:
        results: list[dict[str, Any]] = response.json()["results"]
    except (ValueError, KeyError, TypeError) as error:
        raise LocalError(
            f"{response.url} gave an answer that is no PublishResult: {response.text[:200]}"
        ) from error
    return results


def _rejected(line: _Line, message: str) -> Result:
    return Result(line.number, Judgement.REJECTED, 0, message)


_Read = Callable[[int, bytes], _Line]


def _batches(stream: BinaryIO, read: _Read) -> Iterator[list[_Line]]:
    """What has been read so far, up to a batch: a live pipe's events do not wait for a full one."""
    waiting: Queue[_Line | BaseException | None] = Queue(_READ_AHEAD)
    Thread(target=_fill, args=(stream, read, waiting), name="reader", daemon=True).start()
    carried: _Line | None = None
    while True:
        first = carried or waiting.get()
        carried = None
        if first is None:
            return
        if isinstance(first, BaseException):
            raise LocalError(f"cannot read the events: {first}") from first
        batch, size = [first], first.size
        while len(batch) < _BATCH_EVENTS:
            try:
                following = waiting.get_nowait()
            except Empty:
                break
            if not isinstance(following, _Line):
                waiting.put(following)  # The last of all: it is seen again when this batch is sent.
                break
            if size + following.size > _BATCH_BYTES:
                carried = following
                break
            batch.append(following)
            size += following.size
        yield batch


def _fill(stream: BinaryIO, read: _Read, waiting: "Queue[_Line | BaseException | None]") -> None:
    try:
        for number, line in enumerate(stream, start=1):
            # Some editors begin a file with a byte order mark.
            raw = line.removeprefix(BOM_UTF8) if number == 1 else line
            if raw.strip():
                waiting.put(read(number, raw))
    except (OSError, ValueError) as error:
        waiting.put(error)
    else:
        waiting.put(None)


def _json_fault(raw: bytes) -> str | None:
    """Where the text stops being JSON; None if it is something else that makes it no JSON text."""
    with suppress(ValueError, RecursionError):
        try:
            json.loads(raw.decode())
        except json.JSONDecodeError as error:
            return f"not JSON: {error.msg}, column {error.colno}"
    return None
