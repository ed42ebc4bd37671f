"""One page of a client's subscriptions, and how many there are on all pages."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from webrtc_events.core.model import Caller, Subscription
from webrtc_events.services.subscription_resources import Resource, Resources

__all__ = ["SubscriptionPage", "page_of"]


@dataclass(frozen=True, slots=True)
class SubscriptionPage:
    """`total`: how many there are on all pages together. Behind the last page pages are empty."""

    resources: list[Resource]
    total: int


def page_of(
    read: Iterable[Iterable[Subscription]],
    resources: Resources,
    caller: Caller,
    number: int,
    size: int,
    tell: Callable[[str, str], None],
) -> SubscriptionPage:
    """`read`: all subscriptions of the client, some at once, in a stable order. No more is held than a page.

    `number` is 1 for the first page. One that cannot be shown counts in `total`, as it is there; `tell` gets
    its name and why.
    """
    first = (number - 1) * size
    wanted: list[Subscription] = []
    total = 0
    for some in read:
        for subscription in some:
            if resources.has(subscription, caller):
                if first <= total < first + size:
                    wanted.append(subscription)
                total += 1
    return SubscriptionPage(resources.of_page(wanted, caller, tell), total)
