"""`webrtc-events dead-letters`: lists, shows, redelivers, exports and removes events that were given up."""

import json
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webrtc_events.cli.dead_letter_choice import Wanted, check_choice, chosen, filter_options, letter_id_of
from webrtc_events.cli.error_handling import handle_cli_errors
from webrtc_events.cli.operator_access import opened_store
from webrtc_events.cli.options import config_option

if TYPE_CHECKING:
    from webrtc_events.core.model import Subscription
    from webrtc_events.store.dead_letters import DeadLetter, DeadLetters
    from webrtc_events.store.store import Store

__all__ = ["dead_letters"]


@click.group()
def dead_letters() -> None:
    """List, show, redeliver, export and remove events that were given up.

    An event becomes a dead letter when its deadline passes, its sink refuses it, its outbox is
    full, or its subscription ends first. The service removes a dead letter after
    WEBRTC_EVENTS_DEAD_LETTERS_S.

    Needs the worker's settings, in the environment or by --config.

    \b
    Examples:
      webrtc-events dead-letters list --since 2h
      webrtc-events dead-letters show 42-1763900000000-0
      webrtc-events dead-letters redeliver 42-1763900000000-0
      webrtc-events dead-letters export --since 1d --output lost.ndjson
      webrtc-events dead-letters purge --reason refused
    """


@dead_letters.command("list")
@filter_options
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
    from webrtc_events.store.dead_letters import DeadLetters

    wanted = Wanted(type=type_, **given)
    with opened_store() as (_, store):
        letters = DeadLetters(store)
        found = islice(letters.newest_first(wanted.filter(letters.now_ms())), limit)
        if as_json:
            for letter in found:
                click.echo(json.dumps(summary(letter)))
            return
        number = -1
        for number, letter in enumerate(found):
            if number == 0:
                click.echo(HEADING)
            click.echo(row(letter))
        if number < 0:
            click.echo("There is no dead letter, or none that these options choose.", err=True)


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
    from webrtc_events.store.dead_letters import DeadLetters

    with opened_store() as (settings, store):
        letters = DeadLetters(store)
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

    letter = letters.get(letter_id_of(text))
    if letter is None:
        raise click.ClickException(f"{text}: {NO_LETTER}")
    return letter


@dead_letters.command()
@click.argument("letter_ids", metavar="[LETTER]...", nargs=-1)
@filter_options
@click.option("--all", "all_", is_flag=True, help="All dead letters.")
@config_option
@handle_cli_errors
def redeliver(letter_ids: tuple[str, ...], all_: bool, type_: str | None, **given: Any) -> None:
    """Send dead letters again: the ones you name, or all that match the filters, the oldest first.

    An event goes to the end of its subscription's outbox, with its former id and a new deadline.
    It does not count towards subscriptionMaxEvents. The same step removes the letter, so that a
    repeated command sends nothing twice. Ctrl-C stops after the letter under way; run the same
    command again for the rest.

    The command refuses letters of a subscription that has ended, letters whose registration now
    belongs to somebody else, and events that would be given up again at once. Where an outbox is
    full, the later letters of its subscription are left too, so that order is kept.

    Exits with 1 if it refuses a letter that you named, or if the store goes away; with 130 after
    Ctrl-C. Each way it says what was done.

    \b
    Examples:
      webrtc-events dead-letters redeliver 42-1763900000000-0
      webrtc-events dead-letters redeliver --subscription 0f6c...-2a
      webrtc-events dead-letters redeliver --reason deadline_exceeded --since 1d
      webrtc-events dead-letters redeliver --since 2026-03-10T09:00:00Z --until 2026-03-10T10:30:00Z
    """
    from webrtc_events.cli.redelivering import redeliver_all, redeliver_named

    wanted = Wanted(type=type_, **given)
    check_choice(letter_ids, wanted, all_)
    with opened_store() as (_, store):
        status = redeliver_named(store, letter_ids) if letter_ids else redeliver_all(store, wanted)
    sys.exit(status)


@dead_letters.command()
@filter_options
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file, which must not exist; an interrupted export goes on where it stopped.",
)
@click.option("--after", metavar="LETTER", help="Only those after this one: goes on where an export stopped.")
@config_option
@handle_cli_errors
def export(output: Path | None, after: str | None, type_: str | None, **given: Any) -> None:
    """Export dead letters with their events as NDJSON, the oldest first; without filters all of them.

    A line is what `show --json` prints, without the attempts: addresses and names are in clear. A
    letter that cannot be read is exported with the reason in `fault`. Nothing is removed.

    With --output, the lines go to FILE.<filters>.part, readable by you alone, which becomes FILE
    when all are in it: a file of the name you gave is whole. The same command after an interruption
    continues the part. Exits with 1 if the store goes away, with 130 after Ctrl-C.

    \b
    Examples:
      webrtc-events dead-letters export --since 1d --output lost.ndjson
      webrtc-events dead-letters export --reason refused | jq .asSent.data
    """
    from webrtc_events.cli.dead_letter_export import export_letters

    wanted = Wanted(type=type_, **given)
    behind = None if after is None else letter_id_of(after)
    with opened_store() as (settings, store):
        sys.exit(export_letters(store, settings, wanted, output, behind))


@dead_letters.command()
@click.argument("letter_ids", metavar="[LETTER]...", nargs=-1)
@filter_options
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
    from webrtc_events.store.dead_letters import DeadLetters

    wanted = Wanted(type=type_, **given)
    check_choice(letter_ids, wanted, all_)
    with opened_store() as (_, store):
        letters = DeadLetters(store)
        if not yes:
            count = sum(letter is not None for _, letter in chosen(letters, letter_ids, wanted))
            click.confirm(f"Remove {count} dead letters?", abort=True, err=True)
        removed = letters.purge(letter.id for _, letter in chosen(letters, letter_ids, wanted) if letter)
    click.echo(f"{removed} removed")
