"""HTTP/1.1 as uvicorn speaks it by h11, with strict line ends and a deadline for each head.

What goes wrong before there is a request never gets to an application: it is answered here, with
an ErrorInfo as everywhere, and the connection is closed.
"""

import asyncio
import json
import uuid
from http import HTTPStatus
from typing import Any

import h11
from h11._receivebuffer import ReceiveBuffer
from uvicorn.protocols.http.h11_impl import H11Protocol

from webrtc_events.api.responses import error_info
from webrtc_events.core.errors import InvalidArgument, RequestTimeout, ServiceError

__all__ = ["HttpProtocol"]

_DEADLINE_S = 10.0
# For what is in the way of the rest of an answer, which is 64 KiB at most.
_READER_DEADLINE_S = 30.0
# asyncio reads 256 KiB at once: what a thousand clients send before anybody looks at their requests.
_READ_BYTES = 16 * 1024


class HttpProtocol(H11Protocol):
    """For uvicorn's option `http`.

    The head of a request has 10 s from its first byte, that of the first request from the
    connection's start; so has what is left of a body when its request is answered already. A client
    that does not read its answer is given up after 30 s. uvicorn by itself limits the time between two
    requests only. Bodies on their way are in bodies.py.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # h11 has no option for it.
        self.conn._receive_buffer = _StrictLines()
        self._awaited: Any = None
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.max_size = _READ_BYTES  # type: ignore[attr-defined]
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.SEND_RESPONSE:
            # The next piece of a body comes once this one is asked for.
            self.flow.pause_reading()
        self._watch()

    def on_response_complete(self) -> None:
        # Nobody reads what has come of a body whose request is answered.
        self.cycle.body.clear()
        super().on_response_complete()

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

    def connection_lost(self, exc: Exception | None) -> None:
        self._await(None)
        self._read()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's words are not an ErrorInfo)
        self._refuse(InvalidArgument("The request is not valid HTTP."))

    def _watch(self) -> None:
        state = self.conn.their_state
        late = state is h11.IDLE or (state is h11.SEND_BODY and self.conn.our_state is h11.DONE)
        self._await(state if late and not self.transport.is_closing() else None)

    def _await(self, state: Any) -> None:
        """The deadline of a state is that of its first moment, whatever comes in it."""
        if state is self._awaited:
            return
        self._awaited = state
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if state is None else self.loop.call_later(_DEADLINE_S, self._is_late)

    def _is_late(self) -> None:
        if self._awaited is h11.IDLE and self.conn.trailing_data[0]:
            self._refuse(RequestTimeout())
        else:
            self.transport.close()

    def _refuse(self, error: ServiceError) -> None:
        """Answers, unless an answer is on its way already, and closes the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps(error_info(error)).encode()
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                (b"connection", b"close"),
                (b"x-correlator", str(uuid.uuid4()).encode()),
            ]
            response = h11.Response(
                status_code=error.status, headers=headers, reason=HTTPStatus(error.status).phrase.encode()
            )
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class _StrictLines(ReceiveBuffer):
    """Lines of heads and trailers end in CR LF; h11 takes a bare LF too.

    What is in front may see one line where there are two, and with it another request (RFC 9112, 2.2).
    """

    def maybe_extract_lines(self) -> list[bytearray] | None:
        before = len(self)
        lines = super().maybe_extract_lines()
        if lines is not None and before - len(self) != sum(len(line) + 2 for line in lines) + 2:
            raise h11.LocalProtocolError("a line does not end in CR LF")
        return lines
