"""A connection to Kamailio's evapi: asks for records, and for what Kamailio knows of calls and addresses."""

import base64
import json
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from webrtc_events.core.setting_values import HostPort
from webrtc_events.gateways.kamailio.calls import Call
from webrtc_events.gateways.kamailio.intake import Batch, Position
from webrtc_events.gateways.kamailio.netstrings import FrameReader, NotNetstrings, netstring

__all__ = ["Connection", "KamailioSilent", "NotKamailio"]

_PIECE: Final = 1 << 16
_MAX_RECORDS: Final = 10_000


class KamailioSilent(Exception):
    """It is not there, has closed the connection, or says nothing. The text says which."""


class NotKamailio(Exception):
    """What answers is not Kamailio with webrtc-events.cfg."""


class Connection:
    """`timeout_s` bounds each wait. Kamailio answers after 5 s even where it has nothing to say."""

    def __init__(self, evapi: HostPort, timeout_s: float) -> None:
        """
        Raises:
            KamailioSilent: nothing listens there.
        """
        try:
            self._socket = socket.create_connection((evapi.host, evapi.port), timeout=timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise KamailioSilent(f"no connection to {evapi}: {error.strerror or error}") from error
        self._reader = FrameReader()
        self._waiting: deque[bytes] = deque()
        self.addresses: list[str] | None = None
        """The answer to `ask_addresses`, once it has come; empty where Kamailio does not say."""

    def close(self) -> None:
        """Safe for threads: a wait under way ends."""
        # It may be closed already.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def next_batch(self, position: Position) -> Batch:
        """Says that all up to `position` is on disk, and waits for what comes after it; that may be nothing.

        Raises:
            KamailioSilent, NotKamailio: the connection is of no more use.
        """
        self._send(netstring(f"want {position.boot or '-'} {position.number}".encode()))
        records: list[tuple[int, bytes]] = []
        for frame in self._frames():
            word, _, rest = frame.partition(b" ")
            if word == b"record" and len(records) < _MAX_RECORDS:
                number, _, data = rest.partition(b" ")
                records.append((_number(number), data))
            elif word == b"aors":
                self.addresses = _addresses(rest)
            elif word == b"end":
                return _batch(rest, records)
            else:
                raise NotKamailio("an answer that webrtc-events.cfg does not give")
        raise KamailioSilent("Kamailio has closed the connection")

    def ask_call(self, call: Call) -> None:
        """Whether Kamailio has the call still. If not, a record says so."""
        names = map(_base64, (call.call_id, call.caller_tag, call.callee_tag))
        self._send(netstring(b" ".join([b"call", *names])))

    def ask_address(self, address: str) -> None:
        """What is registered for it. A record says so."""
        self._send(netstring(b"aor " + _base64(f"sip:{address}")))

    def ask_addresses(self) -> None:
        """For which addresses anything is registered. The answer comes with a batch, soon."""
        self._send(netstring(b"aors"))

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise KamailioSilent(f"Kamailio takes nothing: {error.strerror or error}") from error

    def _frames(self) -> Iterator[bytes]:
        while self._waiting or (piece := self._received()):
            if not self._waiting:
                try:
                    self._waiting.extend(self._reader.frames(piece))
                except NotNetstrings as error:
                    raise NotKamailio(str(error)) from None
            while self._waiting:
                yield self._waiting.popleft()

    def _received(self) -> bytes:
        try:
            return self._socket.recv(_PIECE)
        except OSError as error:
            raise KamailioSilent(f"Kamailio does not answer: {error.strerror or error}") from error


def _batch(rest: bytes, records: list[tuple[int, bytes]]) -> Batch:
    match rest.split(b" "):
        case [boot, begin, last]:
            return Batch(boot.decode("ascii", "replace"), _number(begin) + 1, _number(last), records)
        case _:
            raise NotKamailio("an answer that webrtc-events.cfg does not give")


def _addresses(reply: bytes) -> list[str]:
    """user@host of each, out of the reply of ul.dump; none where it is empty, or another's."""
    try:
        domains = json.loads(reply.decode("utf-8", "replace"))["result"]["Domains"]
        return [
            str(record["AoR"])
            for domain in domains
            for record in domain["Domain"]["AoRs"]
            if "@" in str(record["AoR"])
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 12:
        raise NotKamailio("a number was expected")
    return int(digits)


def _base64(text: str) -> bytes:
    return base64.urlsafe_b64encode(text.encode("utf-8", "replace"))
