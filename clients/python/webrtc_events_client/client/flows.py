"""How a call is made, without I/O: a generator that says what to do next, and is given what came of it.

The same flows serve the sync and the async client; `drivers` carries them out. A step that fails raises its
exception in the flow.
"""

import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from webrtc_events_client.client.errors import ClientError, NotFound, TokenUnavailable, Unauthenticated
from webrtc_events_client.client.messages import Answer, Request, raise_for_error
from webrtc_events_client.client.retry_policy import RetryPolicy
from webrtc_events_client.clock import Clock

__all__ = [
    "Ask",
    "Attempts",
    "Call",
    "Context",
    "Flow",
    "Send",
    "Step",
    "TakeToken",
    "Wait",
    "ask",
    "perform",
    "send_retried",
]

log = logging.getLogger("webrtc_events_client")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request; the result is its Answer. It fails with NotConnected or AnswerLost."""

    request: Request
    correlator: str


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float


@dataclass(frozen=True, slots=True)
class TakeToken:
    """Get an access token; the result is its text. `refused` is one that the service did not take, None at
    first.
    """

    refused: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """Call the function, of an application; the result is its text."""

    function: Callable[[], str | Awaitable[str]]


Step: TypeAlias = Send | Wait | TakeToken | Ask
Flow: TypeAlias = Generator[Step, Answer | str | None, T]


@dataclass(frozen=True, slots=True)
class Context:
    """What all calls of a client share. `random` gives numbers from 0 to below 1."""

    clock: Clock
    policy: RetryPolicy
    random: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """An operation of the contract.

    `repeatable`: carried out twice, it is as carried out once. `read` makes a value of a 2xx answer and the
    x-correlator. `gone`: what a 404 means, if an earlier attempt may have been carried out; None: that
    nothing is there.
    """

    request: Request
    repeatable: bool
    read: Callable[[Answer, str], T]
    gone: Callable[[], T] | None = None


def perform(call: Call[T], context: Context) -> Flow[T]:
    """Makes the call, and makes it again where that is safe. An access token that is refused is replaced
    once.

    Raises:
        ClientError: what became of the last attempt.
    """
    correlator = call.request.headers.get("x-correlator") or str(uuid.uuid4())
    token = yield from _token(None, correlator)
    doubtful = renewed = False
    attempts = Attempts(context, call.request, correlator, repeatable=call.repeatable)
    while True:
        request = call.request.with_headers(authorization=f"Bearer {token}", x_correlator=correlator)
        try:
            answer = yield from _sent(request, correlator)
            raise_for_error(answer, correlator, context.clock.now())
            return call.read(answer, correlator)
        except Unauthenticated:
            if renewed:
                raise
            refused, renewed = token, True
            token = yield from _token(refused, correlator)
            if token == refused:
                raise
        except NotFound:
            if not doubtful or call.gone is None:
                raise
            # An attempt whose answer was lost has done it.
            return call.gone()
        except ClientError as error:
            doubtful = doubtful or error.uncertain
            yield from attempts.next(error)


def send_retried(request: Request, context: Context, correlator: str) -> Flow[Answer]:
    """A request that may be repeated and takes no access token; the answer is of any status that is not
    worth a retry.
    """
    attempts = Attempts(context, request, correlator, repeatable=True)
    while True:
        try:
            answer = yield from _sent(request, correlator)
            if answer.status in (429, 500, 502, 503, 504):
                raise_for_error(answer, correlator, context.clock.now())
            return answer
        except ClientError as error:
            yield from attempts.next(error)


class Attempts:
    """The attempts of a call: counts them, waits between them."""

    def __init__(self, context: Context, request: Request, correlator: str, *, repeatable: bool) -> None:
        self._context = context
        self._request = request
        self._correlator = correlator
        self._repeatable = repeatable
        self._began = context.clock.monotonic()
        self._number = 1

    def next(self, error: ClientError) -> Flow[None]:
        """Returns when it is time for the next attempt.

        Raises:
            ClientError: the error itself, if there is to be none.
        """
        delay = self._context.policy.delay_s(
            error,
            repeatable=self._repeatable,
            attempt=self._number,
            elapsed_s=self._context.clock.monotonic() - self._began,
            random=self._context.random(),
        )
        if delay is None:
            raise error
        log.info(
            "again in %.1f s: %s %s attempt=%d failed with %s x-correlator=%s",
            delay,
            self._request.method,
            self._request.url,
            self._number,
            type(error).__name__,
            self._correlator,
        )
        yield Wait(delay)
        self._number += 1


def _sent(request: Request, correlator: str) -> Flow[Answer]:
    answer = yield Send(request, correlator)
    if not isinstance(answer, Answer):
        raise TypeError("a Send is answered with an Answer")
    return answer


def _token(refused: str | None, correlator: str) -> Flow[str]:
    """
    Raises:
        TokenUnavailable: there is none, or it is none that a header can hold.
    """
    try:
        token = yield TakeToken(refused)
    except ClientError as error:
        error.correlator = error.correlator or correlator
        raise
    if (
        not isinstance(token, str)
        or not token
        or not token.isascii()
        or not token.isprintable()
        or " " in token
    ):
        raise TokenUnavailable("the token source gave what is no bearer token", correlator=correlator)
    return token


def ask(function: Callable[[], str | Awaitable[str]]) -> Flow[str]:
    """The text that a function of the application returns."""
    text = yield Ask(function)
    if not isinstance(text, str):
        raise TokenUnavailable("the function that gives access tokens did not return a text")
    return text
