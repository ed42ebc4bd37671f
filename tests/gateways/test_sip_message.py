"""SIP messages as gateways pass them on: whole, cut, folded, short forms, several in one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.gateways.sdp import is_held
from webrtc_events.gateways.sip_message import contact_expires, parse_sip

SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"


def invite(body: str = SDP, **headers: str) -> str:
    lines = {
        "From": '"Alice" <sip:alice@example.com>;tag=a',
        "To": "<sip:bob@example.com>",
        "Call-ID": "1@192.0.2.1",
        "CSeq": "7 INVITE",
        "Content-Type": "application/sdp",
        "Content-Length": str(len(body)),
    } | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"INVITE sip:bob@192.0.2.2 SIP/2.0\r\n{head}\r\n{body}"


def test_a_request() -> None:
    message = parse_sip(invite())
    assert message is not None
    assert (message.method, message.code, message.sequence) == ("INVITE", None, 7)
    assert (message.call_id, message.from_tag, message.to_tag) == ("1@192.0.2.1", "a", None)
    assert message.sdp == SDP


def test_a_response_with_short_and_folded_headers() -> None:
    message = parse_sip(
        "SIP/2.0 486 Busy Here\r\ni: 1\r\nf: <sip:a@b.example>\r\n ;tag=a\r\n"
        "t: <sip:b@b.example>;tag=b\r\nCSeq: 7 INVITE\r\n\r\n"
    )
    assert message is not None
    assert (message.method, message.code, message.phrase) == ("INVITE", 486, "Busy Here")
    assert (message.from_tag, message.to_tag) == ("a", "b")


def test_a_second_message_behind_the_first_is_left_out() -> None:
    message = parse_sip(invite() + "ACK sip:bob@192.0.2.2 SIP/2.0\r\nCall-ID: 2\r\n\r\n")
    assert message is not None
    assert message.sdp == SDP


def test_contacts_of_a_registration() -> None:
    message = parse_sip(
        'SIP/2.0 200 OK\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\nContact: "A, B" <sip:a@192.0.2.1>;expires=60, '
        "<sip:a@192.0.2.2;x=1,2>;q=1\r\nContact: <sip:a@192.0.2.3>;expires=30\r\n\r\n"
    )
    assert message is not None
    assert [contact_expires(contact) for contact in message.contacts] == [60, None, 30]


@pytest.mark.parametrize("text", ["", "GET / HTTP/1.1\r\nCall-ID: 1\r\n\r\n", "INVITE sip:x SIP/2.0\r\n\r\n"])
def test_what_is_no_message_is_none(text: str) -> None:
    assert parse_sip(text) is None


def test_sdp_of_a_multipart_body() -> None:
    body = f"--x\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--x--\r\n"
    message = parse_sip(invite(body, **{"Content-Type": "multipart/mixed;boundary=x"}))
    assert message is not None
    assert (message.sdp or "").startswith("v=0")
    assert "--x" not in (message.sdp or "")


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ("", False),
        ("a=sendonly\r\n", True),
        ("a=inactive\r\n", True),
        ("a=recvonly\r\n", False),
        ("c=IN IP4 0.0.0.0\r\n", True),
        ("c=IN IP4 0.0.0.0\r\na=ice-ufrag:x\r\n", False),
        ("a=sendonly\r\nm=video 9 RTP/AVP 96\r\n", False),
        ("a=sendonly\r\nm=video 0 RTP/AVP 96\r\n", True),
    ],
)
def test_hold_is_seen_in_an_sdp(change: str, held: bool) -> None:
    assert is_held(SDP + change) is held


def test_hold_of_the_whole_session() -> None:
    assert is_held(SDP.replace("t=0 0\r\n", "t=0 0\r\na=inactive\r\n"))


@given(st.text(max_size=200))
def test_any_text_is_read_or_is_none(text: str) -> None:
    message = parse_sip(text)
    assert message is None or message.call_id
    is_held(text)
