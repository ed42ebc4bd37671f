"""HTTP/1.1 as uvicorn speaks it by httptools, with strict heads and a deadline for each.

What goes wrong before there is a request never gets to an application: it is answered here, with
an ErrorInfo as everywhere, and the connection is closed.
"""

import asyncio
import json
import re
import select
import socket
import uuid
from contextlib import suppress
from enum import Enum, auto
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from webrtc_events.api.request_framing import Framing, InvalidFramingError
from webrtc_events.api.responses import error_info
from webrtc_events.core.errors import InvalidArgument, RequestTimeout, ServiceError

__all__ = ["HttpProtocol"]

_DEADLINE_S = 10.0
# For what is in the way of the rest of an answer, which is 64 KiB at most.
_READER_DEADLINE_S = 30.0
# How long the loop has to read what has come, before it is looked at again.
_UNREAD_S = 1.0
# asyncio reads 256 KiB at once: what a thousand clients send before anybody looks at their requests.
_READ_BYTES = 16 * 1024
# RFC 9112, 3. llhttp takes HTTP/0.9, HTTP/2.0, RTSP and ICE too, and more than one space.
_REQUEST_LINE = re.compile(rb"[!-~]+ [!-~]+ HTTP/1\.[01]\r\n")
# Server-Sent Events, which go on for as long as somebody reads.
_EVENT_STREAM = b"text/event-stream"
# It is no part of a value (RFC 9110, 5.5). A line of nothing else stays: empty, it would end the head.
_TRAILING_SPACE = re.compile(rb"(?<=[^\r\n\t ])[\t ]+(?=\r\n)")
# Java's client asks for HTTP/2 by it. Nobody has to heed it (RFC 9110, 7.8), and llhttp would skip the body.
# What may not be in a value stays, and is refused.
_UPGRADE = re.compile(rb"\r\nupgrade:([\t -~\x80-\xff]*)", re.IGNORECASE)
_WEBSOCKET = b"websocket"


class _Awaited(Enum):
    """What a client is given 10 s for."""

    HEAD = auto()
    REST_OF_BODY = auto()


