"""Subscriptions to devices while processes of the release before still run: its workers leave them alone.

Its API knows no devices, so the contract is to be switched on when the last of it is gone. What happens if
that is done too early is shown here too.
"""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.chaos.gateway import OF_A_DEVICE, Channel
from tests.chaos.run import Options, Run
from tests.chaos.service import Service
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.valkeys import eventually
from tests.production.releases import Release, delivered, previous, this

pytestmark = pytest.mark.slow

EVENTS = 600
GRACE_S = 30.0
DEVICE = "7d444840-9dc0-11d1-b245-5ffdce74fad2"


@pytest.fixture(scope="module")
def old(former_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Release:
    return previous(former_wheel, tmp_path_factory.mktemp("previous"))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    issuer = Issuer(SigningKeyPair.rsa("k1"))
    with Run("devices", Options(seed=1, events=EVENTS), tmp_path, issuer, print) as run:
        yield run
    issuer.close()


def switched_on(service: Service) -> Service:
    """The same service, whose next processes serve the next contract too."""
    found = copy.copy(service)
    found._environ = service._environ | {"WEBRTC_EVENTS_NEXT": "true"}
    return found


def test_workers_of_the_release_before_leave_them_alone(run: Run, old: Release) -> None:
    """They put back what they claim; nothing is lost, doubled or out of order once a new one runs."""
    service = run.begin(NEXT="false")
    run.inbox.plan(delay_ms=[2, 20])
    old_worker = old.start_worker(service)
    _, run.service = this().start_api(switched_on(service))
    channels = run.channels(6, EVENTS // 4)
    run.subscribe(channels)
    of_devices = run.of_devices(6, EVENTS // 4, OF_A_DEVICE)
    run.publish(channels + of_devices, rate=EVENTS / 3).wait()
    plain = {subscriber.id for subscriber in run.subscribers if not subscriber.to_device}
    eventually(lambda: delivered(old_worker) == plain, "the old worker delivers what it knows", 30)
    eventually(lambda: "is not known" in old_worker.output, "and says what it does not", 30)
    old_worker.terminate(GRACE_S)
    this().start_worker(service)
    run.finish()


class TooEarly:
    """An API of each release on one store, one registration on a device, a subscription of each version."""

    def __init__(self, run: Run, old: Release) -> None:
        service = run.begin(NEXT="false")
        self._run = run
        self.inbox = run.inbox
        _, self.old = old.start_api(service)
        _, self.new = this().start_api(switched_on(service))
        this().start_worker(service)
        self.channel = Channel("r1", "session-invitation", 0, 2, device=DEVICE)
        self.new.register(self.channel)
        self.before, self.to_device = (self.new.subscribe(self.channel, number) for number in (0, 1))

    def publish(self, at: Service, number: int) -> dict[str, Any]:
        answer = requests.post(
            f"{at.url}/network/v0/events",
            data=json.dumps(self.channel.event(number, "/gateway", "")),
            headers={
                "Authorization": f"Bearer {at.token}",
                "Content-Type": "application/cloudevents+json",
            },
            timeout=15,
        )
        assert answer.status_code == 202, answer.text
        (result,) = answer.json()["results"]
        found: dict[str, Any] = result
        return found

    def await_taken(self, before: list[int], to_device: list[int]) -> None:
        """Until the numbers of the events that came are these, in this order."""

        def taken(subscription: str) -> list[int]:
            return [attempt.event for attempt in self.inbox.attempts if attempt.subscription == subscription]

        def all_there() -> bool:
            return (taken(self.before.id), taken(self.to_device.id)) == (before, to_device)

        eventually(self.inbox.until(all_there), "each has its events", 30)


@pytest.fixture
def too_early(run: Run, old: Release) -> TooEarly:
    return TooEarly(run, old)


def test_an_event_that_the_release_before_takes_does_not_reach_a_device(too_early: TooEarly) -> None:
    """Nor does it when the gateway sends it again: whom an event is for is decided when it is new."""
    assert too_early.publish(too_early.old, 1)["subscriptions"] == 1
    assert too_early.publish(too_early.new, 2)["subscriptions"] == 2
    assert too_early.publish(too_early.new, 1) | {"id": ""} == {
        "id": "",
        "status": "duplicate",
        "subscriptions": 0,
    }
    too_early.await_taken([1, 2], [2])


def test_the_release_before_cannot_show_a_list_with_one(too_early: TooEarly) -> None:
    """What a client made under 0.2 it shows one by one, and goes on publishing for."""

    def read(path: str = "") -> requests.Response:
        headers = {"Authorization": f"Bearer {too_early.old.token}"}
        return requests.get(f"{too_early.old.public}{path}", headers=headers, timeout=15)

    assert read().status_code == read(f"/{too_early.to_device.id}").status_code == 500
    assert read(f"/{too_early.before.id}").status_code == 200
    assert too_early.publish(too_early.old, 1)["subscriptions"] == 1
    too_early.await_taken([1], [])
