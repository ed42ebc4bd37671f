"""An HTTP proxy that speaks CONNECT: real tunnels on loopback, with programmable refusals."""

import asyncio
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Self

__all__ = ["ConnectProxy"]

_CHUNK = 65_536


class ConnectProxy:
    """Context manager; one event loop in a thread. Its port stays the same when it is started again.

    Every name is this host, unless it is in `unreachable`, which is answered 503. `answer` decides the
    status of each CONNECT; 200 makes the tunnel, 0 leaves the client waiting, -1 hangs up. With `credentials`
    (`user:password`) others are answered 407. `context`: it is an https proxy.
    """

    def __init__(
        self,
        *,
        context: ssl.SSLContext | None = None,
        credentials: str = "",
        host: str = "127.0.0.1",
    ) -> None:
        self.answer: Callable[[str], int] = lambda _: 200
        self.unreachable: set[str] = set()
        self.asked: list[str] = []
        self.heads: list[bytes] = []
        # Of the certificates that clients showed, '' for none.
        self.subjects: list[str] = []
        self._context = context
        self._credentials = credentials
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        scheme = "http" if self._context is None else "https"
        return f"{scheme}://{'localhost' if self._context else host}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def start(self) -> None:
        """Listens, on the port of before if it had one."""
        self._do(self._start())

    def stop(self) -> None:
        """Refuses connections, and ends every tunnel at once."""
        self._do(self._stop())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, self._host, self.port, ssl=self._context, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            # A peer that hangs up ends its tunnel; so does the end of the proxy.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._connect(reader, writer)
        finally:
            _reset(writer)
            self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        target = head.split(b" ", 2)[1].decode()
        self.heads.append(head)
        shown: Any = (writer.get_extra_info("peercert") or {}).get("subject", ())
        self.subjects.append(
            next((value for name in shown for key, value in name if key == "commonName"), "")
        )
        self.asked.append(target)
        host, _, port = target.rpartition(":")
        status = self.answer(target)
        expected = b"Basic " + b64encode(self._credentials.encode())
        if self._credentials and expected not in head:
            status = 407
        elif host in self.unreachable:
            status = 503
        if status == 0:
            await asyncio.Event().wait()
        if status == -1:
            return
        if status != 200:
            writer.write(b"HTTP/1.1 %d Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % status)
            await writer.drain()
            return
        address = "::1" if host.startswith("[") else "127.0.0.1"
        there, back = await asyncio.open_connection(address, int(port))
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ways = [asyncio.create_task(_pump(reader, back)), asyncio.create_task(_pump(there, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            _reset(back)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends the connection at once, as the end of a process does."""
    plain: socket.socket | None = writer.get_extra_info("socket")
    if plain is not None:
        writer.transport.abort()
