"""Run as a script: sinks in a separate process, which record whatever arrives.

Arguments: a PEM file with certificate and key, the journal's path, how many sinks, a seed.
Each sink is a TLS port on 127.0.0.1, HTTP/1.1 with keep-alive. The ports are the first line
of stdout, in JSON. Every line of stdin is a plan for one sink, in JSON, answered by a line
once it holds:

    sink      which one, from 0
    open      whether it listens; closing it ends its connections
    share     the share of requests that do not get a 204
    kinds     what these get, chosen at random: a status; `cut`, the connection closed without
              an answer; `never`, no answer
    headers   lines added to every answer but a 204; `{in_2_s}` is an HTTP date
    delay_ms  [min, max], uniform, before any answer

The journal has a line as each request is read and one as each answer is written, both in
order, times in seconds of the monotonic clock. OPTIONS, which asks whether it agrees, has none:

    a <request> <s> <sink> <connection> <path>\t<body>
    r <request> <s> <status, or 0 for `cut`>
"""

import asyncio
import json
import os
import random
import re
import ssl
import sys
import time
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
_AGREED = b"HTTP/1.1 200 OK\r\nwebhook-allowed-origin: *\r\ncontent-length: 0\r\n\r\n"
_ACK = "done"


@dataclass(frozen=True)
class Plan:
    sink: int
    open: bool = True
    share: float = 0.0
    kinds: tuple[str, ...] = ("500",)
    headers: tuple[str, ...] = ()
    delay_ms: tuple[float, float] = (0.0, 0.0)


class Sinks:
    def __init__(self, certificate: str, journal: str, count: int, seed: str) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.random = random.Random(seed)
        self.plans = [Plan(number) for number in range(count)]
        self.servers: list[asyncio.Server | None] = [None] * count
        self.open: set[Connection] = set()
        self._ports = [0] * count
        self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._requests = self._connections = 0

    async def start(self) -> list[int]:
        for number in range(len(self.plans)):
            await self._listen(number)
        return self._ports

    async def apply(self, plan: Plan) -> None:
        self.plans[plan.sink] = plan
        server = self.servers[plan.sink]
        if plan.open and server is None:
            await self._listen(plan.sink)
        elif not plan.open and server is not None:
            self.servers[plan.sink] = None
            server.close()
            for connection in [other for other in self.open if other.sink == plan.sink]:
                connection.hang_up()

    def next_connection(self) -> int:
        self._connections += 1
        return self._connections

    def arrived(self, sink: int, connection: int, path: bytes, body: bytes) -> int:
        self._requests += 1
        head = f"a {self._requests} {time.monotonic():.6f} {sink} {connection} "
        os.write(self._journal, head.encode() + path + b"\t" + body + b"\n")
        return self._requests

    def answered(self, request: int, status: int) -> None:
        os.write(self._journal, f"r {request} {time.monotonic():.6f} {status}\n".encode())

    async def _listen(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(self, number),
            "127.0.0.1",
            self._ports[number],
            ssl=self.context,
            backlog=1024,
        )
        self.servers[number] = server
        self._ports[number] = server.sockets[0].getsockname()[1]


class Connection(asyncio.Protocol):
    def __init__(self, sinks: Sinks, sink: int) -> None:
        self.sink = sink
        self._sinks = sinks
        self._number = sinks.next_connection()
        self._read = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._sinks.open.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._sinks.open.discard(self)

    def hang_up(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._read, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._read) < whole:
                return
            method, path, _ = self._read.split(b" ", 2)
            body, self._read = self._read[end + 4 : whole], self._read[whole:]
            if method == b"OPTIONS":
                self._take(None)
            else:
                self._take(self._sinks.arrived(self.sink, self._number, path, body))

    def _take(self, request: int | None) -> None:
        """None: it is asked whether it agrees, and does, where it would take a request."""
        plan, draw = self._sinks.plans[self.sink], self._sinks.random
        kind = draw.choice(plan.kinds) if draw.random() < plan.share else "204"
        if kind == "never":
            return
        delay_s = draw.uniform(*plan.delay_ms) / 1000
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, self._answer, request, kind, plan)
        else:
            self._answer(request, kind, plan)

    def _answer(self, request: int | None, kind: str, plan: Plan) -> None:
        if self._transport.is_closing():
            return
        if request is not None:
            self._sinks.answered(request, 0 if kind == "cut" else int(kind))
        if kind == "cut":
            self.hang_up()
        elif kind == "204":
            self._transport.write(_AGREED if request is None else _NO_CONTENT)
        else:
            lines = [f"HTTP/1.1 {kind} X", "content-length: 0", *plan.headers, "", ""]
            in_2_s = formatdate(time.time() + 2, usegmt=True)
            self._transport.write("\r\n".join(lines).format(in_2_s=in_2_s).encode())


async def main(certificate: str, journal: str, count: int, seed: str) -> None:
    sinks = Sinks(certificate, journal, count, seed)
    print(json.dumps(await sinks.start()), flush=True)
    stdin = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    # The end of stdin is the end.
    async for line in stdin:
        await sinks.apply(Plan(**json.loads(line)))
        print(_ACK, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
