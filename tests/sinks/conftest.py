"""A client, its sink and the names that it looks up."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.authority import Authority
from tests.harness.sinks import RecordingSink
from tests.sinks.exchanges import DEFAULT, LOOPBACK, POOL, MakeSink, Names
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.egress_proxy import EgressProxy
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.client import SinkClient, SinkPool
from webrtc_events.sinks.client_certificates import ClientCertificates
from webrtc_events.sinks.egress import Egress
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.sinks.resolver import Lookup, system_lookup


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    authority = Authority()
    yield authority
    authority.close()


@pytest.fixture
def server(authority: Authority) -> Iterator[RecordingSink]:
    with RecordingSink(authority=authority) as server:
        yield server


@pytest.fixture
def make(authority: Authority) -> Iterator[MakeSink]:
    with ExitStack() as stack:

        def make(
            *,
            policy: AddressPolicy = LOOPBACK,
            ca_file: Path | None = authority.ca_file,
            limits: SinkLimits = DEFAULT,
            resolve: Sequence[str] = (),
            pool: SinkPool = POOL,
            lookup: Lookup = system_lookup,
            proxy: EgressProxy | None = None,
            certificates: ClientCertificates | None = None,
        ) -> SinkClient[int]:
            sink = SinkClient[int](
                policy=policy,
                ca_file=ca_file,
                clock=SystemClock(),
                limits=limits,
                pool=pool,
                lookup=lookup,
                resolve=resolve,
                certificates=certificates,
                egress=None if proxy is None else Egress(proxy, policy),
            )
            stack.callback(sink.close)
            return sink

        yield make


@pytest.fixture
def names() -> Iterator[Names]:
    names = Names()
    yield names
    names.let_go.set()
