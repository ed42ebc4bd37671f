"""Many hosts on one port of loopback, and a worker process that delivers to them.

Every address of 127.0.0.0/8 is another host for the service.
"""

import asyncio
import multiprocessing
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

from webrtc_events.core.clock import SystemClock

__all__ = ["Sinks", "address", "slow_sinks", "unresponsive_sinks", "worker_process"]

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_BACKLOG = 4096


def address(network: int, number: int) -> str:
    """Of the host with that number in 127.<network>.0.0/16."""
    return str(IPv4Address(f"127.{network}.0.0") + number + 1)


class Sinks:
    """TLS sinks on one port, each of which answers 204 after `delay_s` seconds.

    `arrived_s` has, for each path, the moment of its first request by the monotonic clock.
    """

    def __init__(self, context: ssl.SSLContext, *, delay_s: float = 0.0) -> None:
        self.arrived_s: dict[str, float] = {}
        self._context = context
        self._delay_s = delay_s
        self._clock = SystemClock()
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "Sinks":
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _open(self) -> int:
        self._server = await asyncio.start_server(
            self._serve, "0.0.0.0", 0, ssl=self._context, backlog=_BACKLOG, ssl_handshake_timeout=60
        )
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _close(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Also when the test is over: then it is cancelled.
        with suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError, ssl.SSLError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                await reader.readexactly(int(length[1]) if length else 0)
                self._note(head.split(b" ", 2)[1].decode())
                await asyncio.sleep(self._delay_s)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    def _note(self, path: str) -> None:
        with self._changed:
            self.arrived_s.setdefault(path, self._clock.monotonic())
            self._changed.notify_all()

    def wait_for(self, path: str, timeout_s: float) -> float:
        """The moment of the first request for that path.

        Raises:
            TimeoutError: there was none in that time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: path in self.arrived_s, timeout_s):
                raise TimeoutError(f"nothing came to {path} in {timeout_s} s")
            return self.arrived_s[path]


@contextmanager
def slow_sinks(certificate: Path, delay_s: float) -> Iterator[int]:
    """The port of sinks as above, in a separate process: their work delays nobody here."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(certificate, delay_s, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join(10)
        ours.close()


def _serve(certificate: Path, delay_s: float, pipe: Connection) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Sinks(context, delay_s=delay_s) as sinks:
        pipe.send(sinks.port)
        pipe.recv()


@contextmanager
def unresponsive_sinks() -> Iterator[int]:
    """The port of hosts that take every connection and say nothing."""
    kept: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                kept.append(listener.accept()[0])
                while len(kept) > 2 * _BACKLOG:
                    # Its peer has given up long ago.
                    kept.pop(0).close()

    with socket.create_server(("0.0.0.0", 0), backlog=_BACKLOG) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for connection in kept:
                connection.close()


@contextmanager
def worker_process(environ: Mapping[str, str], log: Path) -> Iterator[None]:
    """A worker that delivers from now on; killed in the end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEBRTC_EVENTS_")}
    with log.open("wb") as file, _started(kept | dict(environ), file):
        yield


@contextmanager
def _started(environ: Mapping[str, str], log: IO[bytes]) -> Iterator[None]:
    command = (sys.executable, "-m", "webrtc_events.cli", "worker")
    with subprocess.Popen(command, env=environ, stderr=log) as process:
        try:
            yield
        finally:
            process.kill()
