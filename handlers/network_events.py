"""The operations of network-events.yaml, each a function of its operationId in snake case.

Every handler gets the network's use cases, and for a body its valid JSON as `payload`; errors are raised.
"""

from functools import partial
from typing import Any

from webrtc_events.api.validators import LARGE_BYTES
from webrtc_events.contract.network_events_types import (
    NetworkEvent,
    PublishResult,
    Registration,
    RegistrationResource,
)
from webrtc_events.core.errors import InvalidArgument
from webrtc_events.services.network_side import NetworkSide

__all__ = ["delete_registration", "end_subscription", "publish_events", "put_registration"]


async def publish_events(
    network: NetworkSide, payload: NetworkEvent | list[Any], payload_bytes: int
) -> tuple[PublishResult, int]:
    """A batch is an array: each of its events is accepted or rejected. A single event is refused whole."""
    if isinstance(payload, list):
        return {"results": await network.in_thread(partial(network.events.accept, payload))}, 202
    # As a request's body it was held to the contract: of a batch that says nothing of the events.
    if payload_bytes < LARGE_BYTES:
        result = await network.events.accept_single(payload)
    else:
        (result,) = await network.in_thread(partial(network.events.accept, [payload], conform=True))
    if result["status"] == "rejected":
        raise InvalidArgument(result.get("message"))
    return {"results": [result]}, 202


def put_registration(
    network: NetworkSide, registration_id: str, payload: Registration
) -> tuple[RegistrationResource, int]:
    resource, created = network.registrations.put(registration_id, payload)
    return resource, 201 if created else 200


def delete_registration(network: NetworkSide, registration_id: str) -> tuple[None, int]:
    network.registrations.delete(registration_id)
    return None, 204


def end_subscription(network: NetworkSide, subscription_id: str) -> tuple[None, int]:
    network.endings.end(subscription_id)
    return None, 204
