"""What a token server's reply comes to: a token, or why there is none. Pure.

| reply | what it is |
| --- | --- |
| 200 with a bearer token that a header can hold, and a sensible life | IssuedToken |
| any other 200 | TokenFailure `token_refused`: somebody has to set that right |
| 408, 425, 429, 5xx, no answer | TokenFailure `token_unavailable` |
| any other answer | TokenFailure `token_refused` |
| the egress proxy fails, or makes no tunnel | TokenFailure `proxy`, `tunnel` |

What a server says in words goes nowhere: it may repeat what it was sent. Of its error only the code is shown.

Sources: RFC 6749, 5.1 and 5.2; RFC 6750, 2.1.
"""

import re
from dataclasses import dataclass, field
from typing import Final

import msgspec

from webrtc_events.core.outcomes import SinkFailure, SinkReply
from webrtc_events.core.retry_after import retry_after_ms
from webrtc_events.sinks.headers import check_sink_token

__all__ = ["IssuedToken", "TokenFailure", "read_token"]

_LATER: Final = frozenset({408, 425, 429, *range(500, 600)})
# Where the server does not say.
_DEFAULT_LIFE_S: Final = 60.0
# A longer life is not believed: a key that was taken out must not go on working here for ever.
_MAX_LIFE_S: Final = 86_400.0
_NUMBER: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
# Those that are registered are such words.
_ERROR: Final = re.compile(r"[a-z][a-z_]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """`life_s`: for how long it may be used from the moment at which it was asked for."""

    value: str = field(repr=False)
    life_s: float


@dataclass(frozen=True, slots=True)
class TokenFailure:
    """`reason` is one of a small set, fit for metrics; `detail` says it in words, without a secret.

    `pause_s`: for which the server asked to be left alone.
    """

    reason: str
    detail: str
    pause_s: float = 0.0


class _Answer(msgspec.Struct):
    access_token: str
    token_type: str
    expires_in: int | float | str | None = None


class _Error(msgspec.Struct):
    error: str = ""


_decode_answer: Final = msgspec.json.Decoder(_Answer).decode
_decode_error: Final = msgspec.json.Decoder(_Error).decode
_UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeError)


def read_token(reply: SinkReply, now_s: float) -> IssuedToken | TokenFailure:
    """`now_s`: seconds since the epoch, for a Retry-After that is a date."""
    if isinstance(reply, SinkFailure):
        reason = reply.reason if reply.by_proxy else "token_unavailable"
        return TokenFailure(reason, f"the token server does not answer: {reply.reason}: {reply.detail}")
    if reply.status == 200:
        return _read_answer(reply.body)
    detail = " ".join(filter(None, (f"the token server answered {reply.status}", _error_code(reply.body))))
    reason = "token_unavailable" if reply.status in _LATER else "token_refused"
    return TokenFailure(reason, detail, retry_after_ms(reply.retry_after, now_s) / 1000)


def _read_answer(body: bytes) -> IssuedToken | TokenFailure:
    try:
        answer = _decode_answer(body)
    except _UNREADABLE:
        return _unusable("no JSON with access_token and token_type")
    if answer.token_type.lower() != "bearer":
        return _unusable("a token_type that is not bearer")
    try:
        check_sink_token(answer.access_token)
    except ValueError as error:
        return _unusable(str(error))
    life_s = _life_s(answer.expires_in)
    if life_s is None:
        return _unusable("an expires_in that is no time to come")
    return IssuedToken(answer.access_token, life_s)


def _life_s(expires_in: int | float | str | None) -> float | None:
    """None: it makes no sense."""
    if expires_in is None:
        return _DEFAULT_LIFE_S
    if isinstance(expires_in, str):
        # Some servers write it so.
        if not _NUMBER.fullmatch(expires_in):
            return None
        expires_in = int(expires_in)
    if not expires_in > 0:
        return None
    # It may be an integer of thousands of digits, which no float can hold.
    return float(min(expires_in, _MAX_LIFE_S))


def _unusable(what: str) -> TokenFailure:
    return TokenFailure("token_refused", f"the token server answered 200 with {what}")


def _error_code(body: bytes) -> str:
    try:
        error = _decode_error(body).error
    except _UNREADABLE:
        return ""
    return error if _ERROR.fullmatch(error) else ""
