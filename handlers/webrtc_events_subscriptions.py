"""The operations of webrtc-events-subscriptions.yaml, each a function of its operationId in snake case.

Those that are called alike are the functions of the contract before it; which contract a subscription is
under is the use case's to say.
"""

from webrtc_events.api.page_headers import page_headers
from webrtc_events.api.paging import ArrayPage
from webrtc_events.core.model import Caller
from webrtc_events.handlers.webrtc_events import (
    create_notification_channel_subscription,
    delete_notification_channel_subscription,
    retrieve_notification_channel_subscription,
)
from webrtc_events.services.subscription_requests import SubscriptionUpdate
from webrtc_events.services.subscription_resources import Resource
from webrtc_events.services.subscriptions import Subscriptions

__all__ = [
    "create_notification_channel_subscription",
    "delete_notification_channel_subscription",
    "retrieve_notification_channel_subscription",
    "retrieve_notification_channel_subscription_list",
    "update_notification_channel_subscription",
]


def retrieve_notification_channel_subscription_list(
    subscriptions: Subscriptions, page: int, per_page: int, caller: Caller
) -> ArrayPage:
    found = subscriptions.page(caller, page, per_page)
    return ArrayPage(found.resources, found.held_to, page_headers(page, per_page, found.total))


def update_notification_channel_subscription(
    subscriptions: Subscriptions, subscription_id: str, payload: SubscriptionUpdate, caller: Caller
) -> Resource:
    return subscriptions.update(caller, subscription_id, payload)
