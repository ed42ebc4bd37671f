"""What the gateway is answered, event by event."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness.builders import created
from webrtc_events.contract.documents import load_network
from webrtc_events.core.activity import COUNTS, Activity
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import EventType
from webrtc_events.core.settings import Settings
from webrtc_events.services.events import Events
from webrtc_events.store.keys import partition_of
from webrtc_events.store.settlements import Settlement
from webrtc_events.store.store import Store


@pytest.fixture
def use_case(store: Store) -> Events:
    return Events(store, load_network())


def events(calls: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (calls / f"{name}.ndjson").read_text().splitlines()]


def bad_events(good: dict[str, Any]) -> list[Any]:
    """Each breaks the contract; those that are objects, with another id."""

    def bad(**changes: Any) -> dict[str, Any]:
        event = copy.deepcopy(good)
        event["data"] |= changes.pop("data", {})
        return event | {"id": "bad"} | changes

    return [
        None,
        3,
        {},
        bad(id=7),
        bad(id=""),
        bad(specversion="0.3"),
        bad(type="org.camaraproject.webrtc-events.v0.subscription-ended"),
        bad(subject=None),
        bad(data={"status": "Exploded"}),
        bad(data={"subscriptionId": "mine"}),
        bad(data={"originatorAddress": "sip:x"}),
    ]


def outcome(results: list[Any]) -> list[tuple[str, int]]:
    return [(result["status"], result["subscriptions"]) for result in results]


def test_a_call_reaches_the_subscriptions_of_its_registration_and_session(
    use_case: Events, store: Store, calls: Path
) -> None:
    call = events(calls, "answered")
    registration, session = call[0]["subject"], call[0]["data"]["mediaSessionId"]
    for event_type in (EventType.SESSION_INVITATION, EventType.REGISTRATION_ENDS):
        created(store, registration=registration, event_type=event_type)
    for client in ("a", "b"):
        created(
            store,
            registration=registration,
            session=session,
            client=client,
            event_type=EventType.SESSION_STATUS,
        )
    results = use_case.accept(call)
    assert [result["id"] for result in results] == [event["id"] for event in call]
    assert outcome(results) == [("accepted", 1), *[("accepted", 2)] * 11, ("accepted", 1)]
    assert outcome(use_case.accept(call)) == [("duplicate", 0)] * 13


def test_a_status_without_subject_reaches_every_registration_of_the_session(
    use_case: Events, store: Store, calls: Path
) -> None:
    statuses = [event for event in events(calls, "hold-resume") if "subject" not in event]
    session = statuses[0]["data"]["mediaSessionId"]
    for registration in ("r1", "r2", "r3"):
        created(store, registration=registration, session=session, event_type=EventType.SESSION_STATUS)
    assert len({partition_of(registration, 64).number for registration in ("r1", "r2", "r3")}) == 3
    assert outcome(use_case.accept(statuses)) == [("accepted", 3)] * len(statuses)
    assert outcome(use_case.accept(statuses)) == [("duplicate", 0)] * len(statuses)


def test_a_repeat_completes_what_only_some_partitions_held(
    use_case: Events, store: Store, calls: Path
) -> None:
    (status,) = [event for event in events(calls, "hold-resume") if "subject" not in event][:1]
    session = status["data"]["mediaSessionId"]
    created(store, registration="r1", session=session, event_type=EventType.SESSION_STATUS)
    assert outcome(use_case.accept([status])) == [("accepted", 1)]
    created(store, registration="r2", session=session, event_type=EventType.SESSION_STATUS)
    assert outcome(use_case.accept([status])) == [("accepted", 1)]
    assert outcome(use_case.accept([status])) == [("duplicate", 0)]


def test_a_bad_event_never_stops_the_good_ones(use_case: Events, store: Store, calls: Path) -> None:
    good = events(calls, "answered")[0]
    created(store, registration=good["subject"])

    batch = [*bad_events(good), good]
    results = use_case.accept(batch)
    assert outcome(results) == [*[("rejected", 0)] * 11, ("accepted", 1)]
    assert all(result["message"] for result in results[:-1])
    assert [result.get("id") for result in results] == [*[None] * 5, *["bad"] * 6, good["id"]]
    assert "$.data.status" in results[8]["message"]
    unlisted = load_network().validator("PublishResult").first_fault({"results": results})
    assert unlisted is None


def test_no_body_of_a_request_holds_a_single_event_that_breaks_the_contract(calls: Path) -> None:
    """So who publishes one need not hold it to the contract again."""
    good = events(calls, "answered")[0]
    bodies = load_network().operations["publishEvents"].bodies
    assert len(bodies) == 3
    for media_type, validator in bodies.items():
        assert validator.is_valid(good) is not media_type.endswith("batch+json")
        assert not any(validator.is_valid(event) for event in bad_events(good)), media_type


def test_a_registration_that_ends_must_be_its_own_subject(use_case: Events, calls: Path) -> None:
    end = events(calls, "answered")[-1]
    assert outcome(use_case.accept([end | {"subject": "another"}])) == [("rejected", 0)]
    without = {name: value for name, value in end.items() if name != "subject"}
    assert outcome(use_case.accept([without])) == [("accepted", 0)]


def test_nothing_published_is_nothing_answered(use_case: Events) -> None:
    assert use_case.accept([]) == []


def test_without_enough_replicas_nothing_is_acknowledged(environ: dict[str, str], calls: Path) -> None:
    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_ACK_REPLICAS": "1"})
    store = Store.connect(settings)
    use_case = Events(store, load_network())
    with pytest.raises(Unavailable, match="replicas"):
        use_case.accept(events(calls, "answered")[:1])
    # The repeat is a duplicate, and no better held than the first.
    with pytest.raises(Unavailable, match="replicas"):
        use_case.accept(events(calls, "answered")[:1])
    store.close()


def test_a_full_batch_keeps_its_order(use_case: Events, store: Store, calls: Path) -> None:
    status = next(event for event in events(calls, "answered") if "session-status" in event["type"])
    session = status["data"]["mediaSessionId"]
    created(store, registration=status["subject"], session=session, event_type=EventType.SESSION_STATUS)
    batch = [
        {**status, "id": f"e{number}", "data": {**status["data"], "sequenceNumber": number}}
        for number in range(1000)
    ]
    assert outcome(use_case.accept(batch)) == [("accepted", 1)] * 1000
    partition = partition_of(status["subject"], 64)
    numbers = []
    while claims := store.claims.claim([partition], subscriptions=1, events=2000):
        numbers += [json.loads(item.payload)["data"]["sequenceNumber"] for item in claims[0].items]
        store.claims.settle([Settlement(claims[0], claims[0].items[-1].number)])
    assert numbers == list(range(1000))


def test_what_became_of_events_is_counted(store: Store, calls: Path) -> None:
    activity = Activity()
    use_case = Events(store, load_network(), activity=activity)
    call = events(calls, "answered")
    use_case.accept(call)
    nothing = dict.fromkeys(COUNTS, 0)
    assert activity.values() == nothing | {"accepted": len(call)}
    use_case.accept([call[0], *bad_events(call[1])])
    bad = len(bad_events(call[1]))
    assert activity.values() == nothing | {"accepted": len(call), "duplicates": 1, "rejected": bad}
