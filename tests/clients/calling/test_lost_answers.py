"""A real service carries a request out, and its answer breaks off half-way: by a relay in between."""

import uuid
from collections.abc import Iterator

import pytest

from tests.clients.calling.conftest import Served
from tests.clients.calling.test_python_client import call, credentials, request_for
from tests.cluster.relays import HalvingRelay
from webrtc_events_client.client import Client, NetworkClient, errors

ANSWERS = {"created": b" 201 Created", "deleted": b" 204 No Content", "accepted": b" 202 Accepted"}


@pytest.fixture
def relay(served: Served) -> Iterator[HalvingRelay]:
    """Breaks off the first answer that has the mark."""
    relay = HalvingRelay(int(served.api.rpartition(":")[2]))
    relay.breaks_off = True
    relay.go_on.set()
    yield relay
    relay.close()


@pytest.fixture
def client(served: Served, relay: HalvingRelay) -> Iterator[Client]:
    source = credentials(served, f"app-{uuid.uuid4().hex}")
    with Client(f"http://127.0.0.1:{relay.port}", source) as client:
        yield client


def test_a_create_with_a_key_is_made_once(served: Served, client: Client, relay: HalvingRelay) -> None:
    relay.mark = ANSWERS["created"]
    made = client.create(request_for(served), idempotency_key="k")
    assert relay.halved.is_set()
    assert [found.id for found in client.list()] == [made.id]


def test_a_create_without_one_is_left_to_its_caller(
    served: Served, client: Client, relay: HalvingRelay
) -> None:
    relay.mark = ANSWERS["created"]
    with pytest.raises(errors.AnswerLost) as raised:
        client.create(request_for(served))
    assert raised.value.uncertain
    assert len(client.list()) == 1


def test_a_delete_is_done(served: Served, client: Client, relay: HalvingRelay) -> None:
    made = client.create(request_for(served))
    relay.mark = ANSWERS["deleted"]
    client.delete(made.id)
    assert relay.halved.is_set()
    assert all(found.ended for found in client.list())


def test_an_event_is_accepted_once(served: Served, relay: HalvingRelay) -> None:
    event = call()[0]
    with NetworkClient(f"http://127.0.0.1:{relay.port}", credentials(served, "gateway")) as gateway:
        relay.mark = ANSWERS["accepted"]
        assert gateway.publish(event).status == "duplicate"
    assert relay.halved.is_set()
