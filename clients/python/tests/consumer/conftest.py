"""A service that signs, keys that are published, and a receiver for threads and for asyncio."""

import asyncio
import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import hypothesis
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from http_message_signatures import HTTPMessageSigner, algorithms

from webrtc_events_client.consumer import (
    AsyncKeySet,
    AsyncReceiver,
    KeySet,
    Receiver,
    ReceiverSettings,
)

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile(
    "client", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("client")

ORIGIN = "https://my-app.example"
URL = ORIGIN + "/inbox/a%20b?c=%2F&d"
COVERED = ("@method", "@target-uri", "content-digest", "content-type", "x-correlator")
WAYS = {
    "EdDSA": (algorithms.ED25519, ed25519.Ed25519PrivateKey.generate()),
    "ES256": (algorithms.ECDSA_P256_SHA256, ec.generate_private_key(ec.SECP256R1())),
    "ES384": (algorithms.ECDSA_P384_SHA384, ec.generate_private_key(ec.SECP384R1())),
    "PS512": (algorithms.RSA_PSS_SHA512, rsa.generate_private_key(65537, 2048)),
}


class SetClock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds - 1_700_000_000

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


class Key:
    """A private key, and how it is published."""

    def __init__(self, name: str = "EdDSA", private: Any = None) -> None:
        self.algorithm, known = WAYS[name]
        self.private = private or known
        jwk = jwt.get_algorithm_by_name(name).to_jwk(self.private.public_key(), as_dict=True)
        text = json.dumps({member: str(jwk[member]) for member in sorted(jwk)}).encode()
        self.kid = base64.urlsafe_b64encode(hashlib.sha256(text).digest()).decode()
        self.jwk = {**jwk, "kid": self.kid, "alg": name, "use": "sig"}

    @classmethod
    def fresh(cls) -> "Key":
        return cls("EdDSA", ed25519.Ed25519PrivateKey.generate())


@dataclass
class Signed:
    """A request as the service makes it; tests change what they like."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    def but(self, **changes: Any) -> "Signed":
        return Signed(**{**self.__dict__, **changes})

    def with_headers(self, **changes: str | None) -> "Signed":
        changed = {name.replace("_", "-"): value for name, value in changes.items()}
        merged = {**self.headers, **changed}
        return self.but(headers={name: value for name, value in merged.items() if value is not None})


@dataclass
class Service:
    """Signs as the service does; `published` is its key set."""

    clock: SetClock
    key: Key = field(default_factory=Key)
    published: list[Key] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.published = self.published or [self.key]

    @property
    def key_set(self) -> dict[str, Any]:
        return {"keys": [key.jwk for key in self.published]}

    def notify(self, body: bytes, url: str = URL, **how: Any) -> Signed:
        headers = {"content-type": "application/cloudevents+json", "x-correlator": "c-1"}
        return self.sign("POST", url, headers, body, **how)

    def ask(self, url: str = URL, origin: str = "events.example") -> Signed:
        """Whether it may send; it does not sign that."""
        return Signed("OPTIONS", url, {"webhook-request-origin": origin, "x-correlator": "c-1"}, b"")

    def sign(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | None,
        *,
        covered: tuple[str, ...] = COVERED,
        created: float | None = None,
        valid_s: float | None = 300,
        tag: str = "webrtc-events",
        key: Key | None = None,
        label: str = "sig1",
        kid: str | None = None,
    ) -> Signed:
        key = key or self.key
        made = datetime.fromtimestamp(int(self.clock.now() if created is None else created), UTC)
        message = SimpleNamespace(method=method, url=url, headers=dict(headers))
        signer = HTTPMessageSigner(signature_algorithm=key.algorithm, key_resolver=_Resolver(key))
        signer.sign(
            message,
            key_id=kid or key.kid,
            created=made,
            expires=None if valid_s is None else made + timedelta(seconds=valid_s),
            label=label,
            tag=tag,
            covered_component_ids=covered,
            body=body if any("content-digest" in name for name in covered) else None,
        )
        lower = {name.lower(): value for name, value in message.headers.items()}
        return Signed(method, url, lower, body or b"")


class _Resolver:
    def __init__(self, key: Key) -> None:
        self._key = key

    def resolve_private_key(self, _: str) -> Any:
        return self._key.private


@pytest.fixture
def service(clock: SetClock) -> Service:
    return Service(clock)


class KeyServer:
    """Publishes what `answer` gives; counts how often it was asked."""

    def __init__(self, service: Service) -> None:
        self.asked = 0
        self.answer: Callable[[], tuple[int, dict[str, str], bytes]] = lambda: (
            200,
            {"Cache-Control": "public, max-age=300"},
            json.dumps(service.key_set).encode(),
        )
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                status, headers, body = outer.answer()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/.well-known/jwks.json"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def key_server(service: Service) -> Iterator[KeyServer]:
    server = KeyServer(service)
    yield server
    server.close()


@dataclass
class Consumer:
    """A receiver with the deliveries that its handler got; `raises` is what the handler raises next."""

    deliveries: list[Any] = field(default_factory=list)
    raises: list[BaseException] = field(default_factory=list)
    receive: Callable[..., Any] = None  # type: ignore[assignment]

    def __call__(self, signed: Signed) -> Any:
        return self.receive(signed.method, signed.url, signed.headers, signed.body)

    def handle(self, delivery: Any) -> None:
        if self.raises:
            raise self.raises.pop(0)
        self.deliveries.append(delivery)

    @property
    def ids(self) -> list[str]:
        return [delivery.notification.id for delivery in self.deliveries]


@pytest.fixture(params=["threads", "asyncio"])
def make_consumer(
    request: pytest.FixtureRequest, clock: SetClock, key_server: KeyServer
) -> Iterator[Callable[..., Consumer]]:
    """A consumer of each kind, with the published keys unless others are given."""
    with asyncio.Runner() as runner:

        def make(*, keys: Any = "published", memory: Any = None, **settings: Any) -> Consumer:
            consumer = Consumer()
            given = ReceiverSettings(**{"origin": ORIGIN, "clock": clock, **settings})
            if request.param == "threads":
                if keys == "published":
                    keys = KeySet(key_server.url, clock=clock)
                consumer.receive = Receiver(consumer.handle, given, keys=keys, memory=memory).receive
            else:
                if keys == "published":
                    keys = AsyncKeySet(key_server.url, clock=clock)

                async def handle(delivery: Any) -> None:
                    consumer.handle(delivery)

                receiver = AsyncReceiver(handle, given, keys=keys, memory=memory)
                consumer.receive = lambda *request: runner.run(receiver.receive(*request))
            return consumer

        yield make


@pytest.fixture
def make_event(clock: SetClock) -> Callable[..., dict[str, Any]]:
    """A session-status, with other members as given; `data` is merged."""

    def make(event_id: str = "s-1.1", **members: Any) -> dict[str, Any]:
        data = {
            "mediaSessionId": "m-1",
            "status": "Ringing",
            "subscriptionId": "s-1",
            "sequenceNumber": 1,
            **members.pop("data", {}),
        }
        return {
            "id": event_id,
            "source": "/webrtc-events",
            "specversion": "1.0",
            "type": "org.camaraproject.webrtc-events.v0.session-status",
            "time": "2027-01-15T08:00:00.000Z",
            "datacontenttype": "application/json",
            "data": data,
            **members,
        }

    return make


@pytest.fixture
def make_body(make_event: Callable[..., dict[str, Any]]) -> Callable[..., bytes]:
    return lambda *args, **members: json.dumps(make_event(*args, **members)).encode()
