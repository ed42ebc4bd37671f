"""The page of the latest dead letters of all subscriptions, which leads to those of each."""

from itertools import islice
from typing import Final

from flask import Blueprint, render_template

from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.core.personal_view import PersonalView
from webrtc_events.store.dead_letters import DeadLetterFilter, DeadLetters

__all__ = ["add_latest_letters"]

_SHOWN: Final = 50


def add_latest_letters(pages: Blueprint, parts: ConsoleParts) -> None:
    letters = DeadLetters(parts.store)
    masking = parts.masking

    @pages.get("/dead-letters")
    def latest() -> str:
        # One page of each partition has more than are shown.
        newest = letters.newest_first(DeadLetterFilter(), max_pages=1)
        return render_template(
            "subscriptions/latest_letters.html",
            letters=list(islice(newest, _SHOWN)),
            most=_SHOWN,
            personal=PersonalView(masking, revealed=False),
        )
