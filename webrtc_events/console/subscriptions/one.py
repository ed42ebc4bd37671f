"""The page of one subscription: its record, its outbox, its last attempts, its dead letters."""

import json
from itertools import islice
from typing import Any, Final

from flask import render_template

from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.console.personal_data import PersonalView
from webrtc_events.core.clock import format_time
from webrtc_events.core.errors import NotFound
from webrtc_events.core.model import Subscription
from webrtc_events.store.dead_letters import DeadLetter, DeadLetterFilter, DeadLetters
from webrtc_events.store.recent_attempts import recent_attempts
from webrtc_events.store.subscription_details import read_details

__all__ = ["SubscriptionPages"]

_ATTEMPTS: Final = 25
_LETTERS: Final = 25
# Of the dead letters of a partition: some 100 each.
_PAGES_OF_LETTERS: Final = 10


class SubscriptionPages:
    """For several threads."""

    def __init__(self, parts: ConsoleParts) -> None:
        self._store = parts.store
        self._masking = parts.masking
        self._letters = DeadLetters(parts.store)

    def page(self, subscription_id: str, *, revealed: bool) -> str:
        """
        Raises:
            NotFound: there is none, or none any more.
            Unavailable: the store does not answer.
        """
        details = read_details(self._store, subscription_id)
        letters = self._newest_letters(subscription_id)
        if details is None and not letters:
            raise NotFound("There is no such subscription, or none any more.")
        personal = PersonalView(self._masking, revealed=revealed)
        return render_template(
            "subscriptions/one.html",
            id=subscription_id,
            details=details,
            record=details and details.record,
            resource=_resource(details.record, personal) if details and details.record else None,
            attempts=recent_attempts(self._store, subscription_id, _ATTEMPTS),
            letters=letters,
            events={str(letter.id): _event(letter, personal) for letter in letters},
            personal=personal,
        )

    def _newest_letters(self, subscription_id: str) -> list[DeadLetter]:
        wanted = DeadLetterFilter(subscription=subscription_id)
        return list(islice(self._letters.newest_first(wanted, _PAGES_OF_LETTERS), _LETTERS))


def _resource(subscription: Subscription, personal: PersonalView) -> str:
    """What its client is shown, in JSON."""
    expires = (
        {} if subscription.expires_at_ms is None else {"expiresAt": format_time(subscription.expires_at_ms)}
    )
    shown = {
        **personal.document(subscription.request),
        "id": subscription.id,
        "startsAt": format_time(subscription.starts_at_ms),
        **expires,
        "status": subscription.status,
    }
    return _in_json(shown)


def _event(letter: DeadLetter, personal: PersonalView) -> str:
    """What is kept of its event, in JSON; empty if that cannot be read."""
    if letter.item is None:
        return ""
    try:
        payload = json.loads(letter.item.payload)
    except (RecursionError, ValueError):
        return ""
    return _in_json(personal.document(payload))


def _in_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
