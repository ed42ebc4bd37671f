"""The messages of a channel's WebSocket, as texts."""

import json

import pytest

from webrtc_events.channels.feed import ChannelEvent
from webrtc_events.channels.socket_messages import acknowledgement, text_of
from webrtc_events.core.errors import InvalidArgument


def test_an_event_has_the_members_of_one_of_the_stream() -> None:
    message = json.loads(text_of(ChannelEvent("12-57", 'a"b', '{"c":"é"}')))
    assert message == {"id": "12-57", "event": 'a"b', "data": {"c": "é"}}


def test_what_is_no_utf_8_in_a_log_is_a_text_all_the_same() -> None:
    """A client that gets other bytes in a frame of text has to give the connection up."""
    body = b'{"c":"\xff\xc3\xa9"}'.decode("utf-8", "surrogateescape")
    assert json.loads(text_of(ChannelEvent("1-1", "t", body)))["data"] == {"c": "\ufffdé"}


def test_an_acknowledgement_names_a_cursor() -> None:
    assert acknowledgement('{"cursor": "12-57.40-3", "more": 1}') == ("12-57.40-3", {12: 57, 40: 3})


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "x", "[]", "1", "null", "{}", "NaN", "[" * 5000),
        *('{"cursor": 1}', '{"cursor": null}', '{"cursor": "x"}', '{"cursor": ""}'),
        *('{"cursor": "1-1"} x', '{"cursor": "1-1", "cursor": "1-2"}'),
    ],
)
def test_what_is_none_is_refused(text: str | None) -> None:
    with pytest.raises(InvalidArgument):
        acknowledgement(text)
