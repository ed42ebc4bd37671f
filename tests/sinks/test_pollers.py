"""libcurl's sockets are waited for, whichever way this system waits, and whichever sockets come and go."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pycurl
import pytest

from tests.harness.sinks import Answer, RecordingSink
from tests.sinks.exchanges import MakeSink, request
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.outcomes import SinkAnswer, SinkFailure
from webrtc_events.sinks import curl_loop
from webrtc_events.sinks.client import SinkClient, SinkPool
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.sinks.pollers import EpollPoller, Poller, SelectorPoller

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")
LIMITS = SinkLimits(connect_ms=500, total_ms=10_000)


@pytest.fixture(params=[pytest.param(EpollPoller, marks=LINUX), SelectorPoller])
def new_poller(request: pytest.FixtureRequest) -> Callable[[], Poller]:
    poller: Callable[[], Poller] = request.param
    return poller


@pytest.fixture
def poller(new_poller: Callable[[], Poller]) -> Iterator[Poller]:
    poller = new_poller()
    yield poller
    poller.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


Pair = tuple[socket.socket, socket.socket]


def test_a_socket_is_ready_for_what_it_is_watched_for(poller: Poller, pair: Pair) -> None:
    one, other = pair
    poller.watch(one.fileno(), pycurl.POLL_IN)
    assert list(poller.ready(0)) == []
    other.send(b"x")
    assert list(poller.ready(1)) == [(one.fileno(), pycurl.CSELECT_IN)]
    poller.watch(one.fileno(), pycurl.POLL_OUT)
    assert list(poller.ready(1)) == [(one.fileno(), pycurl.CSELECT_OUT)]
    poller.watch(one.fileno(), pycurl.POLL_INOUT)
    assert list(poller.ready(1)) == [(one.fileno(), pycurl.CSELECT_IN | pycurl.CSELECT_OUT)]


def test_what_is_forgotten_is_ready_no_more(poller: Poller, pair: Pair) -> None:
    one, other = pair
    poller.watch(one.fileno(), pycurl.POLL_IN)
    other.send(b"x")
    poller.forget(one.fileno())
    assert list(poller.ready(0)) == []
    # Nor is it an error to forget it again, or one that nobody has.
    poller.forget(one.fileno())
    number = one.fileno()
    one.close()
    poller.forget(number)


def test_a_peer_that_has_gone_is_something_to_read(poller: Poller, pair: Pair) -> None:
    one, other = pair
    poller.watch(one.fileno(), pycurl.POLL_IN)
    other.close()
    ((number, events),) = poller.ready(1)
    assert number == one.fileno()
    assert events & pycurl.CSELECT_IN


def test_another_socket_of_the_same_number_is_watched_anew(poller: Poller) -> None:
    one, other = socket.socketpair()
    number = one.fileno()
    poller.watch(number, pycurl.POLL_IN)
    one.close()
    other.close()
    with ExitStack() as stack:
        third, fourth = map(stack.enter_context, socket.socketpair())
        if third.fileno() != number:
            os.dup2(third.fileno(), number)
            stack.callback(os.close, number)
        poller.watch(number, pycurl.POLL_IN)
        fourth.send(b"x")
        assert list(poller.ready(1)) == [(number, pycurl.CSELECT_IN)]


@pytest.fixture
def client(
    make: MakeSink, new_poller: Callable[[], Poller], monkeypatch: pytest.MonkeyPatch
) -> SinkClient[int]:
    """It keeps two connections at most, so that it closes others by itself."""
    monkeypatch.setattr(curl_loop, "new_poller", new_poller)
    return make(limits=LIMITS, pool=SinkPool(idle=2))


def answered(client: SinkClient[int], url: str, count: int) -> None:
    """That many at the same time, each within 5 s although a request may take 10."""
    for number in range(count):
        client.submit(number, request(url))
    replies: dict[int, object] = {}
    while len(replies) < count:
        finished = client.poll(5)
        assert finished, f"{count - len(replies)} without an answer after 5 s"
        replies |= finished
    assert all(isinstance(reply, SinkAnswer) and reply.status == 204 for reply in replies.values()), replies


def test_kept_connections_carry_one_request_after_another(
    client: SinkClient[int], server: RecordingSink
) -> None:
    for _ in range(20):
        answered(client, server.url, 1)
    assert server.connections == 1


@pytest.mark.parametrize("at_once", [1, 5])
def test_new_sockets_get_the_numbers_of_those_that_are_closed(
    client: SinkClient[int], server: RecordingSink, at_once: int
) -> None:
    """By the peer here, and by libcurl, which keeps two."""
    for round_ in range(12):
        server.answer = lambda _, close=round_ % 3 == 0: Answer(204, close=close)
        answered(client, server.url, at_once)
    assert server.connections > 4


def test_the_number_of_one_that_never_connected_is_used_again(
    client: SinkClient[int], server: RecordingSink
) -> None:
    """Both are first awaited for the same: that they connect."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        for _ in range(3):
            client.submit(0, request(f"https://127.0.0.1:{full.getsockname()[1]}/"))
            ((_, reply),) = client.poll(5)
            assert isinstance(reply, SinkFailure)
            answered(client, server.url, 1)
            server.hang_up()


def test_a_connection_that_ends_while_it_is_idle_wakes_nobody_up(
    client: SinkClient[int], server: RecordingSink
) -> None:
    answered(client, server.url, 2)
    server.hang_up()
    clock = SystemClock()
    rounds = 0
    until_s = clock.monotonic() + 1
    while clock.monotonic() < until_s:
        client.poll(until_s - clock.monotonic())
        rounds += 1
    assert rounds < 10
    answered(client, server.url, 2)
