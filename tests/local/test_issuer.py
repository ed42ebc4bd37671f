"""The local issuer's tokens, verified by its published keys."""

import stat
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient
from jwt import PyJWK

from tests.harness.commands import run
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.setting_values import decode_secret_key
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.local_error import LocalError
from webrtc_events.local.stack.issuer import SCOPES, LocalIssuer
from webrtc_events.local.stack.issuer_pages import issuer_app
from webrtc_events.local.stack.key_files import TokenSigningKey, secret_key

_URL = "http://127.0.0.1:9091/issuer"


@pytest.fixture
def issuer(data: Path) -> LocalIssuer:
    return LocalIssuer(_URL, TokenSigningKey.load_or_make(data), "webrtc-events", SystemClock())


@pytest.fixture
def pages(issuer: LocalIssuer) -> FlaskClient:
    return issuer_app(issuer).test_client()


def _claims(token: str, jwks: dict[str, Any]) -> dict[str, Any]:
    keys = {key["kid"]: PyJWK(key) for key in jwks["keys"]}
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, Any] = jwt.decode(
        token, key, algorithms=["ES256"], audience="webrtc-events", issuer=_URL
    )
    return claims


def test_token_is_verified_by_the_published_keys(pages: FlaskClient, issuer: LocalIssuer) -> None:
    discovery = pages.get("/.well-known/openid-configuration").get_json()
    assert discovery["issuer"] == _URL
    jwks = pages.get(discovery["jwks_uri"].removeprefix(_URL)).get_json()
    claims = _claims(issuer.mint(client="phone", subject="alice", scopes=("a", "b"), expires_in_s=60), jwks)
    assert (claims["client_id"], claims["sub"], claims["scope"]) == ("phone", "alice", "a b")
    assert claims["exp"] - claims["iat"] == 60
    assert not {"d"} & set(jwks["keys"][0])


def test_token_without_subject_is_two_legged(issuer: LocalIssuer) -> None:
    claims = _claims(issuer.mint(client="phone"), issuer.jwks())
    assert claims["sub"] == claims["client_id"] == "phone"
    assert set(claims["scope"].split()) == set(SCOPES)


def test_token_endpoint_gives_client_credentials(pages: FlaskClient, issuer: LocalIssuer) -> None:
    form = {"grant_type": "client_credentials", "client_id": "phone", "scope": "webrtc-events:read"}
    response = pages.post("/token", data=form)
    claims = _claims(response.get_json()["access_token"], issuer.jwks())
    assert (claims["client_id"], claims["scope"]) == ("phone", "webrtc-events:read")
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "scope": "admin"}, "invalid_scope"),
    ],
)
def test_token_endpoint_refuses(pages: FlaskClient, form: dict[str, str], error: str) -> None:
    response = pages.post("/token", data=form)
    assert (response.status_code, response.get_json()["error"]) == (400, error)


def test_token_endpoint_gives_nothing_to_other_machines(pages: FlaskClient) -> None:
    form = {"grant_type": "client_credentials"}
    assert pages.post("/token", data=form, environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [("rebound.example.com:9091", 400), ("[::1", 400), ("", 400), ("[::1]:9091", 200), ("localhost", 200)],
)
def test_issuer_answers_only_under_names_of_this_machine(pages: FlaskClient, host: str, status: int) -> None:
    assert pages.get("/jwks.json", headers={"Host": host}).status_code == status


def test_keys_are_kept_and_private(data: Path) -> None:
    assert TokenSigningKey.load_or_make(data).kid == TokenSigningKey.load_or_make(data).kid
    assert secret_key(data) == secret_key(data)
    assert len(decode_secret_key(secret_key(data))) == 32
    assert {stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()} == {0o600}


def test_file_that_is_no_key_is_reported(data: Path) -> None:
    data.mkdir()
    (data / "issuer-key.pem").write_text("nothing")
    with pytest.raises(LocalError, match="issuer-key"):
        TokenSigningKey.load_or_make(data)


def test_token_command_prints_a_token_and_nothing_else(data: Path) -> None:
    Endpoints(issuer=_URL).write(data)
    options = ["--client", "phone", "--subject", "bob", "--scope", "webrtc-events:read", "--expires-in", "60"]
    done = run("token", *options, "--data-dir", str(data))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 1
    claims = _claims(done.stdout.decode().strip(), {"keys": [TokenSigningKey.load_or_make(data).jwk]})
    assert (claims["client_id"], claims["sub"], claims["scope"]) == ("phone", "bob", "webrtc-events:read")
    assert claims["exp"] - claims["iat"] == 60


def test_token_command_tells_of_another_issuer(data: Path) -> None:
    Endpoints(issuer=None).write(data)
    done = run("token", "--data-dir", str(data))
    assert done.returncode == 1
    assert b"another issuer" in done.stderr
    assert b"Traceback" not in done.stderr
