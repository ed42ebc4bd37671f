"""Reads a channel for as long as it is there, and comes back after each end of the stream."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import requests

from webrtc_events.core.clock import Clock
from webrtc_events.local.local_error import LocalError, UnreachableError

__all__ = ["ChannelEvent", "read_channel"]

_CONNECT_S = 5.0
# A comment comes every 15 s.
_SILENT_S = 45.0
_RETRY_S = 2.0
_LATER = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class ChannelEvent:
    """`type` is the CloudEvents type, or `gap`; `id` the cursor behind it."""

    id: str
    type: str
    content: dict[str, Any]


def read_channel(url: str, token: str, clock: Clock, after: str = "") -> Iterator[ChannelEvent]:
    """All events behind `after`; it ends when the channel does.

    Raises:
        LocalError: there is no such channel, or the token is not its token.
        UnreachableError: the service did not answer at all, the first time.
    """
    reached = False
    with requests.Session() as session:
        # A proxy or CA bundle of the environment is not meant for servers on this machine.
        session.trust_env = False
        while True:
            headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
            if after:
                headers["Last-Event-ID"] = after
            try:
                with session.get(
                    url, headers=headers, stream=True, timeout=(_CONNECT_S, _SILENT_S), allow_redirects=False
                ) as answer:
                    _check(url, answer)
                    reached = True
                    for event in _events(answer.iter_lines()):
                        if event.type == "end":
                            return
                        yield event
                        after = event.id or after
            except requests.RequestException as error:
                if not reached:
                    raise UnreachableError(
                        f"no answer from {url}; is `webrtc-events serve` running? ({type(error).__name__})"
                    ) from error
            clock.sleep(_RETRY_S)


def _check(url: str, answer: requests.Response) -> None:
    if answer.status_code == 404:
        raise LocalError(f"{url}: there is no such channel any more")
    if answer.status_code != 200 and answer.status_code not in _LATER:
        raise LocalError(f"{url}: {answer.status_code}, {answer.text[:200]}")


def _events(lines: Iterable[bytes]) -> Iterator[ChannelEvent]:
    """Source: HTML Living Standard, 9.2 (server-sent events), as far as this service writes it."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.decode().partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            content = json.loads(fields["data"])
            yield ChannelEvent(fields.get("id", ""), fields.get("event", ""), content)
            fields = {}
        else:
            fields = {}
