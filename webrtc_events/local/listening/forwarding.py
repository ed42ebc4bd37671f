"""Forwards the events of a channel to an application, one after the other, as its sink would get them."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import requests

from webrtc_events.core.clock import Clock, parse_time
from webrtc_events.local.data_directory import write_private
from webrtc_events.local.listening.channel_client import ChannelAccess
from webrtc_events.local.listening.channel_reader import ChannelEvent

__all__ = ["ForwardState", "Forwarder"]

_TIMEOUT_S = 10.0
_FIRST_DELAY_S, _MAX_DELAY_S = 0.5, 10.0
_RETRIED = frozenset({404, 408, 425, 429})
_HEADERS = {"Content-Type": "application/cloudevents+json"}


class ForwardState:
    """Which channel, and how far it was forwarded: kept in a file, so that the next run goes on there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.channel: ChannelAccess | None = None
        self.cursor = ""
        try:
            kept = json.loads(path.read_bytes())
            self.channel = ChannelAccess(**kept["channel"])
            self.cursor = str(kept["cursor"])
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            # The first run, or a damaged file: it begins anew.
            self.channel = None

    def begin(self, channel: ChannelAccess) -> ChannelAccess:
        """Returns the channel, which is kept from now on."""
        self.channel, self.cursor = channel, ""
        self._write()
        return channel

    def move(self, cursor: str) -> None:
        """Everything up to there was forwarded."""
        self.cursor = cursor
        self._write()

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        if self.channel is not None:
            kept = {"channel": asdict(self.channel), "cursor": self.cursor}
            write_private(self._path, json.dumps(kept).encode() + b"\n")


class Forwarder:
    """`to` is the application's URL; `since_ms`: what happened before is passed over."""

    def __init__(
        self, to: str, clock: Clock, say: Callable[[str], None], since_ms: int | None = None
    ) -> None:
        self._to = to
        self._clock = clock
        self._say = say
        self._since_ms = since_ms
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        self._session.close()

    def forward(self, event: ChannelEvent) -> str:
        """Until the application has answered what is no failure; returns what it answered.

        As with a sink, an event is tried again for as long as the application does not answer, or with 5xx,
        404, 408, 425 or 429; those behind it wait.
        """
        if self._is_older(event):
            return "passed over"
        delay_s = _FIRST_DELAY_S
        while True:
            try:
                answer = self._session.post(
                    self._to,
                    data=json.dumps(event.content).encode(),
                    headers=_HEADERS,
                    timeout=_TIMEOUT_S,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                why = type(error).__name__
            else:
                if answer.status_code < 500 and answer.status_code not in _RETRIED:
                    return str(answer.status_code)
                why = str(answer.status_code)
            self._say(f"{self._to}: {why}; again in {delay_s:g} s")
            self._clock.sleep(delay_s)
            delay_s = min(2 * delay_s, _MAX_DELAY_S)

    def _is_older(self, event: ChannelEvent) -> bool:
        if self._since_ms is None:
            return False
        try:
            return parse_time(str(event.content["time"])) < self._since_ms
        except (KeyError, ValueError):
            return False
