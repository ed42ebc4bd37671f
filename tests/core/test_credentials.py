"""Sink credentials are sealed, bound to their subscription, and shown nowhere."""

import pytest

from webrtc_events.core.credentials import CredentialBox, SealError
from webrtc_events.core.model import Credential

BOX = CredentialBox([bytes(32)])
SECRET = Credential("very-secret", 1_900_000_000_000)


def test_a_sealed_credential_opens_again_and_shows_nothing() -> None:
    sealed = BOX.seal(SECRET, "s1")
    assert "very-secret" not in sealed
    assert BOX.open(sealed, "s1") == SECRET
    assert BOX.seal(SECRET, "s1") != sealed


def test_it_opens_for_no_other_subscription() -> None:
    with pytest.raises(SealError):
        BOX.open(BOX.seal(SECRET, "s1"), "s2")


def test_it_opens_with_no_other_key() -> None:
    with pytest.raises(SealError, match="this process has"):
        CredentialBox([bytes([1] * 32)]).open(BOX.seal(SECRET, "s1"), "s1")


def test_after_a_rotation_the_new_key_seals_and_the_former_still_opens() -> None:
    rotated = CredentialBox([bytes([1] * 32), bytes(32)])
    assert rotated.open(BOX.seal(SECRET, "s1"), "s1") == SECRET
    with pytest.raises(SealError):
        BOX.open(rotated.seal(SECRET, "s1"), "s1")


def test_a_damaged_one_does_not_open() -> None:
    sealed = BOX.seal(SECRET, "s1")
    for damaged in (sealed[:-4] + "AAA=", sealed[:12], "", "2" + sealed[1:], sealed + "é"):
        with pytest.raises(SealError):
            BOX.open(damaged, "s1")


def test_its_repr_hides_the_token() -> None:
    assert "very-secret" not in repr(SECRET)
