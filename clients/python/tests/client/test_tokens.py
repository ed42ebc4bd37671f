"""Where tokens come from, how long they are kept, what happens when one is refused."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events_client.client import Client, ClientCredentials, Options, errors
from webrtc_events_client.client.messages import Answer

from .service import RESOURCE, Received, Reply, Service, SteppedClock, error

REFUSED = error(401, "UNAUTHENTICATED")


class Issuer:
    """Gives numbered tokens at /token, and says so at the discovery document."""

    def __init__(self, service: Service, **token: Any) -> None:
        self.service = service
        self.given = 0
        self.token = {"token_type": "Bearer", "expires_in": 300} | token
        self.documents: dict[str, Any] = {"issuer": service.url, "token_endpoint": f"{service.url}/token"}
        service.answers(self)

    def __call__(self, received: Received) -> Reply:
        if received.method == "GET":
            return Reply(200, self.documents)
        self.given += 1
        return Reply(200, {"access_token": f"t{self.given}"} | self.token)

    @property
    def forms(self) -> list[dict[str, list[str]]]:
        return [parse_qs(got.body.decode()) for got in self.service.requests if got.method == "POST"]


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    service = Service()
    yield Issuer(service)
    service.close()


def credentials(issuer: Issuer, **changes: Any) -> ClientCredentials:
    named = {"token_url": f"{issuer.service.url}/token"} | changes
    return ClientCredentials("app", "s3cret", **named)


def tokens_seen(service: Service) -> list[str]:
    return [received.headers["authorization"].removeprefix("Bearer ") for received in service.requests]


def test_a_token_is_fetched_once_and_kept_until_its_lead(
    make: Callable[..., Any], service: Service, issuer: Issuer, clock: SteppedClock
) -> None:
    client = make(service.url, credentials(issuer, scopes=("a", "b"), parameters={"audience": "x"}))
    for wait_s in (0, 100, 169, 2, 0):
        clock.time_s += wait_s
        client.get("s-11")
    assert tokens_seen(service) == ["t1", "t1", "t1", "t2", "t2"]
    form = issuer.forms[0]
    assert form == {"grant_type": ["client_credentials"], "scope": ["a b"], "audience": ["x"]}
    assert issuer.service.requests[0].headers["authorization"] == "Basic YXBwOnMzY3JldA=="
    assert issuer.service.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("expires_in", "lasts_s"),
    [(20, 9), ("300", 269), (None, 10**9), (0, 10**9), (-5, 10**9), ("soon", 10**9), (1e300, 10**9)],
)
def test_a_short_life_is_kept_for_half_of_it_and_none_until_it_is_refused(
    make: Callable[..., Any],
    service: Service,
    issuer: Issuer,
    clock: SteppedClock,
    expires_in: Any,
    lasts_s: float,
) -> None:
    issuer.token["expires_in"] = expires_in
    client = make(service.url, credentials(issuer))
    client.get("s-11")
    clock.time_s += lasts_s
    client.get("s-11")
    assert issuer.given == 1
    clock.time_s += 2
    client.get("s-11")
    assert issuer.given == (2 if lasts_s < 10**9 else 1)


def test_a_refused_token_is_replaced_once(make: Callable[..., Any], service: Service, issuer: Issuer) -> None:
    client = make(service.url, credentials(issuer))
    service.answers(REFUSED, Reply(200, RESOURCE))
    client.get("s-11")
    assert tokens_seen(service) == ["t1", "t2"]
    service.answers(REFUSED)
    with pytest.raises(errors.Unauthenticated):
        client.get("s-11")
    assert tokens_seen(service) == ["t1", "t2", "t2", "t3"]


def test_a_fixed_token_that_is_refused_is_not_sent_again(client: Any, service: Service) -> None:
    service.answers(REFUSED)
    with pytest.raises(errors.Unauthenticated):
        client.get("s-11")
    assert tokens_seen(service) == ["t0ken"]


def test_a_function_is_asked_for_each_call(make: Callable[..., Any], service: Service) -> None:
    numbers = iter(range(9))
    client = make(service.url, lambda: f"f{next(numbers)}")
    service.answers(Reply(200, RESOURCE), REFUSED, Reply(200, RESOURCE))
    client.get("s-11")
    client.get("s-11")
    assert tokens_seen(service) == ["f0", "f1", "f2"]


@pytest.mark.parametrize("kind", [RuntimeError, StopIteration, KeyboardInterrupt])
def test_what_a_function_raises_is_raised(
    make: Callable[..., Any], service: Service, kind: type[BaseException]
) -> None:
    def token() -> str:
        raise kind

    # A coroutine may not raise a StopIteration.
    with pytest.raises((kind, RuntimeError)):
        make(service.url, token).get("s-11")
    assert service.requests == []


def test_an_async_function_is_for_the_async_client(make: Callable[..., Any], service: Service) -> None:
    async def token() -> str:
        await asyncio.sleep(0)
        return "later"

    client = make(service.url, token)
    if "InLoop" in type(client).__name__:
        client.get("s-11")
        assert tokens_seen(service) == ["later"]
    else:
        with pytest.raises(TypeError, match="async function"):
            client.get("s-11")


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX-Evil: 1", "ü", "\x7f"])
def test_what_no_header_can_hold_is_not_sent(make: Callable[..., Any], service: Service, token: str) -> None:
    with pytest.raises(errors.TokenUnavailable, match="bearer token") as raised:
        make(service.url, token).get("s-11")
    assert service.requests == []
    assert raised.value.correlator


def test_the_token_endpoint_is_found_once(make: Callable[..., Any], service: Service, issuer: Issuer) -> None:
    discovery = f"{issuer.service.url}/.well-known/openid-configuration"
    source = credentials(issuer, token_url=None, discovery_url=discovery)
    client = make(service.url, source)
    service.answers(Reply(200, RESOURCE), REFUSED, Reply(200, RESOURCE))
    client.get("s-11")
    client.get("s-11")
    assert [received.method for received in issuer.service.requests] == ["GET", "POST", "POST"]


@pytest.mark.parametrize(
    "document",
    [{"issuer": "https://evil.example", "token_endpoint": "https://evil.example"}, {"issuer": 5}, [], "text"],
)
def test_a_discovery_document_that_is_none_is_refused(
    make: Callable[..., Any], service: Service, issuer: Issuer, document: Any
) -> None:
    issuer.documents = document
    discovery = f"{issuer.service.url}/.well-known/openid-configuration"
    with pytest.raises(errors.TokenUnavailable):
        make(service.url, credentials(issuer, token_url=None, discovery_url=discovery)).get("s-11")
    assert issuer.given == 0
    assert service.requests == []


@pytest.mark.parametrize("url", ["http://[", "ftp://issuer.example/token", "http://a:99999/", "http://\x00/"])
def test_a_token_endpoint_that_is_no_address_gives_no_token(
    make: Callable[..., Any], service: Service, issuer: Issuer, clock: SteppedClock, url: str
) -> None:
    issuer.documents["token_endpoint"] = url
    discovery = f"{issuer.service.url}/.well-known/openid-configuration"
    with pytest.raises(errors.TokenUnavailable):
        make(service.url, credentials(issuer, token_url=None, discovery_url=discovery)).get("s-11")
    assert service.requests == []
    assert len(clock.waits) <= 3


def test_an_issuer_that_moves_is_found_again(
    make: Callable[..., Any], service: Service, issuer: Issuer, clock: SteppedClock
) -> None:
    discovery = f"{issuer.service.url}/.well-known/openid-configuration"
    client = make(service.url, credentials(issuer, token_url=None, discovery_url=discovery))
    issuer.documents["token_endpoint"] = "http://127.0.0.1:1/token"
    with pytest.raises(errors.TokenUnavailable):
        client.get("s-11")
    issuer.documents["token_endpoint"] = f"{issuer.service.url}/token"
    assert client.get("s-11").id == "s-11"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(401, {"error": "invalid_client", "error_description": "s3cret is wrong"}),
        Reply(400, body=b"<html>"),
        Reply(200, {"access_token": "x", "token_type": "DPoP"}),
        Reply(200, {"token_type": "Bearer"}),
        Reply(302, headers={"Location": "https://evil.example"}),
    ],
)
def test_an_issuer_that_refuses_is_asked_once(
    make: Callable[..., Any], service: Service, issuer: Issuer, reply: Reply
) -> None:
    issuer.service.answers(reply)
    with pytest.raises(errors.TokenUnavailable) as raised:
        make(service.url, credentials(issuer)).get("s-11")
    assert len(issuer.service.requests) == 1
    assert "s3cret" not in str(raised.value)
    assert raised.value.code == ("invalid_client" if reply.status == 401 else "")


def test_an_issuer_that_is_busy_is_asked_again(
    make: Callable[..., Any], service: Service, issuer: Issuer, clock: SteppedClock
) -> None:
    busy = Reply(503, body=b"", headers={"Retry-After": "3"})
    issuer.service.answers(Reply(lost=True), busy, Reply(200, {"access_token": "t", "token_type": "bearer"}))
    make(service.url, credentials(issuer)).get("s-11")
    assert len(clock.waits) == 2
    assert clock.waits[1] >= 3


def test_a_private_key_proves_the_client(make: Callable[..., Any], service: Service, issuer: Issuer) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    url = f"{issuer.service.url}/token"
    source = ClientCredentials("app", pem, token_url=url, auth_method=PrivateKeyJWT(url))
    make(service.url, source).get("s-11")
    (form,) = issuer.forms
    assert form["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    claims = jwt.decode(form["client_assertion"][0], key.public_key(), ["RS256"], audience=url)
    assert (claims["iss"], claims["sub"]) == ("app", "app")
    assert "authorization" not in issuer.service.requests[0].headers


def test_threads_share_one_fetch(service: Service, issuer: Issuer) -> None:
    together = threading.Barrier(8)
    with Client(service.url, credentials(issuer)) as client, ThreadPoolExecutor(8) as pool:

        def get(_number: int) -> str:
            together.wait(10)
            return client.get("s-11").id

        assert list(pool.map(get, range(8))) == ["s-11"] * 8
    assert issuer.given == 1


def test_without_authlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "authlib.oauth2.auth", None)
    with pytest.raises(ImportError, match=r"pip install 'webrtc-events-client\[oauth\]'"):
        ClientCredentials("app", token_url="https://a.example")


def test_one_address_is_needed() -> None:
    for named in ({}, {"token_url": "https://a", "discovery_url": "https://b"}):
        with pytest.raises(ValueError, match="token_url"):
            ClientCredentials("app", "s3cret", **named)


def test_no_repr_shows_a_secret(service: Service, issuer: Issuer) -> None:
    source = credentials(issuer)
    with Client(service.url, source) as client:
        client.get("s-11")
    assert repr(source) == "ClientCredentials('app')"


@given(st.lists(st.tuples(st.floats(0, 400), st.booleans()).filter(lambda step: step[0] >= 0), max_size=12))
def test_whatever_happens_a_token_is_used_only_while_it_is_valid(steps: list[tuple[float, bool]]) -> None:
    """Against a model: time passes, and the service refuses at will."""
    clock = SteppedClock()
    source = ClientCredentials("app", token_url="http://issuer.example/token")
    context = Options(clock=clock).context()
    born: dict[str, float] = {}
    refused: str | None = None
    held: str | None = None
    for wait_s, refuse in steps:
        clock.time_s += wait_s
        flow = source.token(refused, context)
        try:
            next(flow)
        except StopIteration as end:
            token = end.value
            assert token == held != refused
        else:
            token = f"t{len(born)}"
            born[token] = clock.time_s
            body = f'{{"access_token": "{token}", "token_type": "Bearer", "expires_in": 300}}'.encode()
            with pytest.raises(StopIteration) as ended:
                flow.send(_answer(body))
            assert ended.value.value == token
            # It was fetched for a reason.
            assert held is None or held == refused or clock.time_s >= born[held] + 270
        assert clock.time_s < born[token] + 270
        held, refused = token, token if refuse else None


def _answer(body: bytes) -> Any:
    return Answer(200, {}, body)
