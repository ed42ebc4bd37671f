"""`webrtc-events dead-letters`: lists, shows, redelivers and removes events that were given up."""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from webrtc_events.cli.error_handling import handle_cli_errors
from webrtc_events.cli.options import config_option, read_settings

if TYPE_CHECKING:
    from webrtc_events.core.model import Subscription
    from webrtc_events.core.settings import Settings
    from webrtc_events.store.dead_letters import (
        DeadLetter,
        DeadLetterFilter,
        DeadLetterId,
        DeadLetters,
    )
    from webrtc_events.store.store import Store

__all__ = ["dead_letters"]

_PREFIX = "org.camaraproject.webrtc-events.v0."
_TYPES = ["session-invitation", "session-status", "registration-ends", "subscription-ended"]
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.group()
def dead_letters() -> None:
    """List, show, redeliver and remove events that were given up.

    An event becomes a dead letter when its deadline passes, its sink refuses it, its outbox is
    full, or its subscription ends first. The service removes a dead letter after
    WEBRTC_EVENTS_DEAD_LETTERS_S.

    Needs the worker's settings, in the environment or by --config.

    \b
    Examples:
      webrtc-events dead-letters list --since 2h
      webrtc-events dead-letters show 42-1763900000000-0
      webrtc-events dead-letters redeliver 42-1763900000000-0
      webrtc-events dead-letters purge --reason refused
    """


@dataclass
class _Wanted:
    """Filters as they were given; `since` is a time, or a span before now."""

    subscription: str | None
    registration: str | None
    reason: str | None
    type: str | None
    since: str | None

    @property
    def anything(self) -> bool:
        return any((self.subscription, self.registration, self.reason, self.type, self.since))

    def filter(self, now_ms: int) -> "DeadLetterFilter":
        from webrtc_events.core.model import EventType
        from webrtc_events.store.dead_letters import DeadLetterFilter

        return DeadLetterFilter(
            subscription=self.subscription,
            registration=self.registration,
            reason=self.reason,
            type=None if self.type is None else EventType(_PREFIX + self.type),
            since_ms=0 if self.since is None else _since_ms(self.since, now_ms),
        )


def _since_ms(text: str, now_ms: int) -> int:
    from webrtc_events.core.clock import parse_time

    span = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if span is not None:
        return max(0, now_ms - int(span[1]) * _UNIT_S[span[2]] * 1000)
    try:
        return max(0, parse_time(text))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither a span like 30m, 2h or 7d nor a time like 2026-03-10T09:00:00Z",
            param_hint="--since",
        ) from None


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--since", help="Given up since a span before now (30m, 2h, 7d) or a time (RFC 3339)."),
        click.option("--type", "type_", type=click.Choice(_TYPES), help="Events of this type."),
        click.option("--reason", help="Given up for this reason, such as deadline_exceeded or refused."),
        click.option("--registration", help="Of subscriptions to this registration."),
        click.option("--subscription", help="Of this subscription."),
    ):
        command = option(command)
    return command


@contextmanager
def _opened() -> "Iterator[tuple[Settings, Store, DeadLetters]]":
    from webrtc_events.store.dead_letters import DeadLetters
    from webrtc_events.store.store import Store

    settings = read_settings()
    store = Store.connect(settings)
    try:
        yield settings, store, DeadLetters(store)
    finally:
        store.close()


@dead_letters.command("list")
@_filters
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="The maximum number of letters, the newest first.  [default: all]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for programs.")
@config_option
@handle_cli_errors
def list_(limit: int | None, as_json: bool, type_: str | None, **given: Any) -> None:
    """List dead letters, the newest first.

    \b
    Examples:
      webrtc-events dead-letters list --since 2h --limit 20
      webrtc-events dead-letters list --registration 96eozbrct6g2kw7ybh538sbv
      webrtc-events dead-letters list --reason refused --json | jq -r .subscription | sort | uniq -c
    """
    from webrtc_events.cli.dead_letter_text import HEADING, row, summary

    wanted = _Wanted(type=type_, **given)
    with _opened() as (_, _, letters):
        found = islice(letters.newest_first(wanted.filter(letters.now_ms())), limit)
        if as_json:
            for letter in found:
                click.echo(json.dumps(summary(letter)))
            return
        for number, letter in enumerate(found):
            if number == 0:
                click.echo(HEADING)
            click.echo(row(letter))


@dead_letters.command()
@click.argument("letter_id", metavar="LETTER")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@config_option
@handle_cli_errors
def show(letter_id: str, as_json: bool) -> None:
    """Show a dead letter: why it was given up, its event as it would be sent, recent attempts.

    Addresses and names in the event are shown in clear.

    \b
    Example:
      webrtc-events dead-letters show 42-1763900000000-0
    """
    from webrtc_events.cli.dead_letter_text import as_text, in_full

    with _opened() as (settings, store, letters):
        letter = _existing(letters, letter_id)
        subscription = _subscription_of(store, letter)
        whole = in_full(letter, subscription, letters.attempts(letter), settings)
    click.echo(json.dumps(whole) if as_json else as_text(whole))


