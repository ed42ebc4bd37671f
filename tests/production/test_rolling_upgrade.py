"""From the release before this one to this one, process by process, under load and on one store."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from tests.chaos.gateway import Load, LoadOptions
from tests.chaos.processes import Process
from tests.chaos.run import Options, Run
from tests.harness.builders import append, created, invitation, session_status
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import eventually
from tests.production.releases import Release, delivered, previous, this
from webrtc_events.core.settings import Settings
from webrtc_events.core.trace_context import TraceContext
from webrtc_events.operator_events.testing import append_test
from webrtc_events.store.dead_letters import DeadLetterFilter, DeadLetters
from webrtc_events.store.keys import partition_of
from webrtc_events.store.outbox_entries import payload_with_trace
from webrtc_events.store.store import Store

pytestmark = pytest.mark.slow

EVENTS = 2_000
RATE = 150.0
GRACE_S = 30.0


@pytest.fixture(scope="session")
def old(former_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Release:
    return previous(former_wheel, tmp_path_factory.mktemp("previous"))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    issuer = Issuer(SigningKeyPair.rsa("k1"))
    with Run("upgrade", Options(seed=1, events=EVENTS), tmp_path, issuer, print) as run:
        yield run
    issuer.close()


def test_the_previous_release_is_what_runs(old: Release, tmp_path: Path) -> None:
    show = "import webrtc_events, handlers; print(webrtc_events.__file__, handlers.__path__[0])"
    command = old.python("-c", show)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert all(Path(folder).is_relative_to(str(old.code)) for folder in done.stdout.split())


def test_a_rolling_upgrade_loses_nothing_and_keeps_order(run: Run, old: Release) -> None:
    """An old API and worker, then a new worker, then a new API, then the old ones stop."""
    service = run.begin(NEXT="false")
    run.inbox.plan(share=0.02, kinds=["500", "503", "cut"], delay_ms=[2, 20])
    new = this()
    old_api, at_old = old.start_api(service)
    old_worker = old.start_worker(service)

    by_old = Made(run)
    load = run.publish(by_old.channels, rate=RATE)
    load.wait_accepted(0.2)

    run.say("a new worker joins")
    new_worker = new.start_worker(service)
    load.wait_accepted(0.4)

    run.say("a new API joins")
    new_api, at_new = new.start_api(service)
    run.service = at_new
    by_new = Made(run)
    more = Load(service.url, service.token, by_new.channels, run.seed, LoadOptions(rate=RATE))
    run.enter(under_way(more))
    more.wait_accepted(0.2)
    run.delete(by_old.ended[:2])
    run.terminate(by_old.ended[2:])
    run.service = at_old
    run.delete(by_new.ended[:2])
    run.terminate(by_new.ended[2:])
    more.wait_accepted(0.4)

    run.say("the old ones stop")
    old_api.terminate(GRACE_S)
    old_worker.terminate(GRACE_S)
    run.service = at_new
    more.wait()
    run.finish()
    assert service.tell_of_losses() == []

    # Each API took events, and each worker delivered what was made by either.
    assert all("POST /network/v0/events" in api.output for api in (old_api, new_api))
    for worker in (old_worker, new_worker):
        for made in (by_old, by_new):
            assert delivered(worker) & {subscriber.id for subscriber in made.lasting}
    assert delivered(new_worker) >= {subscriber.id for subscriber in (*by_old.lasting, *by_new.lasting)}


class Made:
    """Subscriptions made by one API: some that last, some that are `ended`, some with a maximum."""

    def __init__(self, run: Run) -> None:
        lasting = run.channels(12, EVENTS // 4)
        self.lasting = run.subscribe(lasting)
        sessions = run.channels(2, EVENTS // 12, "session-status", subscribers=2)
        self.lasting += run.subscribe(sessions)
        ending = run.channels(8, EVENTS // 6, subscribers=None)
        self.ended = run.subscribe(ending[:4])
        run.ends(run.subscribe(ending[4:], max_events=10), "MAX_EVENTS_REACHED")
        self.channels = lasting + sessions + ending


@contextmanager
def under_way(load: Load) -> Iterator[None]:
    load.start()
    yield
    load.stop()


@pytest.fixture
def only_old_worker(
    old: Release, environ: dict[str, str], sink: RecordingSink, tmp_path: Path
) -> Iterator[Process]:
    ca = {"WEBRTC_EVENTS_SINK_CA_FILE": str(sink.ca_file)}
    worker = Process("worker", tmp_path, environ | ca, old.python("-m", "webrtc_events.cli", "worker"))
    worker.start()
    worker.wait_output("Delivering.")
    yield worker
    worker.kill_all()


@pytest.fixture
def sink() -> Iterator[RecordingSink]:
    with RecordingSink() as sink:
        yield sink


def test_an_old_worker_delivers_a_large_event_for_several(
    only_old_worker: Process, store: Store, sink: RecordingSink
) -> None:
    """This release could keep its payload once, which the old one cannot read: in its store it does not."""
    made = [created(store, sink=sink.url) for _ in range(3)]
    event = json.loads(invitation(1).payload)
    event["data"]["originatorName"] = "x" * 100_000
    append(store, replace(invitation(1), payload=json.dumps(event)))
    sink.wait_for(3)
    assert {request.json["data"]["subscriptionId"] for request in sink.requests} == {
        subscription.id for subscription in made
    }
    assert {len(request.json["data"]["originatorName"]) for request in sink.requests} == {100_000}


def test_an_old_worker_delivers_what_belongs_to_a_trace(
    only_old_worker: Process, store: Store, sink: RecordingSink
) -> None:
    """As any event, also once it is redelivered. It does not tell the sink of the trace."""
    created(store, sink=sink.url)
    sink.answer = [204, 400, 204]
    trace = TraceContext("a" * 32, "b" * 16, 1, 'vendor="1"')
    for number in (1, 2):
        event = invitation(number)
        append(store, replace(event, payload=payload_with_trace(event.payload, trace)))
    plain, traced = sink.wait_for(2)
    assert plain.json.keys() == traced.json.keys()
    assert plain.json["data"] == json.loads(invitation(1).payload)["data"] | {
        "subscriptionId": plain.json["data"]["subscriptionId"]
    }
    dead_letters = DeadLetters(store)
    eventually(lambda: list(dead_letters.newest_first(DeadLetterFilter())), "there is a dead letter")
    (dead_letter,) = dead_letters.newest_first(DeadLetterFilter())
    assert dead_letters.redeliver(dead_letter).outcome == "redelivered"
    again = sink.wait_for(3)[2]
    assert again.json["data"] == traced.json["data"]
    assert {request.header("traceparent") for request in sink.requests} == {None}


def test_an_old_worker_delivers_what_is_redelivered(
    only_old_worker: Process, store: Store, settings: Settings, sink: RecordingSink
) -> None:
    """And its dead letters, which say less, can be redelivered. But it gives the event a new id."""
    made = created(store, sink=sink.url)
    sink.answer = [400, 204]
    append(store, invitation(1), invitation(2))
    sink.wait_for(2)
    dead_letters = DeadLetters(store)
    eventually(
        lambda: list(dead_letters.newest_first(DeadLetterFilter(registration="r1"))), "there is a dead letter"
    )
    (dead_letter,) = dead_letters.newest_first(DeadLetterFilter(registration="r1"))
    assert dead_letters.redeliver(dead_letter).outcome == "redelivered"
    append(store, invitation(3))
    received = [request.json for request in sink.wait_for(4)]
    assert [event["data"]["sequenceNumber"] for event in received] == [1, 2, 1, 3]
    assert [event["id"] for event in received] == [f"{made.id}.{number}" for number in (1, 2, 3, 4)]
    assert "Traceback" not in only_old_worker.output


# With the code of the release before, since this one's knows more of a subscription.
MAKE = """
import json, sys
from webrtc_events.keys import new_subscription_id, partition_of
from webrtc_events.model import EventType, Subscription
from webrtc_events.settings import Settings
from webrtc_events.store import Store
environ, sink = json.loads(sys.argv[1]), sys.argv[2]
settings = Settings.from_environ(environ)
store = Store.connect(settings)
for client in ("app-1", "app-2"):
    made = Subscription(
        id=new_subscription_id(partition_of("r1", settings.partitions)), client=client, subject=None,
        type=EventType.SESSION_STATUS, registration="r1", session="s1", request={}, starts_at_ms=0,
        expires_at_ms=None, max_events=None,
    )
    assert store.create(made, sink=sink + client, headers={}, sealed=None).outcome == "created"
