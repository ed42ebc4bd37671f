"""PRIVATE_KEY_JWT of 0.3, from the request to what reaches the sink."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
import requests
from cryptography.hazmat.primitives.asymmetric import ec

from tests.api.conftest import Api, assert_error, serving
from tests.api.test_signed_notifications import pem
from tests.conftest import everything
from tests.harness.issuer import Issuer
from tests.harness.sinks import RecordingSink
from tests.harness.token_server import TokenServer
from webrtc_events.app import create_app
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.worker import Worker

BASE = "/webrtc-events-subscriptions/v0.3rc1"
KEY_SET = "/.well-known/client-keys.json"
WIRE = "org.camaraproject.webrtc-events-subscriptions.v0."
SCOPES = " ".join(
    [f"webrtc-events-subscriptions:{WIRE}session-invitation:create"]
    + [f"webrtc-events-subscriptions:{what}" for what in ("read", "update", "delete")]
)
JWKS_URI = f"https://webrtc.example{KEY_SET}"
SHOWN = {"credentialType": "PRIVATE_KEY_JWT", "jwksUri": JWKS_URI}
TOKEN = {
    "credentialType": "ACCESSTOKEN",
    "accessToken": "t0ken",
    "accessTokenExpiresUtc": "2090-01-01T00:00:00Z",
    "accessTokenType": "bearer",
}


def private_key_jwt(token_uri: str = "https://as.example/token", **changes: Any) -> dict[str, Any]:
    return {"credentialType": "PRIVATE_KEY_JWT", "clientId": "us-4711", "tokenUri": token_uri} | changes


def request(sink: str = "https://app.example/inbox", **changes: Any) -> dict[str, Any]:
    return {
        "protocol": "HTTP",
        "sink": sink,
        "types": [f"{WIRE}session-invitation"],
        "config": {"subscriptionDetail": {"deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2"}},
    } | changes


@dataclass
class Client:
    api: Api

    def __call__(self, method: str, path: str = "", **options: Any) -> requests.Response:
        return self.api(method, f"{BASE}/subscriptions{path}", token=self.api.token(scope=SCOPES), **options)

    def made(self, **changes: Any) -> dict[str, Any]:
        response = self("POST", json=request(**changes))
        assert response.status_code == 201, response.text
        resource: dict[str, Any] = response.json()
        return resource


@dataclass
class Deployment:
    client: Client
    settings: Settings


@pytest.fixture
def deploy(environ: dict[str, str], issuer: Issuer, tmp_path: Any) -> Iterator[Callable[..., Deployment]]:
    running: list[Any] = []
    key = ec.generate_private_key(ec.SECP256R1())

    def start(**changes: str) -> Deployment:
        given = {
            "NEXT": "true",
            "OPENID_CONFIGURATION_URL": issuer.discovery_url,
            "TOKEN_KEYS": pem(tmp_path, "token", key),
            "TOKEN_JWKS_URI": JWKS_URI,
        } | changes
        texts = {f"WEBRTC_EVENTS_{name}": text for name, text in given.items() if text}
        settings = Settings.from_environ(environ | texts)
        running.append(serving(create_app(settings), issuer))
        return Deployment(Client(running[-1].__enter__()), settings)

    yield start
    for server in running:
        server.__exit__(None, None, None)


def test_it_is_taken_and_shown_without_what_is_the_subscribers(
    deploy: Callable[..., Deployment], raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    client = deploy().client
    made = client.made(sinkCredential=private_key_jwt())
    assert made["sinkCredential"] == SHOWN
    assert client("GET", f"/{made['id']}").json()["sinkCredential"] == SHOWN
    [listed] = client("GET").json()
    assert listed["sinkCredential"] == SHOWN
    seen = everything(raw_store) + caplog.text
    assert "us-4711" not in seen
    assert "as.example" not in seen


def test_either_kind_replaces_the_other(deploy: Callable[..., Deployment]) -> None:
    client = deploy().client
    made = client.made(sinkCredential=TOKEN)
    assert "sinkCredential" not in made
    path = f"/{made['id']}"
    for credential, shown in ((private_key_jwt(), SHOWN), (TOKEN, None), (private_key_jwt(), SHOWN)):
        answer = client("PUT", path, json={"sinkCredential": credential})
        assert answer.status_code == 200, answer.text
        assert answer.json().get("sinkCredential") == shown
        assert client("GET", path).json().get("sinkCredential") == shown
    later = client("PUT", path, json={"config": {"subscriptionExpireTime": "2090-01-01T00:00:00Z"}})
    assert later.json()["sinkCredential"] == SHOWN


def test_without_keys_it_is_refused_and_so_is_the_way_to_them(deploy: Callable[..., Deployment]) -> None:
    client = deploy(TOKEN_KEYS="", TOKEN_JWKS_URI="").client
    answer = client("POST", json=request(sinkCredential=private_key_jwt()))
    assert_error(answer, 422, "PRIVATE_KEY_JWT_NOT_CONFIGURED")
    made = client.made(sinkCredential=TOKEN)
    answer = client("PUT", f"/{made['id']}", json={"sinkCredential": private_key_jwt()})
    assert_error(answer, 422, "PRIVATE_KEY_JWT_NOT_CONFIGURED")
    assert_error(client.api("GET", KEY_SET), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"jwksUri": JWKS_URI}, "INVALID_ARGUMENT"),
        ({"tokenUri": "http://as.example/token"}, "INVALID_ARGUMENT"),
        ({"tokenUri": "https://user:password@as.example/token"}, "INVALID_CREDENTIAL"),
        ({"tokenUri": "https://10.0.0.1/token"}, "INVALID_CREDENTIAL"),
        ({"tokenUri": "https://0x7f.1/token"}, "INVALID_CREDENTIAL"),
        ({"tokenUri": "https://169.254.169.254/latest"}, "INVALID_CREDENTIAL"),
        ({"tokenUri": "https://as.example:25/token"}, "INVALID_CREDENTIAL"),
        ({"tokenUri": "https://as.example/token#fragment"}, "INVALID_CREDENTIAL"),
        ({"tokenUri": f"https://as.example/{'t' * 2048}"}, "INVALID_ARGUMENT"),
        ({"clientId": ""}, "INVALID_ARGUMENT"),
        ({"clientId": "u" * 129}, "INVALID_ARGUMENT"),
        ({"clientId": "us\r\nx-evil: 1"}, "INVALID_ARGUMENT"),
        ({"clientId": "ü"}, "INVALID_ARGUMENT"),
    ],
)
def test_what_is_no_such_credential_is_refused(
    deploy: Callable[..., Deployment], changes: dict[str, str], code: str
) -> None:
    client = deploy(SINK_ALLOWED_NETWORKS="192.0.2.0/24").client
    given = private_key_jwt() | changes
    assert_error(client("POST", json=request(sinkCredential=given)), 400, code)


def test_keys_are_published_in_their_order_and_only_the_public_halves(
    deploy: Callable[..., Deployment], tmp_path: Any
) -> None:
    old, new = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    files = f"{pem(tmp_path, 'new', new)},{pem(tmp_path, 'old', old)}"
    answer = deploy(TOKEN_KEYS=files).client.api("GET", KEY_SET, token=None)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/jwk-set+json"
    keys = answer.json()["keys"]
    assert [key["alg"] for key in keys] == ["ES384", "ES256"]
    assert all(key["use"] == "sig" and "d" not in key for key in keys)


def test_a_process_for_gateways_alone_publishes_no_keys(deploy: Callable[..., Deployment]) -> None:
    assert_error(deploy(APIS="network").client.api("GET", KEY_SET), 404, "NOT_FOUND")


def test_the_sink_gets_a_token_of_the_subscribers_own_server(
    deploy: Callable[..., Deployment], caplog: pytest.LogCaptureFixture
) -> None:
    """The whole way, with the key set as it is published: to a real sink, in TLS."""
    with RecordingSink() as sink:
        deployment = deploy(SINK_CA_FILE=str(sink.ca_file))
        key_set = deployment.client.api("GET", KEY_SET, token=None).json()
        with TokenServer(lambda: key_set, authority=sink.authority) as token_server:
            given = private_key_jwt(token_server.token_uri)
            made = deployment.client.made(sink=sink.url, sinkCredential=given)
            worker = Worker.build(deployment.settings, SystemClock())
            worker.start()
            try:
                assert deployment.client("DELETE", f"/{made['id']}").status_code == 204
                [received] = sink.wait_for(1)
            finally:
                worker.stop()
        assert received.json["type"] == f"{WIRE}subscription-ended"
        assert received.header("authorization") == "Bearer token-1"
        assert "token-1" not in caplog.text
