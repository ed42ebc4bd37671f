"""Access tokens: who is let in, and what happens when the issuer is unavailable."""

import asyncio
import base64
import json
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.harness.issuer import AUDIENCE, Issuer, SigningKeyPair
from webrtc_events.api.access_tokens import TokenVerifier
from webrtc_events.core.conditions import Condition, Health
from webrtc_events.core.errors import (
    InsufficientScope,
    InvalidToken,
    TokenFault,
    Unauthenticated,
    Unavailable,
)
from webrtc_events.core.model import Caller
from webrtc_events.core.scopes import require_any_scope

NOW = 1_800_000_000.0
RSA, SECOND, UNKNOWN = (SigningKeyPair.rsa(kid) for kid in ("rsa", "second", "unknown"))
P256, P384, P521 = (
    SigningKeyPair.ec(curve.name, curve) for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())
)
ED25519 = SigningKeyPair.ed25519("ed")
BOUND = SigningKeyPair.rsa("bound", alg="PS256")
ENCRYPTS = SigningKeyPair.rsa("encrypts", use="enc")
SHORT = SigningKeyPair.rsa("short", 1024)
KEYS = (RSA, P256, P384, P521, ED25519, BOUND, ENCRYPTS, SHORT)


class SteppedClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> float:
        return NOW + self.elapsed

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.elapsed += seconds


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    serving = Issuer(*KEYS)
    yield serving
    serving.close()


@pytest.fixture
def own_issuer() -> Iterator[Issuer]:
    """One that a test may change."""
    serving = Issuer(RSA)
    yield serving
    serving.close()


def verifier(issuer: Issuer, clock: SteppedClock | None = None) -> TokenVerifier:
    return TokenVerifier(
        openid_configuration_url=issuer.discovery_url, audience=AUDIENCE, clock=clock or SteppedClock()
    )


def caller(issuer: Issuer, token: str) -> Caller:
    return asyncio.run(verifier(issuer).caller(token))


def refused(issuer: Issuer, token: str) -> TokenFault | None:
    """The reason, as the log has it. The answer says no more than that the token is not valid."""
    try:
        caller(issuer, token)
    except InvalidToken as error:
        assert error.headers == InvalidToken(TokenFault.FORM, "").headers
        assert error.message == Unauthenticated.message
        assert not any(part in error.detail for part in token.split(".") if len(part) > 9)
        assert len(error.detail) < 400
        return error.fault
    return None


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        *((RSA, name) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        (P256, "ES256"),
        (P384, "ES384"),
        (P521, "ES512"),
        (ED25519, "EdDSA"),
        (BOUND, "PS256"),
    ],
)
def test_asymmetric_signatures_are_taken(issuer: Issuer, key: SigningKeyPair, algorithm: str) -> None:
    assert caller(issuer, issuer.token(NOW, key=key, algorithm=algorithm)).client == "app"


