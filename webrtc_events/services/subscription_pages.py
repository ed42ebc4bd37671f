"""One page of a client's subscriptions, and how many there are on all pages."""

from collections.abc import Callable
from dataclasses import dataclass, field

from webrtc_events.contract.validators import Validator
from webrtc_events.core.model import Caller
from webrtc_events.services.subscription_resources import Resource, Resources
from webrtc_events.store.subscription_lists import SubscriptionLists

__all__ = ["SubscriptionPage", "page_of"]


@dataclass(frozen=True, slots=True)
class SubscriptionPage:
    """`total`: how many there are on all pages together. Behind the last page pages are empty.

    `held_to`: the validator that each resource was held to; None: they were held to nothing.
    """

    resources: list[Resource]
    total: int
    held_to: Validator | None = field(default=None, compare=False)


def page_of(
    lists: SubscriptionLists,
    resources: Resources,
    caller: Caller,
    number: int,
    size: int,
    tell: Callable[[str, str], None],
) -> SubscriptionPage:
    """Of all of the client it is read whose they are; of those on the page, what is shown.

    `number` is 1 for the first page. One that cannot be shown counts in `total`, as it is there; `tell` gets
    its name and why.
    """
    first = (number - 1) * size
    wanted: list[str] = []
    total = 0
    for some in lists.owned_by(caller.client):
        for owned in some:
            if resources.has(owned, caller):
                if first <= total < first + size:
                    wanted.append(owned.id)
                total += 1
    return SubscriptionPage(resources.of_page(lists.read(wanted), caller, tell), total, resources.held_to)
