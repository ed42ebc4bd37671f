"""The flow of a call, against a model of the service: whatever becomes of its requests."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from webrtc_events_client.client import RetryPolicy, errors
from webrtc_events_client.client.flows import Call, Context, Send, TakeToken, Wait, perform
from webrtc_events_client.client.messages import Answer, Request

from .service import SteppedClock

ATTEMPTS = 4


@dataclass(frozen=True)
class Outcome:
    """What becomes of a request: whether the service carries it out, and what the client gets."""

    carried_out: bool
    status: int | None
    code: str = ""


LOST = Outcome(True, None)
LOST_BEFORE = Outcome(False, None)
NEVER_SENT = Outcome(False, 0)
MADE = Outcome(True, 204)
GONE = Outcome(False, 404, "NOT_FOUND")
BUSY = Outcome(False, 429, "TOO_MANY_REQUESTS")
AWAY = Outcome(False, 503, "UNAVAILABLE")
MADE_AND_AWAY = Outcome(True, 503, "UNAVAILABLE")
REFUSED = Outcome(False, 401, "UNAUTHENTICATED")
WRONG = Outcome(False, 400, "INVALID_ARGUMENT")
OUTCOMES = [LOST, LOST_BEFORE, NEVER_SENT, MADE, GONE, BUSY, AWAY, MADE_AND_AWAY, REFUSED, WRONG]


def reply(outcome: Outcome) -> Answer | errors.ClientError:
    if outcome.status is None:
        return errors.AnswerLost("lost")
    if outcome.status == 0:
        return errors.NotConnected("away")
    body = f'{{"status": {outcome.status}, "code": "{outcome.code}", "message": "m"}}'.encode()
    return Answer(outcome.status, {}, body)


def played(
    call: Call[str], outcomes: list[Outcome]
) -> tuple[str | errors.ClientError, list[Outcome], list[str]]:
    """What the call gives, the outcomes that it had, and the tokens that it sent."""
    clock = SteppedClock()
    flow = perform(call, Context(clock, RetryPolicy(max_attempts=ATTEMPTS), lambda: 0.5))
    had: list[Outcome] = []
    tokens: list[str] = []
    given: Any = None
    taken = 0
    try:
        while True:
            step = flow.throw(given) if isinstance(given, BaseException) else flow.send(given)
            given = None
            match step:
                case TakeToken():
                    taken += 1
                    given = f"t{taken}"
                case Wait(seconds):
                    clock.sleep(seconds)
                case Send(request):
                    tokens.append(request.headers["authorization"])
                    had.append(outcomes[len(had)] if len(had) < len(outcomes) else MADE)
                    given = reply(had[-1])
    except StopIteration as end:
        return end.value, had, tokens
    except errors.ClientError as error:
        return error, had, tokens


@given(st.lists(st.sampled_from(OUTCOMES), max_size=8), st.booleans(), st.booleans())
@example([LOST, GONE], True, True)
@example([REFUSED, REFUSED], True, False)
def test_a_call_is_repeated_only_where_that_is_safe(
    outcomes: list[Outcome], repeatable: bool, has_gone: bool
) -> None:
    call = Call(
        Request("DELETE", "http://service.example"),
        repeatable=repeatable,
        read=lambda _answer, _correlator: "done",
        gone=(lambda: "gone") if has_gone else None,
    )
    result, had, tokens = played(call, outcomes)
    if not repeatable:
        assert sum(outcome.carried_out for outcome in had) <= 1
        # Once it may have been carried out, no other request follows.
        assert not any(_uncertain(outcome) for outcome in had[:-1])
    # A refused token is replaced once, which is no attempt.
    refusals = had.count(REFUSED)
    assert refusals <= 2
    assert len(had) <= ATTEMPTS + min(refusals, 1)
    assert len(set(tokens)) == 1 + (REFUSED in had[:-1])
    if result == "done":
        assert had[-1] is MADE
    elif result == "gone":
        assert had[-1] is GONE
        assert has_gone
        assert any(_uncertain(outcome) for outcome in had)
    else:
        assert isinstance(result, errors.ClientError)
        assert result.correlator or had[-1].status in (None, 0)
        assert had[-1] is not MADE


def _uncertain(outcome: Outcome) -> bool:
    return outcome.status is None or outcome.status == 503


def test_a_flow_that_is_given_nothing_says_so() -> None:
    call = Call(Request("GET", "http://service.example"), repeatable=True, read=lambda _a, _c: "done")
    flow = perform(call, Context(SteppedClock(), RetryPolicy()))
    next(flow)
    assert isinstance(flow.send("token"), Send)
    with pytest.raises(TypeError, match="Answer"):
        flow.send("no answer")
