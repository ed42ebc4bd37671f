"""What a SIP message says of a leg: what begins, goes on and ends a call, and what does not."""

import pytest

from webrtc_events.gateways.call_signals import Failed, Side
from webrtc_events.gateways.janus.sip_signals import signal_of
from webrtc_events.gateways.sip_message import parse_sip


@pytest.mark.parametrize("code", [401, 407, 422])
def test_a_caller_that_tries_again_has_not_failed(code: int) -> None:
    assert _response(code) is None


@pytest.mark.parametrize("code", [302, 420, 486, 603])
def test_any_other_final_response_ends_the_call(code: int) -> None:
    assert _response(code) == Failed(code, "As it is")


def _response(code: int) -> object:
    message = parse_sip(
        f"SIP/2.0 {code} As it is\r\n"
        "From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>;tag=b\r\n"
        "Call-ID: call-1\r\nCSeq: 1 INVITE\r\n\r\n"
    )
    assert message is not None
    return signal_of(message, Side.RECEIVER, None)
