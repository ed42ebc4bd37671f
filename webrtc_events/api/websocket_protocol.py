"""WebSocket as uvicorn speaks it by websockets, with bounds for what clients send and do not take.

Before an application there is http_protocol.py, which reads the head of the handshake. Sizes and rates here
are those of channels, whose clients send acknowledgements and no more.

Source: RFC 6455.
"""

import asyncio
import json
import logging
import uuid
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame
from websockets.http11 import Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from webrtc_events.api.responses import error_info
from webrtc_events.core.errors import InvalidArgument, Unavailable

__all__ = ["WebSocketProtocol"]

# An acknowledgement has one cursor, of 4,096 characters at most.
_MAX_MESSAGE_BYTES = 8 * 1024
_MAX_FRAGMENTS = 64
# Frames a second, and how many of them may come at once. What comes beyond waits in the connection.
_FRAMES_PER_S, _FRAMES_AT_ONCE = 100.0, 1000
# Also the heartbeat: it goes out where nothing else does, and whoever does not answer it has gone.
_PING_S, _PONG_S = 15.0, 20.0
# As readers of streams have it (http_protocol.py).
_READER_DEADLINE_S = 30.0
# For the rest of what was sent, and the answer to the close.
_CLOSE_S = 5.0
# What breaks the protocol is taken and dropped: a connection that is closed over unread data is reset, and
# takes with it what was said of that.
_DROP_S = 1.0

_TOO_SLOW = 4408
_NOT_VALID = "The WebSocket handshake is not valid."

# The library would write heads at the level DEBUG, and tokens with them; and a line about each connection.
_logger = logging.getLogger(__name__)
_logger.setLevel(logging.WARNING)


class _Connection(ServerProtocol):
    """Refuses handshakes as all is refused. By 500 uvicorn means one that is under way when it stops."""

    def reject(self, status: Any, text: str) -> Response:
        response = super().reject(status, text)
        error = Unavailable() if status >= HTTPStatus.INTERNAL_SERVER_ERROR else InvalidArgument(_NOT_VALID)
        response.status_code, response.reason_phrase = error.status, HTTPStatus(error.status).phrase
        response.body = json.dumps(error_info(error)).encode()
        del response.headers["Content-Type"], response.headers["Content-Length"]
        response.headers["Content-Type"] = "application/json"
        response.headers["Content-Length"] = str(len(response.body))
        response.headers["Sec-WebSocket-Version"] = "13"
        response.headers["x-correlator"] = str(uuid.uuid4())
        return response


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """For uvicorn's option `ws`, together with HttpProtocol.

    A client that takes nothing for 30 s is closed with 4408, and one that does not answer a ping with 1011.
    Whichever way it is closed, the connection ends 5 s later at the latest.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.logger = _logger
        # Without compression: it would take more memory than all else of a reader.
        self.conn = _Connection(max_size=_MAX_MESSAGE_BYTES, logger=_logger)
        self.ping_interval, self.ping_timeout = _PING_S, _PONG_S
        self.close_timeout = _CLOSE_S
        # When a frame may come that comes at the full rate.
        self._frames_until_s = 0.0
        self._throttled: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._last: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated:
            # The head is whole: what the library does not read it does not answer either.
            response = self.conn.reject(InvalidArgument.status, "")
            self.transport.write(response.serialize())
            self.transport.close()
        self._end_in_time()

    def handle_events(self) -> None:
        self._throttle(len(self.conn.events))
        super().handle_events()

    def handle_cont(self, event: Frame) -> None:
        super().handle_cont(event)
        if len(self.frames) > _MAX_FRAGMENTS:
            # The bytes of empty ones are not counted.
            self._close(CloseCode.MESSAGE_TOO_BIG, "too many fragments")

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not _is_utf_8(b"".join(self.frames)):
            self.frames = []
            self._close(CloseCode.INVALID_DATA, "a text is not UTF-8")
        else:
            super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        if self.close_sent or self.conn.close_sent is None:
            return
        code, reason = self.conn.close_sent.code, self.conn.close_sent.reason
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(_DROP_S, self.transport.close)

    async def receive(self) -> Any:
        message = await self.queue.get()
        self._read_on()
        return message

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            # It was refused in HTTP, which uvicorn would take for no answer at all, and log.
            self.handshake_complete = True
        self._end_in_time()

    def _throttle(self, frames: int) -> None:
        """Takes no more until these would have come at the full rate."""
        now_s = self.loop.time()
        self._frames_until_s = max(self._frames_until_s, now_s) + frames / _FRAMES_PER_S
        wait_s = self._frames_until_s - now_s - _FRAMES_AT_ONCE / _FRAMES_PER_S
        if wait_s > 0 and self._throttled is None:
            self._pause()
            self._throttled = self.loop.call_later(wait_s, self._throttled_no_more)

    def _throttled_no_more(self) -> None:
        self._throttled = None
        self._read_on()

    def _pause(self) -> None:
        self.read_paused = True
        self.transport.pause_reading()

    def _read_on(self) -> None:
        """Unless messages are not taken yet, are too many, or answers to them are not."""
        holds = self._throttled is not None or not self.writable.is_set() or not self.queue.empty()
        if self.read_paused and not holds and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        # Or answers to pings would heap up.
        self._pause()
        self._unread = self.loop.call_later(_READER_DEADLINE_S, self._is_too_slow)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_unread()
        self._read_on()

    def _cancel_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _is_too_slow(self) -> None:
        # What is in the way of this has to be taken first.
        self._close(_TOO_SLOW, f"REQUEST_TIMEOUT: nothing was taken for {_READER_DEADLINE_S:g} s")

    def keepalive_timeout(self) -> None:
        if self._throttled is not None or not self.writable.is_set():
            # The answer may be behind what is not read yet. Whoever takes nothing has another deadline.
            self.pong_timer = self.loop.call_later(_PONG_S, self.keepalive_timeout)
            return
        super().keepalive_timeout()
        self._end_in_time()

    def shutdown(self) -> None:
        """The server stops: its client is to come back, to another."""
        if self.handshake_complete and not self.close_sent:
            self._close(CloseCode.GOING_AWAY, "the service stops")
        else:
            super().shutdown()
        self._end_in_time()

    def _close(self, code: int, reason: str) -> None:
        """From here on the application has nobody to send to."""
        self.stop_keepalive()
        if self.conn.state is not State.OPEN or self.transport.is_closing():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = self.disconnected = True
        self.writable.set()
        self.close_timer = self.loop.call_later(_CLOSE_S, self.transport.close)
        # For the answer.
        self.read_paused = False
        self.transport.resume_reading()
        self._end_in_time()

    def on_task_complete(self, task: "asyncio.Task[None]") -> None:
        super().on_task_complete(task)
        self._end_in_time()

    def _end_in_time(self) -> None:
        """A transport that is closed waits until all is taken, for as long as that takes."""
        if self._last is None and (self.close_sent or self.transport.is_closing()):
            self._last = self.loop.call_later(_CLOSE_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_unread()
        for timer in (self._throttled, self._last):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)


def _is_utf_8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
