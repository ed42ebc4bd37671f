"""The Python client against a real `serve`: its own issuer, its API, its sink."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.clients.calling.conftest import Served
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.recordings import load_recording, played_anew
from webrtc_events_client.client import (
    AsyncClient,
    AsyncDeviceClient,
    AsyncNetworkClient,
    Client,
    ClientCredentials,
    DeviceClient,
    NetworkClient,
    errors,
)
from webrtc_events_client.device_subscriptions import (
    DeviceEventType,
    DeviceSubscriptionRequest,
    DeviceSubscriptionUpdate,
    PrivateKeyJwt,
)
from webrtc_events_client.network_events import NetworkEvent, Registration
from webrtc_events_client.subscriptions import SinkCredential, SubscriptionRequest, SubscriptionType

LATER = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)


def credentials(served: Served, client: str = "app", **changes: Any) -> ClientCredentials:
    return ClientCredentials(
        client,
        discovery_url=f"{served.issuer}/.well-known/openid-configuration",
        auth_method="none",
        **changes,
    )


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.api, credentials(served, f"app-{uuid.uuid4().hex}")) as client:
        yield client


def request_for(served: Served, registration_id: str = "r1", **changes: Any) -> SubscriptionRequest:
    return SubscriptionRequest.to(
        SubscriptionType.SESSION_INVITATION,
        **{"sink": f"{served.sink}/client", "registration_id": registration_id} | changes,
    )


def test_a_subscription_from_its_create_to_its_end(served: Served, client: Client) -> None:
    credential = SinkCredential(access_token="s1nk", access_token_expires_utc=LATER)
    request = request_for(
        served, expire_time=LATER, max_events=5, headers={"x-tenant": "blue"}, credential=credential
    )
    made = client.create(request)
    assert (made.sink, made.config, made.status) == (request.sink, request.config, "ACTIVE")
    assert made.protocol_settings == request.protocol_settings
    assert client.get(made.id) == made
    assert client.list() == [made] == list(client.iterate())
    client.delete(made.id)
    assert all(found.ended for found in client.list())
    with pytest.raises(errors.NotFound) as raised:
        client.get("nothing-11")
    assert raised.value.code == "NOT_FOUND"
    assert raised.value.correlator


def test_a_create_with_a_key_makes_one_subscription(served: Served, client: Client) -> None:
    first = client.create(request_for(served), idempotency_key="call-7")
    assert client.create(request_for(served), idempotency_key="call-7").id == first.id
    assert client.create(request_for(served), idempotency_key="call-8").id != first.id
    assert client.create(request_for(served)).id != first.id
    assert len(client.list()) == 3


@pytest.fixture
def device_client(served: Served) -> Iterator[DeviceClient]:
    with DeviceClient(served.api, credentials(served, f"app-{uuid.uuid4().hex}")) as client:
        yield client


def device_request(served: Served, **changes: Any) -> DeviceSubscriptionRequest:
    named = {"sink": f"{served.sink}/device", "device_id": str(uuid.uuid4())}
    return DeviceSubscriptionRequest.to(changes.pop("types", DeviceEventType), **named | changes)


def test_a_subscription_of_a_device_from_its_create_to_its_end(
    served: Served, device_client: DeviceClient
) -> None:
    request = device_request(served, expire_time=LATER, max_events=5, headers={"x-tenant": "blue"})
    made = device_client.create(request)
    assert (made.sink, made.status) == (request.sink, "ACTIVE")
    assert made.config.subscription_max_events == request.config.subscription_max_events
    assert set(made.types) == set(request.types)
    assert made.protocol_settings == request.protocol_settings
    assert device_client.get(made.id) == made
    assert device_client.list() == [made] == list(device_client.iterate())
    token = SinkCredential(access_token="s1nk", access_token_expires_utc=LATER + timedelta(days=2))
    later = LATER + timedelta(days=1)
    renewed = device_client.update(made.id, DeviceSubscriptionUpdate.of(expire_time=later, credential=token))
    assert renewed.config.subscription_expire_time == later
    device_client.delete(made.id)
    # Gone, or about to be: its end is still on its way to the sink.
    with pytest.raises((errors.IncompatibleState, errors.NotFound)):
        device_client.update(made.id, DeviceSubscriptionUpdate.of(expire_time=later))


def test_all_pages_of_a_list(served: Served, device_client: DeviceClient) -> None:
    made = {device_client.create(device_request(served)).id for _ in range(7)}
    page = device_client.page(2, per_page=3)
    assert (len(page.subscriptions), page.total) == (3, 7)
    assert {found.id for found in device_client.iterate(per_page=3)} == made
    assert {found.id for found in device_client.list()} == made


def test_neither_api_sees_the_others_subscriptions(
    served: Served, client: Client, device_client: DeviceClient
) -> None:
    old, new = client.create(request_for(served)), device_client.create(device_request(served))
    for calls, other in ((client, new.id), (device_client, old.id)):
        with pytest.raises(errors.NotFound):
            calls.get(other)
        with pytest.raises(errors.NotFound):
            calls.delete(other)
    assert client.get(old.id).id == old.id
    assert device_client.get(new.id).id == new.id


def test_a_device_create_with_a_key_makes_one(served: Served, device_client: DeviceClient) -> None:
    request = device_request(served)
    first = device_client.create(request, idempotency_key="call-7")
    assert device_client.create(request, idempotency_key="call-7").id == first.id
    assert len(device_client.list()) == 1


def test_a_credential_with_which_the_service_gets_tokens_itself(
    served: Served, device_client: DeviceClient
) -> None:
    credential = PrivateKeyJwt(client_id="webrtc", token_uri=f"{served.sink}/token")
    made = device_client.create(device_request(served, credential=credential))
    for shown in (made, device_client.get(made.id)):
        assert shown.sink_credential is not None
        assert shown.sink_credential.credential_type == "PRIVATE_KEY_JWT"
        assert shown.sink_credential.jwks_uri
    token = SinkCredential(access_token="s1nk", access_token_expires_utc=LATER)
    renewed = device_client.update(made.id, DeviceSubscriptionUpdate.of(credential=token))
    assert renewed.sink_credential is None
    wrong = PrivateKeyJwt(client_id="webrtc", token_uri="https://192.0.2.1:1/token")
    with pytest.raises(errors.InvalidCredential):
        device_client.create(device_request(served, credential=wrong))


def test_the_same_for_devices_by_the_async_client(served: Served) -> None:
    async def calls() -> None:
        source = credentials(served, f"app-{uuid.uuid4().hex}")
        async with AsyncDeviceClient(served.api, source) as client:
            made = await asyncio.gather(*(client.create(device_request(served)) for _ in range(3)))
            found = [subscription.id async for subscription in client.iterate(per_page=2)]
            assert sorted(found) == sorted(subscription.id for subscription in made)
            await client.update(found[0], DeviceSubscriptionUpdate.of(expire_time=LATER))
            await asyncio.gather(*(client.delete(subscription_id) for subscription_id in found))
            assert all(subscription.ended for subscription in await client.list())

    asyncio.run(calls())


def test_refusals_have_the_contracts_codes(served: Served, client: Client) -> None:
    with pytest.raises(errors.InvalidSink):
        client.create(request_for(served, sink="https://192.0.2.1:1/x"))
    with pytest.raises(errors.InvalidArgument) as raised:
        client.create(request_for(served, expire_time=datetime(2020, 1, 1, tzinfo=UTC)))
    assert raised.value.code == "INVALID_ARGUMENT"
    reader = credentials(served, scopes=("webrtc-events:read",))
    with Client(served.api, reader) as reading, pytest.raises(errors.PermissionDenied):
        reading.create(request_for(served))
    with Client(served.api, "nonsense") as stranger, pytest.raises(errors.Unauthenticated):
        stranger.list()
    with (
        Client(served.api, credentials(served, scopes=("all",))) as greedy,
        pytest.raises(errors.TokenUnavailable, match="invalid_scope"),
    ):
        greedy.list()


def call() -> list[NetworkEvent]:
    events = played_anew(load_recording("answered"), round(SystemClock().now() * 1000))
    return [NetworkEvent.parse(json.dumps(event)) for event in events]


def test_a_gateways_call_reaches_the_sink(served: Served, client: Client) -> None:
    events = call()
    registration = str(events[0].subject)
    with NetworkClient(served.api, credentials(served, "gateway")) as gateway:
        gateway.put_registration(
            registration, Registration(device_id=str(uuid.uuid4()), owner="another app", expires_at=LATER)
        )
        with pytest.raises(errors.SubscriptionMismatch):
            client.create(request_for(served, registration))
        gateway.delete_registration(registration)
        path = f"/{uuid.uuid4().hex}"
        made = client.create(request_for(served, registration, sink=served.sink + path))
        first = gateway.publish(events[0])
        assert (first.status, first.subscriptions) == ("accepted", 1)
        assert [result.status for result in gateway.publish_batch(events)] == ["duplicate"] + ["accepted"] * (
            len(events) - 1
        )
        gateway.end_subscription(made.id)
        with pytest.raises(errors.InvalidArgument):
            gateway.publish(NetworkEvent.parse(json.dumps(json.loads(_text(events[1])) | {"data": {}})))
    sink = HttpClient(ca=served.ca_file)
    received: list[Any] = []
    while len(received) < 2:
        received = sink.request("GET", f"{served.sink}/_inbox", params={"path": path, "wait": 5}).json()
    sink.close()
    assert len(received) == 2


def _text(event: NetworkEvent) -> str:
    return json.dumps(
        {
            "id": uuid.uuid4().hex,
            "source": event.source,
            "specversion": "1.0",
            "type": event.type,
            "time": "2030-01-01T00:00:00Z",
        }
    )


def test_the_same_by_the_async_clients(served: Served) -> None:
    async def calls() -> list[str]:
        source = credentials(served, f"app-{uuid.uuid4().hex}")
        async with (
            AsyncClient(served.api, source) as client,
            AsyncNetworkClient(served.api, source) as gateway,
        ):
            made = await asyncio.gather(
                *(client.create(request_for(served), idempotency_key=f"k{number}") for number in range(3))
            )
            found = [subscription.id async for subscription in client.iterate()]
            assert sorted(found) == sorted(subscription.id for subscription in made)
            results = await gateway.publish_batch(call())
            await asyncio.gather(*(client.delete(subscription_id) for subscription_id in found))
            assert all(subscription.ended for subscription in await client.list())
            return [result.status for result in results]

    assert set(asyncio.run(calls())) == {"accepted"}
