"""docs/operations/access-tokens.md, row by row, with tokens that are minted for it and a real server."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from tests.api.conftest import ALL_SCOPES, assert_error
from tests.harness.documents import Document
from tests.production.operations.token_server import (
    BOUND,
    CLIENT,
    DOCUMENT,
    EC,
    KEYS,
    NOW,
    RSA,
    STRANGER,
    SUBSCRIPTIONS,
    Server,
)
from tests.production.operations.tools import AUDIENCE, run_block
from webrtc_events.api.openid import ALGORITHMS


@pytest.fixture(scope="module")
def own(server: Server) -> str:
    """A subscription that the client made by its own token."""
    made = server.create(server.token())
    assert made.status_code == 201, made.text
    found: str = made.json()["id"]
    return found


def changed_payload(token: str, claims: Mapping[str, Any]) -> str:
    head, _, signature = token.split(".")
    return ".".join([head, jwt.utils.base64url_encode(json.dumps(claims).encode()).decode(), signature])


def signed_with_a_secret(server: Server) -> str:
    """The issuer's public key as a shared secret, which PyJWT itself would not take."""
    pem = RSA.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head, body, _ = server.token().split(".")
    head = jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "kid": "rsa"}).encode()).decode()
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        f"{head}.{body}".encode(), pem
    )
    return f"{head}.{body}.{jwt.utils.base64url_encode(signature).decode()}"


def unsigned(server: Server) -> str:
    head = jwt.utils.base64url_encode(json.dumps({"alg": "none", "kid": "rsa"}).encode()).decode()
    return f"{head}.{server.token().split('.')[1]}."


def with_the_kid_of_another(server: Server) -> str:
    return server.token(EC, "ES256", {"kid": "rsa"})


# What each row of the tables says, as tokens. Several of a case are all to be treated like that.
Mint = Callable[[Server], str]
CLAIMS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "iss": {"missing": [{"iss": None}], "other": [{"iss": "https://other.example"}, {"iss": 7}]},
    "aud": {
        "missing": [{"aud": None}],
        "other": [{"aud": "other"}, {"aud": f"{AUDIENCE}/"}],
        "list without it": [{"aud": ["other"]}, {"aud": []}],
    },
    "exp": {
        "missing": [{"exp": None}],
        "past": [{"exp": NOW - 5}, {"exp": 0}],
        "text": [{"exp": str(NOW + 60)}],
    },
    "nbf": {"missing": [{}], "ahead": [{"nbf": NOW + 6}], "text": [{"nbf": str(NOW)}]},
    "iat": {"missing": [{"iat": None}], "ahead": [{"iat": NOW + 6}], "text": [{"iat": str(NOW)}]},
    "client_id": {
        "missing": [{"client_id": None, "azp": CLIENT}],
        "empty": [{"client_id": ""}],
        "number": [{"client_id": 7}],
    },
    "azp": {
        "missing": [{"client_id": None, "azp": None}],
        "empty": [{"client_id": None, "azp": ""}],
        "number": [{"client_id": None, "azp": 7}],
    },
    "sub": {
        "missing": [{"sub": None}],
        "missing like the two above": [{"sub": None, "client_id": None}],
        "empty": [{"sub": ""}],
        "list": [{"sub": [CLIENT]}],
    },
    "scope": {
        "missing": [{"scope": None, "scp": ALL_SCOPES}, {"scope": None, "scp": ALL_SCOPES.split()}],
        "missing like `scp`": [{"scope": None}],
        "without the one needed": [{"scope": "webrtc-events:delete openid"}, {"scope": ""}, {"scope": []}],
        "number": [{"scope": 7}],
    },
}
PARTS: dict[str, dict[str, list[Mint]]] = {
    "alg": {
        "`none`": [unsigned],
        "`HS256`": [signed_with_a_secret],
        "other than the key's": [
            with_the_kid_of_another,
            lambda server: server.token(BOUND, "RS256"),
        ],
    },
    "kid": {
        "missing": [
            lambda server: server.token(header={"kid": None}),
            lambda server: server.token(EC, "ES256", {"kid": None}),
        ],
        "unknown": [lambda server: server.token(header={"kid": "unknown"})],
    },
    "typ": {
        "missing": [lambda server: server.token(header={"typ": None})],
        "other": [
            lambda server: server.token(header={"typ": "logout+jwt"}),
            lambda server: server.token(header={"typ": "dpop+jwt"}),
        ],
    },
    "crit": {"there": [lambda server: server.token(header={"crit": ["exp"], "exp": 1})]},
    "signature": {
        "by another key": [lambda server: server.token(STRANGER)],
        "changed payload": [
            lambda server: changed_payload(server.token(), server.claims(client_id="other")),
        ],
    },
}
# What stands in the right column besides a status: the token is taken, and its client is found.
TAKEN = {
    "taken",
    "`azp` counts",
    "`sub` counts",
    "`scp` counts",
    "the client itself",
    "all keys that fit are tried",
}
CODES = {"401": "UNAUTHENTICATED", "403": "PERMISSION_DENIED"}
CHALLENGES = {"401": 'Bearer error="invalid_token"', "403": 'Bearer error="insufficient_scope"'}


