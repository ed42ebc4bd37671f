"""The request that carries a notification, and what becomes of an item that is not sent."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.delivery.claims import claim_of, item_of
from tests.delivery.test_cloud_event import FORMATS
from tests.harness.builders import settings_without_store
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.credentials import CredentialBox
from webrtc_events.core.model import Credential, EventType, OutboxKind
from webrtc_events.core.outcomes import Drop, Outcome, Retry
from webrtc_events.delivery.cloud_event import build_event
from webrtc_events.delivery.notifications import (
    Notification,
    NotificationSettings,
    NotificationWriter,
    Skipped,
)
from webrtc_events.sinks.signatures import Signer

SOURCE = "https://events.example"
KEYS = (b"k" * 32, b"o" * 32)
DATA = {
    "mediaSessionId": "mé1",
    "originatorAddress": "tel:+12025550100",
    "receiverAddress": "tel:+12025550101",
    "status": "Initial",
}
INVITATION = json.dumps(
    {"type": EventType.SESSION_INVITATION.value, "time": "2026-03-10T09:00:00.000Z", "data": DATA}
)
NOW_MS, DEADLINE_MS = 10_000, 70_000


@dataclass
class At(SystemClock):
    """A clock that stands still."""

    seconds: float

    def now(self) -> float:
        return self.seconds


SIGNER = Signer(ed25519.Ed25519PrivateKey.generate(), At(1_800_000_000))


def write(
    payload: str = INVITATION,
    *,
    kind: OutboxKind = OutboxKind.EVENT,
    now_ms: int = NOW_MS,
    signer: Signer | None = None,
    **values: Any,
) -> Notification | Skipped:
    claim = claim_of(item_of(payload=payload, kind=kind, deadline_ms=DEADLINE_MS), **values)
    writer = NotificationWriter(FORMATS, NotificationSettings(SOURCE, KEYS), signer)
    return writer.write(claim, claim.items[0], now_ms)


def sent(payload: str = INVITATION, **values: Any) -> Notification:
    written = write(payload, **values)
    assert isinstance(written, Notification), written
    return written


def skipped(payload: str = INVITATION, **values: Any) -> tuple[Outcome | None, str]:
    written = write(payload, **values)
    assert isinstance(written, Skipped), written
    return written.outcome, written.type


def sealed(expires_at_ms: int = 60_000, key: bytes = KEYS[0], subscription: str = "s-1") -> str:
    return CredentialBox([key]).seal(Credential("t0ken", expires_at_ms), subscription)


def test_a_notification_is_the_event_and_who_sends_it() -> None:
    written = sent(client="who")
    request = written.request
    assert (request.url, request.method, request.client) == ("https://sink.example/inbox", "POST", "who")
    assert request.headers == (
        ("content-type", "application/cloudevents+json"),
        ("x-correlator", written.correlator),
    )
    assert str(UUID(written.correlator)) == written.correlator
    assert written.correlator != sent().correlator
    assert written.type == EventType.SESSION_INVITATION
    event = build_event(item_of(payload=INVITATION), "s-1", FORMATS.by_contract["v0.2"], source=SOURCE)
    # As short as JSON can be, and no character is written as an escape.
    assert request.body == json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    assert "mé1".encode() in request.body


@pytest.mark.parametrize(
    ("contract", "client", "strict"),
    [("v0.2", "app", False), ("v0.2", "strict-client", True), ("next", "app", True)],
)
def test_its_form_is_that_of_its_contract(contract: str, client: str, strict: bool) -> None:
    data = {"mediaSessionId": "m1", "status": "Ringing"}
    time = "2026-03-10T09:00:00.000Z"
    payload = json.dumps({"type": EventType.SESSION_STATUS.value, "time": time, "data": data})
    event = json.loads(sent(payload, contract=contract, client=client).request.body)
    assert ("status" not in event) == strict


def test_a_credential_is_opened_with_any_key_and_sent_as_a_bearer_token() -> None:
    for key in KEYS:
        lines = dict(sent(credential=sealed(key=key)).request.headers)
        assert lines["authorization"] == "Bearer t0ken"


def test_the_subscribers_headers_come_last_and_replace_none() -> None:
    own = {"X-App": "1", "Content-Type": "text/plain", "Authorization": "x", "WebHook-Request-Origin": "y"}
    lines = sent(credential=sealed(), origin="events.example", headers=own).request.headers
    assert [name for name, _ in lines] == [
        *("content-type", "x-correlator", "webhook-request-origin", "authorization"),
        "X-App",
    ]
    assert dict(lines) | {"x-correlator": ""} == {
        "content-type": "application/cloudevents+json",
        "x-correlator": "",
        "webhook-request-origin": "events.example",
        "authorization": "Bearer t0ken",
        "X-App": "1",
    }


def test_a_signature_covers_the_services_headers_and_the_body() -> None:
    written = sent(signer=SIGNER, headers={"x-app": "1"}, origin="events.example", credential=sealed())
    lines = dict(written.request.headers)
    covered = {"content-type": lines["content-type"], "x-correlator": written.correlator}
    expected = SIGNER.sign("POST", "https://sink.example/inbox", covered, written.request.body)
    assert lines.items() >= expected.items()


def test_what_cannot_be_signed_cannot_be_sent() -> None:
    assert skipped(signer=SIGNER, sink="https://a b/") == (
        Drop("unsendable", "HTTPMessageSignaturesException"),
        EventType.SESSION_INVITATION,
    )


def test_at_its_deadline_an_event_is_given_up() -> None:
    sent(now_ms=DEADLINE_MS - 1)
    assert skipped(now_ms=DEADLINE_MS) == (Drop("deadline_exceeded"), EventType.SESSION_INVITATION)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ("{", "DecodeError"),
        ("{}", "KeyError"),
        ("[]", "TypeError"),
        (INVITATION.replace("m\\u00e91", "m\udcff"), "UnicodeEncodeError"),
    ],
)
def test_an_entry_that_cannot_be_read_is_given_up_and_not_repeated(payload: str, error: str) -> None:
    assert skipped(payload) == (Drop("unreadable_entry", error), "")


def test_an_invalid_event_is_given_up_and_its_fault_is_named() -> None:
    payload = INVITATION.replace('"status": "Initial"', '"status": 5')
    outcome, event_type = skipped(payload)
    assert isinstance(outcome, Drop)
    assert outcome.reason == "invalid_event"
    path, _, message = outcome.detail.partition(": ")
    assert path.endswith("status")
    assert message
    assert event_type == EventType.SESSION_INVITATION


def test_a_contract_that_is_not_known_is_left_to_another_process(caplog: pytest.LogCaptureFixture) -> None:
    assert skipped(contract="v9") == (Retry(30_000, "contract_unknown"), "")
    assert skipped(contract="v9", now_ms=DEADLINE_MS - 5) == (Retry(5, "contract_unknown"), "")
    assert caplog.messages[0] == "contract 'v9' of subscription=s-1 is not known"
    assert skipped(contract="v9", now_ms=DEADLINE_MS) == (Drop("deadline_exceeded", "contract_unknown"), "")


@pytest.mark.parametrize(
    "credential",
    [sealed(key=b"x" * 32), sealed(subscription="s-2"), "none"],
    ids=["key", "subscription", "text"],
)
@pytest.mark.parametrize("kind", [OutboxKind.EVENT, OutboxKind.HANDSHAKE])
def test_a_credential_that_cannot_be_opened_is_left_to_another_process(
    kind: OutboxKind, credential: str, caplog: pytest.LogCaptureFixture
) -> None:
    event_type = "handshake" if kind is OutboxKind.HANDSHAKE else EventType.SESSION_INVITATION
    values: dict[str, Any] = {"credential": credential, "kind": kind}
    assert skipped(**values) == (Retry(30_000, "credential_unreadable"), event_type)
    late = Retry(5, "credential_unreadable")
    assert skipped(**values, now_ms=DEADLINE_MS - 5) == (late, event_type)
    assert caplog.messages[0] == "credential of subscription=s-1 cannot be opened"
    assert caplog.records[0].exc_info


def test_nothing_is_sent_with_a_token_that_expired() -> None:
    """If it expired since the claim, it may have been renewed: the next claim shows."""
    event_type = EventType.SESSION_INVITATION
    assert skipped(credential=sealed(NOW_MS)) == (Drop("access_token_expired"), event_type)
    assert skipped(credential=sealed(NOW_MS + 5), now_ms=NOW_MS + 5) == (None, event_type)
    sent(credential=sealed(NOW_MS + 5), now_ms=NOW_MS + 4)


def test_a_sink_is_asked_with_the_headers_of_its_notifications() -> None:
    """Those may be needed to get in; a body there is none."""
    values: dict[str, Any] = {"origin": "events.example", "credential": sealed(), "client": "who"}
    question = sent("", kind=OutboxKind.HANDSHAKE, headers={"X-App": "1"}, **values)
    request = question.request
    assert question.type == "handshake"
    assert str(UUID(question.correlator)) == question.correlator
    assert (request.url, request.method, request.client) == ("https://sink.example/inbox", "OPTIONS", "who")
    assert request.body == b""
    assert request.headers == (
        ("x-correlator", question.correlator),
        ("webhook-request-origin", "events.example"),
        ("authorization", "Bearer t0ken"),
        ("X-App", "1"),
    )


def test_at_its_deadline_a_sink_is_not_asked() -> None:
    sent("", kind=OutboxKind.HANDSHAKE, now_ms=DEADLINE_MS - 1)
    late = skipped("", kind=OutboxKind.HANDSHAKE, now_ms=DEADLINE_MS)
    assert late == (Drop("deadline_exceeded"), "handshake")


def test_keys_are_not_shown() -> None:
    assert "kkkk" not in repr(NotificationSettings(SOURCE, KEYS))


def test_a_deployment_names_its_source_and_its_keys() -> None:
    settings = settings_without_store(
        WEBRTC_EVENTS_SOURCE=SOURCE, WEBRTC_EVENTS_SECRET_KEY=",".join(("A" * 43, "B" * 42 + "A"))
    )
    found = NotificationSettings.of(settings)
    assert found == NotificationSettings(SOURCE, settings.secret_key)
    assert len(found.secret_keys) == 2
