"""What one client's many subscriptions may cost: bounds, and events for more than there may be."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.api.conftest import NETWORK, PREFIX, PUBLIC, Api, assert_error, invitation, subscription_request
from tests.harness.builders import created
from webrtc_events.core.settings import Settings
from webrtc_events.local.stack.valkey import Valkey
from webrtc_events.store.keys import new_subscription_id, partition_of
from webrtc_events.store.outbox_entries import parse_entry
from webrtc_events.store.script_options import StoreOptions
from webrtc_events.store.store import Store

SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"
P = partition_of("r1", 64)
ApiWith = Callable[..., Api]

# Another subscription for each of the names, as the release before would have made it.
COPIES = """
for _, id in ipairs(ARGV) do
  redis.call('COPY', KEYS[1], (string.gsub(KEYS[1], '[^:]+$', id)))
  redis.call('SADD', KEYS[2], id)
end
"""


def create(api: Api, kind: str = "session-invitation", *, client: str = "app", **detail: str) -> Any:
    request = subscription_request(kind)
    request["config"]["subscriptionDetail"].update(detail)
    return api("POST", SUBSCRIPTIONS, json=request, token=api.token(client_id=client))


def refusal(answer: Any) -> str:
    return assert_error(answer, 429, "QUOTA_EXCEEDED")


def test_the_subscriptions_to_a_registration_are_bounded(api_with: ApiWith, raw_store: "redis.Redis") -> None:
    api = api_with(max_registration_subscriptions=3)
    made = [create(api), create(api, "session-status"), create(api, "registration-ends")]
    assert [answer.status_code for answer in made] == [201] * 3
    # Whatever their type is, and whoever made them.
    for kind in ("session-invitation", "session-status", "registration-ends"):
        assert "registration has as many" in refusal(create(api, kind, client="another"))
    assert create(api, registrationId="r2").status_code == 201
    assert len(api("GET", SUBSCRIPTIONS).json()) == 4
    assert api("DELETE", f"{SUBSCRIPTIONS}/{made[0].json()['id']}").status_code == 204
    assert create(api, client="another").status_code == 201
    assert "registration has as many" in refusal(create(api))


def test_the_subscriptions_to_a_session_are_bounded(api_with: ApiWith, raw_store: "redis.Redis") -> None:
    """Wherever they are: each registration may be in another partition."""
    api = api_with(max_session_subscriptions=3)
    made = [create(api, "session-status", registrationId=f"r{number}") for number in range(3)]
    assert [answer.status_code for answer in made] == [201] * 3
    for number in (0, 7):
        answer = create(api, "session-status", registrationId=f"r{number}", client="another")
        assert "session has as many" in refusal(answer)
    assert create(api, "session-status", sessionId="m2").status_code == 201
    assert api("DELETE", f"{SUBSCRIPTIONS}/{made[1].json()['id']}").status_code == 204
    assert create(api, "session-status", registrationId="r7").status_code == 201


def test_the_subscriptions_of_a_client_are_bounded(api_with: ApiWith, raw_store: "redis.Redis") -> None:
    api = api_with(max_subscriptions=1)
    assert create(api).status_code == 201
    assert "client has as many" in refusal(create(api))
    assert create(api, client="another").status_code == 201


@pytest.mark.slow
def test_bounds_may_be_switched_off(api_with: ApiWith, raw_store: "redis.Redis") -> None:
    api = api_with(
        max_registration_subscriptions=0, max_session_subscriptions=0, requests_per_s=0, max_subscriptions=0
    )
    assert {create(api, "session-status").status_code for _ in range(101)} == {201}


def test_what_is_above_a_bound_that_was_lowered_stays(api_with: ApiWith, raw_store: "redis.Redis") -> None:
    before, now = api_with(), api_with(max_registration_subscriptions=1)
    assert [create(before).status_code for _ in range(3)] == [201] * 3
    assert "registration has as many" in refusal(create(now))
    (result,) = now("POST", f"{NETWORK}/events", json=invitation(1)).json()["results"]
    assert (result["status"], result["subscriptions"]) == ("accepted", 3)


def published_beside_others(api: Api, others: Api) -> tuple[Any, list[int]]:
    """The answer to a batch of 50 events, and the statuses of what others asked for meanwhile."""
    answers: list[Any] = []
    batch = [invitation(number) for number in range(1, 51)]
    headers = {"Content-Type": "application/cloudevents-batch+json"}

    def publish() -> None:
        answers.append(api("POST", f"{NETWORK}/events", json=batch, headers=headers, timeout=300))

    publisher = threading.Thread(target=publish)
    publisher.start()
    statuses = []
    for number in range(101, 301):
        if not publisher.is_alive():
            break
        event = invitation(number, subject="r2")
        statuses.append(others("POST", f"{NETWORK}/events", json=event).status_code)
        statuses.append(others("GET", SUBSCRIPTIONS, token=others.token(client_id="another")).status_code)
        time.sleep(0.02)
    publisher.join()
    (answer,) = answers
    return answer, statuses


@pytest.mark.slow
def test_fifty_events_for_two_thousand_subscriptions_hold_up_nobody(
    api_with: ApiWith, http_settings: Settings, valkey: Valkey, raw_store: "redis.Redis"
) -> None:
    """One answer, and no script of more than a moment: in one step, these took seconds."""
    api, others = api_with(), api_with()
    store = Store.connect(http_settings)
    template = created(store)
    ids = [template.id, *(new_subscription_id(P) for _ in range(1_999))]
    index = P.registration(PREFIX + "session-invitation", "r1")
    raw_store.eval(COPIES, 2, P.subscription(template.id), index, *ids[1:])
    assert create(others, client="another", registrationId="r2").status_code == 201
    raw_store.config_resetstat()
    raw_store.config_set("slowlog-log-slower-than", 1000)
    raw_store.config_set("slowlog-max-len", 100_000)
    raw_store.slowlog_reset()

    answer, statuses = published_beside_others(api, others)
    scripts = [entry for entry in raw_store.slowlog_get(100_000) if "EVALSHA" in str(entry["command"])]
    assert answer.status_code == 202, answer.text
    assert [(result["status"], result["subscriptions"]) for result in answer.json()["results"]] == [
        ("accepted", 2_000)
    ] * 50
    assert set(statuses) == {200, 202}
    for subscription_id in (ids[0], ids[1_000], ids[-1]):
        numbers = [parse_entry(entry).number for entry in raw_store.lrange(P.outbox(subscription_id), 0, -1)]
        assert numbers == list(range(1, 51))
    assert {raw_store.llen(P.outbox(subscription_id)) for subscription_id in ids} == {50}
    # Each goes through 50 subscriptions for an event, then makes way for others, whose 200 requests are some
    # hundred scripts. In microseconds.
    calls = raw_store.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert calls >= 50 * 2_000 // StoreOptions().work + len(statuses)
    assert max(entry["duration"] for entry in scripts) < 1_000_000
    store.close()
