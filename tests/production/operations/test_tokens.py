"""docs/operations.md, "Access tokens", row by row, with tokens that are minted for it and a real server."""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.api.conftest import (
    ALL_SCOPES,
    KINDS,
    NETWORK,
    PREFIX,
    PUBLIC,
    assert_error,
    serving,
    subscription_request,
)
from tests.harness.documents import Document
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.production.operations.conftest import AUDIENCE
from tests.production.operations.tools import run_block
from webrtc_events.api.openid import ALGORITHMS
from webrtc_events.app import create_app
from webrtc_events.contract.documents import load_network, load_next, load_public
from webrtc_events.contract.openapi import Contract
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.local.stack.valkey import Valkey

DOCUMENT = Document("operations.md")
SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"
NOW = 1_800_000_000.0
CLIENT = "softphone"

RSA, EC, STRANGER = (
    SigningKeyPair.rsa("rsa"),
    SigningKeyPair.ec("ec", ec.SECP256R1()),
    SigningKeyPair.rsa("rsa"),
)
KEYS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSA),
    "ES256": EC,
    "ES384": SigningKeyPair.ec("ec384", ec.SECP384R1()),
    "ES512": SigningKeyPair.ec("ec521", ec.SECP521R1()),
    "EdDSA": SigningKeyPair.ed25519("ed"),
}
SHORT, FOR_SECRETS, BOUND = (
    SigningKeyPair.rsa("short", 1024),
    SigningKeyPair.rsa("secrets", use="enc"),
    SigningKeyPair.rsa("bound", alg="PS256"),
)


class TurnedClock(SystemClock):
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> float:
        return NOW + self.elapsed_s

    def monotonic(self) -> float:
        return self.elapsed_s