@pytest.mark.parametrize(
    ("key", "algorithm", "kid", "fault"),
    [
        (BOUND, "RS256", None, TokenFault.KEY),
        (SHORT, "RS256", None, TokenFault.KEY),
        (ENCRYPTS, "RS256", None, TokenFault.KEY),
        (UNKNOWN, "RS256", None, TokenFault.KEY),
        (UNKNOWN, "RS256", "rsa", TokenFault.SIGNATURE),
        (P256, "ES256", "secp384r1", TokenFault.KEY),
        (RSA, "RS256", "ed", TokenFault.KEY),
    ],
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_key_must_be_known_and_fit_the_algorithm(
    issuer: Issuer, key: SigningKeyPair, algorithm: str, kid: str | None, fault: TokenFault
) -> None:
    headers = {} if kid is None else {"kid": kid}
    assert refused(issuer, issuer.token(NOW, key=key, algorithm=algorithm, headers=headers)) is fault


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_unsigned_token_is_refused(issuer: Issuer) -> None:
    signed = issuer.token(NOW)
    body = signed.split(".")[1]
    for algorithm in ("none", "None", "", None, "HS256", ["RS256"]):
        unsigned = f"{segment({'alg': algorithm, 'kid': 'rsa'})}.{body}."
        assert refused(issuer, unsigned) is TokenFault.FORM


def test_public_key_as_shared_secret_is_refused(issuer: Issuer) -> None:
    pem = RSA.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    claims = {"iss": issuer.url, "aud": AUDIENCE, "exp": NOW + 60, "client_id": "app"}
    # PyJWT itself will not make such a token.
    head = f"{segment({'alg': 'HS256', 'kid': 'rsa'})}.{segment(claims)}"
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(head.encode(), pem)
    token = f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert refused(issuer, token) is TokenFault.FORM


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        ({"iss": "https://evil.example.com"}, TokenFault.ISSUER),
        ({"iss": None}, TokenFault.ISSUER),
        ({"aud": "other"}, TokenFault.AUDIENCE),
        ({"aud": ["other"]}, TokenFault.AUDIENCE),
        ({"aud": ["other"] * 10_000}, TokenFault.AUDIENCE),
        ({"aud": None}, TokenFault.AUDIENCE),
        ({"aud": {"webrtc-events": 1}}, TokenFault.AUDIENCE),
        ({"exp": None}, TokenFault.FORM),
        ({"exp": NOW - 5}, TokenFault.EXPIRED),
        ({"exp": -(10**90)}, TokenFault.EXPIRED),
        ({"exp": str(NOW + 60)}, TokenFault.FORM),
        ({"exp": True}, TokenFault.FORM),
        ({"nbf": NOW + 6}, TokenFault.NOT_YET_VALID),
        ({"iat": NOW + 6}, TokenFault.NOT_YET_VALID),
        ({"client_id": None, "sub": None}, TokenFault.CLIENT),
        ({"client_id": ""}, TokenFault.CLIENT),
        ({"client_id": 7}, TokenFault.CLIENT),
        ({"sub": ["user"]}, TokenFault.CLIENT),
        ({"scope": 7}, TokenFault.FORM),
    ],
)
def test_claim_that_does_not_fit_is_refused(
    issuer: Issuer, claims: dict[str, Any], fault: TokenFault
) -> None:
    # PyJWT checks some types when it encodes, so these go in as they are.
    signer = jwt.PyJWS()
    payload = json.loads(base64.urlsafe_b64decode(issuer.token(NOW).split(".")[1] + "=="))
    payload = {name: value for name, value in {**payload, **claims}.items() if value is not None}
    token = signer.encode(json.dumps(payload).encode(), RSA.private, "RS256", {"kid": "rsa"})
    assert refused(issuer, token) is fault


@pytest.mark.parametrize(
    "headers",
    [{"typ": "logout+jwt"}, {"typ": "dpop+jwt"}, {"crit": ["exp"], "exp": 1}, {"typ": 5}],
)
def test_other_kinds_of_jwt_are_refused(issuer: Issuer, headers: dict[str, Any]) -> None:
    assert refused(issuer, issuer.token(NOW, headers=headers)) is TokenFault.FORM


