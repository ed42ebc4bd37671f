"""Names with addresses of both families: each one that is tried is checked, whichever is the faster."""

from ipaddress import ip_network

import pytest

from tests.harness.authority import Authority
from tests.harness.sinks import RecordingSink
from tests.sinks.exchanges import LOOPBACK, MakeSink, failure, post, status
from webrtc_events.core.outcomes import SinkFailure
from webrtc_events.sinks.addresses import AddressPolicy

ONLY_4 = AddressPolicy((ip_network("127.0.0.0/8"),))
ONLY_6 = AddressPolicy((ip_network("::1/128"),))
NAME = "sink.example"


def url(server: RecordingSink) -> str:
    return f"https://{NAME}:{server.port}/"


@pytest.fixture
def named(authority: Authority) -> "RecordingSink":
    return RecordingSink(authority=authority, names=[NAME])


@pytest.mark.parametrize("policy", [ONLY_4, ONLY_6, LOOPBACK], ids=["IPv4", "IPv6", "both"])
@pytest.mark.parametrize(
    "addresses", [["127.0.0.1", "::1"], ["::1", "127.0.0.1"]], ids=["4 first", "6 first"]
)
def test_the_address_that_is_allowed_is_reached_whichever_comes_first(
    policy: AddressPolicy, addresses: list[str], named: RecordingSink, make: MakeSink
) -> None:
    with named as server:
        client = make(policy=policy, lookup=lambda _: addresses)
        assert [status(post(client, url(server))) for _ in range(3)] == [204] * 3
        assert server.connections == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1", "::1"],
        ["::1", "127.0.0.1"],
        ["fe80::1", "10.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["2002:7f00:1::1"],
        ["2001:0:7f00:1::1"],
    ],
    ids=" ".join,
)
def test_a_name_with_private_addresses_alone_is_never_connected_to(
    addresses: list[str], named: RecordingSink, make: MakeSink
) -> None:
    with named as server:
        assert failure(post(make(policy=AddressPolicy(), lookup=lambda _: addresses), url(server))) == (
            "address_refused"
        )
        assert server.connections == 0


def test_an_address_where_nobody_listens_leaves_the_other(make: MakeSink, named: RecordingSink) -> None:
    with named as server:
        client = make(lookup=lambda _: ["127.0.0.2", "::1"], policy=LOOPBACK)
        assert status(post(client, url(server))) == 204


def test_a_refused_address_does_not_hide_that_the_allowed_one_is_down(
    make: MakeSink, named: RecordingSink
) -> None:
    with named as server:
        address = url(server)
    reply = post(make(policy=ONLY_4, lookup=lambda _: ["::1", "127.0.0.1"]), address)
    assert isinstance(reply, SinkFailure)
    assert reply.reason == "connect"


def test_an_ipv4_mapped_address_counts_as_the_one_in_it(make: MakeSink, named: RecordingSink) -> None:
    with named as server:
        client = make(policy=ONLY_4, lookup=lambda _: ["::ffff:127.0.0.1"])
        assert status(post(client, url(server))) == 204