class Server:
    """A running API, its issuer, and the clock that it validates tokens by."""

    def __init__(self, ask: Callable[..., requests.Response], issuer: Issuer, clock: TurnedClock) -> None:
        self.ask = ask
        self.issuer = issuer
        self.clock = clock

    def claims(self, **changes: Any) -> dict[str, Any]:
        """A payload that is right, but for `changes`; a claim that is None is left out."""
        right = {
            "iss": self.issuer.url,
            "aud": AUDIENCE,
            "exp": self.clock.now() + 60,
            "iat": self.clock.now(),
            "client_id": CLIENT,
            "sub": CLIENT,
            "scope": ALL_SCOPES,
        }
        return {name: value for name, value in (right | changes).items() if value is not None}

    def token(
        self,
        key: SigningKeyPair = RSA,
        algorithm: str = "RS256",
        header: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """`header` is added to what is usual; of what is None there, nothing is sent."""
        whole = {"kid": key.kid} | dict(header or {})
        given = {name: value for name, value in whole.items() if value is not None or name == "typ"}
        # PyJWT validates claims when it writes them; these go in as they are.
        return jwt.PyJWS().encode(json.dumps(self.claims(**changes)).encode(), key.private, algorithm, given)

    def list(self, token: str) -> requests.Response:
        return self.ask("GET", SUBSCRIPTIONS, token=token)

    def create(self, token: str, **changes: Any) -> requests.Response:
        return self.ask("POST", SUBSCRIPTIONS, token=token, json=subscription_request(**changes))


@contextmanager
def started(valkey: Valkey, *keys: SigningKeyPair, **settings: str) -> Iterator[Server]:
    issuer = Issuer(*keys)
    values = {
        "REDIS_URL": valkey.url,
        "OPENID_CONFIGURATION_URL": issuer.discovery_url,
        "AUDIENCE": AUDIENCE,
        "SECRET_KEY": "A" * 43,
        "REQUESTS_PER_S": "0",
        "SINK_ALLOWED_NETWORKS": "127.0.0.0/8",
    } | settings
    clock = TurnedClock()
    app = create_app(
        Settings.from_environ({f"WEBRTC_EVENTS_{name}": value for name, value in values.items()}), clock=clock
    )
    try:
        with serving(app, issuer) as api:
            yield Server(api, issuer, clock)
    finally:
        issuer.close()


@pytest.fixture(scope="module")
def server(valkey: Valkey) -> Iterator[Server]:
    keys = dict.fromkeys([*KEYS.values(), SHORT, FOR_SECRETS, BOUND])
    with started(valkey, *keys, NEXT="true") as running:
        yield running


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


def test_the_payload_that_is_shown_is_right(server: Server) -> None:
    shown = json.loads(DOCUMENT.block("Access tokens", language="json"))
    assert shown["iss"] in DOCUMENT.block("Settings")
    assert f"WEBRTC_EVENTS_AUDIENCE={shown['aud']}\n" in DOCUMENT.block("Settings")
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


# Scopes


def operations(contract: Contract) -> set[tuple[str, str]]:
    return {
        (operation.method, f"{contract.base_path}{operation.path}")
        for operation in contract.operations.values()
    }


def scopes() -> list[tuple[str, str, str, str]]:
    """Method, path, kind of event and scope, as the table has it; what it sums up is written out."""
    rows: list[tuple[str, str, str, str]] = []
    for operation, scope in DOCUMENT.table("Scopes"):
        name = re.findall(r"`([^`]+)`", scope)[0]
        found = re.match(r"`(\w+) (/\S+)`", operation)
        if found is None:
            assert operation.startswith(f"everything under `{NETWORK}`")
            rows += [(*operation, "", name) for operation in sorted(operations(load_network()))]
        elif "<event type>" in name:
            rows += [(*found.groups(), kind, name.replace("<event type>", PREFIX + kind)) for kind in KINDS]
        else:
            rows.append((*found.groups(), "", name))
    return rows


def test_every_operation_has_its_scope_in_the_table() -> None:
    public, latest = load_public(), load_next()
    # What both versions have has one row, under the path of the first.
    shared = {
        (method, path.replace(latest.base_path, public.base_path)) for method, path in operations(latest)
    }
    documented = {(method, path) for method, path, *_ in scopes()}
    assert documented >= operations(public) | operations(load_network())
    assert {
        (method, path.replace(latest.base_path, public.base_path)) for method, path in documented
    } >= shared
    assert documented <= operations(public) | operations(latest) | operations(load_network())


@pytest.mark.parametrize(("method", "path", "kind", "needed"), scopes())
def test_an_operation_wants_the_scope_of_its_row(
    server: Server, method: str, path: str, kind: str, needed: str
) -> None:
    body = subscription_request(kind) if kind else {}
    others = " ".join(sorted({*ALL_SCOPES.split(), "webrtc-events:update"} - {needed}))
    where = re.sub(r"\{\w+\}", "x", path)
    refused = server.ask(method, where, token=server.token(scope=others), json=body)
    assert needed in assert_error(refused, 403, "PERMISSION_DENIED")
    assert server.ask(method, where, token=server.token(scope=needed), json=body).status_code not in (
        401,
        403,
    )


# Tokens of users


def test_a_user_reaches_what_is_that_users_and_the_client_all_of_it(server: Server) -> None:
    detail = {"registrationId": "r1", "deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2"}
    alice, bob, client = (server.token(sub=subject) for subject in ("alice", "bob", CLIENT))
    made = server.create(alice, config={"subscriptionDetail": detail}).json()
    one = f"{SUBSCRIPTIONS}/{made['id']}"
    assert "deviceId" not in made["config"]["subscriptionDetail"]
    assert server.ask("GET", one, token=alice).json() == made
    assert server.ask("GET", one, token=client).json()["config"]["subscriptionDetail"] == detail
    for other in (bob, server.token(client_id="other", sub="alice")):
        assert_error(server.ask("GET", one, token=other), 404, "NOT_FOUND")
        assert_error(server.ask("DELETE", one, token=other), 404, "NOT_FOUND")
    assert server.ask("DELETE", one, token=client).status_code == 204


def test_a_registration_with_an_owner_and_a_subject_is_refused_to_others(server: Server) -> None:
    registration = uuid.uuid4().hex
    body = {"deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "owner": CLIENT, "subject": "alice"}
    put = server.ask("PUT", f"{NETWORK}/registrations/{registration}", token=server.token(), json=body)
    assert put.status_code == 201
    config = {"subscriptionDetail": {"registrationId": registration}}
    for token in (server.token(sub="bob"), server.token(client_id="other", sub="alice")):
        assert_error(server.create(token, config=config), 403, "SUBSCRIPTION_MISMATCH")
    for token in (server.token(sub="alice"), server.token()):
        assert server.create(token, config=config).status_code == 201


# Keys of the issuer


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_keys_that_are_passed_over(server: Server) -> None:
    assert "RSA keys of at least 2048 bits" in DOCUMENT.section("Keys of the issuer")
    for key in (SHORT, FOR_SECRETS):
        assert_error(server.list(server.token(key)), 401, "UNAUTHENTICATED")
    assert server.list(server.token(BOUND, "PS256")).status_code == 200


def test_a_new_key_is_known_within_the_documented_time(valkey: Valkey) -> None:
    documented = re.search(r"a\s+new key is known within (\d+) s", DOCUMENT.section("Keys of the issuer"))
    assert documented is not None
    with started(valkey, RSA) as server:
        assert server.list(server.token()).status_code == 200
        # The keys were just read, for a token that names one that there is not.
        server.clock.elapsed_s = 100
        assert server.list(server.token(header={"kid": "none"})).status_code == 401
        server.issuer.keys.append(EC)
        server.clock.elapsed_s += float(documented[1]) - 1
        assert server.list(server.token(EC, "ES256")).status_code == 401
        server.clock.elapsed_s += 1
        assert server.list(server.token(EC, "ES256")).status_code == 200


def test_while_the_issuer_is_unavailable_known_keys_go_on_working(valkey: Valkey) -> None:
    with started(valkey, RSA) as server:
        server.issuer.status = 500
        assert_error(server.list(server.token()), 503, "UNAVAILABLE")
        server.clock.elapsed_s = 10
        server.issuer.status = 200
        assert server.list(server.token()).status_code == 200
        server.issuer.status = 500
        server.clock.elapsed_s = 2 * 3600
        assert server.list(server.token()).status_code == 200
