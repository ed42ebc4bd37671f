"""A client with very many subscriptions, at a gunicorn and a worker as an operator runs them."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from tests.harness.issuer import Issuer
from tests.harness.valkeys import eventually
from tests.production.service import TYPE
from tests.production.test_processes import CLOCK, CONFIG, eventually_ready, process
from webrtc_events.store.keys import client_key, new_subscription_id, partition_of

pytestmark = pytest.mark.slow

P = partition_of("r1", 64)
SCRIPTS = Path(sys.executable).parent
COPIES = """
for _, id in ipairs(ARGV) do
  redis.call('COPY', KEYS[1], (string.gsub(KEYS[1], '[^:]+$', id)))
end
"""
# Of a list of 10,000 the server once held 400 MB.
MAX_GROWTH_MB = 30


class Client:
    def __init__(self, url: str, issuer: Issuer, name: str) -> None:
        self.url = f"{url}/webrtc-events/v0.2/subscriptions"
        scope = f"webrtc-events:{TYPE}:create webrtc-events:read webrtc-events:delete"
        token = issuer.token(CLOCK.now(), scope=scope, client_id=name)
        self.headers = {"Authorization": f"Bearer {token}"}

    def __call__(self, method: str, path: str = "", **options: Any) -> requests.Response:
        return requests.request(method, self.url + path, headers=self.headers, timeout=60, **options)

    def create(self) -> requests.Response:
        request = {
            "protocol": "HTTP",
            "sink": "https://127.0.0.1:9443/",
            "types": [TYPE],
            "config": {"subscriptionDetail": {"registrationId": "r1"}},
        }
        return self("POST", json=request)


@pytest.fixture
def serving(environ: dict[str, str], issuer: Issuer, tmp_path: Path) -> Callable[..., Any]:
    @contextmanager
    def serve(**settings: int) -> Iterator[tuple[str, int]]:
        """Its URL, and the master's process."""
        environ["WEBRTC_EVENTS_OPENID_CONFIGURATION_URL"] = issuer.discovery_url
        environ["WEBRTC_EVENTS_REQUESTS_PER_S"] = "0"
        environ["WEBRTC_EVENTS_MAX_REGISTRATION_SUBSCRIPTIONS"] = "0"
        environ.update({f"WEBRTC_EVENTS_{name}": str(value) for name, value in settings.items()})
        log = tmp_path / "api.log"
        command = (str(SCRIPTS / "gunicorn"), "-c", CONFIG, "-w", "1", "-b", "127.0.0.1:0")
        with process(log, environ, *command, "webrtc_events.app:create_app()") as api:
            yield eventually_ready(api, log), api.pid

    return serve


def fill(client: Client, name: str, raw: "redis.Redis", count: int, status: str) -> str:
    """As the release before would have left them; returns the first."""
    first: str = client.create().json()["id"]
    raw.hset(P.subscription(first), "status", status)
    ids = [new_subscription_id(P) for _ in range(count - 1)]
    for at in range(0, len(ids), 1000):
        raw.eval(COPIES, 1, P.subscription(first), *ids[at : at + 1000])
        raw.zadd(client_key(name), dict.fromkeys(ids[at : at + 1000], 1_700_000_000))
    return first


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory_mb(pid: int) -> float:
    """The greatest resident memory of the process so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def test_ten_thousand_are_listed_in_little_memory(
    serving: Callable[..., Any], issuer: Issuer, raw_store: "redis.Redis"
) -> None:
    with serving() as (url, master):
        many, few = Client(url, issuer, "many"), Client(url, issuer, "few")
        mine = few.create().json()["id"]
        fill(many, "many", raw_store, 10_000, "ACTIVE")
        (server,) = children(master)
        many("GET", "/" + "0" * 32 + "-00")
        before_mb = memory_mb(server)
        over, answers = threading.Event(), []

        def read() -> None:
            while not over.is_set():
                answers.append(few("GET", f"/{mine}").status_code)

        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(2):
            assert len({resource["id"] for resource in many("GET").json()}) == 10_000
        assert many.create().json()["code"] == "QUOTA_EXCEEDED"
        over.set()
        reader.join()
        assert memory_mb(server) - before_mb < MAX_GROWTH_MB
        assert len(answers) > 10
        assert set(answers) == {200}


def test_a_full_quota_frees_itself_without_a_worker(
    serving: Callable[..., Any],
    issuer: Issuer,
    raw_store: "redis.Redis",
    environ: dict[str, str],
    tmp_path: Path,
) -> None:
    """Of 30,000 that the release before left and that are over, too. A worker then leaves no note."""
    with serving(MAX_SUBSCRIPTIONS=3) as (url, _):
        full, ended = Client(url, issuer, "full"), Client(url, issuer, "ended")
        made = [full.create() for _ in range(4)]
        assert [answer.status_code for answer in made] == [201, 201, 201, 429]
        assert full("DELETE", "/" + made[1].json()["id"]).status_code == 204
        assert [full.create().status_code for _ in range(2)] == [201, 429]
        assert ended.create().status_code == 201
        fill(ended, "ended", raw_store, 30_000, "EXPIRED")
        # Beside the one that lives.
        assert [ended.create().status_code for _ in range(4)] == [201, 201, 429, 429]
        assert full("DELETE", "/" + made[0].json()["id"]).status_code == 204
    with process(tmp_path / "worker.log", environ, str(SCRIPTS / "webrtc-events"), "worker"):
        eventually(lambda: not list(raw_store.scan_iter("*:ended")), "no note is left")
    assert "Traceback" not in (tmp_path / "api.log").read_text() + (tmp_path / "worker.log").read_text()


def test_a_server_that_is_killed_while_it_creates_costs_no_quota_for_good(
    serving: Callable[..., Any], issuer: Issuer, raw_store: "redis.Redis"
) -> None:
    """Whatever it was about to do: a minute later exactly as many live as may."""
    with serving(MAX_SUBSCRIPTIONS=60) as (url, master):
        client = Client(url, issuer, "app")
        over = threading.Event()

        def create() -> None:
            while not over.is_set():
                # The head of an answer may have come when its server is killed.
                with suppress(requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                    made = client.create()
                    if made.status_code == 201:
                        client("DELETE", "/" + made.json()["id"])

        threads = [threading.Thread(target=create) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            CLOCK.sleep(0.7)
            killed = children(master)
            for pid in killed:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            eventually(lambda killed=killed: set(children(master)) - set(killed), "another takes its place")
        over.set()
        for thread in threads:
            thread.join()
        # A minute passes.
        for subscription_id, score in raw_store.zrange(
            client_key("app"), 2**20, "+inf", byscore=True, withscores=True
        ):
            raw_store.zadd(client_key("app"), {subscription_id: score - 61})
        eventually(lambda: client.create().status_code == 429, "its quota is full", timeout_s=60)
        keys = list(raw_store.scan_iter(P.subscription("*")))
        living = [key for key in keys if raw_store.hget(key, "status") == "ACTIVE"]
        assert len(living) == 60
