"""Personal data on a page: a pseudonym in its place, or in clear once it is revealed."""

from typing import Any

import pytest

from webrtc_events.core.log_masking import Masking
from webrtc_events.core.personal_view import PersonalView

MASKING = Masking(b"k" * 32, show=True)
HIDDEN, REVEALED = (PersonalView(MASKING, revealed=revealed) for revealed in (False, True))
EVENT: dict[str, Any] = {
    "originatorAddress": "tel:+12025550100",
    "receiverName": "Bob Okafor",
    "offer": {"sdp": "v=0\r\nc=IN IP4 192.0.2.23"},
    "reason": "call sip:alice@ims.example",
    "sequenceNumber": 4,
    "deviceId": {"phoneNumber": "+12025550101"},
    "list": [{"registrationId": "r1"}],
    "sink": "https://user:secret@app.example:8443/alice?x=1",
    "headers": {"Authorization": "Basic eA=="},
    "status": "Ringing",
    "locationDetails": {
        "shape": "Circle",
        "coordinates": {"latitude": 47.6, "longitude": -122.3, "radius": 35},
    },
}


def test_what_stands_for_a_person_is_hidden_and_the_rest_is_shown() -> None:
    shown = HIDDEN.document(EVENT)
    # `show` of the log makes no difference: pages reveal by a click.
    masked = {name: MASKING.pseudonym(EVENT[name]) for name in ("originatorAddress", "receiverName")}
    assert {name: shown[name] for name in masked} == masked
    assert shown["offer"] == {"sdp": "(SDP of 24 characters)"}
    assert shown["deviceId"] == {"phoneNumber": MASKING.pseudonym("+12025550101")}
    assert shown["list"] == [{"registrationId": MASKING.pseudonym("r1")}]
    assert shown["locationDetails"] == "(a location)"
    assert shown["sink"] == "https://app.example:8443/…"
    assert (shown["sequenceNumber"], shown["status"]) == (4, "Ringing")


def test_all_is_shown_once_revealed_but_headers() -> None:
    assert REVEALED.document(EVENT) == {**EVENT, "headers": {"Authorization": "•••"}}


@pytest.mark.parametrize("url", ["https://[x/y", "no-url", ""])
def test_what_is_no_url_is_not_shown(url: str) -> None:
    assert HIDDEN.sink(url) == "…"


def test_nobody_has_no_pseudonym() -> None:
    assert (HIDDEN.person(None), HIDDEN.person("")) == ("", "")
