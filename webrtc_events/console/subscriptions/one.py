"""The page of one subscription: its record, its outbox, its last attempts, its dead letters."""

import json
from typing import Any

from flask import render_template

from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.core.errors import NotFound
from webrtc_events.core.personal_view import PersonalView
from webrtc_events.services.subscription_view import (
    letter_event,
    read_subscription_view,
    subscription_resource,
)

__all__ = ["SubscriptionPages"]


class SubscriptionPages:
    """For several threads."""

    def __init__(self, parts: ConsoleParts) -> None:
        self._store = parts.store
        self._masking = parts.masking

    def page(self, subscription_id: str, *, revealed: bool) -> str:
        """
        Raises:
            NotFound: there is none, or none any more.
            Unavailable: the store does not answer.
        """
        view = read_subscription_view(self._store, subscription_id)
        if view is None:
            raise NotFound("There is no such subscription, or none any more.")
        personal = PersonalView(self._masking, revealed=revealed)
        record = view.details and view.details.record
        return render_template(
            "subscriptions/one.html",
            id=subscription_id,
            details=view.details,
            record=record,
            resource=_in_json(subscription_resource(record, personal)) if record else None,
            attempts=view.attempts,
            letters=view.letters,
            events={str(letter.id): _in_json(letter_event(letter, personal)) for letter in view.letters},
            personal=personal,
        )


def _in_json(value: Any) -> str:
    """Empty for what could not be read."""
    return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)
