"""Names of sinks and their addresses: which are connected to, and how long a lookup may take."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network

import pytest

from tests.harness.authority import Authority
from tests.harness.sinks import Answer, RecordingSink
from tests.sinks.exchanges import HASTY, MakeSink, Names, collect, failure, post, request, status
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.outcomes import SinkFailure
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.limits import SinkLimits


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.1", "2130706433", "[::1]", "[::ffff:7f00:1]"]
)
def test_refused_address_is_never_connected_to(server: RecordingSink, make: MakeSink, host: str) -> None:
    sink = make(policy=AddressPolicy())
    assert failure(post(sink, f"https://{host}:{server.port}/")) == "address_refused"
    assert server.connections == 0


def test_name_that_resolves_to_a_refused_address_is_refused(authority: Authority, make: MakeSink) -> None:
    with RecordingSink(authority=authority, names=["sink.example"]) as server:
        resolve = (f"sink.example:{server.port}:127.0.0.1",)
        url = f"https://sink.example:{server.port}/"
        reply = post(make(policy=AddressPolicy(), resolve=resolve), url)
        assert failure(reply) == "address_refused"
        assert server.connections == 0
        assert status(post(make(resolve=resolve), url)) == 204


@pytest.mark.parametrize(
    "answer", ["169.254.169.254,10.0.0.1,127.0.0.1", "127.0.0.2,[::1],127.0.0.1", "127.0.0.1,127.0.0.2"]
)
def test_of_mixed_answers_only_the_allowed_address_is_connected_to(
    authority: Authority, make: MakeSink, answer: str
) -> None:
    with RecordingSink(authority=authority, names=["sink.example"]) as server, _bystander(server) as refused:
        sink = make(
            policy=AddressPolicy((ip_network("127.0.0.1/32"),)),
            resolve=(f"sink.example:{server.port}:{answer}",),
        )
        assert status(post(sink, f"https://sink.example:{server.port}/")) == 204
        assert server.connections == 1
        assert refused() == 0


def test_answers_that_are_all_refused_are_never_connected_to(authority: Authority, make: MakeSink) -> None:
    with RecordingSink(authority=authority, names=["sink.example"]) as server, _bystander(server) as refused:
        resolve = (f"sink.example:{server.port}:127.0.0.2,[::1],127.0.0.1",)
        url = f"https://sink.example:{server.port}/"
        assert failure(post(make(policy=AddressPolicy(), resolve=resolve), url)) == "address_refused"
        assert (server.connections, refused()) == (0, 0)


def test_a_name_that_changes_between_two_attempts_is_checked_anew(
    authority: Authority, make: MakeSink
) -> None:
    with RecordingSink(authority=authority, names=["sink.example"]) as server, _bystander(server) as refused:
        server.answer = lambda _: Answer(503, close=True)
        good, bad = (f"sink.example:{server.port}:{host}" for host in ("127.0.0.1", "127.0.0.2"))
        url = f"https://sink.example:{server.port}/"
        resolve = [good]
        sink = make(policy=AddressPolicy((ip_network("127.0.0.1/32"),)), resolve=resolve)
        assert status(post(sink, url)) == 503
        resolve[:] = [bad]
        assert failure(post(sink, url)) == "address_refused"
        resolve[:] = [good]
        assert status(post(sink, url)) == 503
        assert (server.connections, refused()) == (2, 0)


def test_what_a_lookup_finds_is_checked_at_every_connection(authority: Authority, make: MakeSink) -> None:
    """As at a hostile name server, which answers each name as it likes."""
    answers = {
        "refused.example": ["127.0.0.2"],
        "mixed.example": ["127.0.0.2", "::1", "127.0.0.1"],
        "spelt.example": ["::ffff:127.0.0.2", "127.0.0.2%lo", "2130706434", "/etc/passwd", ""],
    }
    with RecordingSink(authority=authority, names=list(answers)) as server, _bystander(server) as refused:
        server.answer = lambda _: Answer(204, close=True)
        sink = make(policy=AddressPolicy((ip_network("127.0.0.1/32"),)), lookup=answers.__getitem__)
        for _ in range(2):
            assert failure(post(sink, f"https://refused.example:{server.port}/")) == "address_refused"
            assert isinstance(post(sink, f"https://spelt.example:{server.port}/"), SinkFailure)
            assert status(post(sink, f"https://mixed.example:{server.port}/")) == 204
        assert (server.connections, refused()) == (2, 0)


def test_a_port_that_sinks_may_no_longer_have_is_never_connected_to(
    server: RecordingSink, make: MakeSink
) -> None:
    policy = AddressPolicy((ip_network("127.0.0.0/8"), ip_network("::1/128")), frozenset({443}))
    assert failure(post(make(policy=policy), server.url)) == "address_refused"
    assert server.connections == 0


@contextmanager
def _bystander(server: RecordingSink) -> Iterator[Callable[[], int]]:
    """Listens at the server's port on 127.0.0.2, and counts who connects."""
    with socket.create_server(("127.0.0.2", server.port)) as listener:
        listener.setblocking(False)

        def connections() -> int:
            count = 0
            while True:
                try:
                    connection, _ = listener.accept()
                except BlockingIOError:
                    return count
                connection.close()
                count += 1

        yield connections


