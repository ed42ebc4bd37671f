"""What do readers of channels cost, and how soon do they have an event? `python bench/channels.py`.

One API process under gunicorn, a worker, a store, and readers with a connection each, all on this machine.

Idle: memory and CPU of the API process with very many readers that get nothing but heartbeats.
Crowd: single events for many readers in turns, published as fast as asked for; how many arrive a second.
Latency: single events at a steady rate; from before the gateway's request to the receipt at the reader.

With `--websocket` the readers have WebSockets, else streams of Server-Sent Events.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests
from fanout import issuing
from harness.api_servers import settings
from harness.processes import await_port, exact_cpu_s, started
from harness.report import finish, machine, progress, show_machine, table
from harness.store import BenchStore
from sinks import free_ports

CHANNELS = "/channels/v0/channels"
SUBSCRIPTIONS = "/webrtc-events/v0.2/subscriptions"
EVENTS = "/network/v0/events"
TYPE = "org.camaraproject.webrtc-events.v0.session-invitation"
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
_READY_S, _OPEN_S, _SETTLE_S, _WATCH_S = 60.0, 120.0, 3.0, 20.0
_OPENED_AT_ONCE = 50
_BATCH = 100
# Frames of RFC 6455, 5.2: the first byte of whole ones, and the longest whose length is in the second.
_TEXT, _PING, _PONG, _SHORT = 0x81, 0x89, 0x8A, 125
_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


@dataclass(frozen=True)
class Idle:
    """Memory of the API process in MB, of one reader in kB; CPU in percent of a core."""

    readers: int
    api_mb: float
    reader_kb: float
    cpu: float


@dataclass(frozen=True)
class Crowd:
    """`per_s`: events that arrived at readers, from the first publish to the last receipt."""

    readers: int
    events: int
    per_s: float
    api_cpu: float
    worker_cpu: float


@dataclass(frozen=True)
class Latency:
    """In ms."""

    readers: int
    rate: float
    events: int
    p50: float
    p99: float


class Service:
    """`api_pid`: of the process that serves; gunicorn itself does nothing."""

    def __init__(self, url: str, token: str, api_pid: int, worker_pid: int, *, websocket: bool) -> None:
        self.url, self.api_pid, self.worker_pid = url, api_pid, worker_pid
        self.reader = SocketReader if websocket else Reader
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        answer = self.session.post(self.url + path, json=body, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def channel(self, registration: str | None = None) -> tuple[str, str]:
        """Id and token of a new channel; with a registration, it listens to that."""
        made = self.post(CHANNELS)
        if registration is not None:
            config = {"subscriptionDetail": {"registrationId": registration}}
            request = {"protocol": "HTTP", "sink": made["sink"], "types": [TYPE], "config": config}
            self.post(SUBSCRIPTIONS, request)
        return made["id"], made["token"]

    def publish(self, events: Sequence[Any]) -> None:
        self.post(EVENTS, events, **BATCH)


@contextmanager
def running(folder: Path, store: BenchStore, *, websocket: bool) -> Iterator[Service]:
    (port,) = free_ports(1)
    with ExitStack() as stack:
        issuer = stack.enter_context(issuing(folder))
        more = {
            "WEBRTC_EVENTS_CHANNELS_URL": "https://channels.localhost/channels/v0",
            "WEBRTC_EVENTS_MAX_CHANNELS": "0",
            "WEBRTC_EVENTS_CHANNEL_READERS": "20000",
            "WEBRTC_EVENTS_LOG_DELIVERIES": "0",
        }
        environ = settings(store.url, issuer.discovery_url) | more
        gunicorn = (sys.executable, "-P", "-m", "gunicorn", "--workers", "1")
        command = (*gunicorn, "-c", "python:webrtc_events.gunicorn_conf", "--bind", f"127.0.0.1:{port}")
        api = stack.enter_context(
            started((*command, "webrtc_events.app:create_app()"), environ, folder / "api.log", folder)
        )
        await_port(port, _READY_S)
        url = f"http://127.0.0.1:{port}"
        requests.get(f"{url}/readyz", timeout=_READY_S).raise_for_status()
        command = (sys.executable, "-P", "-m", "webrtc_events.cli", "worker")
        worker = stack.enter_context(started(command, environ, folder / "worker.log", folder))
        children = Path(f"/proc/{api.pid}/task/{api.pid}/children").read_text().split()
        yield Service(url, issuer.mint(client="app"), int(children[0]), worker.pid, websocket=websocket)


class Reader:
    """A connection that takes what comes, and notes when each event did by its session."""

    def __init__(self, service: Service, channel: tuple[str, str], came: dict[str, float]) -> None:
        self._service, self._channel, self._came = service, channel, came
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._ask([f"Authorization: Bearer {self._channel[1]}"], b" 200 ", b"retry: 2000\n\n")
        self._task = asyncio.create_task(self._take())

    async def _ask(self, headers: Sequence[str], status: bytes, end: bytes) -> None:
        host, _, port = self._service.url.removeprefix("http://").partition(":")
        self._reader, self._writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
        lines = [f"GET {CHANNELS}/{self._channel[0]}/events HTTP/1.1", f"Host: {host}", *headers, "", ""]
        self._writer.write("\r\n".join(lines).encode())
        line = await self._reader.readline()
        if status not in line:
            raise RuntimeError(line)
        await self._reader.readuntil(end)

    async def _take(self) -> None:
        while line := await self._reader.readline():
            if line.startswith(b"data: "):
                self._note(json.loads(line[6:]))

    def _note(self, event: dict[str, Any]) -> None:
        self._came.setdefault(event["data"]["mediaSessionId"], time.perf_counter())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._writer.transport.abort()


class SocketReader(Reader):
    """The same over a WebSocket. It answers pings, and acknowledges nothing."""

    async def open(self) -> None:
        offered = f"webrtc-events.channels.v0, webrtc-events.token.{self._channel[1]}"
        asked = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
        asked += [f"Sec-WebSocket-Key: {_KEY}", f"Sec-WebSocket-Protocol: {offered}"]
        await self._ask(asked, b" 101 ", b"\r\n\r\n")
        self._task = asyncio.create_task(self._take())

    async def _take(self) -> None:
        while True:
            kind, length = await self._reader.readexactly(2)
            if length > _SHORT:
                length = int.from_bytes(await self._reader.readexactly(2 if length == _SHORT + 1 else 8))
            data = await self._reader.readexactly(length)
            if kind == _TEXT:
                self._note(json.loads(data)["data"])
            elif kind == _PING:
                # A client masks what it sends; zeros mask nothing.
                self._writer.write(bytes([_PONG, 0x80 | length, 0, 0, 0, 0]) + data)


async def opened(
    service: Service, channels: Sequence[tuple[str, str]], came: dict[str, float]
) -> list[Reader]:
    readers = [service.reader(service, channel, came) for channel in channels]
    async with asyncio.timeout(_OPEN_S + len(readers) / 50):
        for first in range(0, len(readers), _OPENED_AT_ONCE):
            await asyncio.gather(*(reader.open() for reader in readers[first : first + _OPENED_AT_ONCE]))
    return readers


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


async def measure_idle(service: Service, counts: Sequence[int]) -> list[Idle]:
    """Each channel has one reader; with each count, that many at once."""
    rows, readers = [], []
    before_mb = resident_mb(service.api_pid)
    for count in counts:
        channels = [service.channel() for _ in range(count - len(readers))]
        readers += await opened(service, channels, {})
        await asyncio.sleep(_SETTLE_S)
        cpu_s = exact_cpu_s(service.api_pid)
        await asyncio.sleep(_WATCH_S)
        used = 100 * (exact_cpu_s(service.api_pid) - cpu_s) / _WATCH_S
        mb = resident_mb(service.api_pid)
        rows.append(Idle(count, mb, 1000 * (mb - before_mb) / count, used))
        progress(f"idle: {rows[-1]}")
    for reader in readers:
        reader.close()
    await asyncio.sleep(_SETTLE_S)
    return rows


def event(number: int, registration: str) -> dict[str, Any]:
    data = {
        "mediaSessionId": f"s{number}",
        "originatorAddress": "tel:+12025550100",
        "receiverAddress": "tel:+12025550101",
        "status": "Initial",
        "offer": {"sdp": "a=" + "x" * 1000},
    }
    return {
        "id": f"e{number}",
        "source": "/bench",
        "specversion": "1.0",
        "type": TYPE,
        "time": "2026-03-10T09:00:00Z",
        "subject": registration,
        "data": data,
    }


async def all_came(came: dict[str, float], count: int) -> None:
    async with asyncio.timeout(120):
        while len(came) < count:
            await asyncio.sleep(0.02)


async def measure_crowd(service: Service, registrations: Sequence[str], count: int) -> Crowd:
    came: dict[str, float] = {}
    channels = [service.channel(registration) for registration in registrations]
    readers = await opened(service, channels, came)
    await asyncio.sleep(_SETTLE_S)
    batches = [
        [
            event(number, registrations[number % len(registrations)])
            for number in range(first, min(first + _BATCH, count))
        ]
        for first in range(0, count, _BATCH)
    ]
    cpu = [exact_cpu_s(pid) for pid in (service.api_pid, service.worker_pid)]
    begun = time.perf_counter()
    for batch in batches:
        await asyncio.to_thread(service.publish, batch)
    await all_came(came, count)
    took_s = max(came.values()) - begun
    api, worker = (
        100 * (exact_cpu_s(pid) - before) / took_s
        for pid, before in zip((service.api_pid, service.worker_pid), cpu, strict=True)
    )
    for reader in readers:
        reader.close()
    return Crowd(len(readers), count, count / took_s, api, worker)


async def measure_latency(
    service: Service, registrations: Sequence[str], rate: float, seconds: float
) -> Latency:
    came: dict[str, float] = {}
    channels = [service.channel(registration) for registration in registrations]
    readers = await opened(service, channels, came)
    await asyncio.sleep(_SETTLE_S)
    sent: dict[str, float] = {}
    count, first = int(rate * seconds), 1_000_000
    begun = time.perf_counter()
    tasks = []
    for number in range(first, first + count):
        await asyncio.sleep(max(0.0, begun + (number - first) / rate - time.perf_counter()))
        sent[f"s{number}"] = time.perf_counter()
        one = [event(number, registrations[number % len(registrations)])]
        tasks.append(asyncio.create_task(asyncio.to_thread(service.publish, one)))
    await asyncio.gather(*tasks)
    await all_came(came, count)
    for reader in readers:
        reader.close()
    # The first second is not counted.
    counted = list(sent)[int(rate) :]
    took = sorted(1000 * (came[name] - sent[name]) for name in counted)
    return Latency(len(readers), rate, len(took), took[len(took) // 2], took[int(len(took) * 0.99)])


async def measure(service: Service, options: argparse.Namespace) -> tuple[list[Idle], Crowd, Latency]:
    latency = await measure_latency(service, [f"l{n}" for n in range(20)], options.rate, options.seconds)
    progress(f"latency: {latency}")
    crowd = await measure_crowd(service, [f"c{n}" for n in range(options.crowd)], options.events)
    progress(f"crowd: {crowd}")
    return await measure_idle(service, options.idle), crowd, latency


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle", type=int, nargs="*", default=[1000, 10000])
    parser.add_argument("--crowd", type=int, default=500)
    parser.add_argument("--events", type=int, default=20000)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--websocket", action="store_true", help="readers have WebSockets")
    options = parser.parse_args()
    found = machine()
    show_machine(found)
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        (folder / "store").mkdir()
        with (
            BenchStore.running(folder / "store") as store,
            running(folder, store, websocket=options.websocket) as service,
        ):
            idle, crowd, latency = asyncio.run(measure(service, options))
    kinds = [("idle", idle), ("crowd", [crowd]), ("latency", [latency])]
    figures = {name: [asdict(row) for row in rows] for name, rows in kinds}
    tables = [table([*rows[0]], [[*row.values()] for row in rows]) for rows in figures.values() if rows]
    name = "channels-websocket" if options.websocket else "channels"
    finish(name, {"machine": found, **figures}, tables)


if __name__ == "__main__":
    main()
