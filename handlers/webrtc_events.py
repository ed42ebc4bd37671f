"""The operations of webrtc-events.yaml, each a function of its operationId in snake case.

Every handler gets the use case, the `caller` that the access token stands for, and for a
body its valid JSON as `payload`; errors are raised.
"""

from collections.abc import Iterator

from webrtc_events.contract.webrtc_events_types import (
    HTTPSubscriptionRequest,
    HTTPSubscriptionResponse,
    SubscriptionAsync,
)
from webrtc_events.core.model import Caller
from webrtc_events.services.subscriptions import Subscriptions

__all__ = [
    "create_notification_channel_subscription",
    "delete_notification_channel_subscription",
    "retrieve_notification_channel_subscription",
    "retrieve_notification_channel_subscription_list",
]


def create_notification_channel_subscription(
    subscriptions: Subscriptions, payload: HTTPSubscriptionRequest, caller: Caller
) -> tuple[HTTPSubscriptionResponse | SubscriptionAsync, int]:
    """The answer for one whose sink must agree first is its id alone."""
    made = subscriptions.create(caller, payload)
    if made["status"] == "ACTIVATION_REQUESTED":
        return {"id": made["id"]}, 202
    return made, 201


def retrieve_notification_channel_subscription_list(
    subscriptions: Subscriptions, caller: Caller
) -> Iterator[list[HTTPSubscriptionResponse]]:
    """The list in pages, so that it is never whole in memory."""
    return subscriptions.list(caller)


def retrieve_notification_channel_subscription(
    subscriptions: Subscriptions, subscription_id: str, caller: Caller
) -> HTTPSubscriptionResponse:
    return subscriptions.get(caller, subscription_id)


def delete_notification_channel_subscription(
    subscriptions: Subscriptions, subscription_id: str, caller: Caller
) -> tuple[None, int]:
    subscriptions.delete(caller, subscription_id)
    return None, 204
