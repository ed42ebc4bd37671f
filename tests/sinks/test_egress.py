"""Requests through an egress proxy: what it is asked, what it must not be, and whose fault a failure is."""

import socket
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_network

import pytest

from tests.harness.authority import Authority
from tests.harness.http2_sink import Http2Sink
from tests.harness.proxies import ConnectProxy
from tests.harness.sinks import Answer, RecordingSink, plain_listener
from tests.sinks.exchanges import HASTY, MakeSink, ask, collect, failure, post, request, status
from webrtc_events.core.egress_proxy import EgressProxy, parse_no_proxy, parse_proxy_url
from webrtc_events.core.outcomes import SinkFailure
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.client import SinkPool

PUBLIC_ONLY = AddressPolicy()
NAME = "sink.example"


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with ConnectProxy() as proxy:
        yield proxy


@pytest.fixture
def sink(authority: Authority) -> Iterator[RecordingSink]:
    """By a name that only the proxy knows."""
    with RecordingSink(authority=authority, names=[NAME, "127.0.0.1", "localhost"]) as sink:
        yield sink


def through(proxy: ConnectProxy | str, credentials: str | None = None, no_proxy: str = "") -> EgressProxy:
    url = proxy if isinstance(proxy, str) else proxy.url
    return EgressProxy(parse_proxy_url(url), parse_no_proxy(no_proxy), credentials)


def named(sink: RecordingSink, name: str = NAME) -> str:
    return f"https://{name}:{sink.port}/inbox"


def no_lookup(name: str) -> list[str]:
    raise AssertionError(f"{name} was looked up here")


# The way through


def test_a_sink_is_reached_by_a_name_that_only_the_proxy_knows(
    proxy: ConnectProxy, sink: RecordingSink, make: MakeSink
) -> None:
    client = make(policy=PUBLIC_ONLY, proxy=through(proxy), lookup=no_lookup)
    assert [status(post(client, named(sink))) for _ in range(3)] == [204] * 3
    # One tunnel serves them all.
    assert proxy.asked == [f"{NAME}:{sink.port}"]
    assert sink.connections == 1


def test_the_proxy_sees_host_and_port_and_nothing_of_the_request(
    proxy: ConnectProxy, sink: RecordingSink, make: MakeSink
) -> None:
    post(make(proxy=through(proxy)), named(sink))
    [head] = proxy.heads
    assert b"inbox" not in head
    assert b"uthorization" not in head
    assert b"correlator" not in head


def test_an_options_request_takes_the_same_way(
    proxy: ConnectProxy, sink: RecordingSink, make: MakeSink
) -> None:
    assert status(ask(make(proxy=through(proxy)), named(sink))) == 204
    assert proxy.asked == [f"{NAME}:{sink.port}"]


def test_http_2_goes_through_a_tunnel(proxy: ConnectProxy, authority: Authority, make: MakeSink) -> None:
    with Http2Sink(authority=authority) as sink:
        client = make(proxy=through(proxy))
        for number in range(20):
            client.submit(number, request(sink.url))
        assert {status(reply) for reply in collect(client, 20).values()} == {204}
    assert proxy.asked


def test_a_proxy_is_found_by_its_name(sink: RecordingSink, make: MakeSink, proxy: ConnectProxy) -> None:
    looked_up: list[str] = []

    def lookup(name: str) -> list[str]:
        looked_up.append(name)
        return ["127.0.0.1"]

    client = make(proxy=through(f"http://proxy.example:{proxy.port}"), lookup=lookup)
    assert status(post(client, named(sink))) == 204
    assert looked_up == ["proxy.example"]


def test_a_proxy_may_be_at_an_ipv6_address(sink: RecordingSink, make: MakeSink) -> None:
    with ConnectProxy(host="::1") as proxy:
        assert "[::1]" in proxy.url
        assert status(post(make(policy=PUBLIC_ONLY, proxy=through(proxy)), named(sink))) == 204


def test_credentials_go_to_the_proxy_alone(sink: RecordingSink, make: MakeSink) -> None:
    with ConnectProxy(credentials="me:pa:ss") as proxy:
        assert status(post(make(proxy=through(proxy, "me:pa:ss")), named(sink))) == 204
        refused = post(make(proxy=through(proxy, "me:wrong")), named(sink))
        assert failure(refused) == "proxy"
        assert "wrong" not in repr(refused)
        assert failure(post(make(proxy=through(proxy)), named(sink))) == "proxy"
    [received] = sink.requests
    assert not any(name.lower().startswith("proxy") for name, _ in received.headers)


