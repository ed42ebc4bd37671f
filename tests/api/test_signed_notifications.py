"""Signed notifications at a real sink, verified by what the documentation gives to consumers."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from http_message_signatures import InvalidSignature

from tests.api.conftest import Api, assert_error, serving
from tests.harness.builders import append, created, invitation
from tests.harness.issuer import Issuer
from tests.harness.sinks import Received, RecordingSink
from tests.sinks.test_signatures import KEYS, signature_of, verify
from webrtc_events.app import create_app
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.setting_values import PrivateKey
from webrtc_events.core.settings import Settings
from webrtc_events.sinks.signatures import Signer
from webrtc_events.store.store import Store
from webrtc_events.worker import Worker

DOCUMENT = (Path(__file__).parents[2] / "docs" / "signatures.md").read_text()
EXAMPLE, USE = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
KEY_SET = "/.well-known/jwks.json"
TARGET = "/inbox/a%20b?c=d"


@dataclass
class Behind(SystemClock):
    """A host whose clock is slow."""

    seconds: float

    def now(self) -> float:
        return super().now() - self.seconds


def pem(folder: Path, name: str, key: PrivateKey) -> str:
    file = folder / f"{name}.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(file)


@dataclass
class Signed:
    """A caught notification, and the example that verifies it."""

    received: Received
    verifier: Any

    def verify(self, **changes: Any) -> None:
        given = {
            "method": self.received.method,
            "target": self.received.path,
            "headers": dict(self.received.headers),
            "body": self.received.body,
        }
        self.verifier.verify(**given | changes)

    def without(self, name: str) -> dict[str, str]:
        return {header: value for header, value in self.received.headers if header.lower() != name}

    def header(self, name: str) -> str:
        value = self.received.header(name)
        assert value is not None
        return value


Catch = Callable[..., Signed]


@pytest.fixture
def catch(environ: dict[str, str], store: Store, issuer: Issuer, tmp_path: Path) -> Iterator[Catch]:
    """Has one notification signed with `key` and delivered, and its keys published."""

    @contextmanager
    def caught(key: PrivateKey, clock: SystemClock) -> Iterator[Signed]:
        with RecordingSink() as sink:
            settings = Settings.from_environ(
                environ
                | {
                    "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url,
                    "WEBRTC_EVENTS_SINK_CA_FILE": str(sink.ca_file),
                    "WEBRTC_EVENTS_SIGNING_KEYS": pem(tmp_path, "first", key),
                }
            )
            worker = Worker.build(settings, clock)
            worker.start()
            try:
                created(store, sink=sink.url_of(TARGET), headers={"x-app": "1", "Signature": "sig1=:AA==:"})
                append(store, invitation(1))
                [received] = sink.wait_for(1)
            finally:
                worker.stop()
            with serving(create_app(settings), issuer) as api:
                origin = sink.url_of("")
                yield Signed(received, example()(f"http://127.0.0.1:{api.port}{KEY_SET}", origin))

    running: list[Any] = []

    def start(key: PrivateKey = KEYS["EdDSA"], clock: SystemClock | None = None) -> Signed:
        running.append(caught(key, clock or SystemClock()))
        signed: Signed = running[-1].__enter__()
        return signed

    yield start
    for process in running:
        process.__exit__(None, None, None)


def example() -> Any:
    """The class of the document, as it stands there; the line that uses it must work too."""
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(EXAMPLE + "\n" + USE, "docs/signatures.md", "exec"), names)  # noqa: S102
    assert isinstance(names["notifications"], names["Notifications"])
    return names["Notifications"]


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_consumer_verifies_a_notification(catch: Catch, algorithm: str) -> None:
    catch(KEYS[algorithm]).verify()


def test_a_notification_is_verified_by_hand(catch: Catch) -> None:
    """Without any library for signatures: RFC 9421, 2.5, and cryptography."""
    signed = catch()
    digest = base64.b64encode(hashlib.sha256(signed.received.body).digest()).decode()
    base = "\n".join(
        [
            '"@method": POST',
            f'"@target-uri": https://{signed.header("host")}{TARGET}',
            f'"content-digest": sha-256=:{digest}:',
            f'"content-type": {signed.header("content-type")}',
            f'"x-correlator": {signed.header("x-correlator")}',
            f'"@signature-params": {signed.header("signature-input").removeprefix("sig1=")}',
        ]
    )
    assert signed.header("content-digest") == f"sha-256=:{digest}:"
    verify(KEYS["EdDSA"], signature_of({"signature": signed.header("signature")}), base.encode())
    # A subscription from before these headers were the service's own adds no second one.
    assert [name.lower() for name, _ in signed.received.headers].count("signature") == 1
    assert signed.header("x-app") == "1"


def test_whatever_was_changed_is_noticed(catch: Catch) -> None:
    signed = catch()
    headers = dict(signed.received.headers)
    body = signed.received.body.replace(b"12025550100", b"12025550109")
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    parameters = signed.header("signature-input")
    changes: list[dict[str, Any]] = [
        {"body": body},
        {"body": b""},
        {"body": body, "headers": headers | {"content-digest": f"sha-256=:{digest}:"}},
        {"target": TARGET + "e"},
        {"target": "/inbox/other"},
        {"method": "PUT"},
        {"headers": headers | {"content-type": "application/json"}},
        {"headers": headers | {"x-correlator": "0b1d6a1e-6d3f-4a0e-8c3a-0c5a6a3d7c55"}},
        {"headers": headers | {"signature-input": parameters.replace("expires=1", "expires=2")}},
        {"headers": headers | {"signature-input": parameters.replace('"webrtc-events"', '"another"')}},
        {"headers": headers | {"signature-input": parameters.replace(' "x-correlator"', "")}},
        {"headers": headers | {"signature-input": parameters.replace("ed25519", "hmac-sha256")}},
        {"headers": headers | {"signature": headers["signature"].replace(":", ":AAAA", 1)}},
        {"headers": {}},
        *(
            {"headers": signed.without(name)}
            for name in ("content-digest", "content-type", "x-correlator", "signature", "signature-input")
        ),
    ]
    for change in changes:
        with pytest.raises(InvalidSignature):
            signed.verify(**change)
    signed.verify()


def test_a_signature_for_another_sink_does_not_hold(catch: Catch) -> None:
    signed = catch()
    signed.verifier._origin = "https://another.example"
    with pytest.raises(InvalidSignature):
        signed.verify()


def test_a_signature_that_has_expired_does_not_hold(catch: Catch) -> None:
    with pytest.raises(InvalidSignature, match="past"):
        catch(clock=Behind(306)).verify()


def test_a_clock_that_is_off_by_minutes_is_put_up_with(catch: Catch) -> None:
    catch(clock=Behind(240)).verify()


def test_a_key_that_is_not_published_is_not_trusted(catch: Catch) -> None:
    signed = catch()
    stranger = Signer(ed25519.Ed25519PrivateKey.generate(), SystemClock())
    plain = {name: signed.header(name) for name in ("content-type", "x-correlator")}
    url = f"https://{signed.header('host')}{TARGET}"
    headers = plain | stranger.sign("POST", url, plain, signed.received.body)
    with pytest.raises(InvalidSignature) as caught:
        signed.verify(headers=headers)
    assert type(caught.value).__name__ == "UnknownKey"


# The keys


def test_every_key_is_published_and_the_first_signs(
    api_with: Callable[..., Api], catch: Catch, tmp_path: Path
) -> None:
    published = api_with(signing_keys=tuple(KEYS.values()))
    response = published("GET", KEY_SET, token=None)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/jwk-set+json"
    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert response.headers["x-correlator"]
    keys = response.json()["keys"]
    assert [key["alg"] for key in keys] == list(KEYS)
    assert {key["use"] for key in keys} == {"sig"}
    assert not {"d", "p", "q"} & {name for key in keys for name in key}
    signed = catch(next(iter(KEYS.values())))
    assert f'keyid="{keys[0]["kid"]}"' in signed.header("signature-input")


def test_the_key_set_behaves_as_the_other_pages(api_with: Callable[..., Api]) -> None:
    api = api_with(signing_keys=(KEYS["EdDSA"],))
    head = api("HEAD", KEY_SET, token=None)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Cache-Control"]
    for method in ("POST", "DELETE", "OPTIONS"):
        refused = api(method, KEY_SET, token=None)
        assert_error(refused, 405, "METHOD_NOT_ALLOWED")
        assert refused.headers["Allow"] == "GET, HEAD"


def test_without_keys_nothing_is_published(api: Api, api_with: Callable[..., Api]) -> None:
    assert_error(api("GET", KEY_SET, token=None), 404, "NOT_FOUND")
    gateways = api_with(signing_keys=(KEYS["EdDSA"],), apis=frozenset({"network"}))
    assert_error(gateways("GET", KEY_SET, token=None), 404, "NOT_FOUND")
