"""Publishes NDJSON of network events in batches, in order."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

import requests

from webrtc_events.contract.strict_json import parse_json
from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import InvalidArgument
from webrtc_events.local.demo.http_client import ApiError, HttpClient
from webrtc_events.local.demo.line_batches import Line, batches
from webrtc_events.local.demo.publish_results import LineResult, LineStatus
from webrtc_events.local.local_error import LocalError, UnreachableError

__all__ = ["EventPublisher"]

_FIRST_PAUSE_S = 0.25
_MAX_PAUSE_S = 5.0
_GIVE_UP_S = 60.0
_TRY_AGAIN = frozenset({429, 502, 503, 504})
# The batch as a whole was refused; a part of it may be taken.
_DIVIDE = frozenset({400, 413})


class EventPublisher:
    """`url` is the base of the gateway side, such as http://127.0.0.1:9091/network/v0.

    `renew` gives the event to send in place of the one that was read; None sends lines as they are.
    `give_up_s`: for how long a batch is sent again while the service is out of reach.
    """

    def __init__(
        self,
        url: str,
        client: HttpClient,
        clock: Clock,
        renew: Callable[[Any], Any] | None = None,
        *,
        give_up_s: float = _GIVE_UP_S,
    ) -> None:
        self._url = f"{url.rstrip('/')}/events"
        self._client = client
        self._clock = clock
        self._renew = renew
        self._give_up_s = give_up_s
        self._reached = False

    def publish(
        self, stream: BinaryIO, report: Callable[[LineResult], None], progress: Callable[[int], None]
    ) -> None:
        """Sends every line. A batch waits for the answer to the one before.

        `report` gets the result of every line, in order; `progress` gets the bytes of each batch.

        Raises:
            LocalError: a batch could not be delivered; nothing after it was sent.
        """
        for batch in batches(stream, self._line):
            for result in self._results(batch):
                report(result)
            progress(sum(line.size for line in batch))

    def publish_batch(self, events: Sequence[Any]) -> list[LineResult]:
        """Sends these events at once, 1,000 at most; their results have the numbers 1, 2, ...

        Raises:
            LocalError: what was not answered yet could not be delivered.
        """
        texts = (json.dumps(event, separators=(",", ":")).encode() for event in map(self._renewed, events))
        return self._send([Line(number, len(text), text) for number, text in enumerate(texts, start=1)])

    def _renewed(self, event: Any) -> Any:
        return event if self._renew is None else self._renew(event)

    def _line(self, number: int, raw: bytes) -> Line:
        """Keeps back a line that would break the batch around it.

        It sets ids and times once: a batch that is sent again has the same ones.
        """
        try:
            event = parse_json(raw)
        except InvalidArgument as error:
            return Line(number, len(raw), b"", _json_fault(raw) or error.message)
        if self._renew is None:
            return Line(number, len(raw), raw.strip())
        return Line(number, len(raw), json.dumps(self._renew(event), separators=(",", ":")).encode())

    def _results(self, batch: list[Line]) -> Iterator[LineResult]:
        sent = iter(self._send([line for line in batch if line.fault is None]))
        for line in batch:
            yield _rejected(line, line.fault) if line.fault is not None else next(sent)

    def _send(self, lines: list[Line]) -> list[LineResult]:
        if not lines:
            return []
        try:
            results = self._answered(lines)
        except ApiError as error:
            if error.status not in _DIVIDE:
                raise LocalError(
                    f"line {lines[0].number} and the following were not published: {error}"
                ) from error
            if len(lines) == 1:
                return [_rejected(lines[0], error.reason)]
            half = len(lines) // 2
            return self._send(lines[:half]) + self._send(lines[half:])
        if len(results) != len(lines):
            raise LocalError(f"{self._url} answered {len(results)} results to {len(lines)} events")
        return [
            LineResult(
                line.number,
                LineStatus(result["status"]),
                int(result["subscriptions"]),
                str(result.get("message", "")),
            )
            for line, result in zip(lines, results, strict=True)
        ]

    def _answered(self, lines: list[Line]) -> list[dict[str, Any]]:
        """The results of one batch. Sends it again while the service is out of reach, which knows repeats."""
        body = b"[" + b",".join(line.text for line in lines) + b"]"
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        give_up = self._clock.monotonic() + self._give_up_s
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
                return _published(response)
            self._clock.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)


def _published(response: requests.Response) -> list[dict[str, Any]]:
    """Source: network-events.yaml, PublishResult."""
    try:
        results: list[dict[str, Any]] = response.json()["results"]
    except (ValueError, KeyError, TypeError) as error:
        raise LocalError(
            f"{response.url} answered with something else than a PublishResult: {response.text[:200]}"
        ) from error
    return results


def _rejected(line: Line, message: str) -> LineResult:
    return LineResult(line.number, LineStatus.REJECTED, 0, message)


def _json_fault(raw: bytes) -> str | None:
    """Where the text stops being JSON; None if it is something else that makes it no JSON text."""
    with suppress(ValueError, RecursionError):
        try:
            json.loads(raw.decode())
        except json.JSONDecodeError as error:
            return f"not JSON: {error.msg}, column {error.colno}"
    return None
