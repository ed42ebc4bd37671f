"""What is tried again, what is not, and after how long."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from webrtc_events_client.client import NO_RETRIES, RetryPolicy, errors

from .service import REQUEST, RESOURCE, Reply, Service, SteppedClock, error

LOST = Reply(lost=True)
HALF = Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
BUSY = error(503, "UNAVAILABLE")
CALLS: dict[str, Callable[[Any], Any]] = {
    "get": lambda client: client.get("s-11"),
    "delete": lambda client: client.delete("s-11"),
    "create": lambda client: client.create(REQUEST),
}


@pytest.mark.parametrize("call", ["get", "delete"])
@pytest.mark.parametrize("failure", [LOST, HALF, BUSY, error(500, "INTERNAL"), Reply(502), Reply(504)])
def test_what_may_be_repeated_is(
    client: Any, service: Service, clock: SteppedClock, call: str, failure: Reply
) -> None:
    service.answers(failure, failure, Reply(200, RESOURCE))
    CALLS[call](client)
    assert len(service.requests) == 3
    assert 0.25 <= clock.waits[0] <= 0.5 <= clock.waits[1] <= 1
    # One call, one correlator.
    assert len({received.headers["x-correlator"] for received in service.requests}) == 1


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(LOST, errors.AnswerLost), (HALF, errors.AnswerLost), (BUSY, errors.Unavailable)],
)
def test_a_create_that_may_have_been_carried_out_is_not_repeated(
    client: Any, service: Service, clock: SteppedClock, failure: Reply, kind: type[errors.ClientError]
) -> None:
    service.answers(failure)
    with pytest.raises(kind) as raised:
        client.create(REQUEST)
    assert raised.value.uncertain
    assert (len(service.requests), clock.waits) == (1, [])


@pytest.mark.parametrize(
    "failure",
    [error(429, "TOO_MANY_REQUESTS"), error(409, "ABORTED"), error(408, "REQUEST_TIMEOUT"), Reply(429)],
)
@pytest.mark.parametrize("call", sorted(CALLS))
def test_what_was_refused_for_the_moment_is_tried_again(
    client: Any, service: Service, failure: Reply, call: str
) -> None:
    service.answers(failure, Reply(201, RESOURCE))
    CALLS[call](client)
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    "failure",
    [
        error(400, "INVALID_SINK"),
        error(403, "PERMISSION_DENIED"),
        error(429, "QUOTA_EXCEEDED"),
        error(501, "NOT_IMPLEMENTED"),
    ],
)
def test_what_does_not_change_by_waiting_is_not_tried_again(
    client: Any, service: Service, clock: SteppedClock, failure: Reply
) -> None:
    service.answers(failure)
    with pytest.raises(errors.ApiError):
        client.get("s-11")
    assert (len(service.requests), clock.waits) == (1, [])


@pytest.mark.parametrize("call", sorted(CALLS))
def test_a_service_that_is_not_there_is_tried_again_for_everything(
    make: Callable[..., Any], clock: SteppedClock, call: str
) -> None:
    with pytest.raises(errors.NotConnected) as raised:
        CALLS[call](make("http://127.0.0.1:1"))
    assert not raised.value.uncertain
    assert len(clock.waits) == 3
    assert raised.value.correlator


def test_the_last_failure_is_raised(client: Any, service: Service, clock: SteppedClock) -> None:
    service.answers(LOST, BUSY)
    with pytest.raises(errors.Unavailable):
        client.get("s-11")
    assert (len(service.requests), len(clock.waits)) == (4, 3)


def test_without_retries_there_is_one_attempt(make: Callable[..., Any], service: Service) -> None:
    service.answers(BUSY)
    with pytest.raises(errors.Unavailable):
        make(service.url, policy=NO_RETRIES).get("s-11")
    assert len(service.requests) == 1


def test_a_404_after_a_delete_whose_answer_was_lost_is_done(client: Any, service: Service) -> None:
    service.answers(LOST, error(404, "NOT_FOUND"))
    assert client.delete("s-11") is None


@pytest.mark.parametrize("before", [[], [error(429, "TOO_MANY_REQUESTS")], [error(401, "UNAUTHENTICATED")]])
def test_a_404_is_an_error_if_no_delete_can_have_been_carried_out(
    make: Callable[..., Any], service: Service, before: list[Reply]
) -> None:
    service.answers(*before, error(404, "NOT_FOUND"))
    tokens = iter("abc")
    with pytest.raises(errors.NotFound):
        make(service.url, lambda: next(tokens)).delete("s-11")


def test_a_404_after_a_lost_get_is_an_error(client: Any, service: Service) -> None:
    service.answers(LOST, error(404, "NOT_FOUND"))
    with pytest.raises(errors.NotFound):
        client.get("s-11")


def test_retry_after_in_seconds_is_waited_for(client: Any, service: Service, clock: SteppedClock) -> None:
    service.answers(error(429, "TOO_MANY_REQUESTS", Retry_After="7"), Reply(201, RESOURCE))
    client.create(REQUEST)
    assert 7 <= clock.waits[0] <= 7.5


@pytest.mark.parametrize("wrong_by_s", [0, -86400, 86400])
def test_a_date_counts_by_the_clock_of_the_service(
    client: Any, service: Service, clock: SteppedClock, wrong_by_s: int
) -> None:
    now = datetime.fromtimestamp(clock.now() + wrong_by_s, UTC)
    head = "\r\n".join(
        [
            f"Date: {format_datetime(now, usegmt=True)}",
            f"Retry-After: {format_datetime(now + timedelta(seconds=9), usegmt=True)}",
        ]
    )
    service.answers(
        Reply(raw=f"HTTP/1.1 503 Busy\r\n{head}\r\nContent-Length: 0\r\n\r\n".encode()), Reply(200, RESOURCE)
    )
    client.get("s-11")
    assert 9 <= clock.waits[0] <= 9.5


@pytest.mark.parametrize("text", ["1000000", "9" * 400, "31"])
def test_a_retry_after_beyond_the_bound_fails_at_once(
    client: Any, service: Service, clock: SteppedClock, text: str
) -> None:
    service.answers(error(429, "TOO_MANY_REQUESTS", Retry_After=text))
    with pytest.raises(errors.TooManyRequests) as raised:
        client.get("s-11")
    assert raised.value.retry_after_s is not None
    assert raised.value.retry_after_s > 30
    assert (len(service.requests), clock.waits) == (1, [])


@pytest.mark.parametrize("text", ["", "soon", "-5", "1.5", "\u00b2", "Mon, 99 Foo 2030 00:00:00 GMT"])
def test_a_retry_after_that_says_nothing_is_as_none(
    client: Any, service: Service, clock: SteppedClock, text: str
) -> None:
    service.answers(error(503, "UNAVAILABLE", Retry_After=text), Reply(200, RESOURCE))
    client.get("s-11")
    assert clock.waits[0] <= 0.5


def test_no_wait_begins_that_ends_too_late(
    make: Callable[..., Any], service: Service, clock: SteppedClock
) -> None:
    service.answers(error(503, "UNAVAILABLE", Retry_After="20"))
    policy = RetryPolicy(max_attempts=100, max_elapsed_s=50)
    with pytest.raises(errors.Unavailable):
        make(service.url, policy=policy).get("s-11")
    assert sum(clock.waits) <= 50
    assert len(service.requests) == 3
