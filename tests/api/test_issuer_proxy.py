"""The token issuer behind an egress proxy."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from tests.api.tokens import RSA
from tests.harness.authority import Authority
from tests.harness.clocks import SteppedClock
from tests.harness.issuer import AUDIENCE
from tests.harness.proxies import ConnectProxy
from tests.harness.sinks import Answer, Received, RecordingSink
from webrtc_events.api.access_tokens import TokenVerifier
from webrtc_events.core.conditions import Health
from webrtc_events.core.egress_proxy import EgressProxy, parse_no_proxy, parse_proxy_url

NAME = "id.example"


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingSink]:
    """An issuer by TLS, under a name that only the proxy knows; its CA counts as one of the system's."""

    def answer(request: Received) -> Answer:
        url = f"https://{NAME}:{server.port}"
        document = {"issuer": url, "jwks_uri": f"{url}/jwks", "keys": [RSA.jwk()]}
        return Answer(200, body=json.dumps(document).encode())

    with RecordingSink(names=[NAME, "localhost"], answer=answer) as server:
        monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(server.ca_file))
        yield server


def health(issuer: RecordingSink, proxy: EgressProxy | None, name: str = NAME) -> Health:
    verifying = TokenVerifier(
        openid_configuration_url=f"https://{name}:{issuer.port}/x",
        audience=AUDIENCE,
        clock=SteppedClock(),
        proxy=proxy,
    )

    async def ask() -> Health:
        return (await verifying.condition()).health

    return asyncio.run(asyncio.wait_for(ask(), 20))


def test_keys_are_read_through_the_proxy(issuer: RecordingSink) -> None:
    with ConnectProxy(credentials="me:pass word") as proxy:
        way = EgressProxy(parse_proxy_url(proxy.url), credentials="me:pass word")
        assert health(issuer, way) is Health.OK
        assert set(proxy.asked) == {f"{NAME}:{issuer.port}"}


def test_an_https_proxy_is_verified_by_its_own_cas(issuer: RecordingSink, authority: Authority) -> None:
    with ConnectProxy(context=authority.context("localhost")) as proxy:
        url = parse_proxy_url(proxy.url)
        assert health(issuer, EgressProxy(url)) is Health.UNAVAILABLE
        assert proxy.asked == []
        assert health(issuer, EgressProxy(url, ca_file=authority.ca_file)) is Health.OK


def test_an_issuer_that_needs_no_proxy_is_reached_without(issuer: RecordingSink) -> None:
    no_proxy = parse_no_proxy("localhost")
    nowhere = EgressProxy(parse_proxy_url("http://127.0.0.1:1"), no_proxy)
    with ConnectProxy() as proxy:
        way = EgressProxy(parse_proxy_url(proxy.url), no_proxy)
        for proxied in (nowhere, way):
            # The documents name the other host, which is asked through the proxy.
            assert (health(issuer, proxied, "localhost") is Health.OK) == (proxied is way)
        assert proxy.asked == [f"{NAME}:{issuer.port}"]


def test_a_proxy_that_fails_is_named_without_its_password(
    issuer: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    with ConnectProxy(credentials="me:right") as proxy:
        url = parse_proxy_url(proxy.url)
        assert health(issuer, EgressProxy(url, credentials="me:wrong-word")) is Health.UNAVAILABLE
    assert health(issuer, EgressProxy(url, credentials="me:wrong-word")) is Health.UNAVAILABLE
    assert "407" in caplog.text
    assert "refused" in caplog.text
    assert "wrong-word" not in caplog.text


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "NO_PROXY"])
def test_the_environment_changes_nothing(
    variable: str, issuer: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ConnectProxy() as named, ConnectProxy() as other:
        monkeypatch.setenv(variable, "*" if variable == "NO_PROXY" else other.url)
        assert health(issuer, EgressProxy(parse_proxy_url(named.url))) is Health.OK
        assert health(issuer, None) is Health.UNAVAILABLE
        assert other.asked == []


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    authority = Authority()
    yield authority
    authority.close()