"""


def test_a_client_gets_its_form_for_what_was_made_by_the_previous_release(
    old: Release, environ: dict[str, str], sink: RecordingSink, store: Store, tmp_path: Path
) -> None:
    subprocess.run(
        old.python("-c", MAKE, json.dumps(environ), sink.url_of("/")), cwd=tmp_path, check=True, timeout=30
    )
    append(store, session_status(1), to=partition_of("r1", 64).number)
    changed = {"WEBRTC_EVENTS_STRICT_CLOUDEVENTS": "app-1", "WEBRTC_EVENTS_SINK_CA_FILE": str(sink.ca_file)}
    command = this().python("-m", "webrtc_events.cli", "worker")
    worker = Process("worker", tmp_path, environ | changed, command)
    worker.start()
    try:
        received = sink.wait_for(2, timeout_s=30)
    finally:
        worker.terminate(GRACE_S)
    assert {request.path: "mediaSessionId" in request.json for request in received} == {
        "/app-1": False,
        "/app-2": True,
    }


def test_an_old_worker_leaves_what_is_for_operators_alone(
    only_old_worker: Process, store: Store, sink: RecordingSink, raw_store: "redis.Redis"
) -> None:
    """It knows nothing of it: it neither sends it, nor counts it, nor stumbles over it."""
    append_test(store.operator_outbox, "/", "a")
    before = {key: raw_store.dump(key) for key in raw_store.keys("operator:*") if not key.endswith(":clock")}
    created(store, sink=sink.url)
    append(store, invitation(1), invitation(2))
    sink.wait_for(2)
    assert len(sink.requests) == 2
    assert {key: raw_store.dump(key) for key in before} == before
    assert "Traceback" not in only_old_worker.output
