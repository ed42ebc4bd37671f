"""A sink credential that says where tokens are had: sealed as a token is, and replaced by one and back."""

from dataclasses import replace

import pytest
import redis

from tests.conftest import everything
from tests.harness.builders import SINK
from tests.store.devices import to_device
from webrtc_events.core.credentials import CredentialBox, SealError
from webrtc_events.core.model import Credential, PrivateKeyJwt, SinkCredential, Subscription
from webrtc_events.store.key_rotation import KeyRotation
from webrtc_events.store.store import Store
from webrtc_events.store.subscriptions import UpdateOutcome

FETCHED = PrivateKeyJwt("us-4711", "https://as.example/token")
TOKEN = Credential("t0ken", 4_000_000_000_000)
FORMER, LATER = b"1" * 32, b"2" * 32


def made(
    store: Store, credential: SinkCredential = FETCHED, box: CredentialBox | None = None
) -> Subscription:
    subscription = to_device(credential=credential)
    sealed = (box or CredentialBox([FORMER])).seal(credential, subscription.id)
    result = store.subscriptions.create(subscription, sink=SINK, headers={}, sealed=sealed)
    assert result.outcome == "created"
    return subscription


def kept(store: Store, raw_store: "redis.Redis", subscription: Subscription) -> SinkCredential:
    """The credential as a claim has it, and what the record says of its kind."""
    [key] = raw_store.keys(f"*:subscription:{subscription.id}")
    sealed = raw_store.hget(key, "credential")
    assert sealed is not None
    credential = CredentialBox([FORMER]).open(str(sealed), subscription.id)
    found = store.subscriptions.get(subscription.id)
    assert found is not None
    assert found.fetches_token == isinstance(credential, PrivateKeyJwt)
    return credential


@pytest.mark.parametrize("credential", [FETCHED, TOKEN], ids=["private_key_jwt", "token"])
def test_either_kind_opens_as_it_was_sealed_for_its_own_subscription_alone(
    credential: SinkCredential,
) -> None:
    box = CredentialBox([FORMER])
    sealed = box.seal(credential, "a")
    assert box.open(sealed, "a") == credential
    with pytest.raises(SealError):
        box.open(sealed, "b")


@pytest.mark.parametrize("kind", ["1", "2", "3", ""])
def test_the_kind_is_sealed_too(kind: str) -> None:
    """Who can write into the store cannot make a token of what is none."""
    box = CredentialBox([FORMER])
    for credential, own in ((FETCHED, "2"), (TOKEN, "1")):
        if kind != own:
            forged = kind + box.seal(credential, "a")[1:]
            with pytest.raises(SealError):
                box.open(forged, "a")


def test_it_is_kept_sealed_and_shown_by_its_kind_alone(store: Store, raw_store: "redis.Redis") -> None:
    subscription = made(store)
    assert kept(store, raw_store, subscription) == FETCHED
    assert "us-4711" not in everything(raw_store)
    assert "as.example" not in everything(raw_store)


def test_it_has_no_end_by_the_expiry_of_a_token(store: Store, raw_store: "redis.Redis") -> None:
    subscription = made(store)
    [key] = raw_store.keys(f"*:subscription:{subscription.id}")
    assert not raw_store.hget(key, "token_expires_at")
    assert raw_store.keys("*:ends") == []


def test_one_kind_replaces_the_other_and_back(store: Store, raw_store: "redis.Redis") -> None:
    subscription = made(store)
    box = CredentialBox([FORMER])
    for credential in (TOKEN, FETCHED, FETCHED, TOKEN):
        changed = replace(subscription, credential=credential)
        sealed = box.seal(credential, subscription.id)
        result = store.subscriptions.update(changed, expires_at_ms=None, sealed=sealed)
        assert result.outcome is UpdateOutcome.UPDATED
        assert kept(store, raw_store, subscription) == credential
        ends = isinstance(credential, Credential)
        assert bool(raw_store.keys("*:ends")) is ends, "only a token's expiry ends it"


def test_a_token_that_expired_in_1970_is_refused_and_not_taken_for_none(store: Store) -> None:
    subscription = made(store)
    former = Credential("t0ken", 0)
    sealed = CredentialBox([FORMER]).seal(former, subscription.id)
    changed = replace(subscription, credential=former)
    result = store.subscriptions.update(changed, expires_at_ms=None, sealed=sealed)
    assert result.outcome is UpdateOutcome.TOKEN_EXPIRED
    again = to_device(credential=former)
    assert store.subscriptions.create(again, sink=SINK, headers={}, sealed=sealed).outcome == "token_expired"


def test_a_new_sealing_key_seals_it_too(store: Store, raw_store: "redis.Redis") -> None:
    subscription = made(store)
    rotated = KeyRotation(store, CredentialBox([LATER, FORMER])).run(lambda _: None)
    assert (rotated.resealed, rotated.damaged) == (1, [])
    [key] = raw_store.keys(f"*:subscription:{subscription.id}")
    sealed = str(raw_store.hget(key, "credential"))
    assert CredentialBox([LATER]).open(sealed, subscription.id) == FETCHED