def _subscription_of(store: "Store", letter: "DeadLetter") -> "Subscription | None":
    from webrtc_events.core.errors import DamagedRecord

    try:
        return store.subscriptions.get(letter.subscription_id)
    except DamagedRecord as error:
        click.echo(f"Its subscription is damaged: {error.why}; see `webrtc-events damaged show`", err=True)
        return None


def _existing(letters: "DeadLetters", text: str) -> "DeadLetter":
    from webrtc_events.store.redelivery_text import NO_LETTER

    letter = letters.get(_letter_id(text))
    if letter is None:
        raise click.ClickException(f"{text}: {NO_LETTER}")
    return letter


def _letter_id(text: str) -> "DeadLetterId":
    from webrtc_events.store.dead_letters import DeadLetterId

    try:
        return DeadLetterId.parse(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}; `webrtc-events dead-letters list` shows them") from None


@dead_letters.command()
@click.argument("letter_ids", metavar="[LETTER]...", nargs=-1)
@_filters
@click.option("--all", "all_", is_flag=True, help="All dead letters.")
@config_option
@handle_cli_errors
def redeliver(letter_ids: tuple[str, ...], all_: bool, type_: str | None, **given: Any) -> None:
    """Send dead letters again: the ones you name, or all that match the filters, the oldest first.

    An event goes to the end of its subscription's outbox, with its former id and a new deadline.
    It does not count towards subscriptionMaxEvents. The same step removes the letter, so that a
    repeated command sends nothing twice.

    The command refuses letters of a subscription that has ended, letters whose registration now
    belongs to somebody else, and events that would be given up again at once. It exits with 1 if
    it refuses a letter that you named.

    \b
    Examples:
      webrtc-events dead-letters redeliver 42-1763900000000-0
      webrtc-events dead-letters redeliver --subscription 0f6c...-2a
      webrtc-events dead-letters redeliver --reason deadline_exceeded --since 1d
    """
    from webrtc_events.store.redelivery_text import NO_LETTER, REDELIVERED, redelivery_text

    wanted = _Wanted(type=type_, **given)
    _check_choice(letter_ids, wanted, all_)
    results: Counter[str] = Counter()
    with _opened() as (_, _, letters):
        for text, letter in _chosen(letters, letter_ids, wanted):
            result = NO_LETTER if letter is None else redelivery_text(letters.redeliver(letter))
            results[result] += 1
            if letter_ids:
                click.echo(f"{text}: {result}", err=result != REDELIVERED)
    if not letter_ids:
        _say_counts(results)
    if letter_ids and results.keys() - {REDELIVERED}:
        sys.exit(1)


def _say_counts(results: "Counter[str]") -> None:
    from webrtc_events.store.redelivery_text import REDELIVERED

    refused = results.total() - results[REDELIVERED]
    click.echo(f"{results[REDELIVERED]} redelivered, {refused} refused")
    for result, count in results.most_common():
        if result != REDELIVERED:
            click.echo(f"  {count}: {result}")


@dead_letters.command()
@click.argument("letter_ids", metavar="[LETTER]...", nargs=-1)
@_filters
@click.option("--all", "all_", is_flag=True, help="All dead letters.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@config_option
@handle_cli_errors
def purge(letter_ids: tuple[str, ...], all_: bool, yes: bool, type_: str | None, **given: Any) -> None:
    """Remove dead letters for good: the ones you name, or all that match the filters.

    \b
    Examples:
      webrtc-events dead-letters purge 42-1763900000000-0
      webrtc-events dead-letters purge --registration 96eozbrct6g2kw7ybh538sbv --yes
      webrtc-events dead-letters purge --all
    """
    wanted = _Wanted(type=type_, **given)
    _check_choice(letter_ids, wanted, all_)
    with _opened() as (_, _, letters):
        if not yes:
            count = sum(letter is not None for _, letter in _chosen(letters, letter_ids, wanted))
            click.confirm(f"Remove {count} dead letters?", abort=True, err=True)
        removed = letters.purge(letter.id for _, letter in _chosen(letters, letter_ids, wanted) if letter)
    click.echo(f"{removed} removed")


def _check_choice(letter_ids: tuple[str, ...], wanted: _Wanted, all_: bool) -> None:
    if sum((bool(letter_ids), wanted.anything, all_)) != 1:
        raise click.UsageError("Give one of the three: letters, filters, or --all.")


def _chosen(
    letters: "DeadLetters", letter_ids: Iterable[str], wanted: _Wanted
) -> "Iterator[tuple[str, DeadLetter | None]]":
    """The letters with their names; None where there is no letter of that name."""
    if letter_ids:
        # All are read before the first is acted upon.
        for text, letter_id in [(text, _letter_id(text)) for text in letter_ids]:
            yield text, letters.get(letter_id)
        return
    for letter in letters.oldest_first(wanted.filter(letters.now_ms())):
        yield str(letter.id), letter
