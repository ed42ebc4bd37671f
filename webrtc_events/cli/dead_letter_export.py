"""Exports dead letters as NDJSON: in bounded memory, in order, and continued where it was interrupted."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import IO, Any, Final

import click

from webrtc_events.cli.dead_letter_choice import Wanted
from webrtc_events.cli.dead_letter_text import as_sent, summary
from webrtc_events.cli.status_line import StatusLine
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import DamagedRecord, NewerRelease, Unavailable
from webrtc_events.core.model import Subscription
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.cloud_event import EventFormats
from webrtc_events.store.dead_letters import DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetters
from webrtc_events.store.store import Store

__all__ = ["export_letters", "part_of"]

_FAILED: Final = 1
_INTERRUPTED: Final = 130
# Letters of one subscription stand close together.
_MAX_KNOWN: Final = 1000
_TAIL: Final = 1 << 20


def export_letters(
    store: Store, settings: Settings, wanted: Wanted, output: Path | None, after: DeadLetterId | None
) -> int:
    """To `output`, or to the standard output. Returns the exit status."""
    lines = _Lines(store, settings)
    if output is None:
        return _run(lines, wanted, sys.stdout, after, "Go on with --after {}.")
    if output.exists():
        raise click.ClickException(f"{output} is there already; remove it, or give another name")
    part = part_of(output, wanted)
    with _continued(part) as (file, last):
        if last is not None:
            click.echo(f"{part} is continued after {last}", err=True)
        go_on = f"{part} is not whole: run the same command again."
        status = _run(lines, wanted, file, last if last is not None else after, go_on)
        file.flush()
        os.fsync(file.fileno())
    if status == 0:
        part.rename(output)
    return status


def _run(lines: "_Lines", wanted: Wanted, file: IO[str], after: DeadLetterId | None, go_on: str) -> int:
    """`go_on`: what to do after an interruption; `{}` in it is the last letter."""
    line = StatusLine(SystemClock())
    status, count, last = 0, 0, after
    try:
        for letter in line.counted(lines.letters(wanted, after), lines.total, f"of at most {lines.total:,}"):
            file.write(lines.of(letter) + "\n")
            count, last = count + 1, letter.id
        file.flush()
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except Unavailable as error:
        line.clear()
        click.echo(f"Error: the store went away: {error.__cause__ or error}", err=True)
        status = _FAILED
    line.clear()
    rest = f", not all. {go_on.format(last)}" if status else ""
    click.echo(f"{count} exported{rest}", err=True)
    return status


class _Lines:
    """The text of letters. `total`: how many there are at most."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._letters = DeadLetters(store)
        self._formats = EventFormats.of(settings)
        self._source = settings.source
        self._known: dict[str, tuple[Subscription | None, str]] = {}
        self.total = self._letters.count(DeadLetterFilter())

    def letters(self, wanted: Wanted, after: DeadLetterId | None) -> Iterator[DeadLetter]:
        filtered = wanted.filter(self._letters.now_ms())
        for letter in self._letters.oldest_first(filtered):
            if after is None or letter.id.moment > after.moment:
                yield letter

    def of(self, letter: DeadLetter) -> str:
        subscription, standing = self._subscription(letter.subscription_id)
        event, fault = as_sent(letter, subscription, self._formats, self._source)
        return json.dumps(
            {**summary(letter), "subscriptionStatus": standing, "asSent": event, "fault": fault}
        )

    def _subscription(self, subscription_id: str) -> tuple[Subscription | None, str]:
        """As far as it can be read, and its status or why there is none."""
        if subscription_id not in self._known:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[subscription_id] = self._read(subscription_id)
        return self._known[subscription_id]

    def _read(self, subscription_id: str) -> tuple[Subscription | None, str]:
        try:
            found = self._store.subscriptions.get(subscription_id)
        except DamagedRecord as error:
            return None, f"damaged: {error.why}"
        except NewerRelease:
            return None, "a newer release wrote it"
        return found, "not kept any more" if found is None else found.status


def part_of(output: Path, wanted: Wanted) -> Path:
    """By the filters too: a part of other letters is not continued."""
    digest = hashlib.sha256(json.dumps(astuple(wanted)).encode()).hexdigest()[:8]
    return output.with_name(f"{output.name}.{digest}.part")


@contextmanager
def _continued(part: Path) -> Iterator[tuple[IO[str], DeadLetterId | None]]:
    """The part behind its last whole line, and the letter of that line; a new one is its owner's alone."""
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as raw:
        last = _cut_off(raw, part)
    with part.open("a", encoding="utf-8") as file:
        yield file, last


def _cut_off(raw: IO[bytes], part: Path) -> DeadLetterId | None:
    """Removes a line that was not written to its end."""
    size = raw.seek(0, os.SEEK_END)
    if not size:
        return None
    tail = _tail(raw, size)
    whole = tail.rfind(b"\n") + 1
    raw.truncate(size - len(tail) + whole)
    if not whole:
        return None
    line = tail[:whole].rstrip(b"\n").rpartition(b"\n")[2]
    try:
        found: Any = json.loads(line)
        return DeadLetterId.parse(found["letter"])
    except (KeyError, TypeError, ValueError) as error:
        raise click.ClickException(f"{part} is no export; remove it, or give another name") from error


def _tail(raw: IO[bytes], size: int) -> bytes:
    """The end of the file, with two line ends or all of it."""
    length = _TAIL
    while True:
        raw.seek(max(0, size - length))
        tail = raw.read()
        if length >= size or tail.count(b"\n") > 1:
            return tail
        length *= 2
