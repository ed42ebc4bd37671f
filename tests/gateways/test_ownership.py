"""Whose a registration is, by the operator's rules."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.contract.documents import load_network
from webrtc_events.gateways.ownership import Endpoint, Ownership, OwnershipError, OwnershipRule

CONTRACT = load_network()


def rules(tmp_path: Path, text: str) -> Ownership:
    file = tmp_path / "registrations.toml"
    file.write_text(text, encoding="utf-8")
    return Ownership.read(file)


def test_the_first_rule_that_fits_decides(tmp_path: Path) -> None:
    ownership = rules(
        tmp_path,
        """
        [[registration]]
        identity = "sip:*@phones.example.com"
        owner = "softphone"
        id = "{user}"
        subject = "user-{user}"

        [[registration]]
        identity = "*"
        owner = "others"
        """,
    )
    phone = ownership.of(Endpoint("sip:alice@Phones.example.com"))
    assert phone is not None
    assert (phone.registration_id, phone.owner, phone.subject) == ("alice", "softphone", "user-alice")
    other = ownership.of(Endpoint("sips:bob@example.com"))
    assert other is not None
    assert (other.registration_id, other.owner, other.subject) == ("bob@example.com", "others", None)


def test_an_identity_that_no_rule_names_is_nobodys(tmp_path: Path) -> None:
    ownership = rules(tmp_path, '[[registration]]\nidentity = "sip:*@a.example"\nowner = "x"\n')
    assert ownership.of(Endpoint("sip:bob@b.example")) is None
    assert ownership.of(Endpoint("no address")) is None


@pytest.mark.parametrize("user", [".", "..", "a/b", "../x"])
def test_an_id_is_a_name_in_a_path(user: str) -> None:
    ownership = Ownership((OwnershipRule(identity="*", owner="x", id="{user}"),))
    owned = ownership.of(Endpoint(f"sip:{user}@example.com"))
    assert owned is not None
    assert owned.registration_id not in (".", "..")
    assert "/" not in owned.registration_id


def test_a_device_keeps_its_uuid() -> None:
    ownership = Ownership.of_one("x")
    first, again = (ownership.of(Endpoint("sip:a@b.example")) for _ in range(2))
    assert first is not None
    assert first == again
    named = ownership.of(
        Endpoint("sip:a@b.example", instance='"<urn:uuid:7d444840-9dc0-11d1-b245-5ffdce74fad2>"')
    )
    assert named is not None
    assert named.device_id == "7d444840-9dc0-11d1-b245-5ffdce74fad2"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "must have tables"),
        ("x = 1", "must have tables"),
        ("[[registration]]\nowner = 'x'", "registration 1: identity must be there"),
        ("[[registration]]\nidentity = 'x'\nowner = 1", "must be a text"),
        ("[[registration]]\nidentity = 'x'\nowner = 'y'\ncolour = 'z'", "unknown: colour"),
        ("[[registration]]\nidentity = 'x'\nowner = 'y'\nid = '{colour}'", "{colour} is none of"),
        ("[[registration]", "line 1"),
    ],
)
def test_a_file_that_is_not_right_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(OwnershipError, match=fault):
        rules(tmp_path, text)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OwnershipError, match="no such file"):
        Ownership.read(tmp_path / "none")


@given(st.text(min_size=1, max_size=300), st.text(max_size=20))
def test_whatever_the_identity_the_contract_takes_what_is_put(user: str, opaque_id: str) -> None:
    owned = Ownership.of_one("x").of(Endpoint(f"sip:{user}@example.com", opaque_id))
    if owned is None:
        return
    assert CONTRACT.validator("NetworkRegistrationId").is_valid(owned.registration_id)
    assert CONTRACT.validator("Registration").is_valid(owned.put(1_700_000_000_000).body)
