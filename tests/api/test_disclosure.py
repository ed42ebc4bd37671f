"""A whole call with known addresses, names and tokens: what of it can be found where."""

import base64
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.api.conftest import CHECKS, NETWORK, PREFIX, PUBLIC, Api, serving
from tests.conftest import everything
from tests.harness.issuer import Issuer
from tests.harness.sinks import Answer, Received, RecordingSink
from webrtc_events.app import create_app
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.log_masking import Masking
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.store.keys import partition_of
from webrtc_events.worker import Worker

SINK_TOKEN = "s1nk-t0ken.of-the.subscriber"
REGISTRATION = "registration-of-alice"
DEVICE = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
CALLER, CALLED = "+12025550100", "bob.jones@ims.example"
LOGGED = (REGISTRATION, DEVICE, "user-alice", CALLER, CALLED, "Alice Smith", "Bob Jones")
NEVER_LOGGED = ("inbox-of-alice", "Charlie", "v=0")
"""Of the sink's address, of an event that is refused, and of a session's description."""


class Run:
    """What came of a call: every answer, all that was logged, and all that is stored."""

    def __init__(self) -> None:
        self.answers: list[requests.Response] = []
        self.tokens: list[str] = []
        self.logged = ""
        self.stored = ""
        self.received: list[Received] = []

    def answered(self) -> str:
        return "\n".join(f"{answer.headers} {answer.text}" for answer in self.answers)


@pytest.fixture
def run(
    environ: dict[str, str],
    issuer: Issuer,
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Run]]:
    with ExitStack() as stack:

        def start(**changes: str) -> Run:
            sink = stack.enter_context(RecordingSink())
            settings = Settings.from_environ(
                environ
                | {
                    "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url,
                    "WEBRTC_EVENTS_SINK_CA_FILE": str(sink.ca_file),
                }
                | changes
            )
            worker = Worker.build(settings, SystemClock(), options=DispatcherOptions(limits=SinkLimits()))
            app = create_app(settings)
            for name in ("", *logging.root.manager.loggerDict):
                # Below DEBUG there is uvicorn's TRACE.
                caplog.set_level(1, name)
            worker.start()
            try:
                with serving(app, issuer) as api:
                    done = _call(api, sink, raw_store, monkeypatch)
            finally:
                worker.stop()
            done.received = sink.requests
            done.logged, done.stored = caplog.text, everything(raw_store)
            return done

        yield start


def _call(api: Api, sink: RecordingSink, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch) -> Run:
    done = Run()

    def ask(method: str, path: str, **options: Any) -> requests.Response:
        done.tokens.append(api.token(client_id="app", **options.pop("claims", {})))
        done.answers.append(api(method, path, token=done.tokens[-1], **options))
        return done.answers[-1]

    def publish(*events: dict[str, Any]) -> requests.Response:
        media = "application/cloudevents-batch+json"
        return ask("POST", f"{NETWORK}/events", data=json.dumps(events), headers={"Content-Type": media})

    # The first attempt fails, and the sink no longer takes the token in the end.
    answers = [503, 204, 400, 204, 401]
    sink.answer = lambda _: Answer(answers.pop(0) if answers else 204)
    body = {"deviceId": DEVICE, "owner": "app", "subject": "user-alice"}
    assert ask("PUT", f"{NETWORK}/registrations/{REGISTRATION}", json=body).status_code == 201
    for kind in ("session-invitation", "session-status"):
        made = ask(
            "POST", f"{PUBLIC}/subscriptions", json=_subscription(sink, kind), claims={"sub": "user-alice"}
        )
        assert made.status_code == 201, made.text
        ask("GET", f"{PUBLIC}/subscriptions/{made.json()['id']}")
    assert [result["status"] for result in publish(*_events()).json()["results"]] == ["accepted"] * 3 + [
        "rejected"
    ]
    sink.wait_for(4, 15)
    ask("GET", f"{PUBLIC}/subscriptions")
    # Refusals, with what is refused in them.
    ask("POST", f"{PUBLIC}/subscriptions", json=_subscription(sink, SINK_TOKEN))
    ask("DELETE", f"{PUBLIC}/subscriptions/{made.json()['id']}")
    sink.wait_for(5, 15)
    ask("GET", "/healthz")
    ask("GET", "/readyz")
    _fail(ask, raw_store, monkeypatch)
    ask("DELETE", f"{NETWORK}/registrations/{REGISTRATION}")
    return done


