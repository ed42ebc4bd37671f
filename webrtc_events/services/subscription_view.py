"""What an operator sees of one subscription: its state, its outbox, its last attempts, its dead letters."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from webrtc_events.core.clock import format_time
from webrtc_events.core.model import Subscription
from webrtc_events.core.personal_view import PersonalView
from webrtc_events.store.dead_letters import DeadLetter, DeadLetterFilter, DeadLetters
from webrtc_events.store.recent_attempts import Attempt, recent_attempts
from webrtc_events.store.store import Store
from webrtc_events.store.subscription_details import SubscriptionDetails, read_details

__all__ = ["SubscriptionView", "letter_event", "read_subscription_view", "subscription_resource"]

_ATTEMPTS: Final = 25
_LETTERS: Final = 25
# Of the dead letters of a partition: some 100 each.
_PAGES_OF_LETTERS: Final = 10


@dataclass(frozen=True, slots=True)
class SubscriptionView:
    """`details` None: it is not kept any more, and its dead letters are. The newest come first."""

    id: str
    details: SubscriptionDetails | None
    attempts: Sequence[Attempt]
    letters: Sequence[DeadLetter]


def read_subscription_view(store: Store, subscription_id: str) -> SubscriptionView | None:
    """None: there is no such subscription, or none any more.

    Raises:
        Unavailable: the store does not answer.
    """
    details = read_details(store, subscription_id)
    newest = DeadLetters(store).newest_first(
        DeadLetterFilter(subscription=subscription_id), _PAGES_OF_LETTERS
    )
    letters = list(islice(newest, _LETTERS))
    if details is None and not letters:
        return None
    return SubscriptionView(
        subscription_id, details, recent_attempts(store, subscription_id, _ATTEMPTS), letters
    )


def subscription_resource(subscription: Subscription, personal: PersonalView) -> dict[str, Any]:
    """What its client is shown."""
    expires = (
        {} if subscription.expires_at_ms is None else {"expiresAt": format_time(subscription.expires_at_ms)}
    )
    return {
        **personal.document(subscription.request),
        "id": subscription.id,
        "startsAt": format_time(subscription.starts_at_ms),
        **expires,
        "status": subscription.status,
    }


def letter_event(letter: DeadLetter, personal: PersonalView) -> Any:
    """What is kept of its event; None if that cannot be read."""
    if letter.item is None:
        return None
    try:
        return personal.document(json.loads(letter.item.payload))
    except (RecursionError, ValueError):
        return None
