"""The operations of network-events.yaml, each a function of its operationId in snake case.

Every handler gets the use case, and for a body its valid JSON as `payload`; errors are raised.
"""

from typing import Any

from webrtc_events.contract.network_events_types import (
    NetworkEvent,
    PublishResult,
    Registration,
    RegistrationResource,
)
from webrtc_events.core.errors import InvalidArgument
from webrtc_events.services.events import Publisher

__all__ = ["delete_registration", "end_subscription", "publish_events", "put_registration"]


def publish_events(publisher: Publisher, payload: NetworkEvent | list[Any]) -> tuple[PublishResult, int]:
    """A batch is an array. Its events are judged one by one, a single event is refused as a whole."""
    if isinstance(payload, list):
        return {"results": publisher.publish(payload)}, 202
    results = publisher.publish([payload])
    if results[0]["status"] == "rejected":
        raise InvalidArgument(results[0].get("message"))
    return {"results": results}, 202


def put_registration(
    publisher: Publisher, registration_id: str, payload: Registration
) -> tuple[RegistrationResource, int]:
    resource, created = publisher.put_registration(registration_id, payload)
    return resource, 201 if created else 200


def delete_registration(publisher: Publisher, registration_id: str) -> tuple[None, int]:
    publisher.delete_registration(registration_id)
    return None, 204


def end_subscription(publisher: Publisher, subscription_id: str) -> tuple[None, int]:
    publisher.end_subscription(subscription_id)
    return None, 204