def test_changed_token_is_refused(issuer: Issuer) -> None:
    head, body, signature = issuer.token(NOW).split(".")
    for token in (
        "",
        "a",
        "a.b.c",
        "ä.ö.ü",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}.{body}.{signature}.x",
        f"{head}.{body[:-2]}.{signature}",
        f"{segment([])}.{body}.{signature}",
        f"{segment({'alg': 'RS256', 'kid': 5})}.{body}.{signature}",
        f"{base64.urlsafe_b64encode(b'[' * 60_000).decode()}.{body}.{signature}",
    ):
        assert refused(issuer, token), token


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, Caller("app", None, frozenset({"webrtc-events:read"}))),
        ({"sub": "user"}, Caller("app", "user", frozenset({"webrtc-events:read"}))),
        ({"sub": None}, Caller("app", None, frozenset({"webrtc-events:read"}))),
        ({"client_id": None, "azp": "web"}, Caller("web", "app", frozenset({"webrtc-events:read"}))),
        ({"client_id": None}, Caller("app", None, frozenset({"webrtc-events:read"}), is_user=True)),
        ({"scope": "a  b"}, Caller("app", None, frozenset({"a", "b"}))),
        ({"scope": None, "scp": ["a", "b"]}, Caller("app", None, frozenset({"a", "b"}))),
        ({"scope": None, "scp": "a b"}, Caller("app", None, frozenset({"a", "b"}))),
        ({"scope": None}, Caller("app", None, frozenset())),
        ({"aud": ["other", AUDIENCE]}, Caller("app", None, frozenset({"webrtc-events:read"}))),
        ({"exp": NOW - 4, "nbf": NOW + 5}, Caller("app", None, frozenset({"webrtc-events:read"}))),
    ],
)
def test_claims_say_who_calls(issuer: Issuer, claims: dict[str, Any], expected: Caller) -> None:
    assert caller(issuer, issuer.token(NOW, **claims)) == expected


def test_token_without_kid_is_tried_with_the_keys_that_fit(issuer: Issuer) -> None:
    token = jwt.encode(
        {"iss": issuer.url, "aud": AUDIENCE, "exp": NOW + 60, "client_id": "app"}, P384.private, "ES384"
    )
    assert caller(issuer, token).client == "app"


