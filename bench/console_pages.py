"""How fast are the console's pages with very many subscriptions, and how large?

The store (AOF, synced at every write) and the console, as `webrtc-events console`, are separate processes.
The store is filled with subscriptions as they are kept. Then each page is asked for, and the ones that follow
it. `pages` is how many there are; `store` is the longest time that one command held the store.

The exit status is 1 if a p99 is above 200 ms, or a page above 60 kB.
"""

import argparse
import html
import json
import os
import platform
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
import requests

from webrtc_events.core.clock import SystemClock
from webrtc_events.core.model import EventType
from webrtc_events.local.stack.valkey import Valkey
from webrtc_events.store.keys import client_key, new_subscription_id, partition_of

MAX_MS = 200
MAX_BYTES = 60_000
CLIENTS = 20
HOSTS = 1_000
_AT_ONCE = 2_000
_LOGGED = 100_000
_NEXT = re.compile(r'rel="next"[^>]* href="([^"]+)"')
PAGES = {
    "first page": "",
    "one client": "?client=client-7",
    "one registration": "?registration=registration-7",
    "status and type": "?status=live&type=session-status",
    "a host that is rare": "?host=host-7.example",
    "a host that none has": "?host=nowhere.example",
}


def fill(store: "redis.Redis", count: int) -> str:
    """Subscriptions as `create` makes them. Returns the id of one."""
    types = [kind for kind in EventType if kind is not EventType.SUBSCRIPTION_ENDED]
    pipe = store.pipeline(transaction=False)
    for number in range(count):
        registration, kind = f"registration-{number}", types[number % len(types)]
        client, partition = f"client-{number % CLIENTS}", partition_of(registration, 64)
        subscription_id = new_subscription_id(partition)
        record = _record(f"https://host-{number % HOSTS}.example/inbox/{number}", registration, client, kind)
        pipe.hset(partition.subscription(subscription_id), mapping=record)
        pipe.sadd(partition.registration(kind, registration), subscription_id)
        pipe.zadd(client_key(client), {subscription_id: (1_773_133_200 + number) / 2**20})
        if number % _AT_ONCE == _AT_ONCE - 1:
            pipe.execute()
    pipe.execute()
    return subscription_id


def _record(sink: str, registration: str, client: str, kind: EventType) -> dict[str, str | int]:
    detail = {"subscriptionDetail": {"registrationId": registration}}
    request = {"protocol": "HTTP", "sink": sink, "types": [kind], "config": detail}
    return {
        "format": 1,
        "status": "ACTIVE",
        "type": kind,
        "registration": registration,
        "session": "",
        "client": client,
        "subject": "",
        "starts_at": 1_773_133_200_000,
        "expires_at": "",
        "max_events": "",
        "sink": sink,
        "headers": "{}",
        "contract": "v0.2",
        "request": json.dumps(request),
        **dict.fromkeys(("appended", "number", "fence", "lease_until", "attempts", "drop_before"), 0),
    }


@contextmanager
def console(folder: Path, redis_url: str) -> Iterator[str]:
    """Where it listens."""
    environ = {
        "WEBRTC_EVENTS_REDIS_URL": redis_url,
        "WEBRTC_EVENTS_SECRET_KEY": secrets.token_urlsafe(32),
        "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "http://127.0.0.1:9/none",
    }
    log = folder / "console.log"
    with log.open("wb") as file:
        command = [sys.executable, "-m", "webrtc_events.cli", "console", "--port", "0"]
        process = subprocess.Popen(command, env=os.environ | environ, stderr=file)
    try:
        until = time.monotonic() + 30
        while (listening := re.search(r"Listening at: (\S+)", log.read_text())) is None:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(log.read_text())
            time.sleep(0.05)
        yield listening[1]
    finally:
        process.terminate()
        process.wait()


class Figures:
    """What asking for a page, and for those that follow it, has taken."""

    def __init__(self) -> None:
        self.took_ms: list[float] = []
        self.sizes: list[int] = []
        self.pages = 0

    def measure(self, session: requests.Session, url: str, path: str, times: int) -> None:
        """From the last page on it begins again at the first."""
        following = path
        for number in range(times):
            started = time.perf_counter()
            answer = session.get(f"{url}{following}", timeout=10)
            self.took_ms.append((time.perf_counter() - started) * 1000)
            answer.raise_for_status()
            self.sizes.append(len(answer.content))
            found = _NEXT.search(answer.text)
            following = html.unescape(found[1]) if found else path
            if found is None:
                self.pages = self.pages or number + 1
        self.took_ms.sort()

    def share_ms(self, share: float) -> float:
        return self.took_ms[int(len(self.took_ms) * share)]

    def row(self, title: str, held_ms: float) -> str:
        share = f"{self.share_ms(0.5):>8.1f}{self.share_ms(0.99):>8.1f}"
        return f"{title:<22}{share}{max(self.sizes) / 1000:>7.1f}{self.pages or '':>7}{held_ms:>10.2f}"


def measured(store: Any, valkey_url: str, folder: Path, count: int, times: int) -> list[Figures]:
    subscription_id = fill(store, count)
    print(f"{count:,} subscriptions, {store.dbsize():,} keys")
    print(f"{'':<22}{'p50 ms':>8}{'p99 ms':>8}{'kB':>7}{'pages':>7}{'store ms':>10}")
    store.config_set("slowlog-log-slower-than", 0)
    store.config_set("slowlog-max-len", _LOGGED)
    paths = {title: f"/subscriptions/{query}" for title, query in PAGES.items()}
    paths["one of them"] = f"/subscriptions/{subscription_id}"
    found = []
    with console(folder, valkey_url) as url, requests.Session() as session:
        session.get(f"{url}{paths['first page']}", timeout=10).raise_for_status()
        for title, path in paths.items():
            store.slowlog_reset()
            figures = Figures()
            figures.measure(session, url, path, times)
            held_ms = max(entry["duration"] for entry in store.slowlog_get(_LOGGED)) / 1000
            print(figures.row(title, held_ms), flush=True)
            found.append(figures)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subscriptions", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=100, help="how often each page is asked for")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        valkey = Valkey(Path(name), SystemClock())
        valkey.start()
        try:
            valkey.wait_ready()
            store = redis.Redis.from_url(valkey.url, decode_responses=True)
            found = measured(store, valkey.url, Path(name), options.subscriptions, options.times)
            store.close()
        finally:
            valkey.stop()
    print(f"limits: {MAX_MS} ms, {MAX_BYTES / 1000:.0f} kB")
    slow = any(figures.share_ms(0.99) > MAX_MS for figures in found)
    return 1 if slow or any(max(figures.sizes) > MAX_BYTES for figures in found) else 0


if __name__ == "__main__":
    sys.exit(main())
