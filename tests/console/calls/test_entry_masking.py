"""What identifies a person in an entry is hidden, and the rest stays."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from tests.console.ladder.hostile import entries
from tests.console.ladder.traces import gone, healthy, played
from webrtc_events.console.calls.entry_details import details
from webrtc_events.console.calls.entry_masking import EntryMasking
from webrtc_events.console.ladder.building import ladder_of
from webrtc_events.console.ladder.standalone import standalone_svg
from webrtc_events.core.log_masking import Masking

MASKING = Masking(b"k" * 32, show=False)
SECRETS = [
    "2025550143",
    "2025550178",
    "Alice",
    "Meyer",
    "Bob",
    "Okafor",
    "192.0.2.",
    "ice-pwd",
    "96eozbrct6g2",
]


@pytest.fixture
def masking() -> EntryMasking:
    return EntryMasking(MASKING)


def test_a_call_holds_nothing_personal_once_it_is_masked(masking: EntryMasking) -> None:
    trace = played("answered", [healthy, gone])
    assert all(secret in json.dumps(trace) for secret in SECRETS)
    masked = json.dumps([masking.masked(entry) for entry in trace])
    assert [secret for secret in SECRETS if secret in masked] == []


def test_what_happened_stays_readable(masking: EntryMasking) -> None:
    trace = played("answered", [healthy, gone])
    for entry in trace:
        masked: Any = masking.masked(entry)
        kept = entry.keys() - {"data", "body", "sink", "registration"}
        assert {name: masked[name] for name in kept} == {name: entry[name] for name in kept}
        assert masked.keys() == entry.keys()


def test_the_ladder_is_the_same(masking: EntryMasking) -> None:
    trace = played("answered", [healthy, gone])
    masked = [masking.masked(entry) for entry in trace]
    assert standalone_svg(ladder_of(masked), "s") == standalone_svg(ladder_of(trace), "s")


def test_the_same_person_has_the_pseudonym_of_the_log(masking: EntryMasking) -> None:
    found: Any = [masking.masked(entry) for entry in played("answered")]
    assert found[0]["registration"] == MASKING.pseudonym("96eozbrct6g2kw7ybh538sbv")
    assert json.loads(found[1]["body"])["data"]["originatorName"] == found[0]["data"]["originatorName"]


@pytest.mark.parametrize(
    ("entry", "masked"),
    [
        ({"sink": "https://a:443/x?token=1", "host": "https://a:443"}, {"sink": "https://a:443/…"}),
        ({"sink": "https://a/x"}, {"sink": "masked"}),
        ({"body": "no JSON, of Alice"}, {"body": "masked, 17 characters"}),
        ({"body": 7}, {"body": "masked"}),
        (
            {"data": {"status": "Ringing", "sequenceNumber": 3}},
            {"data": {"status": "Ringing", "sequenceNumber": 3}},
        ),
        ({"detail": "could not resolve sip:alice@example.com"}, None),
        ({"data": {"novelty": {"names": ["Alice"]}}}, None),
        ({"novelty": ["Alice"]}, None),
    ],
)
def test_each_member_is_masked_as_what_it_is(
    masking: EntryMasking, entry: dict[str, Any], masked: dict[str, Any] | None
) -> None:
    found: Any = masking.masked(entry)
    assert "lice" not in json.dumps(found)
    if masked is not None:
        assert {name: found[name] for name in masked} == masked


def test_what_is_masked_twice_is_as_if_once(masking: EntryMasking) -> None:
    once = [masking.masked(entry) for entry in played("answered")]
    assert [masking.masked(entry) for entry in once] == once


@settings(max_examples=40)
@given(entries())
def test_whatever_an_entry_is_it_can_be_masked_and_shown(stored: list[Any]) -> None:
    masking = EntryMasking(MASKING)
    for entry in stored:
        shown = details(masking.masked(entry))
        for text in (*(part for fact in shown.facts for part in fact), shown.content):
            assert text.replace("\n", "").isprintable()