def test_an_https_proxy_is_verified(authority: Authority, sink: RecordingSink, make: MakeSink) -> None:
    with ConnectProxy(context=authority.context("localhost")) as proxy:
        url = parse_proxy_url(proxy.url)
        trusted = EgressProxy(url, ca_file=authority.ca_file)
        assert status(post(make(proxy=trusted), named(sink))) == 204
        # What sinks are trusted by does not count for the proxy.
        assert failure(post(make(proxy=EgressProxy(url)), named(sink))) == "proxy"
        other_name = EgressProxy(parse_proxy_url(proxy.url.replace("localhost", "127.0.0.1")))
        assert failure(post(make(proxy=other_name), named(sink))) == "proxy"
    assert len(sink.requests) == 1


def test_connections_to_one_sink_are_limited_through_a_proxy_too(
    proxy: ConnectProxy, sink: RecordingSink, make: MakeSink
) -> None:
    client = make(proxy=through(proxy), pool=SinkPool(per_host=2))
    for number in range(20):
        client.submit(number, request(named(sink)))
    assert {status(reply) for reply in collect(client, 20).values()} == {204}
    assert sink.connections <= 2


# Round the proxy


def test_what_needs_no_proxy_goes_directly_by_the_same_client(
    proxy: ConnectProxy, sink: RecordingSink, make: MakeSink
) -> None:
    client = make(proxy=through(proxy, no_proxy="localhost,127.0.0.0/8"))
    for url in (named(sink), named(sink, "localhost"), named(sink, "127.0.0.1"), named(sink)):
        assert status(post(client, url)) == 204
    assert proxy.asked == [f"{NAME}:{sink.port}"]


def test_a_connection_of_one_way_is_not_used_for_the_other(
    proxy: ConnectProxy, sink: RecordingSink, make: MakeSink
) -> None:
    """libcurl keeps both by the sink's name."""
    direct, proxied = make(proxy=through(proxy, no_proxy="localhost")), make(proxy=through(proxy))
    for client in (direct, proxied, direct):
        assert status(post(client, named(sink, "localhost"))) == 204
    assert len(proxy.asked) == 1


def test_the_address_check_at_connect_still_holds_for_what_goes_directly(
    proxy: ConnectProxy, sink: RecordingSink, make: MakeSink
) -> None:
    client = make(policy=PUBLIC_ONLY, proxy=through(proxy, no_proxy=NAME), lookup=lambda _: ["127.0.0.1"])
    assert failure(post(client, named(sink))) == "address_refused"
    assert sink.connections == 0


@pytest.mark.parametrize(
    "variable", ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"]
)
@pytest.mark.parametrize("use_proxy", [False, True], ids=["no proxy", "proxy"])
def test_the_environment_changes_nothing(
    variable: str,
    use_proxy: bool,
    proxy: ConnectProxy,
    sink: RecordingSink,
    make: MakeSink,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ConnectProxy() as other:
        monkeypatch.setenv(variable, "*" if variable.lower() == "no_proxy" else other.url)
        client = make(proxy=through(proxy) if use_proxy else None)
        assert status(post(client, named(sink, NAME if use_proxy else "localhost"))) == 204
        assert other.asked == []
    assert len(proxy.asked) == use_proxy


# What the proxy must not be asked


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::10.0.0.1]",
        "localhost",
        "a.localhost",
        "localhost.",
        # Spellings that the check of the URL would have made canonical, were it asked.
        "2130706433",
        "0x7f.1",
        "127.1",
        "[fe80::1%25eth0]",
    ],
)
def test_what_is_known_to_be_private_is_refused_before_the_proxy_is_asked(
    host: str, proxy: ConnectProxy, make: MakeSink
) -> None:
    client = make(policy=PUBLIC_ONLY, proxy=through(proxy))
    assert failure(post(client, f"https://{host}:8443/")) in ("address_refused", "protocol")
    assert proxy.asked == []


def test_a_port_that_sinks_may_not_have_is_refused_before_the_proxy_is_asked(
    proxy: ConnectProxy, make: MakeSink
) -> None:
    client = make(proxy=through(proxy))
    assert failure(post(client, f"https://{NAME}:25/")) == "address_refused"
    assert proxy.asked == []


def test_an_allowed_network_is_allowed_through_the_proxy_too(
    proxy: ConnectProxy, sink: RecordingSink, make: MakeSink
) -> None:
    client = make(policy=AddressPolicy((ip_network("127.0.0.0/8"),)), proxy=through(proxy))
    assert status(post(client, named(sink, "127.0.0.1"))) == 204
    assert proxy.asked == [f"127.0.0.1:{sink.port}"]


# Whose fault it is


def test_a_proxy_that_refuses_connections_is_to_blame_until_it_is_back(
    proxy: ConnectProxy, sink: RecordingSink, make: MakeSink
) -> None:
    client = make(proxy=through(proxy))
    assert status(post(client, named(sink))) == 204
    proxy.stop()
    assert failure(post(client, named(sink))) == "proxy"
    proxy.start()
    assert status(post(client, named(sink))) == 204


