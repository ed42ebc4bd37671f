"""A recording sink: a real TLS server on a free loopback port, with programmable answers."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Self

from tests.harness.authority import Authority

__all__ = [
    "Answer",
    "Received",
    "RecordingSink",
    "plain_listener",
    "read_request",
]


@dataclass(frozen=True)
class Received:
    """One request. `json` is the parsed body, None if it is no JSON. `connection` counts from 1.

    `subject`: the common name of the client's certificate, '' if it showed none or was not asked.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int
    subject: str = ""

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True)
class Answer:
    """`delay_s` passes before it is sent; `never` leaves the request unanswered until the sink closes."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    delay_s: float = 0.0
    never: bool = False
    close: bool = False


Answerer = Callable[[Received], Answer]


@dataclass
class _Record:
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    open: int = 0


class RecordingSink:
    """Context manager. HTTP/1.1 with keep-alive, one thread a connection, on 127.0.0.1 and ::1.

    `answer` decides each answer and may be replaced at any time; a list of statuses is used up
    in order, its last one for ever. `raw`, when set, gets each new TLS connection instead; what
    it raises of OSError ends that connection. `closing` is set when the sink stops: hooks that
    want to hang wait for it.
    """

    def __init__(
        self,
        *,
        authority: Authority | None = None,
        names: Sequence[str] = ("localhost", "127.0.0.1", "::1"),
        not_after: datetime | None = None,
        answer: Answerer | Sequence[int] = (204,),
        raw: Callable[[ssl.SSLSocket], None] | None = None,
    ) -> None:
        self.raw = raw
        self.closing = threading.Event()
        self._own_authority = authority is None
        self._authority = authority or Authority()
        self._context = self._authority.context(*names, not_after=not_after)
        self._changed = threading.Condition()
        self._record = _Record()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.answer = answer

    @property
    def answer(self) -> Answerer:
        return self._answer

    @answer.setter
    def answer(self, answer: Answerer | Sequence[int]) -> None:
        self._answer = answer if callable(answer) else _one_after_another(answer)

    @property
    def ca_file(self) -> Path:
        return self._authority.ca_file

    @property
    def authority(self) -> Authority:
        """For further sinks that the same clients trust."""
        return self._authority

    @property
    def port(self) -> int:
        port: int = self._listeners[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return self.url_of("/")

    def url_of(self, path: str) -> str:
        return f"https://localhost:{self.port}{path}"

    @property
    def requests(self) -> list[Received]:
        """Those received so far, in order."""
        with self._changed:
            return list(self._record.requests)

    @property
    def connections(self) -> int:
        """TCP connections accepted so far, before any TLS."""
        with self._changed:
            return self._record.connections

    @property
    def open(self) -> int:
        """TCP connections that have not ended."""
        with self._changed:
            return self._record.open

    def wait_for(self, count: int, timeout_s: float = 5.0) -> list[Received]:
        """The requests, once there are at least `count`.

        Raises:
            TimeoutError: there are fewer after `timeout_s`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._record.requests) >= count, timeout_s):
                raise TimeoutError(f"{len(self._record.requests)} of {count} requests in {timeout_s} s")
            return list(self._record.requests)

    def clear(self) -> None:
        with self._changed:
            self._record.requests.clear()

    def use(self, context: ssl.SSLContext) -> None:
        """TLS settings of connections from now on."""
        self._context = context

    def wait_until_idle(self, timeout_s: float = 5.0) -> None:
        """Returns once every connection has ended.

        Raises:
            TimeoutError: one is still open after `timeout_s`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._record.open == 0, timeout_s):
                raise TimeoutError(f"{self._record.open} connections are open after {timeout_s} s")

    def hang_up(self) -> None:
        """Ends every connection that is open."""
        with self._changed:
            for connection in self._open:
                _hang_up(connection)

    def __enter__(self) -> Self:
        self._listeners = _listen()
        for listener in self._listeners:
            self._start(self._accept, listener)
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        for listener in self._listeners:
            # Linux wakes a blocked accept by shutdown; elsewhere by the close.
            _hang_up(listener)
        self.hang_up()
        for thread in self._threads:
            thread.join(5)
        if self._own_authority:
            self._authority.close()

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        with self._changed:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while not self.closing.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._changed:
                    self._record.connections += 1
                    self._record.open += 1
                    number = self._record.connections
                    self._changed.notify_all()
                self._start(self._serve, connection, number)

    def _serve(self, plain: socket.socket, number: int) -> None:
        try:
            self._serve_tls(plain, number)
        finally:
            with self._changed:
                self._record.open -= 1
                self._changed.notify_all()

    def _serve_tls(self, plain: socket.socket, number: int) -> None:
        """Ends with the connection; the peer's hanging up is no fault of the sink."""
        try:
            plain.settimeout(30)
            connection = self._context.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            return
        with self._changed:
            self._open.add(connection)
        try:
            if self.closing.is_set():
                return
            if self.raw is not None:
                self.raw(connection)
            else:
                self._converse(connection, number)
        except OSError:
            return
        finally:
            with self._changed:
                self._open.discard(connection)
            connection.close()

    def _converse(self, connection: ssl.SSLSocket, number: int) -> None:
        subject = _subject(connection)
        with connection.makefile("rb") as reader:
            while (received := read_request(reader, number, subject)) is not None:
                with self._changed:
                    self._record.requests.append(received)
                    self._changed.notify_all()
                answer = self._answer(received)
                if self.closing.wait(None if answer.never else answer.delay_s):
                    return
                connection.sendall(_encode(answer))
                if answer.close:
                    return


