"""Requests and answers as values, and what an answer means: its JSON as a type, or an exception."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from webrtc_events_client.client.errors import ApiError, UnexpectedAnswer, error_class
from webrtc_events_client.client.retry_after import retry_after_s

__all__ = ["NO_JSON", "Answer", "Request", "raise_for_error", "read_json"]

T = TypeVar("T")

NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading somebody's JSON may raise; the last one, when it is nested too deeply."""

# Of a message that somebody else wrote; the rest is not for logs.
_MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Request:
    """`url` is whole. `headers` and `body` have no repr: they may hold tokens and credentials."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def with_headers(self, **headers: str) -> "Request":
        """Names with `_` for `-`."""
        added = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **added})


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` has lower-case names."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class _ErrorInfo(msgspec.Struct):
    code: str
    message: str
    status: int = 0


def raise_for_error(answer: Answer, correlator: str, now_s: float) -> None:
    """
    Raises:
        ApiError: the status is 400 or above. What is no ErrorInfo, such as a proxy's HTML, is judged by the
            status.
        UnexpectedAnswer: the status is neither that nor 2xx: a redirect is not followed, so that no token
            follows it.
    """
    if 200 <= answer.status < 300:
        return
    if answer.status < 400:
        raise UnexpectedAnswer("redirects are not followed", status=answer.status, correlator=correlator)
    try:
        info = msgspec.json.decode(answer.body, type=_ErrorInfo)
    except NO_JSON:
        # No text of the body: it may hold anything.
        kind = answer.headers.get("content-type", "").partition(";")[0] or "no content type"
        info = _ErrorInfo("", f"an answer without an ErrorInfo ({len(answer.body)} bytes, {_one_line(kind)})")
    kind_of_error: type[ApiError] = error_class(answer.status, info.code)
    raise kind_of_error(
        _one_line(info.message),
        status=answer.status,
        code=_one_line(info.code),
        correlator=_one_line(answer.headers.get("x-correlator", "")) or correlator,
        retry_after_s=retry_after_s(answer.headers, now_s),
    )


def read_json(answer: Answer, kind: type[T], correlator: str) -> T:
    """
    Raises:
        UnexpectedAnswer: the body is not JSON, or not of that type.
    """
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except NO_JSON as error:
        # It names the place and the rule, never a value.
        raise UnexpectedAnswer(
            f"not what the contract says: {_one_line(str(error))}",
            status=answer.status,
            correlator=correlator,
        ) from None


def _one_line(text: str) -> str:
    """What others wrote, for messages and logs."""
    return "".join(character if character.isprintable() else " " for character in text[:_MAX_MESSAGE])