def _fail(
    ask: Callable[..., requests.Response], raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that holds nonsense, which is logged, and a bug, which is logged with its traceback."""
    other = f"{REGISTRATION}-2"
    raw_store.set(partition_of(other, 64).registration_state(other), "nonsense")
    body = {"deviceId": DEVICE, "owner": "app"}
    assert ask("PUT", f"{NETWORK}/registrations/{other}", json=body).status_code == 201

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"no tel:{CALLER} with Bearer {SINK_TOKEN}")

    with monkeypatch.context() as patch:
        patch.setattr("webrtc_events.store.registrations.RegistrationRecords.delete", broken)
        assert ask("DELETE", f"{NETWORK}/registrations/{REGISTRATION}").status_code == 500


def _subscription(sink: RecordingSink, kind: str) -> dict[str, Any]:
    session = {"sessionId": "m1"} if kind == "session-status" else {}
    return {
        "protocol": "HTTP",
        "sink": sink.url_of("/inbox-of-alice?name=Bob%20Jones"),
        "types": [PREFIX + kind],
        "sinkCredential": {
            "credentialType": "ACCESSTOKEN",
            "accessToken": SINK_TOKEN,
            "accessTokenExpiresUtc": "2999-01-01T00:00:00Z",
            "accessTokenType": "bearer",
        },
        "config": {"subscriptionDetail": {"registrationId": REGISTRATION, "deviceId": DEVICE} | session},
    }


def _events() -> list[dict[str, Any]]:
    people = {
        "mediaSessionId": "m1",
        "originatorAddress": f"tel:{CALLER}",
        "originatorName": "Alice Smith",
        "receiverAddress": f"sip:{CALLED}",
        "receiverName": "Bob Jones",
    }
    data = [
        ("session-invitation", people | {"status": "Initial", "offer": {"sdp": "v=0"}}),
        ("session-status", {"mediaSessionId": "m1", "status": "Ringing"}),
        ("session-status", {"mediaSessionId": "m1", "status": "Terminated"}),
        # Not a status; the message must not repeat it.
        ("session-invitation", people | {"status": "Charlie", "originatorName": ["Charlie"]}),
    ]
    return [
        {
            "id": f"e{number}",
            "source": "/gateway",
            "specversion": "1.0",
            "type": PREFIX + kind,
            "time": "2026-03-10T09:00:00Z",
            "subject": REGISTRATION,
            "data": content,
        }
        for number, (kind, content) in enumerate(data)
    ]


def test_a_token_is_seen_by_the_sink_alone_whatever_the_setting(run: Callable[..., Run]) -> None:
    done = run(WEBRTC_EVENTS_LOG_PERSONAL_DATA="true")
    assert {request.header("authorization") for request in done.received} == {f"Bearer {SINK_TOKEN}"}
    for where, text in (("logs", done.logged), ("store", done.stored), ("answers", done.answered())):
        assert SINK_TOKEN not in text, where
        assert base64.b64encode(SINK_TOKEN.encode()).decode().rstrip("=") not in text, where
        assert not [token for token in done.tokens if token in text], where
    assert "webrtc_events.delivery.attempts" in done.logged


def test_people_are_not_in_the_logs(run: Callable[..., Run]) -> None:
    done = run()
    assert [
        secret for secret in (*LOGGED, *NEVER_LOGGED) if secret.casefold() in done.logged.casefold()
    ] == []
    assert done.logged.count("Traceback") >= 1
    # What stands for them can be looked for: the same in every line and every process.
    masking = Masking(b"\0" * 32, show=False)
    for value in LOGGED:
        assert masking.pseudonym(value) in done.logged, value
    # They are in the store, which this is no check of.
    assert "Alice Smith" in done.stored


def test_people_are_in_the_logs_where_the_setting_allows_it(run: Callable[..., Run]) -> None:
    done = run(WEBRTC_EVENTS_LOG_PERSONAL_DATA="true")
    assert [secret for secret in LOGGED if secret not in done.logged] == []
    assert [secret for secret in NEVER_LOGGED if secret in done.logged] == []


def test_health_tells_nothing_of_what_goes_on(run: Callable[..., Run]) -> None:
    pages = [answer for answer in run().answers if answer.url.endswith(("/healthz", "/readyz"))]
    assert [page.json() for page in pages] == [
        {"status": "ok"},
        {"status": "ok", "checks": CHECKS},
    ]


def test_signatures_reveal_no_private_key(
    run: Callable[..., Run], tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    file = tmp_path / "key.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(pem)
    done = run(WEBRTC_EVENTS_SIGNING_KEYS=str(file))
    secret = pem.decode().splitlines()[1]
    assert all(request.header("signature") for request in done.received)
    assert secret not in done.logged + done.stored + done.answered()
