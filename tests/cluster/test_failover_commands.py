"""The master dies while an operator's command runs: the command reports it, and a repeat completes it."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.cluster.conftest import Connect
from tests.conftest import contents
from tests.harness.builders import append, created, invitation
from tests.harness.sentinels import Sentinel, sentinel
from tests.harness.valkeys import CLOCK, ValkeyServer, eventually
from webrtc_events.core.credentials import CredentialBox, sealing_key_id
from webrtc_events.core.model import Credential
from webrtc_events.core.setting_values import secret_keys
from webrtc_events.store.keys import partition_of
from webrtc_events.store.settlements import DroppedEvent, Settlement
from webrtc_events.store.store import Store

pytestmark = pytest.mark.slow

COMMAND = str(Path(sys.executable).parent / "webrtc-events")
P = partition_of("r1", 64)
OLD, NEW = "A" * 43, "E" * 43
EXPIRY_MS = 4_000_000_000_000
SETTINGS = {"MAX_REGISTRATION_SUBSCRIPTIONS": "0"}


class Stage:
    """A master with a replica, a Sentinel, and a store on them."""

    def __init__(self, master: ValkeyServer, replica: ValkeyServer, watching: Sentinel, store: Store) -> None:
        self.master, self.replica, self.watching, self.store = master, replica, watching, store

    def interrupted(
        self, under_way: Callable[["redis.Redis"], bool], *arguments: str, key: str = OLD
    ) -> None:
        """Runs the command, kills the master once it is `under_way`, repeats it until it succeeds."""
        self.replica.wait_replicated()
        with self.master.client() as client:
            first = self._start(key, *arguments)
            eventually(lambda: under_way(client), "the command is under way", every_s=0.001)
            self.master.kill()
        said, _ = first.communicate(timeout=60)
        assert first.returncode == 1
        # It says what it met: a connection that was reset, or a store that does not answer.
        assert "Error: WEBRTC_EVENTS_REDIS_URL: " in said or "Error: the store went away: " in said
        assert "Traceback" not in said
        eventually(lambda: self.watching.master_port() == self.replica.port, "the replica is the master")
        give_up = CLOCK.monotonic() + 60
        while CLOCK.monotonic() < give_up:
            again = self._start(key, *arguments)
            output, _ = again.communicate(timeout=60)
            assert "Traceback" not in output
            if again.returncode == 0:
                return
            CLOCK.sleep(0.2)
        raise AssertionError(f"does not complete: {output}")

    def _start(self, key: str, *arguments: str) -> "subprocess.Popen[str]":
        environ = {
            "REDIS_URL": self.watching.url,
            "OPENID_CONFIGURATION_URL": "http://127.0.0.1:1/",
            "SECRET_KEY": key,
            **SETTINGS,
        }
        return subprocess.Popen(
            [COMMAND, *arguments],
            env=os.environ | {f"WEBRTC_EVENTS_{name}": value for name, value in environ.items()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def stage(tmp_path: Path, connect: Connect) -> Iterator[Stage]:
    with (
        ValkeyServer(tmp_path / "master") as master,
        ValkeyServer(tmp_path / "replica", replica_of=master) as replica,
        sentinel(tmp_path / "sentinel", master, replica) as watching,
    ):
        yield Stage(master, replica, watching, connect(watching.url, **SETTINGS))


def given_up(store: Store, count: int) -> None:
    """`count` events of one subscription are dead letters."""
    append(store, *(invitation(number) for number in range(1, count + 1)))
    outcome = "due"
    while outcome == "due":
        (claim,) = store.claims.claim([P], subscriptions=9, events=count)
        dead = tuple(DroppedEvent(item.number, "refused", "500") for item in claim.items)
        (outcome,) = store.claims.settle([Settlement(claim, claim.items[-1].number, dead=dead)])
    assert outcome == "idle"


def test_redeliver(stage: Stage) -> None:
    count = 900
    made = created(stage.store)
    given_up(stage.store, count)
    stage.interrupted(
        lambda client: client.llen(P.outbox(made.id)) > 10, "dead-letters", "redeliver", "--all"
    )
    with stage.replica.client() as client:
        assert client.xlen(P.dead) == 0
        waiting = [
            int(entry.split('"sequenceNumber": ')[1].rstrip("}"))
            for entry in client.lrange(P.outbox(made.id), 0, -1)
        ]
    assert waiting == list(range(1, count + 1))


def test_erase(stage: Stage) -> None:
    for _ in range(400):
        made = created(stage.store)
    other = created(stage.store, registration="r2")
    append(stage.store, invitation(1))
    append(stage.store, invitation(2, registration="r2"))
    index = P.registration(made.type, "r1")
    stage.interrupted(lambda client: client.scard(index) < 390, "erase", "--registration", "r1", "--yes")
    with stage.replica.client() as client:
        left = contents(client)
    assert not [key for key in left if made.id in key or (":outbox:" in key and other.id not in key)]
    assert not [key for key, value in left.items() if "r1" in key and ":seen:" not in key and value], (
        left.keys()
    )
    eventually(lambda: stage.store.subscriptions.get(other.id) is not None, "the other one is there")


def test_rotate_key(stage: Stage, connect: Connect) -> None:
    box = CredentialBox(secret_keys(OLD))
    ids: list[str] = []
    for number in range(3_000):
        made = created(stage.store, registration=f"r{number}")
        credential = Credential(f"token-{number}", EXPIRY_MS)
        sealed = box.seal(credential, made.id)
        changed = dataclasses.replace(made, credential=credential)
        assert (
            stage.store.subscriptions.update(changed, expires_at_ms=None, sealed=sealed).outcome == "updated"
        )
        ids.append(made.id)
    new = CredentialBox(secret_keys(NEW))

    def sealed_anew(client: "redis.Redis", ids: Sequence[str]) -> list[Any]:
        pipe = client.pipeline()
        for subscription_id in ids:
            pipe.hget(partition_of_id(subscription_id, "subscription"), "credential")
        return [answer for answer in pipe.execute() if answer and sealing_key_id(answer) == new.key_id]

    # Some of them: to look at all takes as long as the command does for many.
    stage.interrupted(lambda client: bool(sealed_anew(client, ids[::50])), "rotate-key", key=f"{NEW},{OLD}")
    with stage.replica.client() as client:
        found = sealed_anew(client, ids)
    assert len(found) == len(ids)
    for number, (subscription_id, sealed) in enumerate(zip(ids, found, strict=True)):
        assert new.open(sealed, subscription_id).access_token == f"token-{number}"


def partition_of_id(subscription_id: str, kind: str) -> str:
    return f"{{{int(subscription_id.rpartition('-')[2], 16)}}}:{kind}:{subscription_id}"
