"""Redelivers dead letters by the many, in order, and says what became of them, however it ends."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import click

from webrtc_events.cli.dead_letter_choice import Wanted, chosen
from webrtc_events.cli.status_line import StatusLine
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.dead_letters import DeadLetter, DeadLetters, RedeliveryOutcome
from webrtc_events.store.redelivery_text import NO_LETTER, REDELIVERED, redelivery_text
from webrtc_events.store.store import Store

__all__ = ["redeliver_all", "redeliver_named"]

_BEHIND: Final = "an older one of its subscription is left, and it is to stay behind that"
_FAILED: Final = 1
_INTERRUPTED: Final = 130


def redeliver_named(store: Store, letter_ids: Sequence[str]) -> int:
    """Returns the exit status."""
    letters = DeadLetters(store)
    refused = False
    for text, letter in chosen(letters, letter_ids, Wanted(None, None, None, None, None)):
        result = NO_LETTER if letter is None else redelivery_text(letters.redeliver(letter))
        refused = refused or result != REDELIVERED
        click.echo(f"{text}: {result}", err=result != REDELIVERED)
    return _FAILED if refused else 0


def redeliver_all(store: Store, wanted: Wanted) -> int:
    """Returns the exit status."""
    letters = DeadLetters(store)
    results: Counter[str] = Counter()
    line = StatusLine(SystemClock())
    status = 0
    filtered = wanted.filter(letters.now_ms())
    found = letters.oldest_first(filtered)
    try:
        for result in _results(letters, _behind_a_bar(line, found, letters.count(filtered))):
            results[result] += 1
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except Unavailable as error:
        if not results:
            raise
        line.clear()
        click.echo(f"Error: the store went away: {error.__cause__ or error}", err=True)
        status = _FAILED
    line.clear()
    _say_counts(results, interrupted=status != 0)
    return status


def _behind_a_bar(line: StatusLine, found: Iterator[DeadLetter], total: int) -> Iterator[DeadLetter]:
    return line.counted(found, total, f"of at most {total:,} dead letters")


def _results(letters: DeadLetters, found: Iterator[DeadLetter]) -> Iterator[str]:
    """What became of each. One that is left because there is no room holds back those behind it."""
    full: set[str] = set()
    for letter in found:
        if letter.subscription_id in full:
            yield _BEHIND
            continue
        redelivery = letters.redeliver(letter)
        if redelivery.outcome is RedeliveryOutcome.FULL:
            full.add(letter.subscription_id)
        yield redelivery_text(redelivery)


def _say_counts(results: "Counter[str]", *, interrupted: bool) -> None:
    refused = results.total() - results[REDELIVERED]
    rest = "; the rest is untouched: run the same command again" if interrupted else ""
    click.echo(f"{results[REDELIVERED]} redelivered, {refused} refused{rest}")
    for result, count in results.most_common():
        if result != REDELIVERED:
            click.echo(f"  {count}: {result}")
