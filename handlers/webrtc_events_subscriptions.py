"""The operations of webrtc-events-subscriptions.yaml, each a function of its operationId in snake case.

Those that did not change are the functions of the contract before it; which contract a new
subscription is under is the use case's to say.
"""

from webrtc_events.contract.webrtc_events_types import HTTPSubscriptionResponse
from webrtc_events.core.model import Caller
from webrtc_events.handlers.webrtc_events import (
    create_notification_channel_subscription,
    delete_notification_channel_subscription,
    retrieve_notification_channel_subscription,
    retrieve_notification_channel_subscription_list,
)
from webrtc_events.services.subscription_requests import SubscriptionUpdate
from webrtc_events.services.subscriptions import Subscriptions

__all__ = [
    "create_notification_channel_subscription",
    "delete_notification_channel_subscription",
    "retrieve_notification_channel_subscription",
    "retrieve_notification_channel_subscription_list",
    "update_notification_channel_subscription",
]


def update_notification_channel_subscription(
    subscriptions: Subscriptions, subscription_id: str, payload: SubscriptionUpdate, caller: Caller
) -> HTTPSubscriptionResponse:
    return subscriptions.update(caller, subscription_id, payload)