def test_a_proxy_without_an_address_is_to_blame(sink: RecordingSink, make: MakeSink) -> None:
    def lookup(name: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, f"{name} is unknown")

    assert failure(post(make(proxy=through("http://proxy.example:1"), lookup=lookup), named(sink))) == "proxy"


def test_a_peer_that_is_no_proxy_is_to_blame(sink: RecordingSink, make: MakeSink) -> None:
    with plain_listener(b"220 mail.example ESMTP\r\n") as port:
        # It may have hung up before its words were read.
        assert failure(post(make(proxy=through(f"http://127.0.0.1:{port}")), named(sink))) in (
            "proxy",
            "tunnel",
        )


@pytest.mark.parametrize("answer", [403, 404, 500, 502, 503, 504, -1])
def test_a_connect_that_is_refused_is_nobodys_fault_for_certain(
    answer: int, proxy: ConnectProxy, sink: RecordingSink, make: MakeSink
) -> None:
    proxy.answer = lambda _: answer
    reply = post(make(proxy=through(proxy)), named(sink))
    assert failure(reply) == "tunnel"
    assert isinstance(reply, SinkFailure)
    assert reply.by_proxy
    if answer > 0:
        assert str(answer) in reply.detail


def test_neither_is_a_connect_that_is_not_answered(
    proxy: ConnectProxy, sink: RecordingSink, make: MakeSink
) -> None:
    proxy.answer = lambda _: 0
    assert failure(post(make(proxy=through(proxy), limits=HASTY), named(sink))) == "tunnel"


def test_neither_is_a_tunnel_that_ends(proxy: ConnectProxy, sink: RecordingSink, make: MakeSink) -> None:
    arrived = threading.Event()

    def hang(_: object) -> None:
        arrived.set()
        sink.closing.wait(30)

    sink.raw = hang
    client = make(proxy=through(proxy))
    client.submit(1, request(named(sink)))
    while not arrived.is_set():
        assert not client.poll(0.05)
    proxy.stop()
    assert failure(collect(client, 1)[1]) == "tunnel"


@pytest.mark.parametrize("answer", [407, 502, 503])
def test_what_the_sink_answers_is_never_taken_for_the_proxys(
    answer: int, proxy: ConnectProxy, sink: RecordingSink, make: MakeSink
) -> None:
    sink.answer = [answer]
    assert status(post(make(proxy=through(proxy)), named(sink))) == answer


def test_a_sink_is_to_blame_for_its_certificate_and_for_what_it_does_not_answer(
    proxy: ConnectProxy, authority: Authority, make: MakeSink
) -> None:
    client = make(proxy=through(proxy), limits=HASTY)
    with RecordingSink(authority=authority, names=["other.example"]) as sink:
        assert failure(post(client, named(sink))) == "tls"
    with RecordingSink(authority=authority, names=[NAME]) as sink:
        sink.raw = lambda _: bool(sink.closing.wait(30)) and None
        assert failure(post(client, named(sink))) == "timeout"


def test_a_proxy_that_hangs_is_told_from_a_sink_that_does(
    proxy: ConnectProxy, sink: RecordingSink, make: MakeSink
) -> None:
    """A tunnel that was just made shows that the proxy is alive; one of before does not."""
    client = make(proxy=through(proxy), limits=HASTY)
    assert status(post(client, named(sink))) == 204
    sink.answer = lambda _: Answer(never=True)
    assert failure(post(client, named(sink))) == "tunnel"
    assert failure(post(client, named(sink))) == "timeout"


@pytest.mark.parametrize("answer", [401, 407])
def test_a_proxy_that_wants_other_credentials_is_to_blame(
    answer: int, proxy: ConnectProxy, sink: RecordingSink, make: MakeSink
) -> None:
    proxy.answer = lambda _: answer
    assert failure(post(make(proxy=through(proxy)), named(sink))) == "proxy"


# Many, and again


def test_a_thousand_are_delivered_while_the_proxy_is_restarted(
    proxy: ConnectProxy, sink: RecordingSink, make: MakeSink
) -> None:
    """Each is repeated until it is taken; a restart loses what is in flight and nothing else."""
    client = make(proxy=through(proxy), pool=SinkPool(per_host=16))
    waiting, done = list(range(1_000)), 0
    under_way = 0
    restart: Callable[[], None] | None = proxy.stop
    while done < 1_000:
        while waiting and under_way < 32:
            client.submit(waiting[0], request(named(sink)))
            del waiting[0]
            under_way += 1
        for number, reply in client.poll(5):
            under_way -= 1
            if isinstance(reply, SinkFailure):
                assert reply.by_proxy, reply
                waiting.append(number)
            else:
                done += 1
        if restart is not None and done >= 400:
            restart()
            restart = proxy.start if restart == proxy.stop else None
    assert len(sink.requests) >= 1_000
