"""A SIP message of a call as a signal of one of its legs. Pure. Source: RFC 3261, sections 12 to 15."""

from typing import Final

from webrtc_events.gateways.call_leg import Leg, LegState
from webrtc_events.gateways.call_signals import (
    Acknowledged,
    Answered,
    Cancelled,
    Failed,
    HungUp,
    Invited,
    Provisional,
    Reanswered,
    Reoffered,
    Rerefused,
    Side,
    Signal,
)
from webrtc_events.gateways.sip_message import SipMessage
from webrtc_events.gateways.sip_status import TRIED_AGAIN

__all__ = ["OF_CALLS", "other", "sender", "signal_of"]

OF_CALLS: Final = frozenset({"INVITE", "ACK", "BYE", "CANCEL", "UPDATE"})
"""The methods whose messages are read."""


def other(side: Side) -> Side:
    return Side.RECEIVER if side is Side.ORIGINATOR else Side.ORIGINATOR


def sender(message: SipMessage, caller_tag: str | None) -> Side | None:
    """Which party has sent it: each keeps its tag for the whole call. None: it cannot be known."""
    begins = message.to_tag is None
    if caller_tag is None:
        if not begins:
            return None
        return Side.ORIGINATOR if message.code is None else Side.RECEIVER
    tag = message.from_tag if message.code is None else message.to_tag
    return Side.ORIGINATOR if tag == caller_tag else Side.RECEIVER


def signal_of(message: SipMessage, by: Side, leg: Leg | None) -> Signal | None:
    """What the message says of a leg, which is None where nothing is known of it yet. `by` has sent it."""
    connected = leg is not None and leg.state is not LegState.SETTING_UP
    if message.code is not None:
        return _of_response(message, message.code, connected=connected)
    match message.method:
        case "INVITE" if message.to_tag is None:
            return Invited(message.sdp)
        case "INVITE":
            return Reoffered(by, message.sdp)
        case "UPDATE":
            return None if message.sdp is None else Reoffered(by, message.sdp)
        case "ACK":
            return None if message.sdp is None else Acknowledged(message.sdp)
        case "BYE":
            return HungUp(by)
        case "CANCEL":
            return Cancelled()
    return None


def _of_response(message: SipMessage, code: int, *, connected: bool) -> Signal | None:
    # If the caller does not try again, the plugin says so.
    if message.method not in ("INVITE", "UPDATE") or code in TRIED_AGAIN:
        return None
    if connected or message.method == "UPDATE":
        if code < 200:
            return None
        return Reanswered(message.sdp) if code < 300 else Rerefused()
    if code < 200:
        return Provisional(code, message.sdp)
    return Answered(message.sdp) if code < 300 else Failed(code, message.phrase)