class _HeldHead(asyncio.Transport):
    """Writes the head of an answer with the first piece of its body: one call of the system, one packet.

    Who has nothing to say yet and wants the head to be read sends an empty piece.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._head = b""
        self._holds_next = False

    def hold_next(self) -> None:
        """What is written next waits for what is written then, or for the end."""
        self._holds_next = True

    def write(self, data: bytes) -> None:  # type: ignore[override]
        if self._holds_next:
            self._head, self._holds_next = data, False
            return
        self._transport.write(self._head + data)
        self._head = b""

    def close(self) -> None:
        if self._head:
            self.write(b"")
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class _Cycle(RequestResponseCycle):
    """A request and its answer. A client of HTTP/1.0 knows no chunks, and reads to the connection's end."""

    transport: _HeldHead
    _ends_with_connection = False
    _is_stream = False
    _is_to_end = False

    async def send(self, message: Any) -> None:
        if self.scope["http_version"] == "1.0":
            self._delimit(message)
        if message["type"] == "http.response.start":
            self._is_stream = any(
                name == b"content-type" and value.startswith(_EVENT_STREAM)
                for name, value in message.get("headers", ())
            )
            if self._is_to_end:
                self.message_event.set()
            if self.scope["method"] != "HEAD":
                self.transport.hold_next()
        await super().send(message)

    async def receive(self) -> Any:
        message = await super().receive()
        return {"type": "http.disconnect"} if self._is_to_end and self._is_stream else message

    def ask_to_end(self) -> None:
        """An answer that has no end by itself is to be ended, as if its reader had left: the server stops, or
        the reader has closed its side.
        """
        self._is_to_end = True
        if self._is_stream:
            self.message_event.set()

    def _delimit(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", ())}
            self._ends_with_connection = b"content-length" not in names
        if self._ends_with_connection:
            # As uvicorn has it for an answer whose length is known: of this piece it is.
            self.chunked_encoding = False
            self.expected_content_length = len(message.get("body", b""))


def _has_unread(transport: asyncio.Transport) -> bool:
    unread = select.poll()
    unread.register(transport.get_extra_info("socket"), select.POLLIN)
    return bool(unread.poll(0))


def _normalized(head: bytes) -> tuple[bytes, list[bytes]]:
    """The head, without what llhttp does not read as RFC 9110 has it, and the protocols that it asks for.

    Raises:
        InvalidFramingError: its first line is not one of HTTP/1.1 or HTTP/1.0.
    """
    if not _REQUEST_LINE.match(head):
        raise InvalidFramingError
    if b" \r" in head or b"\t\r" in head:
        head = _TRAILING_SPACE.sub(b"", head)
    asked = [value.strip().lower() for value in _UPGRADE.findall(head)]
    return _UPGRADE.sub(b"", head) if asked else head, asked


class HttpProtocol(HttpToolsProtocol):
    """For uvicorn's option `http`.

    The head of a request has 10 s from its first byte, that of the first request from the
    connection's start; so has what is left of a body when its request is answered already. A client
    that does not read its answer is given up after 30 s. uvicorn by itself limits the time between two
    requests only. Bodies on their way are in bodies.py.

    A request is read once the one before it is answered, so what is wrong with it is said after that answer.

    A handshake for a WebSocket ends what this reads: the connection goes to the protocol of uvicorn's option
    `ws`. Without that, and for all other protocols, a request that asks for another is answered in this one.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._framing = Framing()
        self._asked_protocols: list[bytes] = []
        self._is_websocket = False
        self._awaited: _Awaited | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.max_size = _READ_BYTES  # type: ignore[attr-defined]
        self._watch()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._framing.add(data)
        self._read_on()
        if self._is_websocket:
            return
        if self._framing.in_body and not self._is_answered and self.cycle.body:
            # The next piece of a body comes once this one is asked for. Who waits for the first does not
            # ask again: the size of a chunk alone is no reason to pause.
            self.flow.pause_reading()
        self._watch()

    @property
    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _read_on(self) -> None:
        """Gives the parser what has come, up to the end of a request that is not answered."""
        try:
            while not self.transport.is_closing():
                if not self._framing.in_body and not self._is_answered:
                    if self._framing.has_begun:
                        self.flow.pause_reading()
                    return
                in_head = not self._framing.in_body
                piece = self._framing.piece()
                if not piece:
                    return
                if in_head:
                    piece, self._asked_protocols = _normalized(piece)
                self.parser.feed_data(piece)
                if self._is_websocket:
                    self._hand_over()
                    return
        except (httptools.HttpParserError, InvalidFramingError):
            self.logger.warning("Invalid HTTP request received.")
            self._refuse(InvalidArgument("The request is not valid HTTP."))
        except httptools.HttpParserUpgrade:
            # CONNECT. It is answered, and the parser takes nothing more.
            self._framing.close()
            self.cycle.keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers are dropped: the application may have checked the headers already (RFC 9110, 6.5.1).
        if not self._framing.in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """
        Raises:
            InvalidFramingError: a head that RFC 9112 wants refused, and llhttp takes.
        """
        version = self.parser.get_http_version()
        hosts, length, codings = self._framing_headers()
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            raise InvalidFramingError
        if codings and (version == "1.0" or codings != [b"chunked"]):
            raise InvalidFramingError
        path, _, self.scope["query_string"] = self.url.partition(b"?")
        self.scope["raw_path"] = self.root_path.encode("ascii") + path
        self.scope["path"] = self.root_path + unquote(path.decode("ascii"))
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = version
        self._framing.begin_body(length, is_chunked=bool(codings))
        if version == "1.1" and not length and not codings and self._asks_for_websocket():
            self._is_websocket = True
            return
        self.cycle = _Cycle(
            scope=self.scope,
            transport=_HeldHead(self.transport),
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            # RFC 9110, 10.1.1: HTTP/1.0 does not know it.
            expect_100_continue=self.expect_100_continue and version != "1.0",
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self._unset_keepalive_if_required()
        self._start_asgi_task(self.cycle, self.app)

    def _framing_headers(self) -> tuple[int, int, list[bytes]]:
        """How many hosts are named, how long the body is, how it is coded. llhttp has checked the length."""
        hosts, length, codings = 0, 0, []
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding":
                codings.append(value.lower())
        return hosts, length, codings

    def _asks_for_websocket(self) -> bool:
        """Source: RFC 6455, 4.2.1."""
        if self.ws_protocol_class is None or self._asked_protocols != [_WEBSOCKET]:
            return False
        options = (
            b",".join(value for name, value in self.headers if name == b"connection").lower().split(b",")
        )
        return self.scope["method"] == "GET" and b"upgrade" in [option.strip() for option in options]

    def _hand_over(self) -> None:
        """The head goes on to the protocol of WebSockets, and all that comes from now on."""
        if self._framing.has_begun:
            # A client waits for the answer. What comes here is a request of somebody who knows of no upgrade.
            self._is_websocket = False
            raise InvalidFramingError
        self._framing.close()
        self._await(None)
        self._read()
        self._unset_keepalive_if_required()
        self.headers.append((b"upgrade", _WEBSOCKET))
        self.flow.resume_reading()
        self.handle_websocket_upgrade()

    def on_message_complete(self) -> None:
        self._framing.end_body()
        if self._is_websocket:
            return
        super().on_message_complete()

    def on_response_complete(self) -> None:
        # Nobody reads what has come of a body whose request is answered.
        self.cycle.body.clear()
        super().on_response_complete()
        self._read_on()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing was read for a while. What has come, and waits as the loop is late, is still answered."""
        if self.transport.is_closing():
            return
        if _has_unread(self.transport):
            again = self.loop.call_later(_UNREAD_S, self.timeout_keep_alive_handler)
            self.timeout_keep_alive_task = again
            return
        is_written = self.transport.get_write_buffer_size() == 0
        super().timeout_keep_alive_handler()
        if is_written and self.scheme != "https":
            # The loop closes it in its next turn. A client that is told at once sends nothing into it.
            with suppress(OSError):
                self.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)

    def shutdown(self) -> None:
        super().shutdown()
        if isinstance(self.cycle, _Cycle) and not self._is_answered:
            self.cycle.ask_to_end()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(_READER_DEADLINE_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._read()
        super().resume_writing()

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that closes its side once it has asked gets its answer, and then the connection's end.

        A reader of an event stream has left by that. What it sent behind a request that is still under way is
        not read. One of TLS cannot stay open for one side.
        """
        if not isinstance(self.cycle, _Cycle) or self._is_answered or self._framing.in_body:
            return False
        self.cycle.keep_alive = False
        self.cycle.ask_to_end()
        return self.scheme != "https"

    def connection_lost(self, exc: Exception | None) -> None:
        # uvicorn leaves the timer to a connection that was reset.
        self._unset_keepalive_if_required()
        self._await(None)
        self._read()
        super().connection_lost(exc)

    def _watch(self) -> None:
        late = _Awaited.REST_OF_BODY if self._framing.in_body else _Awaited.HEAD
        self._await(late if self._is_answered and not self.transport.is_closing() else None)

    def _await(self, what: _Awaited | None) -> None:
        """The deadline is that of the first moment, whatever comes."""
        if what is self._awaited:
            return
        self._awaited = what
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if what is None else self.loop.call_later(_DEADLINE_S, self._is_late)

    def _is_late(self) -> None:
        if self._awaited is _Awaited.HEAD and self._framing.has_begun:
            self._refuse(RequestTimeout())
        else:
            self.transport.close()

    def _refuse(self, error: ServiceError) -> None:
        """Answers, unless an answer is on its way already, and closes the connection."""
        between = not self._framing.in_body and self._is_answered
        if between or not (self.cycle is None or self.cycle.response_started):
            body = json.dumps(error_info(error)).encode()
            head = (
                b"content-type: application/json\r\nconnection: close\r\n"
                b"content-length: %d\r\nx-correlator: %b\r\n\r\n" % (len(body), str(uuid.uuid4()).encode())
            )
            self.transport.write(STATUS_LINE[HTTPStatus(error.status)] + head + body)
        if not self._is_answered:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._framing.close()
        self.transport.close()
