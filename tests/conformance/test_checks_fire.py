"""Each check of Schemathesis finds what it is for: the service, broken once for each.

A check that never fails may be one that never looks; several report nothing on a document in which
something is left optional, or is said in another way (see document.py).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from schemathesis import checks

from tests.api.conftest import ALL_SCOPES, serving
from tests.conformance import breakages
from tests.conformance.breakages import Breakable, Breakage
from tests.conformance.campaign import CHECKS, Campaign, Report
from tests.conformance.conftest import UNLIMITED
from tests.harness.issuer import Issuer, SigningKeyPair
from webrtc_events.app import create_app
from webrtc_events.contract.documents import load_network, load_public
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.local.stack.valkey import Valkey

_SEED = 1
_EXAMPLES = 10
_BOUND_S = 120.0
_TOKEN_LIFE_S = 600
_LATE_S = 0.5
_IN_TIME_S = 0.3

_LIST = "GET /subscriptions"
_CREATE = "POST /subscriptions"
_PUBLISH = "POST /events"
_REGISTER = "PUT /registrations/{registrationId}"
_NETWORK = {_PUBLISH, _REGISTER}
_ALL = ""

_SUBSCRIPTION = {
    "protocol": "HTTP",
    "sink": "https://127.0.0.1:9443/x",
    "types": ["org.camaraproject.webrtc-events.v0.session-invitation"],
    "config": {"subscriptionDetail": {"registrationId": "r1"}},
}
_REGISTRATION = {"deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "owner": "owner"}


@dataclass(frozen=True, slots=True)
class Broken:
    """A breakage, made with the owner's token, and the phase and operation in which `check` sees it."""

    check: str
    breakage: Callable[[str], Breakage]
    phase: str
    operation: str

    def __str__(self) -> str:
        return f"{self.check}, {self.phase}, {self.operation or 'all'}"


def _always(breakage: Breakage) -> Callable[[str], Breakage]:
    return lambda _: breakage


_UNAVAILABLE = _always(breakages.refuses_some("subject", 503, "UNAVAILABLE"))


def _refuses(member: str) -> Callable[[str], Breakage]:
    return _always(breakages.refuses_some(member, 400, "INVALID_ARGUMENT"))


_BROKEN = [
    Broken("not_a_server_error", _UNAVAILABLE, "coverage", _PUBLISH),
    *(
        Broken(check, _always(breakage), "fuzzing", operation)
        for check, breakage in (
            ("status_code_conformance", breakages.has_another_status),
            ("content_type_conformance", breakages.has_another_type),
            ("response_schema_conformance", breakages.has_another_schema),
            ("response_headers_conformance", breakages.has_no_correlator),
        )
        for operation in (_CREATE, _PUBLISH, _REGISTER)
    ),
    *(
        Broken("ignored_auth", breakage, "fuzzing", operation)
        for breakage in (breakages.takes_no_token, breakages.takes_any_token)
        for operation in (_LIST, _REGISTER)
    ),
    *(
        Broken("missing_required_header", _always(breakages.answers_403_without_token), "coverage", operation)
        for operation in (_LIST, _REGISTER)
    ),
    *(
        Broken("negative_data_rejection", _always(breakages.takes_any_body(body)), phase, operation)
        for phase in ("coverage", "fuzzing")
        for operation, body in ((_CREATE, _SUBSCRIPTION), (_REGISTER, _REGISTRATION))
    ),
    *(
        Broken("positive_data_acceptance", _refuses(member), phase, operation)
        for phase in ("examples", "coverage")
        for operation, member in ((_CREATE, "initialEvent"), (_PUBLISH, "subject"), (_REGISTER, "expiresAt"))
    ),
    Broken("use_after_free", _always(breakages.deletes_nothing), "stateful", _ALL),
    Broken("ensure_resource_availability", _always(breakages.forgets_what_it_made), "stateful", _ALL),
    Broken("object_level_authorization", breakages.shows_all_to_all, "stateful", _ALL),
    *(
        Broken(check, _always(breakage), "coverage", operation)
        for check, breakage in (
            ("unsupported_method", breakages.serves_any_method),
            ("unsupported_method", breakages.names_no_methods),
            ("allow_header_conformance", breakages.names_other_methods),
        )
        # One of each contract. Of PUT there are 60 requests in this phase, of POST /events ten times as many.
        for operation in (_LIST, _REGISTER)
    ),
    Broken("max_response_time", _always(breakages.lists_late(_LATE_S)), "coverage", _LIST),
]


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    running = Issuer(SigningKeyPair.rsa("rsa"))
    yield running
    running.close()


@dataclass(frozen=True, slots=True)
class Server:
    api: str
    app: Breakable
    tokens: tuple[str, str]


@pytest.fixture(scope="module")
def server(valkey: Valkey, issuer: Issuer) -> Iterator[Server]:
    settings = Settings.from_environ(
        {
            "WEBRTC_EVENTS_REDIS_URL": valkey.url,
            "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url,
            "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
            "WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS": "127.0.0.0/8",
            **UNLIMITED,
        }
    )

    def token(client: str) -> str:
        now = time.time()
        return issuer.token(now, exp=now + _TOKEN_LIFE_S, scope=ALL_SCOPES, client_id=client, sub=client)

    app = Breakable(create_app(settings))
    with serving(app, issuer) as api:
        yield Server(f"http://127.0.0.1:{api.port}", app, (token("owner"), token("other")))


@pytest.fixture
def campaign(server: Server, raw_store: "redis.Redis", tmp_path: Path) -> Iterator[Callable[..., Report]]:
    def run(*, network: bool, **options: Any) -> Report:
        return Campaign(
            contract=load_network() if network else load_public(),
            api=server.api,
            sink="https://127.0.0.1:9443",
            tokens=server.tokens,
            directory=tmp_path,
            clock=SystemClock(),
            seed=_SEED,
            max_examples=_EXAMPLES,
            bound_s=_BOUND_S,
            **options,
        ).run()

    yield run
    server.app.breakage = None


@pytest.mark.parametrize("broken", _BROKEN, ids=str)
def test_check_finds_what_is_broken(broken: Broken, server: Server, campaign: Callable[..., Report]) -> None:
    server.app.breakage = broken.breakage(server.tokens[0])
    report = campaign(
        network=broken.operation in _NETWORK,
        phases=(broken.phase,),
        operations=(broken.operation,) if broken.operation else (),
        **({"slowest_answer_s": _IN_TIME_S} if broken.check == "max_response_time" else {}),
    )
    assert not report.errors
    assert report.failed_checks == {broken.check}, report.problems() or report.summary()


@pytest.mark.parametrize("network", [False, True])
def test_nothing_is_found_when_nothing_is_broken(network: bool, campaign: Callable[..., Report]) -> None:
    """Then what is found above is the breakage."""
    report = campaign(network=network)
    assert not report.problems(), report.problems()


def test_every_check_is_proven() -> None:
    checks.load_all_checks()
    assert {broken.check for broken in _BROKEN} == set(CHECKS)
    assert set(CHECKS) == {*checks.CHECKS.get_all_names(), "max_response_time"}