def _subject(connection: ssl.SSLSocket) -> str:
    names: Any = (connection.getpeercert() or {}).get("subject", ())
    return next((value for name in names for key, value in name if key == "commonName"), "")


def read_request(reader: BinaryIO, connection: int = 0, subject: str = "") -> Received | None:
    """The next request, None at the end of the connection."""
    start = reader.readline()
    if not start:
        return None
    method, path, _ = start.decode("latin-1").split(" ", 2)
    headers: list[tuple[str, str]] = []
    while (line := reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name, value.strip()))
    size = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return Received(method, path, tuple(headers), reader.read(size), connection, subject)


def _encode(answer: Answer) -> bytes:
    head = [f"HTTP/1.1 {answer.status} X"]
    head += [f"{name}: {value}" for name, value in answer.headers]
    if answer.status != 204:
        head.append(f"content-length: {len(answer.body)}")
    if answer.close:
        head.append("connection: close")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + answer.body


def _one_after_another(statuses: Sequence[int]) -> Answerer:
    remaining = list(statuses)
    lock = threading.Lock()

    def answer(_: Received) -> Answer:
        with lock:
            return Answer(remaining.pop(0) if len(remaining) > 1 else remaining[0])

    return answer


# A service goes on with what it could not deliver to the sink of a test before: that is not for another test.
_used_ports: set[int] = set()


def _new_port() -> socket.socket:
    """Listens on 127.0.0.1, on a port that no sink of this process had."""
    with ExitStack() as used:
        while True:
            listener = socket.create_server(("127.0.0.1", 0), backlog=512)
            port = listener.getsockname()[1]
            if port not in _used_ports:
                _used_ports.add(port)
                return listener
            used.enter_context(listener)


def _listen() -> list[socket.socket]:
    """One port on 127.0.0.1, and on ::1 where the host has it and the port is free there too."""
    first = _new_port()
    port = first.getsockname()[1]
    try:
        return [first, socket.create_server(("::1", port), family=socket.AF_INET6, backlog=512)]
    except OSError:
        # `localhost` then falls back to 127.0.0.1, at once since ::1 refuses.
        return [first]


def _hang_up(connection: socket.socket) -> None:
    try:
        # SSLSocket.shutdown drops the TLS: what comes encrypted would be read as a request.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        connection.close()


class plain_listener:  # noqa: N801 (used as a function)
    """A TCP peer that answers every connection with `greeting` and keeps it open."""

    def __init__(self, greeting: bytes) -> None:
        self._greeting = greeting
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> int:
        self._thread.start()
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()

    def _serve(self) -> None:
        with ExitStack() as connections:
            while True:
                try:
                    connection, _ = self._listener.accept()
                except OSError:
                    return
                connections.enter_context(connection)
                connection.sendall(self._greeting)