def said(number: int) -> dict[str, dict[str, str]]:
    """What one of the two tables says of each case of each row."""
    return {
        row[0].strip("`"): dict(case.rsplit(": ", 1) for case in row[2].split("; "))
        for row in DOCUMENT.table("Access tokens", number)
    }


def tokens(server: Server, name: str, case: str) -> list[str]:
    if name in CLAIMS:
        return [server.token(**changes) for changes in CLAIMS[name][case]]
    return [mint(server) for mint in PARTS[name][case]]


@pytest.mark.parametrize(
    ("name", "case", "outcome"),
    [(name, *case) for table in (0, 1) for name, cases in said(table).items() for case in cases.items()],
)
def test_a_token_that_is_not_as_it_must_be_is_treated_as_its_row_says(
    server: Server, own: str, name: str, case: str, outcome: str
) -> None:
    for token in tokens(server, name, case):
        answer = server.list(token)
        if outcome in CODES:
            assert_error(answer, int(outcome), CODES[outcome])
            assert answer.headers["WWW-Authenticate"].startswith(CHALLENGES[outcome])
        else:
            assert outcome in TAKEN
            assert answer.status_code == 200, answer.text
            assert own in [resource["id"] for resource in answer.json()]


def test_there_is_a_case_for_each_row_and_none_besides() -> None:
    tried = [{name: set(cases) for name, cases in table.items()} for table in (CLAIMS, PARTS)]
    documented = [{name: set(cases) for name, cases in said(number).items()} for number in (0, 1)]
    assert documented == tried


def middle(number: int, name: str) -> str:
    """What a row says that a claim or part must be."""
    (found,) = (row[1] for row in DOCUMENT.table("Access tokens", number) if row[0] == f"`{name}`")
    return found


def test_the_algorithms_are_those_of_the_row(server: Server) -> None:
    documented = re.findall(r"`(\w+)`", middle(1, "alg"))
    assert set(documented) == ALGORITHMS
    for algorithm in documented:
        assert server.list(server.token(KEYS[algorithm], algorithm)).status_code == 200, algorithm


def test_the_types_are_those_of_the_row(server: Server) -> None:
    documented = re.findall(r"`([\w+/]+)`", middle(1, "typ"))
    assert len(documented) == 3
    for kind in [line.swapcase() for line in documented] + documented:
        assert server.list(server.token(header={"typ": kind})).status_code == 200, kind


def test_the_leeway_is_that_of_the_rows(server: Server) -> None:
    leeway = {name: int(re.findall(r"(\d+) s", middle(0, name))[0]) for name in ("exp", "nbf", "iat")}
    inside = {"exp": NOW - leeway["exp"] + 0.1, "nbf": NOW + leeway["nbf"], "iat": NOW + leeway["iat"]}
    outside = {"exp": NOW - leeway["exp"], "nbf": NOW + leeway["nbf"] + 0.1, "iat": NOW + leeway["iat"] + 0.1}
    for name in leeway:
        assert server.list(server.token(**{name: inside[name]})).status_code == 200, name
        assert server.list(server.token(**{name: outside[name]})).status_code == 401, name


def test_lists_of_audiences_and_scopes_are_taken(server: Server) -> None:
    token = server.token(aud=["other", AUDIENCE], scope=ALL_SCOPES.split())
    assert server.list(token).status_code == 200


def test_the_payload_that_is_shown_is_right(server: Server, document: Document) -> None:
    shown = json.loads(DOCUMENT.block("Access tokens", language="json"))
    settings = document.block("Settings")
    assert shown["iss"] in settings
    assert f"WEBRTC_EVENTS_AUDIENCE={shown['aud']}\n" in settings
    lasts_s = shown["exp"] - shown["iat"]
    adapted = shown | {"iss": server.issuer.url, "iat": NOW, "exp": NOW + lasts_s}
    token = server.token(**adapted)
    made = server.create(token)
    assert made.status_code == 201, made.text
    assert made.json()["id"] in [resource["id"] for resource in server.list(token).json()]
    assert server.ask("DELETE", f"{SUBSCRIPTIONS}/{made.json()['id']}", token=token).status_code == 204


def test_the_command_shows_what_is_in_a_token(server: Server, tmp_path: Path) -> None:
    printed = run_block(DOCUMENT.block("Access tokens"), tmp_path, TOKEN=server.token(sub="é" * 5))
    header, end = json.JSONDecoder().raw_decode(printed)
    assert header["kid"] == "rsa"
    assert json.loads(printed[end:]) == server.claims(sub="é" * 5)
