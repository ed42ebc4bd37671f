"""Which dead letters a command is for: the ones that are named, or all that match filters."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from webrtc_events.store.dead_letters import DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetters

__all__ = ["Wanted", "check_choice", "chosen", "filter_options", "letter_id_of"]

_PREFIX = "org.camaraproject.webrtc-events.v0."
_TYPES = ["session-invitation", "session-status", "registration-ends", "subscription-ended"]
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass
class Wanted:
    """Filters as they were given; `since` and `until` are times, or spans before now."""

    subscription: str | None
    registration: str | None
    reason: str | None
    type: str | None
    since: str | None
    until: str | None = None

    @property
    def anything(self) -> bool:
        return any((self.subscription, self.registration, self.reason, self.type, self.since, self.until))

    def filter(self, now_ms: int) -> "DeadLetterFilter":
        from webrtc_events.core.model import EventType
        from webrtc_events.store.dead_letters import DeadLetterFilter

        return DeadLetterFilter(
            subscription=self.subscription,
            registration=self.registration,
            reason=self.reason,
            type=None if self.type is None else EventType(_PREFIX + self.type),
            since_ms=0 if self.since is None else _moment(self.since, now_ms, "--since"),
            until_ms=None if self.until is None else _moment(self.until, now_ms, "--until"),
        )


def _moment(text: str, now_ms: int, option: str) -> int:
    from webrtc_events.core.clock import parse_time

    span = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if span is not None:
        return max(0, now_ms - int(span[1]) * _UNIT_S[span[2]] * 1000)
    try:
        return max(0, parse_time(text))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither a span like 30m, 2h or 7d nor a time like 2026-03-10T09:00:00Z",
            param_hint=option,
        ) from None


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--until", help="Given up until then; a span or a time, as --since."),
        click.option("--since", help="Given up since a span before now (30m, 2h, 7d) or a time (RFC 3339)."),
        click.option("--type", "type_", type=click.Choice(_TYPES), help="Events of this type."),
        click.option("--reason", help="Given up for this reason, such as deadline_exceeded or refused."),
        click.option("--registration", help="Of subscriptions to this registration."),
        click.option("--subscription", help="Of this subscription."),
    ):
        command = option(command)
    return command


def check_choice(letter_ids: tuple[str, ...], wanted: Wanted, all_: bool) -> None:
    if sum((bool(letter_ids), wanted.anything, all_)) != 1:
        raise click.UsageError("Give one of the three: letters, filters, or --all.")


def chosen(
    letters: "DeadLetters", letter_ids: Iterable[str], wanted: Wanted
) -> "Iterator[tuple[str, DeadLetter | None]]":
    """The letters with their names; None where there is no letter of that name."""
    if letter_ids:
        # All are read before the first is acted upon.
        for text, letter_id in [(text, letter_id_of(text)) for text in letter_ids]:
            yield text, letters.get(letter_id)
        return
    for letter in letters.oldest_first(wanted.filter(letters.now_ms())):
        yield str(letter.id), letter


def letter_id_of(text: str) -> "DeadLetterId":
    from webrtc_events.store.dead_letters import DeadLetterId

    try:
        return DeadLetterId.parse(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}; `webrtc-events dead-letters list` shows them") from None