def test_unknown_name_is_a_dns_failure(make: MakeSink) -> None:
    assert failure(post(make(), "https://no-such-name.invalid/")) == "dns"


def test_names_that_hang_hold_back_no_other(authority: Authority, make: MakeSink, names: Names) -> None:
    """libcurl's own resolver stands still at ten of them."""
    with RecordingSink(authority=authority, names=["a.example", "b.example"]) as server:
        sink = make(lookup=names)
        for token in range(30):
            sink.submit(token, request(f"https://hangs-{token}.example:{server.port}/"))
        for token, name in ((100, "a"), (101, "b")):
            sink.submit(token, request(f"https://{name}.example:{server.port}/"))
        replies = collect(sink, 2)
        assert {token: status(reply) for token, reply in replies.items()} == {100: 204, 101: 204}
        assert all(reply.elapsed_ms < 10_000 for reply in replies.values())


def test_a_name_that_hangs_is_a_dns_failure_within_the_time_to_connect(make: MakeSink, names: Names) -> None:
    reply = post(make(limits=HASTY, lookup=names), "https://hangs.example/")
    assert failure(reply) == "dns"
    # The lookup hangs for 30 s.
    assert HASTY.connect_ms <= reply.elapsed_ms < 10_000


@pytest.mark.slow
def test_the_time_of_a_lookup_is_part_of_the_exchange(authority: Authority, make: MakeSink) -> None:
    def slow(_: str) -> list[str]:
        threading.Event().wait(1.3)
        return ["127.0.0.1"]

    with RecordingSink(authority=authority, names=["a.example"]) as server:
        limits = SinkLimits(connect_ms=2_000, total_ms=2_000)
        sink = make(limits=limits, lookup=slow)
        server.answer = lambda _: Answer(never=True)
        reply = post(sink, f"https://a.example:{server.port}/")
        assert failure(reply) == "timeout"
        assert reply.elapsed_ms < limits.total_ms + 1_000
        # The next exchange, whose name is known, has all its time.
        reply = post(sink, f"https://a.example:{server.port}/")
        assert failure(reply) == "timeout"
        assert reply.elapsed_ms >= limits.total_ms - 10


def test_a_sink_with_names_under_way_closes_at_once(make: MakeSink, names: Names) -> None:
    sink = make(lookup=names)
    sink.submit(1, request("https://hangs.example/"))
    assert sink.in_flight == 1
    clock = SystemClock()
    started = clock.monotonic()
    sink.close()
    # The lookup hangs for 30 s.
    assert clock.monotonic() - started < 10


def test_refused_connection_is_a_connect_failure(make: MakeSink) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert failure(post(make(), f"https://127.0.0.1:{port}/")) == "connect"