def test_time_is_the_clocks(issuer: Issuer) -> None:
    clock = SteppedClock()
    verifying = verifier(issuer, clock)
    token = issuer.token(NOW)

    async def scenario() -> None:
        await verifying.caller(token)
        clock.elapsed = 66
        with pytest.raises(Unauthenticated):
            await verifying.caller(token)

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_proxies_of_the_environment_are_ignored(
    own_issuer: Issuer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert not refused(own_issuer, own_issuer.token(NOW))


def test_new_key_is_fetched_but_not_too_often(own_issuer: Issuer) -> None:
    clock = SteppedClock()
    verifying = verifier(own_issuer, clock)

    async def scenario() -> None:
        await verifying.caller(own_issuer.token(NOW))
        own_issuer.keys.append(SECOND)
        clock.elapsed = 11
        await verifying.caller(own_issuer.token(NOW, key=SECOND))
        assert own_issuer.fetches() == 2
        for _ in range(20):
            with pytest.raises(Unauthenticated):
                await verifying.caller(own_issuer.token(NOW, key=UNKNOWN))
        assert own_issuer.fetches() == 2
        clock.elapsed = 22
        with pytest.raises(Unauthenticated):
            await verifying.caller(own_issuer.token(NOW, key=UNKNOWN))
        assert own_issuer.fetches() == 3

    asyncio.run(scenario())


def test_many_at_once_share_one_fetch_and_the_loop_goes_on(own_issuer: Issuer) -> None:
    verifying = verifier(own_issuer)
    token = own_issuer.token(NOW)
    answering = threading.Event()
    discovery = own_issuer.documents["/.well-known/openid-configuration"]

    def slow() -> Any:
        assert answering.wait(10)
        return discovery()

    own_issuer.documents["/.well-known/openid-configuration"] = slow

    async def scenario() -> None:
        waiting: list[Awaitable[Caller]] = [asyncio.create_task(verifying.caller(token)) for _ in range(30)]
        gone = asyncio.create_task(verifying.caller(token))
        await asyncio.sleep(0)
        gone.cancel()
        answering.set()  # the loop is free to do this while the thread waits
        assert len(await asyncio.gather(*waiting)) == 30

    asyncio.run(scenario())
    assert own_issuer.fetches() == 1


def test_cached_keys_outlive_the_issuer(own_issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    clock = SteppedClock()
    verifying = verifier(own_issuer, clock)

    async def scenario() -> None:
        await verifying.caller(own_issuer.token(NOW))
        own_issuer.status = 500
        clock.elapsed = 3601
        await verifying.caller(own_issuer.token(clock.now()))
        while "out of reach" not in caplog.text:
            await asyncio.sleep(0.01)
        await verifying.caller(own_issuer.token(clock.now()))

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_keys_are_read_anew_every_hour(own_issuer: Issuer) -> None:
    clock = SteppedClock()
    verifying = verifier(own_issuer, clock)

    async def scenario() -> None:
        await verifying.caller(own_issuer.token(NOW))
        clock.elapsed = 3600
        await verifying.caller(own_issuer.token(clock.now()))
        assert own_issuer.fetches() == 1
        clock.elapsed = 3601
        await verifying.caller(own_issuer.token(clock.now()))
        while own_issuer.fetches() < 2:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(scenario(), 10))


def wrong_status(issuer: Issuer) -> None:
    issuer.status = 404


def redirects(issuer: Issuer) -> None:
    issuer.status = 302
    issuer.headers["Location"] = issuer.discovery_url


def too_large(issuer: Issuer) -> None:
    issuer.documents["/jwks"] = lambda: b'{"keys": [' + b" " * (1 << 20) + b"]}"


def no_json(issuer: Issuer) -> None:
    issuer.documents["/jwks"] = lambda: b"<html>"


def no_keys(issuer: Issuer) -> None:
    issuer.keys = [ENCRYPTS, SHORT]


def jwks_elsewhere(issuer: Issuer) -> None:
    issuer.documents["/.well-known/openid-configuration"] = lambda: {
        "issuer": issuer.url,
        "jwks_uri": "http://example.com/jwks",
    }


def issuer_without_name(issuer: Issuer) -> None:
    issuer.documents["/.well-known/openid-configuration"] = lambda: {"jwks_uri": f"{issuer.url}/jwks"}


@pytest.mark.parametrize(
    "break_it",
    [wrong_status, redirects, too_large, no_json, no_keys, jwks_elsewhere, issuer_without_name],
)
def test_without_keys_the_service_is_unavailable(
    own_issuer: Issuer, break_it: Callable[[Issuer], None]
) -> None:
    clock = SteppedClock()
    verifying = verifier(own_issuer, clock)
    documents, keys = dict(own_issuer.documents), own_issuer.keys
    break_it(own_issuer)

    async def scenario() -> None:
        with pytest.raises(Unavailable):
            await verifying.caller(own_issuer.token(NOW, key=RSA))
        own_issuer.status, own_issuer.documents, own_issuer.keys = 200, documents, keys
        clock.elapsed = 1.5
        await verifying.caller(own_issuer.token(NOW))

    asyncio.run(scenario())


def test_any_one_of_the_scopes_will_do() -> None:
    require_any_scope(Caller("app", None, frozenset({"b"})), ["a", "b"])
    for scopes in (["a"], []):
        with pytest.raises(InsufficientScope):
            require_any_scope(Caller("app", None, frozenset({"b"})), scopes)


def test_what_a_refused_token_says_of_itself_is_logged(issuer: Issuer) -> None:
    def detail(**claims: Any) -> str:
        with pytest.raises(InvalidToken) as caught:
            caller(issuer, issuer.token(NOW, **claims))
        return caught.value.detail

    assert detail(aud="other") == "has aud 'other', not 'webrtc-events'"
    assert detail(iss="https://evil.example.com") == f"has iss 'https://evil.example.com', not '{issuer.url}'"
    assert detail(exp=NOW - 65) == "expired 65 s ago"
    assert detail(nbf=NOW + 600) == "has nbf 600 s from now; is a clock wrong?"


def test_scope_that_is_missing_is_named() -> None:
    with pytest.raises(InsufficientScope) as caught:
        require_any_scope(Caller("app", None, frozenset()), ["b", "a"])
    assert caught.value.message == "The access token lacks the scope a or b."
    assert caught.value.headers == {
        "WWW-Authenticate": 'Bearer error="insufficient_scope", scope="a b"',
    }


def test_issuer_outage_and_its_end_are_news_once(
    own_issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    clock = SteppedClock()
    verifying = verifier(own_issuer, clock)
    caplog.set_level(logging.INFO)

    async def scenario() -> None:
        await verifying.caller(own_issuer.token(NOW))
        own_issuer.status = 500
        for _ in range(5):
            clock.elapsed += 11
            with pytest.raises(InvalidToken):
                await verifying.caller(own_issuer.token(clock.now(), key=UNKNOWN))
        own_issuer.status = 200
        for _ in range(2):
            clock.elapsed += 11
            with pytest.raises(InvalidToken):
                await verifying.caller(own_issuer.token(clock.now(), key=UNKNOWN))

    asyncio.run(scenario())
    url = own_issuer.discovery_url
    assert caplog.messages == [
        f"the token issuer is out of reach, the keys known so far are used: {url} answered 500",
        "the token issuer answers again",
    ]


def test_condition_tells_of_the_issuer_and_asks_it_once_a_minute(own_issuer: Issuer) -> None:
    clock = SteppedClock()
    verifying = verifier(own_issuer, clock)

    async def scenario() -> None:
        own_issuer.status = 500
        assert (await verifying.condition()).health is Health.UNAVAILABLE
        clock.elapsed = 2
        own_issuer.status = 200
        assert await verifying.condition() == Condition.ok()
        clock.elapsed = 60
        for _ in range(100):
            assert await verifying.condition() == Condition.ok()
        assert own_issuer.fetches() == 1
        own_issuer.status = 500
        clock.elapsed = 63
        # The look goes on beside: who asks is answered by what is known.
        assert await verifying.condition() == Condition.ok()
        degraded = await settled(verifying, Health.DEGRADED)
        assert "its keys of 61 s ago are used" in degraded.detail
        # They are: nobody is turned away.
        await verifying.caller(own_issuer.token(clock.now()))
        own_issuer.status = 200
        clock.elapsed = 80
        assert await settled(verifying, Health.OK) == Condition.ok()

    asyncio.run(asyncio.wait_for(scenario(), 10))


async def settled(verifying: TokenVerifier, health: Health) -> Condition:
    """The condition, once it is that."""
    while (found := await verifying.condition()).health is not health:
        await asyncio.sleep(0.01)
    return found


def test_issuer_that_hangs_while_its_keys_are_known_holds_nobody_up(own_issuer: Issuer) -> None:
    """A load balancer waits for a second at most, and must not take the service for one that is down."""
    clock = SteppedClock()
    verifying = verifier(own_issuer, clock)
    answering = threading.Event()

    def slow() -> Any:
        assert answering.wait(10)
        return {}

    async def scenario() -> None:
        assert await verifying.condition() == Condition.ok()
        own_issuer.documents["/.well-known/openid-configuration"] = slow
        clock.elapsed = 61
        for _ in range(3):
            assert await asyncio.wait_for(verifying.condition(), 0.5) == Condition.ok()
        answering.set()
        await settled(verifying, Health.DEGRADED)

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_issuer_that_hangs_does_not_hold_up_who_asks_how_it_is(own_issuer: Issuer) -> None:
    verifying = verifier(own_issuer)
    answering = threading.Event()
    discovery = own_issuer.documents["/.well-known/openid-configuration"]

    def slow() -> Any:
        assert answering.wait(10)
        return discovery()

    own_issuer.documents["/.well-known/openid-configuration"] = slow

    async def scenario() -> None:
        found = await asyncio.wait_for(verifying.condition(), 5)
        assert found.health is Health.UNAVAILABLE
        answering.set()
        assert (await verifying.condition()).health is Health.OK

    asyncio.run(scenario())


def test_reason_of_an_issuer_outage_is_short_and_plain(caplog: pytest.LogCaptureFixture) -> None:
    verifying = TokenVerifier(
        openid_configuration_url="http://127.0.0.1:1/x", audience=AUDIENCE, clock=SteppedClock()
    )

    async def scenario() -> None:
        await verifying.condition()

    asyncio.run(scenario())
    (message,) = caplog.messages
    fault = "the token issuer is out of reach, tokens cannot be verified"
    assert message == f"{fault}: http://127.0.0.1:1/x: Connection refused"
