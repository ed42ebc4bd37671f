"""Stored credentials move to the first key, whatever else happens."""

import dataclasses
import threading
import time

import pytest
import redis

from tests.harness.builders import created
from webrtc_events.core.credentials import CredentialBox, sealing_key_id
from webrtc_events.core.model import Credential, Subscription
from webrtc_events.store.key_rotation import KeyRotation, Rotated
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store

FORMER, NEW, LOST = (bytes([number] * 32) for number in (1, 2, 3))
BOTH = CredentialBox([NEW, FORMER])
P = partition_of("r1", 64)
EXPIRY_MS = 4_000_000_000_000


def with_credential(store: Store, key: bytes, token: str = "t", registration: str = "r1") -> Subscription:
    made = created(store, registration=registration)
    update(store, made, key, token)
    return made


def update(store: Store, made: Subscription, key: bytes, token: str) -> None:
    credential = Credential(token, EXPIRY_MS)
    changed = dataclasses.replace(made, credential=credential)
    sealed = CredentialBox([key]).seal(credential, made.id)
    assert store.subscriptions.update(changed, expires_at_ms=None, sealed=sealed).outcome == "updated"


def stored(raw_store: "redis.Redis", made: Subscription) -> str:
    partition = partition_of(made.registration, 64)
    return raw_store.hget(partition.subscription(made.id), "credential")


def rotate(store: Store, box: CredentialBox = BOTH) -> Rotated:
    return KeyRotation(store, box).run(lambda _: None)


@pytest.mark.slow
def test_every_credential_is_sealed_with_the_first_key(store: Store, raw_store: "redis.Redis") -> None:
    made = [with_credential(store, FORMER, f"t{n}", registration=f"r{n}") for n in range(600)]
    created(store)
    looked_at: list[int] = []
    result = KeyRotation(store, BOTH).run(looked_at.append)
    assert (result.resealed, result.already, sum(looked_at)) == (600, 0, 601)
    only_new = CredentialBox([NEW])
    tokens = [
        only_new.open(stored(raw_store, subscription), subscription.id).access_token for subscription in made
    ]
    assert tokens == [f"t{n}" for n in range(600)]
    again = rotate(store)
    assert (again.resealed, again.already) == (0, 600)


def test_what_no_key_opens_is_named_and_left(store: Store, raw_store: "redis.Redis") -> None:
    lost = with_credential(store, LOST)
    broken = with_credential(store, FORMER)
    with_credential(store, FORMER)
    raw_store.hset(P.subscription(broken.id), "credential", stored(raw_store, broken)[:-8] + "AAAAAAA=")
    before = [stored(raw_store, subscription) for subscription in (lost, broken)]
    result = rotate(store)
    assert (result.resealed, dict(result.lacking)) == (1, {CredentialBox([LOST]).key_id: 1})
    assert result.damaged == [broken.id]
    assert [stored(raw_store, subscription) for subscription in (lost, broken)] == before


def test_an_update_that_comes_between_wins(store: Store, raw_store: "redis.Redis") -> None:
    """A process that was not restarted yet goes on sealing with the former key, all the while."""
    made = [with_credential(store, FORMER) for _ in range(5)]
    stop = threading.Event()
    latest: dict[str, str] = {}

    def keep_updating() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            for subscription in made:
                update(store, subscription, FORMER, f"t{number}")
                latest[subscription.id] = f"t{number}"

    updates = threading.Thread(target=keep_updating)
    updates.start()
    resealed = 0
    deadline = time.monotonic() + 60
    try:
        while resealed <= 100 and time.monotonic() < deadline:
            resealed += rotate(store).resealed
    finally:
        stop.set()
        updates.join()
    assert resealed > 100
    assert rotate(store).lacking == {}
    for subscription in made:
        sealed = stored(raw_store, subscription)
        assert sealing_key_id(sealed) == CredentialBox([NEW]).key_id
        assert BOTH.open(sealed, subscription.id).access_token == latest[subscription.id]


def test_a_credential_that_was_erased_stays_erased(store: Store, raw_store: "redis.Redis") -> None:
    made = with_credential(store, FORMER)
    raw_store.hdel(P.subscription(made.id), "credential")
    result = rotate(store)
    assert (result.resealed, result.already) == (0, 0)
    assert stored(raw_store, made) is None


@pytest.mark.parametrize("id_like", ["x", "0" * 32 + "-ff", "0" * 32 + "-2a:z"])
def test_other_keys_are_no_concern(store: Store, raw_store: "redis.Redis", id_like: str) -> None:
    raw_store.set(f"{{42}}:subscription:{id_like}", "x")
    assert rotate(store).resealed == 0
