"""A handshake with a sink is what a delivery would do, and nothing is sent."""

from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.harness.authority import Authority
from tests.harness.sinks import RecordingSink
from webrtc_events.core.port_set import PortSet
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.handshake import Handshake, shake_hands
from webrtc_events.sinks.limits import SinkLimits

LOOPBACK = AddressPolicy((ip_network("127.0.0.0/8"),))


@pytest.fixture
def authority() -> Iterator[Authority]:
    with closing(Authority()) as made:
        yield made


@pytest.fixture
def sink(authority: Authority) -> Iterator[RecordingSink]:
    with RecordingSink(authority=authority) as running:
        yield running


def shaken(url: str, ca_file: Path, policy: AddressPolicy = LOOPBACK, *, verify: bool = True) -> Handshake:
    return shake_hands(url, "127.0.0.1", ca_file=ca_file, policy=policy, limits=SinkLimits(), verify=verify)


def test_a_sink_that_is_trusted_shows_its_chain_and_gets_no_request(
    sink: RecordingSink, authority: Authority
) -> None:
    done = shaken(sink.url, authority.ca_file)
    assert (done.failure, done.verified, done.address) == (None, True, "127.0.0.1")
    assert "Expire date" in done.chain[0]
    assert sink.requests == []


def test_one_that_is_not_trusted_is_refused_and_can_be_looked_at(sink: RecordingSink) -> None:
    with closing(Authority()) as other:
        done = shaken(sink.url, other.ca_file)
        assert done.failure is not None
        assert (done.failure.reason, done.verified) == ("tls", False)
        looked_at = shaken(sink.url, other.ca_file, verify=False)
    assert (looked_at.failure, looked_at.verified) == (None, False)
    assert looked_at.chain
    assert sink.requests == []


def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    with RecordingSink(authority=authority, names=["other.example"]) as sink:
        done = shaken(sink.url, authority.ca_file)
    assert done.failure is not None
    assert done.failure.reason == "tls"


@pytest.mark.parametrize(
    "policy", [AddressPolicy(), AddressPolicy((ip_network("127.0.0.0/8"),), PortSet.of(443))]
)
def test_an_address_or_port_that_sinks_may_not_have_is_not_connected_to(
    sink: RecordingSink, authority: Authority, policy: AddressPolicy
) -> None:
    done = shaken(sink.url, authority.ca_file, policy)
    assert done.failure is not None
    assert (done.failure.reason, done.address, list(done.chain)) == ("address_refused", "", [])
