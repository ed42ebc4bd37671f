"""Access tokens: who is let in, and who is not."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from tests.api.tokens import (
    BOUND,
    ED25519,
    ENCRYPTS,
    KEYS,
    P256,
    P384,
    P521,
    RSA,
    SHORT,
    UNKNOWN,
    verifier,
)
from tests.harness.clocks import NOW, SteppedClock
from tests.harness.issuer import AUDIENCE, Issuer, SigningKeyPair
from webrtc_events.core.errors import InsufficientScope, InvalidToken, TokenFault, Unauthenticated
from webrtc_events.core.model import Caller
from webrtc_events.core.scopes import require_any_scope


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    serving = Issuer(*KEYS)
    yield serving
    serving.close()


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
